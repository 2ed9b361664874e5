/**
 * Options of a command made from a table of settings, and back: what was given becomes the `flags` of
 * `requireSettings`. One declaration serves flags, variables and docs/config.md.
 */
import { Option } from 'commander';
import type { Command } from 'commander';
import { flagName, settingPath } from '#lib/config/settings';
import type { SettingsSection } from '#lib/config/settings';

/** `isHidden`: the options work and are not listed; there are dozens. */
export function addSettingOptions(
  command: Command,
  section: SettingsSection,
  isHidden = false,
): void {
  for (const [key, definition] of Object.entries(section.table)) {
    const shown = definition.default === null ? '' : ` (default: ${String(definition.default)})`;
    const value = definition.type === 'choice' ? definition.choices.join('|') : definition.type;
    const option = new Option(
      `${flagName(section, key)} <${value}>`,
      definition.description + shown,
    );
    command.addOption(isHidden ? option.hideHelp() : option);
  }
}

/** The texts that were given, by setting path. */
export function givenFlags(
  command: Command,
  sections: readonly SettingsSection[],
): Readonly<Record<string, string>> {
  const flags: Record<string, string> = {};
  for (const section of sections) {
    for (const key of Object.keys(section.table)) {
      const attribute = new Option(`${flagName(section, key)} <value>`).attributeName();
      const value: unknown = command.getOptionValue(attribute);
      if (typeof value === 'string') flags[settingPath(section, key)] = value;
    }
  }
  return flags;
}
