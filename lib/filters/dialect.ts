/**
 * The filter of a Trigger as users write it, and the one parser that admits it: Knative's messages
 * and paths, plus the tightened rules (an empty item, list, map, name or value is refused).
 * Used by whatever reads Triggers; `predicate.ts` and `trigger-index.ts` compile what comes out.
 * Invariant: a filter that this parser returns compiles, and is within every limit named here.
 */
import { compileCesql } from '#lib/filters/cesql/expression';

export type AttributeMap = Readonly<Record<string, string>>;

export interface ExactFilter {
  readonly exact: AttributeMap;
}
export interface PrefixFilter {
  readonly prefix: AttributeMap;
}
export interface SuffixFilter {
  readonly suffix: AttributeMap;
}
export interface AllFilter {
  readonly all: readonly FilterExpression[];
}
export interface AnyFilter {
  readonly any: readonly FilterExpression[];
}
export interface NotFilter {
  readonly not: FilterExpression;
}
export interface CesqlFilter {
  readonly cesql: string;
}

/** One item of `spec.filters`: exactly one dialect. */
export type FilterExpression =
  | ExactFilter
  | PrefixFilter
  | SuffixFilter
  | AllFilter
  | AnyFilter
  | NotFilter
  | CesqlFilter;

/** Plain data, safe to store as JSON. Both `null` means: every event. */
export interface TriggerFilterSpec {
  /** `spec.filter.attributes`; a value of "" asks for any non-empty value. Empty = `null`. */
  readonly attributes: AttributeMap | null;
  /** `spec.filters`; when it is not empty it replaces `attributes`. */
  readonly filters: readonly FilterExpression[] | null;
}

/** What is wrong, where; `details` is Knative's second line, `null` when there is none. */
export interface FilterProblem {
  readonly path: string;
  readonly message: string;
  readonly details: string | null;
}

export type FilterParseResult =
  | { readonly ok: true; readonly filter: TriggerFilterSpec }
  | { readonly ok: false; readonly problems: readonly FilterProblem[] };

/** The filter that lets every event pass. */
export const EVERY_EVENT: TriggerFilterSpec = { attributes: null, filters: null };

/** Filter items of one Trigger, nested ones included. */
export const FILTERS_PER_TRIGGER_MAX = 64;
/** Nesting of filter items; an item of `spec.filters` is at depth 1. */
export const FILTER_DEPTH_MAX = 8;
/** Entries of one exact, prefix, suffix or attributes map: an event has no more attributes. */
export const ATTRIBUTES_PER_MAP_MAX = 64;
/** A longer attribute name is refused at ingress, so no event could match it. */
export const ATTRIBUTE_NAME_CHARS_MAX = 64;
/** A longer attribute value is refused at ingress, so no event could match it. */
export const ATTRIBUTE_VALUE_BYTES_MAX = 8_192;
/** Problems of one Trigger that are reported; the rest only repeat them. */
export const FILTER_PROBLEMS_MAX = 16;

const NAME_RULE =
  'Attribute name must start with a letter and can only contain lowercase alphanumeric';
const QUOTED_CHARS_MAX = 80;
const DIALECTS = ['exact', 'prefix', 'suffix', 'all', 'any', 'not', 'cesql'] as const;
const DIALECT_NAMES: ReadonlySet<string> = new Set(DIALECTS);

interface ParseState {
  readonly problems: FilterProblem[];
  itemCount: number;
}

/**
 * Admits the two filter fields of a Trigger. `rawAttributes` is `spec.filter.attributes`, `rawFilters`
 * is `spec.filters`, as decoded from YAML or JSON; `undefined` and `null` both mean absent.
 */
export function parseTriggerFilter(rawAttributes: unknown, rawFilters: unknown): FilterParseResult {
  const state: ParseState = { problems: [], itemCount: 0 };
  const attributes = parseLegacyAttributes(state, rawAttributes);
  const filters = parseTopLevel(state, rawFilters);
  if (state.problems.length > 0) return { ok: false, problems: state.problems };
  return { ok: true, filter: { attributes, filters } };
}

function parseLegacyAttributes(state: ParseState, raw: unknown): AttributeMap | null {
  if (raw === undefined || raw === null) return null;
  const map = parseAttributeMap(state, 'spec.filter.attributes', raw, true);
  return map === null || Object.keys(map).length === 0 ? null : map;
}

function parseTopLevel(state: ParseState, raw: unknown): readonly FilterExpression[] | null {
  if (raw === undefined || raw === null) return null;
  if (!Array.isArray(raw)) {
    refuse(state, 'spec.filters', `expected a list of filters, got ${kindOf(raw)}`);
    return null;
  }
  return raw.length === 0 ? null : parseItems(state, 'spec.filters', raw, 1);
}

function parseItems(
  state: ParseState,
  path: string,
  raw: readonly unknown[],
  depth: number,
): readonly FilterExpression[] {
  const items: FilterExpression[] = [];
  for (const [index, value] of raw.entries()) {
    if (state.problems.length >= FILTER_PROBLEMS_MAX) break;
    const item = parseItem(state, `${path}[${index}]`, value, depth);
    if (item === null) continue;
    items.push(item);
  }
  return items;
}

function parseItem(
  state: ParseState,
  path: string,
  raw: unknown,
  depth: number,
): FilterExpression | null {
  if (depth > FILTER_DEPTH_MAX) {
    return refuse(state, path, `filters are nested deeper than ${FILTER_DEPTH_MAX}`);
  }
  state.itemCount += 1;
  if (state.itemCount > FILTERS_PER_TRIGGER_MAX) {
    if (state.itemCount > FILTERS_PER_TRIGGER_MAX + 1) return null;
    return refuse(state, path, `more than ${FILTERS_PER_TRIGGER_MAX} filters in one Trigger`);
  }
  if (!isRecord(raw)) return refuse(state, path, `expected a filter, got ${kindOf(raw)}`);

  const set = Object.keys(raw).filter((key) => raw[key] !== undefined && raw[key] !== null);
  const unknown = set.find((key) => !DIALECT_NAMES.has(key));
  if (unknown !== undefined) {
    return refuse(
      state,
      path,
      `unknown filter dialect "${shortened(unknown)}", wanted one of ${DIALECTS.join(', ')}`,
    );
  }
  if (set.filter((key) => !isEmpty(raw[key])).length > 1) {
    const message = 'multiple dialects found, filters can have only one dialect set';
    return refuse(state, path, message);
  }
  const [dialect, other] = set;
  if (dialect === undefined) {
    return refuse(state, path, `empty filter, wanted one of ${DIALECTS.join(', ')}`);
  }
  if (other !== undefined) {
    const emptyOne = isEmpty(raw[dialect]) ? dialect : other;
    return refuse(state, `${path}.${emptyOne}`, 'empty filter dialect, remove it');
  }
  return parseDialect(state, `${path}.${dialect}`, dialect, raw[dialect], depth);
}

function parseDialect(
  state: ParseState,
  path: string,
  dialect: string,
  raw: unknown,
  depth: number,
): FilterExpression | null {
  switch (dialect) {
    case 'all':
    case 'any': {
      if (!Array.isArray(raw)) {
        return refuse(state, path, `expected a list of filters, got ${kindOf(raw)}`);
      }
      if (raw.length === 0) return refuse(state, path, 'expected at least one filter, got none');
      const items = parseItems(state, path, raw, depth + 1);
      return dialect === 'all' ? { all: items } : { any: items };
    }
    case 'not': {
      const inner = parseItem(state, path, raw, depth + 1);
      return inner === null ? null : { not: inner };
    }
    case 'cesql':
      return parseCesqlFilter(state, path, raw);
    default: {
      const map = parseAttributeMap(state, path, raw, false);
      if (map === null) return null;
      if (dialect === 'exact') return { exact: map };
      return dialect === 'prefix' ? { prefix: map } : { suffix: map };
    }
  }
}

function parseCesqlFilter(state: ParseState, path: string, raw: unknown): CesqlFilter | null {
  if (typeof raw !== 'string') {
    return refuse(state, path, `expected an expression as text, got ${kindOf(raw)}`);
  }
  const compiled = compileCesql(raw);
  if (compiled.ok) return { cesql: raw };
  return refuse(state, path, `invalid value: ${shortened(raw)}`, compiled.error.message);
}

function parseAttributeMap(
  state: ParseState,
  path: string,
  raw: unknown,
  isLegacy: boolean,
): AttributeMap | null {
  if (!isRecord(raw)) {
    return refuse(state, path, `expected a map of attribute names to text, got ${kindOf(raw)}`);
  }
  const entries = Object.entries(raw);
  if (entries.length === 0 && !isLegacy) {
    return refuse(state, path, 'expected at least one attribute, got none');
  }
  if (entries.length > ATTRIBUTES_PER_MAP_MAX) {
    return refuse(
      state,
      path,
      `${entries.length} attributes, an event has at most ${ATTRIBUTES_PER_MAP_MAX}`,
    );
  }
  let isGood = true;
  const kept: [string, string][] = [];
  for (const [name, value] of entries) {
    const text = parseEntry(state, path, name, value, isLegacy);
    if (text === null) isGood = false;
    else kept.push([name, text]);
  }
  // fromEntries defines own properties, so no name can reach a prototype.
  return isGood ? Object.fromEntries(kept) : null;
}

function parseEntry(
  state: ParseState,
  path: string,
  name: string,
  value: unknown,
  isLegacy: boolean,
): string | null {
  if (!isFilterName(name)) {
    return refuse(state, path, `invalid key name "${shortened(name)}"`, NAME_RULE);
  }
  if (name.length > ATTRIBUTE_NAME_CHARS_MAX) {
    const details = `Attribute name has ${name.length} characters, at most ${ATTRIBUTE_NAME_CHARS_MAX} are allowed`;
    return refuse(state, path, `invalid key name "${shortened(name)}"`, details);
  }
  if (typeof value !== 'string') {
    return refuse(
      state,
      `${path}.${name}`,
      `expected text, got ${kindOf(value)}: put it in quotes`,
    );
  }
  if (value === '' && !isLegacy) {
    return refuse(state, `${path}.${name}`, 'expected a non-empty value, got ""');
  }
  const sizeBytes = Buffer.byteLength(value);
  if (sizeBytes > ATTRIBUTE_VALUE_BYTES_MAX) {
    return refuse(
      state,
      `${path}.${name}`,
      `value has ${sizeBytes} bytes, an attribute has at most ${ATTRIBUTE_VALUE_BYTES_MAX}`,
    );
  }
  return value;
}

function refuse(
  state: ParseState,
  path: string,
  message: string,
  details: string | null = null,
): null {
  if (state.problems.length < FILTER_PROBLEMS_MAX) state.problems.push({ path, message, details });
  return null;
}

/** `^[a-z][a-z0-9]*$`, the rule of Knative's webhook. */
function isFilterName(name: string): boolean {
  return /^[a-z][a-z0-9]*$/.test(name);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Empty as Go's zero values are: such a dialect counts as not set when dialects are counted. */
function isEmpty(value: unknown): boolean {
  if (value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value)
    ? 'a list'
    : typeof value === 'object'
      ? 'a map'
      : `a ${typeof value}`;
}

function shortened(text: string): string {
  return text.length <= QUOTED_CHARS_MAX ? text : `${text.slice(0, QUOTED_CHARS_MAX)}…`;
}
