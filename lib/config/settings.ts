/**
 * Settings are declared once, as tables: `export const INGRESS_SETTINGS = defineSettings('ingress', …)`.
 * From a table come the parser (`parse-settings.ts`), the names of the environment variables and flags,
 * the error texts, the log form and docs/config.md. A setting needs a default nobody should have to
 * change, a range, one sentence, and who asked for it; a constant with a reason beats a setting.
 * Units are last in the name: a duration is `…Ms`, a size has `Bytes` in it (a limit may follow: `…MsMax`).
 */

interface SettingBase {
  /** One sentence for docs/config.md and `--help`. */
  readonly description: string;
  /** Who asked for it: "Knative `config-features`", "ours: ADR-0012". */
  readonly source: string;
  /** Never shown: not in logs, not in error texts. */
  readonly isSecret?: boolean;
}

export interface StringSetting extends SettingBase {
  readonly type: 'string';
  /** `null`: not set unless given. */
  readonly default: string | null;
  /** The reason why a value is not acceptable ("must be host:port"), or `null` when it is. */
  readonly check?: (text: string) => string | null;
}

export interface BooleanSetting extends SettingBase {
  readonly type: 'boolean';
  readonly default: boolean;
}

/** `duration` is milliseconds and `bytes` bytes; both are whole numbers, bounds included. */
export interface NumericSetting extends SettingBase {
  readonly type: 'integer' | 'number' | 'duration' | 'bytes';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export interface ListSetting extends SettingBase {
  readonly type: 'list';
  readonly default: readonly string[];
  readonly itemCountMax: number;
  /** As for a string, for each item. */
  readonly check?: (item: string) => string | null;
}

export interface ChoiceSetting extends SettingBase {
  readonly type: 'choice';
  readonly choices: readonly string[];
  readonly default: string;
}

export type SettingDefinition =
  | StringSetting
  | BooleanSetting
  | NumericSetting
  | ListSetting
  | ChoiceSetting;

export type SettingsTable = Readonly<Record<string, SettingDefinition>>;

/** A table with the name of its part of the program; `''` for what concerns the whole program. */
export interface SettingsSection<Table extends SettingsTable = SettingsTable> {
  readonly name: string;
  readonly table: Table;
}

export type SettingValue = string | number | boolean | null | readonly string[];

export type ValueOf<Definition extends SettingDefinition> = Definition extends {
  readonly type: 'choice';
  readonly choices: readonly (infer Choice)[];
}
  ? Choice
  : Definition extends ListSetting
    ? readonly string[]
    : Definition extends BooleanSetting
      ? boolean
      : Definition extends NumericSetting
        ? number
        : Definition extends { readonly default: null }
          ? string | null
          : string;

export type ValuesOf<Table extends SettingsTable> = {
  readonly [Key in keyof Table]: ValueOf<Table[Key]>;
};

/** The values of a section, as passed to the part that it belongs to. */
export type SettingsOf<Section> =
  Section extends SettingsSection<infer Table> ? ValuesOf<Table> : never;

/** Declares a section. Throws nothing: `sectionProblems` says what is wrong, and the docs check asks. */
export function defineSettings<const Table extends SettingsTable>(
  name: string,
  table: Table,
): SettingsSection<Table> {
  return { name, table };
}

/** `ingress.bodyBytesMax`; the name in error texts, logs and the `flags` of the parser. */
export function settingPath(section: SettingsSection, key: string): string {
  return section.name === '' ? key : `${section.name}.${key}`;
}

/** `MILLRACE_INGRESS_BODY_BYTES_MAX`. */
export function environmentName(section: SettingsSection, key: string): string {
  return `MILLRACE_${words(section, key).join('_').toUpperCase()}`;
}

/** `--ingress-body-bytes-max`. */
export function flagName(section: SettingsSection, key: string): string {
  return `--${words(section, key).join('-')}`;
}

function words(section: SettingsSection, key: string): readonly string[] {
  return [...splitWords(section.name), ...splitWords(key)];
}

/** `bodyBytesMax` and `body-bytes-max` are both body, bytes, max. */
function splitWords(name: string): readonly string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split('-')
    .filter((word) => word !== '');
}

const NAME_PATTERN = /^[a-z][a-zA-Z0-9]*$/;
const SECTION_PATTERN = /^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)*)?$/;

/** What is wrong with a declaration: names, units, defaults out of their own range. */
export function sectionProblems(section: SettingsSection): readonly string[] {
  const problems: string[] = [];
  if (!SECTION_PATTERN.test(section.name)) {
    problems.push(`section "${section.name}": a section name is kebab-case`);
  }
  for (const [key, definition] of Object.entries(section.table)) {
    const path = settingPath(section, key);
    for (const problem of definitionProblems(key, definition)) problems.push(`${path}: ${problem}`);
  }
  return problems;
}

function* definitionProblems(key: string, definition: SettingDefinition): Generator<string> {
  if (!NAME_PATTERN.test(key)) yield 'a setting name is camelCase';
  if (!/^[A-Z`]/.test(definition.description)) yield 'the description is not a sentence';
  if (definition.source === '') yield 'the source is missing';
  switch (definition.type) {
    case 'duration':
      if (!/Ms(?:Max|Min)?$/.test(key)) yield 'a duration ends in Ms, MsMax or MsMin';
      yield* rangeProblems(definition, true);
      break;
    case 'bytes':
      if (!/[bB]ytes/.test(key)) yield 'a size has Bytes in its name';
      yield* rangeProblems(definition, true);
      break;
    case 'integer':
      yield* rangeProblems(definition, true);
      break;
    case 'number':
      yield* rangeProblems(definition, false);
      break;
    case 'choice':
      if (!definition.choices.includes(definition.default)) yield 'the default is not a choice';
      if (new Set(definition.choices).size < 2) yield 'a choice needs two values to choose from';
      break;
    case 'list':
      if (definition.default.length > definition.itemCountMax) yield 'the default is too long';
      break;
    case 'string':
    case 'boolean':
      break;
  }
}

function* rangeProblems(definition: NumericSetting, isWhole: boolean): Generator<string> {
  const { min, max, default: value } = definition;
  const bounds = [min, max, value];
  if (isWhole && !bounds.every((bound) => Number.isSafeInteger(bound))) {
    yield 'bounds and default are whole numbers';
  }
  if (!(min <= value && value <= max)) yield `the default ${value} is outside ${min} to ${max}`;
}
