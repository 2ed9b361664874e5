import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANCHORS_PER_REQUIREMENT_MAX, requirementsOf } from '#lib/filters/anchors';
import { compileClause } from '#lib/filters/clause';
import type { FilterExpression } from '#lib/filters/dialect';

/** Requirements as text, the most useful first; alternatives joined by `|`. */
function found(
  filter: FilterExpression,
  ...others: readonly FilterExpression[]
): readonly string[] {
  const result = compileClause({ attributes: null, filters: [filter, ...others] });
  assert(result.ok);
  return requirementsOf(result.clause).map(({ anchors }) =>
    anchors.map(({ kind, attribute, value }) => `${kind} ${attribute} ${value}`).join('|'),
  );
}

describe('dialects', () => {
  const a: FilterExpression = { exact: { type: 'a' } };
  const b: FilterExpression = { exact: { type: 'b' } };
  const rows: readonly [string, FilterExpression, readonly string[]][] = [
    [
      'exact',
      { exact: { ext: 'x', source: 's', type: 't' } },
      ['exact type t', 'exact source s', 'exact ext x'],
    ],
    ['prefix', { prefix: { type: 't' } }, ['prefix type t']],
    ['suffix', { suffix: { type: 't' } }, ['suffix type t']],
    [
      'all',
      { all: [{ suffix: { type: 't' } }, { exact: { ext: 'x' } }] },
      ['exact ext x', 'suffix type t'],
    ],
    ['any', { any: [a, b] }, ['exact type a|exact type b']],
    ['any, twice the same', { any: [a, a] }, ['exact type a']],
    [
      'any over several attributes',
      { any: [a, { prefix: { source: '/s' } }] },
      ['exact type a|prefix source /s'],
    ],
    [
      'any takes the best of each',
      { any: [{ exact: { ext: 'x', type: 'a' } }, b] },
      ['exact type a|exact type b'],
    ],
    ['any with one that has none', { any: [a, { not: b }] }, []],
    ['not', { not: a }, []],
    ['not beside another', { all: [{ not: a }, b] }, ['exact type b']],
  ];
  for (const [name, filter, wanted] of rows) {
    test(name, () => assert.deepEqual(found(filter), wanted));
  }

  test('several items are all required', () => {
    assert.deepEqual(found({ exact: { specversion: '1.0' } }, { exact: { source: 's' } }), [
      'exact source s',
      'exact specversion 1.0',
    ]);
  });

  test('filter.attributes: a value is exact, any value is nothing to look up', () => {
    const attributes = { type: 'a', subject: '' };
    const result = compileClause({ attributes, filters: null });
    assert(result.ok);
    assert.deepEqual(requirementsOf(result.clause), [
      { anchors: [{ kind: 'exact', attribute: 'type', value: 'a' }] },
    ]);
  });
});

describe('CESQL', () => {
  const rows: readonly [string, readonly string[]][] = [
    ["type = 'a'", ['exact type a']],
    ["ext = 'a'", ['exact ext a']],
    ["'a' = type", ['exact type a']],
    ['1 = subject', ['exact subject 1']],
    ["'a' = ext", []],
    ['ext = 1', []],
    ['type = TRUE', []],
    ['type = source', []],
    ["type != 'a'", []],
    ["NOT (type = 'a')", []],
    ["type = 'a' AND ext > 3 AND source = 's'", ['exact type a', 'exact source s']],
    ["(type = 'a' AND ext > 3)", ['exact type a']],
    ["type = 'a' OR type = 'b'", ['exact type a|exact type b']],
    ["type = 'a' OR ext > 3", []],
    ["type = 'a' XOR type = 'b'", []],
    ["type IN ('a', 1, TRUE)", ['exact type a|exact type 1|exact type true']],
    ["type NOT IN ('a')", []],
    ["type IN ('a', source)", []],
    ["ext IN ('a')", []],
    ["LOWER(type) IN ('a')", []],
    ["type LIKE 'a%'", ['prefix type a']],
    ["type LIKE '%a'", ['suffix type a']],
    ["ext LIKE 'a%b_c'", ['prefix ext a', 'suffix ext c']],
    ["type LIKE 'a\\%'", ['exact type a%']],
    ["type LIKE '%a%'", []],
    ["type NOT LIKE 'a'", []],
    ["LOWER(type) LIKE 'a'", []],
    ['EXISTS type', []],
  ];
  for (const [cesql, wanted] of rows) {
    test(cesql, () => assert.deepEqual(found({ cesql }), wanted));
  }
});

test('too many alternatives are no requirement', () => {
  const set = (from: number, count: number): FilterExpression => ({
    cesql: `type IN (${Array.from({ length: count }, (_, index) => from + index).join()})`,
  });
  const half = ANCHORS_PER_REQUIREMENT_MAX / 2;
  assert.equal(found({ any: [set(0, half), set(1_000, half)] }).length, 1);
  assert.equal(found({ any: [set(0, half), set(1_000, half + 1)] }).length, 0);
});
