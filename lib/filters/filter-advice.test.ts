import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FilterExpression } from '#lib/filters/dialect';
import { filterAdvice } from '#lib/filters/filter-advice';

function advice(...filters: readonly FilterExpression[]): readonly string[] {
  return filterAdvice({ attributes: null, filters });
}

describe('CESQL', () => {
  const never = (type: string): string =>
    `spec.filters[0].cesql: never true, the result is always of type ${type}, not Boolean`;
  const rows: readonly [string, readonly string[]][] = [
    ['type', [never('String')]],
    ["'true'", [never('String')]],
    ['1 + ext', [never('Integer')]],
    ['-ext', [never('Integer')]],
    ['LENGTH(type)', [never('Integer')]],
    ['ext', []],
    ['TRUE', []],
    ["type = 'a'", []],
    ['BOOL(ext)', []],
    [
      'NOSUCH()',
      [
        'spec.filters[0].cesql: never true once it gets to NOSUCH with 0 arguments, which does not exist',
      ],
    ],
    [
      'EXISTS ext AND (NOSUCH() OR NOSUCH() OR LENGTH(1, 2) > 1 OR UPPER_(1))',
      [
        'spec.filters[0].cesql: never true once it gets to NOSUCH with 0 arguments, which does not exist',
        'spec.filters[0].cesql: never true once it gets to LENGTH with 2 arguments, which does not exist',
        'spec.filters[0].cesql: never true once it gets to UPPER_ with 1 argument, which does not exist',
      ],
    ],
    [
      "NOT (NOSUCH() LIKE 'a') AND -1 IN (2, 3 + 4)",
      [
        'spec.filters[0].cesql: never true once it gets to NOSUCH with 0 arguments, which does not exist',
      ],
    ],
  ];
  for (const [cesql, wanted] of rows) {
    test(cesql, () => assert.deepEqual(advice({ cesql }), wanted));
  }

  test('wherever it stands', () => {
    const inner: FilterExpression = { cesql: '1' };
    assert.equal(advice({ not: { any: [{ exact: { type: 'a' } }, { all: [inner] }] } }).length, 1);
  });
});

describe('contradictions', () => {
  const exact: FilterExpression = { exact: { type: 'ab' } };
  const rows: readonly [string, readonly FilterExpression[], string | null][] = [
    ['two values', [exact, { exact: { type: 'x' } }], 'type must be "ab" and be "x"'],
    ['the same value', [exact, exact], null],
    [
      'a prefix, then a value',
      [{ prefix: { type: 'b' } }, exact],
      'type must be "ab" and start with "b"',
    ],
    ['another attribute', [exact, { exact: { source: 'x' } }], null],
    ['a prefix of it', [exact, { prefix: { type: 'a' } }], null],
    ['no prefix of it', [exact, { prefix: { type: 'b' } }], 'type must be "ab" and start with "b"'],
    [
      'no prefix, inside all',
      [{ all: [{ prefix: { type: 'b' } }, exact] }],
      'type must be "ab" and start with "b"',
    ],
    ['no suffix of it', [exact, { suffix: { type: 'a' } }], 'type must be "ab" and end with "a"'],
    ['prefixes that agree', [{ prefix: { type: 'a' } }, { prefix: { type: 'ab' } }], null],
    [
      'prefixes that do not',
      [{ prefix: { type: 'a' } }, { prefix: { type: 'bc' } }],
      'type must start with "a" and start with "bc"',
    ],
    ['suffixes that agree', [{ suffix: { type: 'ab' } }, { suffix: { type: 'b' } }], null],
    ['prefix and suffix', [{ prefix: { type: 'a' } }, { suffix: { type: 'b' } }], null],
    [
      'in CESQL',
      [{ cesql: "type = 'a' AND type LIKE 'b%'" }],
      'type must be "a" and start with "b"',
    ],
    [
      'alternatives',
      [{ any: [{ exact: { type: 'a' } }, { exact: { type: 'b' } }] }, { exact: { type: 'c' } }],
      null,
    ],
    [
      'in one branch only',
      [{ any: [{ all: [exact, { exact: { type: 'x' } }] }, { exact: { type: 'c' } }] }],
      null,
    ],
    [
      'a version that is not',
      [{ exact: { specversion: '2.0' } }],
      'specversion is 1.0 or 0.3, never "2.0"',
    ],
    ['a version that is', [{ exact: { specversion: '0.3' } }], null],
    ['part of a version', [{ prefix: { specversion: '1' } }], null],
  ];
  for (const [name, filters, wanted] of rows) {
    test(name, () => {
      assert.deepEqual(
        advice(...filters),
        wanted === null ? [] : [`no event can match: ${wanted}`],
      );
    });
  }
});

test('a filter that cannot be used', () => {
  assert.deepEqual(advice({ exact: {} }), [
    'spec.filters[0].exact: cannot be used, so no event matches: no attribute in the map',
  ]);
});

test('no filter, no advice', () => {
  assert.deepEqual(filterAdvice({ attributes: null, filters: null }), []);
  assert.deepEqual(filterAdvice({ attributes: { type: 'a', subject: '' }, filters: null }), []);
});
