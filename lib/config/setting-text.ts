/**
 * Text to value for one setting, and back for documents. Used by `parse-settings.ts` and tools/docs.
 * The result of parsing is a value inside the declared range or a reason that says what is wanted.
 */
import type { NumericSetting, SettingDefinition, SettingValue } from './settings.ts';

export type TextResult =
  | { readonly kind: 'value'; readonly value: SettingValue }
  | { readonly kind: 'problem'; readonly wanted: string };

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  k: 1e3,
  kB: 1e3,
  M: 1e6,
  MB: 1e6,
  G: 1e9,
  GB: 1e9,
  Ki: 2 ** 10,
  KiB: 2 ** 10,
  Mi: 2 ** 20,
  MiB: 2 ** 20,
  Gi: 2 ** 30,
  GiB: 2 ** 30,
  Ti: 2 ** 40,
  TiB: 2 ** 40,
};

/** Reads the text of an environment variable or a flag. Spaces around it do not count. */
export function parseSettingText(definition: SettingDefinition, given: string): TextResult {
  const text = given.trim();
  switch (definition.type) {
    case 'string': {
      if (text === '') return problem('must not be empty');
      const reason = definition.check?.(text) ?? null;
      return reason === null ? valueOf(text) : problem(reason);
    }
    case 'boolean':
      if (text === 'true' || text === 'false') return valueOf(text === 'true');
      return problem('must be true or false');
    case 'choice':
      if (definition.choices.includes(text)) return valueOf(text);
      return problem(`must be one of ${definition.choices.join(', ')}`);
    case 'list':
      return parseList(text, definition.itemCountMax, definition.check);
    case 'integer':
      return inRange(definition, /^[+-]?\d+$/.test(text) ? Number(text) : null, 'a whole number');
    case 'number':
      return inRange(
        definition,
        /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : null,
        'a number',
      );
    case 'duration':
      return inRange(definition, parseDurationMs(text), 'a duration such as 250ms, 10s, 1h30m');
    case 'bytes':
      return inRange(definition, parseBytes(text), 'a size such as 1048576, 64KiB, 1GiB');
  }
}

/** A duration in milliseconds: digits alone are milliseconds, units may follow each other (`1h30m`). */
export function parseDurationMs(text: string): number | null {
  if (/^\d+$/.test(text)) return wholeNumber(Number(text));
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return null;
  let sumMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    sumMs += Number(amount) * (DURATION_UNITS[unit ?? ''] ?? Number.NaN);
  }
  return wholeNumber(sumMs);
}

/** A size in bytes: digits with a decimal (`k`, `MB`) or binary (`Ki`, `MiB`) unit, or none. */
export function parseBytes(text: string): number | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined || !Object.hasOwn(BYTE_UNITS, unit)) return null;
  return wholeNumber(Number(amount) * (BYTE_UNITS[unit] ?? Number.NaN));
}

/** The shortest exact text of a value, as a person would type it: `10m`, `64MiB`. */
export function formatSettingValue(definition: SettingDefinition, value: SettingValue): string {
  if (value === null) return '';
  if (typeof value === 'object') return value.join(',');
  if (typeof value !== 'number') return String(value);
  if (definition.type === 'duration')
    return formatIn(value, DURATION_UNITS, ['d', 'h', 'm', 's', 'ms']);
  if (definition.type === 'bytes')
    return formatIn(value, BYTE_UNITS, ['TiB', 'GiB', 'MiB', 'KiB', '']);
  return String(value);
}

function formatIn(
  value: number,
  units: Readonly<Record<string, number>>,
  order: readonly string[],
): string {
  const unit = order.find((name) => value !== 0 && value % (units[name] ?? Number.NaN) === 0);
  return unit === undefined ? String(value) : `${value / (units[unit] ?? 1)}${unit}`;
}

function parseList(
  text: string,
  itemCountMax: number,
  check: ((item: string) => string | null) | undefined,
): TextResult {
  const items = text === '' ? [] : text.split(',').map((item) => item.trim());
  if (items.includes('')) return problem('must not have an empty item between its commas');
  if (items.length > itemCountMax) return problem(`must have at most ${itemCountMax} items`);
  for (const item of items) {
    const reason = check?.(item) ?? null;
    if (reason !== null) return problem(`has the item "${item}", which ${reason}`);
  }
  return valueOf(Object.freeze(items));
}

function inRange(definition: NumericSetting, value: number | null, wanted: string): TextResult {
  const { min, max } = definition;
  if (value !== null && value >= min && value <= max) return valueOf(value);
  const low = formatSettingValue(definition, min);
  const high = formatSettingValue(definition, max);
  return problem(`must be ${wanted} from ${low} to ${high}`);
}

function wholeNumber(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null;
}

function valueOf(value: SettingValue): TextResult {
  return { kind: 'value', value };
}

function problem(wanted: string): TextResult {
  return { kind: 'problem', wanted };
}
