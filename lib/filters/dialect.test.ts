import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ATTRIBUTE_NAME_CHARS_MAX,
  ATTRIBUTE_VALUE_BYTES_MAX,
  ATTRIBUTES_PER_MAP_MAX,
  FILTER_DEPTH_MAX,
  FILTER_PROBLEMS_MAX,
  type FilterProblem,
  FILTERS_PER_TRIGGER_MAX,
  parseTriggerFilter,
  type TriggerFilterSpec,
} from '#lib/filters/dialect';

const NAME_RULE =
  'Attribute name must start with a letter and can only contain lowercase alphanumeric';

function accepted(attributes: unknown, filters?: unknown): TriggerFilterSpec {
  const result = parseTriggerFilter(attributes, filters);
  assert(result.ok, JSON.stringify(result));
  return result.filter;
}

function problemsOf(attributes: unknown, filters?: unknown): readonly FilterProblem[] {
  const result = parseTriggerFilter(attributes, filters);
  assert(!result.ok, 'expected a refusal');
  return result.problems;
}

function refused(item: unknown): { readonly path: string; readonly message: string } {
  const [problem, ...others] = problemsOf(null, [item]);
  assert(problem !== undefined);
  assert.deepEqual(others, []);
  return { path: problem.path, message: problem.message };
}

function nested(depth: number): unknown {
  let item: unknown = { exact: { type: 'a' } };
  for (let level = 1; level < depth; level += 1) item = { not: item };
  return item;
}

describe('a filter that is accepted', () => {
  test('nothing, null and empty mean every event', () => {
    const everything = { attributes: null, filters: null };
    assert.deepEqual(accepted(undefined, undefined), everything);
    assert.deepEqual(accepted(null, null), everything);
    assert.deepEqual(accepted({}, []), everything);
  });

  test('filter.attributes may have an empty value, which asks for any', () => {
    assert.deepEqual(accepted({ type: 'a', subject: '' }, []), {
      attributes: { type: 'a', subject: '' },
      filters: null,
    });
  });

  test('every dialect, nested', () => {
    const filters = [
      { exact: { type: 'a', source: 'b' } },
      { prefix: { type: 'a' } },
      { suffix: { type: 'a' } },
      { all: [{ exact: { type: 'a' } }, { any: [{ not: { cesql: 'TRUE' } }] }] },
      { cesql: "type = 'a'" },
    ];
    assert.deepEqual(accepted(null, filters), { attributes: null, filters });
  });

  test('a dialect that is null is not there', () => {
    const item = { exact: { type: 'a' }, prefix: null, cesql: undefined };
    assert.deepEqual(accepted(null, [item]).filters, [{ exact: { type: 'a' } }]);
  });
});

describe('a filter that is refused', () => {
  const multiple = 'multiple dialects found, filters can have only one dialect set';
  const rows: readonly [string, unknown, string, string][] = [
    ['empty item', {}, '', 'empty filter, wanted one of'],
    ['only null dialects', { exact: null }, '', 'empty filter, wanted one of'],
    ['item is text', 'exact', '', 'expected a filter, got a string'],
    ['item is null', null, '', 'expected a filter, got nothing'],
    ['item is a list', [], '', 'expected a filter, got a list'],
    ['empty exact', { exact: {} }, '.exact', 'expected at least one attribute, got none'],
    ['empty prefix', { prefix: {} }, '.prefix', 'expected at least one attribute, got none'],
    ['empty suffix', { suffix: {} }, '.suffix', 'expected at least one attribute, got none'],
    ['empty all', { all: [] }, '.all', 'expected at least one filter, got none'],
    ['empty any', { any: [] }, '.any', 'expected at least one filter, got none'],
    ['any of an empty item', { any: [{}] }, '.any[0]', 'empty filter, wanted one of'],
    ['not of an empty item', { not: {} }, '.not', 'empty filter, wanted one of'],
    ['not of a list', { not: [{}] }, '.not', 'expected a filter, got a list'],
    ['all of a map', { all: { exact: {} } }, '.all', 'expected a list of filters, got a map'],
    ['empty value', { exact: { type: '' } }, '.exact.type', 'expected a non-empty value, got ""'],
    ['empty prefix value', { prefix: { type: '' } }, '.prefix.type', 'expected a non-empty value'],
    [
      'number as value',
      { exact: { n: 1 } },
      '.exact.n',
      'expected text, got a number: put it in quotes',
    ],
    ['null as value', { exact: { n: null } }, '.exact.n', 'expected text, got nothing'],
    ['exact is text', { exact: 'type' }, '.exact', 'expected a map of attribute names to text'],
    ['two dialects', { exact: { a: 'b' }, prefix: { a: 'b' } }, '', multiple],
    ['two dialects, lists', { all: [{}], cesql: 'TRUE' }, '', multiple],
    ['one more, empty', { exact: { a: 'b' }, prefix: {} }, '.prefix', 'empty filter dialect'],
    ['one more, empty, first', { any: [], exact: { a: 'b' } }, '.any', 'empty filter dialect'],
    [
      'unknown dialect',
      { regex: { a: 'b' } },
      '',
      'unknown filter dialect "regex", wanted one of exact',
    ],
    ['unknown beside known', { exact: { a: 'b' }, Exact: 1 }, '', 'unknown filter dialect "Exact"'],
    ['empty cesql', { cesql: '' }, '.cesql', 'invalid value: '],
    ['cesql is no text', { cesql: 5 }, '.cesql', 'expected an expression as text, got a number'],
    ['bad cesql', { cesql: 'ABC(' }, '.cesql', 'invalid value: ABC('],
  ];
  for (const [name, item, path, message] of rows) {
    test(name, () => {
      const problem = refused(item);
      assert.equal(problem.path, `spec.filters[0]${path}`);
      assert(problem.message.startsWith(message), problem.message);
    });
  }

  test('bad attribute names, with the details that Knative gives', () => {
    const names = [
      '',
      'Type',
      '0type',
      'ty-pe',
      'ty_pe',
      'ty.pe',
      'typé',
      ' type',
      '__proto__',
      'type\n',
    ];
    for (const name of names) {
      const map = JSON.parse(`{${JSON.stringify(name)}: "x"}`);
      for (const dialect of ['exact', 'prefix', 'suffix']) {
        assert.deepEqual(problemsOf(null, [{ [dialect]: map }]), [
          {
            path: `spec.filters[0].${dialect}`,
            message: `invalid key name "${name}"`,
            details: NAME_RULE,
          },
        ]);
      }
      const [legacy] = problemsOf(map);
      assert.equal(legacy?.path, 'spec.filter.attributes');
      assert.equal(legacy?.message, `invalid key name "${name}"`);
    }
  });

  test('a name that collides with a prototype is only a name', () => {
    const map = JSON.parse('{"constructor": "x"}');
    const filter = accepted(map, [{ exact: map }]);
    assert.deepEqual(Object.entries(filter.attributes ?? {}), [['constructor', 'x']]);
    assert.equal(Object.getPrototypeOf(filter.attributes), Object.prototype);
    assert.equal(parseTriggerFilter(JSON.parse('{"__proto__": {"type": "x"}}'), null).ok, false);
  });

  test('filters and attributes of other shapes', () => {
    assert.match(problemsOf('type')[0]?.message ?? '', /expected a map .*, got a string/);
    assert.match(problemsOf([])[0]?.message ?? '', /got a list/);
    assert.deepEqual(problemsOf(null, { exact: {} }), [
      { path: 'spec.filters', message: 'expected a list of filters, got a map', details: null },
    ]);
    assert.match(problemsOf({ n: 1 })[0]?.path ?? '', /^spec\.filter\.attributes\.n$/);
  });

  test('the cesql error is in the details, the quoted value is short', () => {
    const [problem] = problemsOf(null, [{ cesql: `type = ${'('.repeat(500)}` }]);
    assert.equal(problem?.message.length, 'invalid value: '.length + 81);
    assert.match(problem?.details ?? '', /^at column \d+: nested deeper than 32$/);
  });

  test('every problem is named, up to a bound', () => {
    const problems = problemsOf({ A: 'x' }, [{}, { exact: { B: 'x', c: '' } }]);
    assert.deepEqual(
      problems.map(({ path }) => path),
      [
        'spec.filter.attributes',
        'spec.filters[0]',
        'spec.filters[1].exact',
        'spec.filters[1].exact.c',
      ],
    );
    const many = Array.from({ length: 40 }, () => ({}));
    assert.equal(problemsOf(null, many).length, FILTER_PROBLEMS_MAX);
    const names = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`X${i}`, 'x']));
    assert.equal(problemsOf(names).length, FILTER_PROBLEMS_MAX);
  });
});

describe('limits', () => {
  test('filters per Trigger, nested ones included', () => {
    const many = (count: number): unknown[] =>
      Array.from({ length: count }, () => ({ exact: { a: 'b' } }));
    assert.equal(accepted(null, many(FILTERS_PER_TRIGGER_MAX)).filters?.length, 64);
    assert.equal(accepted(null, [{ any: many(FILTERS_PER_TRIGGER_MAX - 1) }]).filters?.length, 1);
    const [problem, ...others] = problemsOf(null, [{ any: many(FILTERS_PER_TRIGGER_MAX + 5) }]);
    assert.equal(problem?.message, 'more than 64 filters in one Trigger');
    assert.deepEqual(others, []);
  });

  test('depth', () => {
    assert.equal(accepted(null, [nested(FILTER_DEPTH_MAX)]).filters?.length, 1);
    assert.match(refused(nested(FILTER_DEPTH_MAX + 1)).message, /nested deeper than 8/);
    assert.match(refused(nested(1_000)).message, /nested deeper than 8/);
    assert.match(refused(nested(100_000)).message, /nested deeper than 8/);
  });

  test('attributes of one map', () => {
    const map = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, 'x']));
    accepted(map(ATTRIBUTES_PER_MAP_MAX), [{ exact: map(ATTRIBUTES_PER_MAP_MAX) }]);
    assert.match(refused({ exact: map(ATTRIBUTES_PER_MAP_MAX + 1) }).message, /^65 attributes/);
  });

  test('length of names and values', () => {
    const name = (length: number): Record<string, string> => ({ ['a'.repeat(length)]: 'x' });
    accepted(null, [{ exact: name(ATTRIBUTE_NAME_CHARS_MAX) }]);
    const [problem] = problemsOf(null, [{ exact: name(ATTRIBUTE_NAME_CHARS_MAX + 1) }]);
    assert.match(problem?.message ?? '', /^invalid key name "a+"$/);
    assert.match(problem?.details ?? '', /has 65 characters, at most 64/);

    accepted(null, [{ prefix: { type: 'é'.repeat(ATTRIBUTE_VALUE_BYTES_MAX / 2) } }]);
    const long = refused({ prefix: { type: 'é'.repeat(ATTRIBUTE_VALUE_BYTES_MAX / 2 + 1) } });
    assert.match(long.message, /value has 8194 bytes, an attribute has at most 8192/);
    assert.match(refused({ suffix: { type: 'x'.repeat(1_048_576) } }).message, /1048576 bytes/);
    assert(refused({ exact: { ['A'.repeat(1_048_576)]: 'x' } }).message.length < 150);
  });
});
