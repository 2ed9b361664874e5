/**
 * Settings of a process from flags and environment variables, all problems at once. Composition roots
 * call it once at the start and pass each part only its own section. The result is frozen; a flag
 * beats a variable, a variable beats the default.
 */
import { configError } from './config-errors.ts';
import type { Environment } from './environment.ts';
import { nearestName } from './nearest-name.ts';
import { parseSettingText } from './setting-text.ts';
import { environmentName, flagName, settingPath } from './settings.ts';
import type {
  SettingDefinition,
  SettingsOf,
  SettingsSection,
  SettingsTable,
  SettingValue,
} from './settings.ts';

export type Sections = Readonly<Record<string, SettingsSection>>;

export interface SettingsInput {
  readonly environment: Environment;
  /** Texts by setting path (`dataDir`, `ingress.bodyBytesMax`); an absent flag is absent here. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Sections of other processes of the program: their variables are known, and not read. */
  readonly alsoKnown?: readonly SettingsSection[];
}

/** Values by the keys of `sections`. */
export type ParsedValues<Parts extends Sections> = {
  readonly [Part in keyof Parts]: SettingsOf<Parts[Part]>;
};

export type SettingOrigin = 'default' | 'environment' | 'flag';

/** A setting for the start-up log; a secret shows as `[redacted]` and as nothing when not set. */
export interface SettingReport {
  readonly path: string;
  readonly value: SettingValue;
  readonly origin: SettingOrigin;
}

export type SettingsResult<Parts extends Sections> =
  | {
      readonly kind: 'parsed';
      readonly values: ParsedValues<Parts>;
      readonly report: readonly SettingReport[];
    }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

const ENVIRONMENT_PREFIX = 'MILLRACE_';
const VALUE_SHOWN_MAX = 80;

/** Parses everything; `problems` has one line for each bad or unknown flag and variable. */
export function parseSettings<const Parts extends Sections>(
  sections: Parts,
  input: SettingsInput,
): SettingsResult<Parts> {
  const problems: string[] = [];
  const report: SettingReport[] = [];
  const values: Record<string, Readonly<Record<string, SettingValue>>> = {};
  for (const [part, section] of Object.entries(sections)) {
    values[part] = parseSection(section, input, problems, report);
  }
  problems.push(...unknownFlags(Object.values(sections), input.flags ?? {}));
  problems.push(
    ...unknownVariables(
      [...Object.values(sections), ...(input.alsoKnown ?? [])],
      Object.keys(input.environment),
    ),
  );
  if (problems.length > 0) return { kind: 'invalid', problems };
  return { kind: 'parsed', values: Object.freeze(values) as ParsedValues<Parts>, report };
}

/**
 * As {@link parseSettings}, for a composition root that has nothing better to do than to say it.
 * @throws MeshError `CONFIG_INVALID` with every problem on a line of its own.
 */
export function requireSettings<const Parts extends Sections>(
  sections: Parts,
  input: SettingsInput,
): { readonly values: ParsedValues<Parts>; readonly report: readonly SettingReport[] } {
  const result = parseSettings(sections, input);
  if (result.kind === 'parsed') return result;
  const count = result.problems.length === 1 ? 'one problem' : `${result.problems.length} problems`;
  throw configError(
    'CONFIG_INVALID',
    `Cannot use the settings: ${count}\n${result.problems.map((line) => `  ${line}`).join('\n')}`,
    { details: { problems: result.problems } },
  );
}

function parseSection(
  section: SettingsSection,
  input: SettingsInput,
  problems: string[],
  report: SettingReport[],
): Readonly<Record<string, SettingValue>> {
  const values: Record<string, SettingValue> = {};
  for (const [key, definition] of Object.entries(section.table)) {
    const path = settingPath(section, key);
    const given = givenText(section, key, input);
    let value: SettingValue = definition.default;
    if (given !== null) {
      const result = parseSettingText(definition, given.text);
      if (result.kind === 'problem') {
        const shown = shownText(definition, given.text);
        problems.push(`Cannot use ${given.name}=${shown}: ${result.wanted} (${path})`);
        continue;
      }
      value = result.value;
    }
    values[key] = value;
    report.push({ path, value: shownValue(definition, value), origin: given?.origin ?? 'default' });
  }
  return Object.freeze(values);
}

interface GivenText {
  readonly text: string;
  /** The flag or variable, as the person who gave it calls it. */
  readonly name: string;
  readonly origin: SettingOrigin;
}

/** An empty variable counts as not set, as for every program of a shell. */
function givenText(section: SettingsSection, key: string, input: SettingsInput): GivenText | null {
  const flag = input.flags?.[settingPath(section, key)];
  if (flag !== undefined) return { text: flag, name: flagName(section, key), origin: 'flag' };
  const name = environmentName(section, key);
  const text = input.environment[name];
  return text === undefined || text === '' ? null : { text, name, origin: 'environment' };
}

function* unknownFlags(
  sections: readonly SettingsSection[],
  flags: Readonly<Record<string, string>>,
): Generator<string> {
  const known = namesOf(sections, settingPath);
  for (const path of Object.keys(flags)) {
    if (!known.has(path)) yield `Cannot set ${path}: no such setting${suggestion(path, known)}`;
  }
}

function* unknownVariables(
  sections: readonly SettingsSection[],
  names: readonly string[],
): Generator<string> {
  const known = namesOf(sections, environmentName);
  for (const name of names) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || known.has(name)) continue;
    yield `Cannot use ${name}: no such variable${suggestion(name, known)}`;
  }
}

function namesOf(
  sections: readonly SettingsSection<SettingsTable>[],
  nameOf: (section: SettingsSection, key: string) => string,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const section of sections) {
    for (const key of Object.keys(section.table)) names.add(nameOf(section, key));
  }
  return names;
}

/** Compared without the prefix that all share, or every name would be near every other. */
function suggestion(given: string, known: ReadonlySet<string>): string {
  const bare = (name: string): string =>
    name.startsWith(ENVIRONMENT_PREFIX) ? name.slice(ENVIRONMENT_PREFIX.length) : name;
  const byBareName = new Map([...known].map((name) => [bare(name), name]));
  const nearest = nearestName(bare(given), byBareName.keys());
  return nearest === null ? '' : `, did you mean ${byBareName.get(nearest) ?? nearest}`;
}

function shownValue(definition: SettingDefinition, value: SettingValue): SettingValue {
  return definition.isSecret === true && value !== null && value !== '' ? '[redacted]' : value;
}

function shownText(definition: SettingDefinition, text: string): string {
  if (definition.isSecret === true) return '[redacted]';
  return JSON.stringify(
    text.length > VALUE_SHOWN_MAX ? `${text.slice(0, VALUE_SHOWN_MAX)}…` : text,
  );
}
