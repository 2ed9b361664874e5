/**
 * CESQL: whatever the text, no exception, no more steps than the meter allows, a value of a CESQL
 * type. Filter trees: admission, predicate, explanation and index against an evaluator of few lines.
 */
import assert from 'node:assert/strict';
import { attributeText } from '#lib/cloudevents/cloud-event';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { compileNode } from '#lib/filters/cesql/compiler';
import type { Evaluation } from '#lib/filters/cesql/evaluation';
import { compileCesql } from '#lib/filters/cesql/expression';
import type { CesqlExpression } from '#lib/filters/cesql/expression';
import { CESQL_STEPS_MAX, CHARS_PER_STEP } from '#lib/filters/cesql/syntax';
import { parseTriggerFilter } from '#lib/filters/dialect';
import type { FilterExpression, TriggerFilterSpec } from '#lib/filters/dialect';
import { eventWith } from '#lib/filters/event-fixture';
import { compileFilter } from '#lib/filters/predicate';
import { createTriggerIndex } from '#lib/filters/trigger-index';
import { ByteReader } from '../byte-reader.ts';
import { createTarget } from '../fuzz-target.ts';

const LONG = 'ab'.repeat(4_096);
const EVENTS: readonly CloudEvent[] = [
  eventWith(),
  eventWith({ subject: 'ß%_\\é😀', extensions: { x: 'true', n: 7, b: false, empty: '' } }),
  eventWith({ subject: LONG, type: LONG, extensions: { x: LONG, n: -2_147_483_648, b: true } }),
  eventWith({ specversion: '0.3', dataschema: '/s', time: '2026-01-01T00:00:00Z' }),
  eventWith({ datacontenttype: 'Text/Plain ; a=b', extensions: { x: 'ﬃŉΐ'.repeat(1_000) } }),
];

const CESQL_WORDS = [
  ...['AND', 'OR', 'XOR', 'NOT ', ' LIKE ', ' IN ', 'EXISTS ', 'TRUE', 'FALSE', '(', ')', ',', "'"],
  ...[
    '"',
    '\\',
    "\\'",
    '%',
    '_',
    '\\%',
    '=',
    '!=',
    '<>',
    '<',
    '>=',
    '+',
    '-',
    '*',
    '/',
    ' % ',
    ' ',
  ],
  ...['type', 'subject', 'x', 'n', 'b', 'missing', 'source', '2147483647', '-2147483648', '0'],
  ...['LENGTH(', 'CONCAT(', 'CONCAT_WS(', 'LOWER(', 'UPPER(', 'TRIM(', 'LEFT(', 'RIGHT(', 'ABS('],
  ...[
    'SUBSTRING(',
    'INT(',
    'BOOL(',
    'STRING(',
    'IS_INT(',
    'IS_BOOL(',
    'UNKNOWN(',
    '((((((((',
    '))))',
  ],
];

export const CESQL = createTarget('cesql', CESQL_WORDS, (input) => {
  const text = input.toString('utf8');
  const compiled = compileCesql(text);
  if (!compiled.ok) {
    assert.equal(compiled.error.kind, 'parse');
    const column = /^at column (\d+): /.exec(compiled.error.message)?.[1];
    if (column !== undefined) assert.ok(Number(column) >= 1 && Number(column) <= text.length + 1);
    else assert.match(compiled.error.message, /^expression has \d+ bytes/);
    return;
  }
  const { expression } = compiled;
  const { start, end } = expression.root;
  assert.ok(start >= 0 && end <= text.length && start < end);
  for (const event of EVENTS) holdEvaluation(expression, event);
  const inside = compileCesql(`(${text})`);
  if (!inside.ok) return; // One parenthesis, or two bytes, more than the limit.
  for (const event of EVENTS) {
    assert.deepEqual(inside.expression.evaluate(event), expression.evaluate(event), 'parentheses');
  }
});

/** The most that one operation may write after its steps are paid for. */
const OVERDRAFT_MAX = CESQL_STEPS_MAX;

function holdEvaluation(expression: CesqlExpression, event: CloudEvent): void {
  const evaluation: Evaluation = { error: null, stepsLeft: CESQL_STEPS_MAX };
  const value = compileNode(expression.root)(event, evaluation);
  if (evaluation.stepsLeft < 0) assert.ok(evaluation.error !== null, 'an empty meter is an error');
  // A LIKE that would cost too much takes all there is.
  const isSpent = evaluation.stepsLeft === Number.NEGATIVE_INFINITY;
  assert.ok(isSpent || evaluation.stepsLeft > -OVERDRAFT_MAX, `${evaluation.stepsLeft} steps left`);
  const used = CESQL_STEPS_MAX - evaluation.stepsLeft;
  if (typeof value === 'number') {
    assert.ok(value === (value | 0) && !Object.is(value, -0), `${value} is no 32-bit integer`);
  } else if (typeof value === 'string') {
    const readMax = LONG.length * 3 + expression.text.length;
    assert.ok(value.length <= used * CHARS_PER_STEP + readMax, `${value.length} characters`);
  }
  const result = expression.evaluate(event);
  assert.deepEqual(result, expression.evaluate(event), 'the same twice');
  assert.equal(result.value, value);
  assert.deepEqual(result.errors, evaluation.error === null ? [] : [evaluation.error]);
  assert.equal(expression.matches(event), value === true && evaluation.error === null);
}

const FILTER_WORDS = [
  ...[
    '{"exact":{"type":"com.example.created"}}',
    '{"prefix":{"type":"com."}}',
    '{"not":',
    '{"any":[',
  ],
  ...[
    '{"all":[',
    ']}',
    '}',
    ',',
    '{"suffix":{"x":"b"}}',
    '{"cesql":"n = 7"}',
    '"__proto__":',
    '""',
  ],
  ...['"exact":', '"type":', '"datamediatype":"text/plain"', 'null', '[]', '{}'],
];

/** Input: a JSON list of filters; or, when it is no JSON, a plan for one. */
export const FILTER_TREES = createTarget('filter-trees', FILTER_WORDS, (input) => {
  const filters = rawFilters(input);
  const admitted = parseTriggerFilter(undefined, filters);
  if (!admitted.ok) {
    assert.ok(admitted.problems.length >= 1 && admitted.problems.length <= 16);
    return;
  }
  const again = parseTriggerFilter(undefined, JSON.parse(JSON.stringify(admitted.filter.filters)));
  assert.deepEqual(again, admitted, 'admitted once, admitted as it was stored');
  const items = admitted.filter.filters ?? [];
  holdFilter(admitted.filter, (event) => items.every((item) => passes(item, event)));
  holdIndex(items);
});

function rawFilters(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString('utf8'));
  } catch {
    const bytes = new ByteReader(input);
    return Array.from({ length: 1 + (bytes.byte() % 4) }, () => plannedFilter(bytes, 0));
  }
}

const NAMES = ['type', 'x', 'n', 'b', 'subject', 'datamediatype', 'missing', 'empty'] as const;
const VALUES = [
  'com.example.created',
  'com.',
  'b',
  '7',
  'true',
  'text/plain',
  LONG,
  'false',
] as const;
const EXPRESSIONS = [
  ...[
    "type = 'com.example.created'",
    'n = 7',
    'EXISTS x',
    "subject LIKE '%😀'",
    'NOT b',
    'missing',
  ],
  ...["type LIKE 'com.%' AND EXISTS n", "x IN ('true', 'b')", 'n / 0 = 1'],
] as const;

function plannedFilter(bytes: ByteReader, depth: number): unknown {
  const map = (): unknown =>
    Object.fromEntries(
      Array.from({ length: 1 + (bytes.byte() % 3) }, () => [bytes.pick(NAMES), bytes.pick(VALUES)]),
    );
  const list = (): unknown =>
    Array.from({ length: 1 + (bytes.byte() % 3) }, () => plannedFilter(bytes, depth + 1));
  switch (depth > 8 || bytes.isAtEnd ? 0 : bytes.byte() % 7) {
    case 1:
      return { prefix: map() };
    case 2:
      return { suffix: map() };
    case 3:
      return { all: list() };
    case 4:
      return { any: list() };
    case 5:
      return { not: plannedFilter(bytes, depth + 1) };
    case 6:
      return { cesql: bytes.pick(EXPRESSIONS) };
    default:
      return { exact: map() };
  }
}

function holdFilter(filter: TriggerFilterSpec, wanted: (event: CloudEvent) => boolean): void {
  const compiled = compileFilter(filter);
  for (const event of EVENTS) {
    const isMatch = compiled.matches(event);
    assert.equal(isMatch, wanted(event), 'predicate');
    assert.equal(compiled.explain(event).passed, isMatch, 'explanation');
  }
}

/** Every item as a Trigger of its own; then some replaced and some removed. */
function holdIndex(items: readonly FilterExpression[]): void {
  const index = createTriggerIndex<number>();
  const found: number[] = [];
  const live = new Map<number, FilterExpression>();
  const hold = (): void => {
    for (const event of EVENTS) {
      index.match(event, found);
      const wanted = [...live].filter(([, item]) => passes(item, event)).map(([at]) => at);
      assert.deepEqual(found, wanted, 'index');
    }
    assert.equal(index.size, live.size);
  };
  for (const [at, item] of items.entries()) {
    index.add(String(at), { attributes: null, filters: [item] }, at);
    live.set(at, item);
  }
  hold();
  for (const at of items.keys()) {
    const other = items[items.length - 1 - at];
    if (at % 3 === 0 || other === undefined) {
      assert.ok(index.remove(String(at)));
      live.delete(at);
    } else if (at % 3 === 1) {
      index.add(String(at), { attributes: null, filters: [other] }, at);
      live.set(at, other);
    }
  }
  hold();
}

function passes(filter: FilterExpression, event: CloudEvent): boolean {
  if ('all' in filter) return filter.all.every((inner) => passes(inner, event));
  if ('any' in filter) return filter.any.some((inner) => passes(inner, event));
  if ('not' in filter) return !passes(filter.not, event);
  if ('cesql' in filter) {
    const compiled = compileCesql(filter.cesql);
    const { value, errors } = compiled.ok ? compiled.expression.evaluate(event) : NOTHING;
    return value === true && errors.length === 0;
  }
  if ('exact' in filter) return every(filter.exact, event, (text, wanted) => text === wanted);
  if ('prefix' in filter) {
    return every(filter.prefix, event, (text, wanted) => text.slice(0, wanted.length) === wanted);
  }
  return every(filter.suffix, event, (text, wanted) => text.endsWith(wanted));
}

const NOTHING = { value: false, errors: [] };

function every(
  map: Readonly<Record<string, string>>,
  event: CloudEvent,
  fits: (text: string, wanted: string) => boolean,
): boolean {
  return Object.entries(map).every(([name, wanted]) => {
    const own = attributeText(event, name);
    const text = own ?? (name === 'datamediatype' ? mediaType(event) : null);
    return text !== null && fits(text, wanted);
  });
}

function mediaType(event: CloudEvent): string | null {
  return event.datacontenttype?.split(';')[0]?.trim().toLowerCase() ?? null;
}
