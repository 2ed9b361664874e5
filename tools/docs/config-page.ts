/** docs/config.md from the settings tables: every setting with its names, range, default and source. */
import { environmentName, flagName, sectionProblems, settingPath } from '#lib/config/settings';
import type { SettingDefinition, SettingsSection } from '#lib/config/settings';
import { formatSettingValue } from '#lib/config/setting-text';
import type { Page } from './errors-page.ts';
import { cell, generatedNotice } from './markdown-table.ts';
import type { TableExport } from './table-export.ts';

const INTRODUCTION = `A setting is given as a flag or as an environment variable; a flag beats a variable. All problems are
reported at the start, at once, and a \`MILLRACE_\` variable that is not listed here is one of them.
Durations are \`250ms\`, \`10s\`, \`1h30m\` (digits alone are milliseconds), sizes \`64KiB\`, \`1GiB\`
(digits alone are bytes), lists are separated by commas. Bounds are included.`;

/** Makes the page. A bad declaration, or a variable that two settings share, is a problem. */
export function configPage(tables: readonly TableExport[]): Page {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  const parts = ['# Settings', generatedNotice(), INTRODUCTION];
  const sections: { readonly file: string; readonly section: SettingsSection }[] = [];
  for (const { file, name, value } of tables) {
    if (isSection(value)) sections.push({ file, section: value });
    else problems.push(`${file} ${name}: make it with defineSettings(name, table)`);
  }
  sections.sort((left, right) => compare(left.section.name, right.section.name));
  for (const { file, section } of sections) {
    for (const problem of sectionProblems(section)) problems.push(`${file}: ${problem}`);
    for (const key of Object.keys(section.table)) {
      const variable = environmentName(section, key);
      const owner = owners.get(variable);
      if (owner !== undefined) problems.push(`${file}: ${variable} is already used by ${owner}`);
      owners.set(variable, file);
    }
    const title = section.name === '' ? 'The whole program' : section.name;
    parts.push(`## ${title}`, `Declared in \`${file}\`.`, sectionTable(section));
  }
  return { text: `${parts.join('\n\n')}\n`, problems };
}

function isSection(value: unknown): value is SettingsSection {
  if (typeof value !== 'object' || value === null) return false;
  return 'name' in value && typeof value.name === 'string' && 'table' in value;
}

function sectionTable(section: SettingsSection): string {
  const lines = [
    '| Setting | Flag and variable | Default | Values | Description | Source |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const [key, definition] of Object.entries(section.table)) {
    const fallback = formatSettingValue(definition, definition.default);
    const cells = [
      `\`${settingPath(section, key)}\``,
      `\`${flagName(section, key)}\` \`${environmentName(section, key)}\``,
      fallback === '' ? 'none' : `\`${cell(fallback)}\``,
      cell(valuesText(definition)),
      cell(definition.description) +
        (definition.isSecret === true ? ' (secret, never logged)' : ''),
      cell(definition.source),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

function valuesText(definition: SettingDefinition): string {
  switch (definition.type) {
    case 'choice':
      return definition.choices.map((choice) => `\`${choice}\``).join(', ');
    case 'list':
      return `list, at most ${definition.itemCountMax} items`;
    case 'string':
      return 'text';
    case 'boolean':
      return '`true`, `false`';
    default: {
      const low = formatSettingValue(definition, definition.min);
      const high = formatSettingValue(definition, definition.max);
      return `${definition.type}, ${low} to ${high}`;
    }
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
