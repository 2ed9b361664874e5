/** YAML as kubectl reads it, its places, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainScalarValue } from './plain-scalar.ts';
import { NESTING_MAX, NODES_MAX, parseYamlDocument } from './yaml-document.ts';

const SCALARS: readonly (readonly [string, unknown])[] = [
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map(
    (word) => [word, true] as const,
  ),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False', 'FALSE'].map(
    (word) => [word, false] as const,
  ),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ['yEs', 'yEs'],
  ['tRUE', 'tRUE'],
  ['1_000', 1000],
  ['0o17', 15],
  ['017', 15],
  ['018', 18],
  ['0x1F', 31],
  ['0b101', 5],
  ['-0b101', -5],
  ['+12', 12],
  ['1.5', 1.5],
  ['1e3', 1000],
  ['.5', 0.5],
  ['-0', 0],
  ['.inf', Number.POSITIVE_INFINITY],
  ['-.INF', Number.NEGATIVE_INFINITY],
  ['.nan', Number.NaN],
  ['1:30', '1:30'],
  ['2026-01-31', '2026-01-31'],
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z'],
  ['1.2.3', '1.2.3'],
  ['0x', '0x'],
  ['-', '-'],
  ['<<', '<<'],
];

for (const [source, expected] of SCALARS) {
  test(`an unquoted ${source === '' ? '(nothing)' : source} is ${String(expected)}`, () => {
    assert.deepEqual(plainScalarValue(source), expected);
  });
}

function valueOf(text: string): unknown {
  const result = parseYamlDocument(text, 1);
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.problems));
  return result.yaml.value;
}

function problemOf(text: string, firstLine = 1): string {
  const result = parseYamlDocument(text, firstLine);
  assert.equal(result.ok, false);
  const [problem] = result.ok ? [] : result.problems;
  return `${problem?.line}:${problem?.column} ${problem?.message} (${problem?.details})`;
}

test('quotes, blocks and !!str keep text', () => {
  const text = 'a: "on"\nb: \'1_000\'\nc: !!str 5\nd: |\n  yes\ne: >-\n  no\n';
  assert.deepEqual(valueOf(text), { a: 'on', b: '1_000', c: '5', d: 'yes\n', e: 'no' });
});

test('anchors and merge keys are followed; what a map says itself wins', () => {
  assert.deepEqual(valueOf('base: &b {p: 1, q: 2}\nc:\n  q: 3\n  <<: *b\n'), {
    base: { p: 1, q: 2 },
    c: { p: 1, q: 3 },
  });
});

test('__proto__ is a field and reaches no prototype', () => {
  const value = valueOf('__proto__: {x: 1}\nb: {<<: {__proto__: {x: 2}}}\n');
  assert.ok(Object.hasOwn(value as object, '__proto__'));
  assert.equal(({} as { x?: number }).x, undefined);
});

const REFUSED: readonly (readonly [string, string, string])[] = [
  ['duplicate keys', 'a: 1\na: 2', '2:1 not YAML: Map keys must be unique (keep one of the two)'],
  ['a tab', 'a:\n\tb: 1', '2:1 not YAML: Tabs are not allowed as indentation (indent with spaces)'],
  ['a recursive anchor', 'a: &x [*x]', '1:8 anchor "x" contains itself (null)'],
  ['an unknown anchor', 'a: *nope', '1:4 unknown anchor "nope" (null)'],
  [
    'a function',
    'a: !!js/function "x"',
    '1:18 unknown tag tag:yaml.org,2002:js/function (remove the tag: plain data only)',
  ],
  ['an own tag', 'a: !secret x', '1:12 unknown tag !secret (remove the tag: plain data only)'],
  [
    'infinity',
    'a: .inf',
    '1:4 an object cannot hold .inf (YAML reads an unquoted .inf as Infinity; put it in quotes: ".inf")',
  ],
  [
    'a key that is no text',
    'a: 1\non: x',
    '2:1 a key must be text, got true (YAML reads an unquoted on as true; put it in quotes: "on")',
  ],
  ['a list as key', '? [a]\n: b', '1:3 a key must be text (null)'],
];

for (const [title, text, expected] of REFUSED) {
  test(`refused: ${title}`, () => assert.equal(problemOf(text), expected));
}

test('a bomb of aliases ends at the limit on values', () => {
  let bomb = 'a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n';
  for (let level = 1; level < 10; level++) {
    bomb += `a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(',')}]\n`;
  }
  assert.match(problemOf(bomb), new RegExp(`more than ${NODES_MAX} values`));
});

test('nesting has a limit, both sides, and does not end the process', () => {
  // The root map and its list are two levels.
  const nested = (depth: number): string => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`;
  assert.ok(parseYamlDocument(nested(NESTING_MAX), 1).ok);
  assert.match(problemOf(nested(NESTING_MAX + 1)), /nested deeper than 64 levels/);
  assert.match(problemOf(nested(20_000)), /nested deeper than 64 levels/);
});

test('places are those of the file', () => {
  const result = parseYamlDocument('\nspec:\n  filter:\n    type: on\n  list:\n  - a: 1\n', 10);
  assert.ok(result.ok);
  assert.deepEqual(result.yaml.locate('spec.filter.type'), { line: 13, column: 11 });
  assert.deepEqual(result.yaml.locateName('spec.filter.type'), { line: 13, column: 5 });
  assert.deepEqual(result.yaml.locate('spec.list[0].a'), { line: 15, column: 8 });
  assert.deepEqual(result.yaml.locate('spec.missing.deep'), { line: 11, column: 1 });
  assert.equal(
    result.yaml.quotingAdviceAt('spec.filter.type'),
    'YAML reads an unquoted on as true; put it in quotes: "on"',
  );
  assert.equal(result.yaml.quotingAdviceAt('spec.list'), null);
});
