import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { FilterExpression, TriggerFilterSpec } from '#lib/filters/dialect';
import { parseTriggerFilter } from '#lib/filters/dialect';
import { type EventParts, eventWith } from '#lib/filters/event-fixture';
import { compileFilter } from '#lib/filters/predicate';
import { createTriggerIndex, type TriggerIndex } from '#lib/filters/trigger-index';

function filters(...items: readonly FilterExpression[]): TriggerFilterSpec {
  return { attributes: null, filters: items };
}

function matched(index: TriggerIndex<string>, parts: EventParts = {}): readonly string[] {
  const into = ['left over'];
  index.match(eventWith(parts), into);
  return into;
}

function indexOf(rows: Readonly<Record<string, TriggerFilterSpec>>): TriggerIndex<string> {
  const index = createTriggerIndex<string>();
  for (const [id, filter] of Object.entries(rows)) index.add(id, filter, id);
  return index;
}

describe('matching', () => {
  test('finds by exact, prefix, suffix and trial, in order of insertion', () => {
    const index = indexOf({
      trial: filters({ not: { exact: { type: 'x' } } }),
      suffix: filters({ suffix: { type: 'created' } }),
      other: filters({ exact: { type: 'other' } }),
      prefix: filters({ prefix: { type: 'com.' } }),
      exact: filters({ exact: { type: 'com.example.created' } }),
      everything: { attributes: null, filters: null },
    });
    assert.deepEqual(matched(index), ['trial', 'suffix', 'prefix', 'exact', 'everything']);
    assert.deepEqual(matched(index, { type: 'x' }), ['everything']);
    assert.equal(index.size, 6);
  });

  test('one filed under several anchors comes once', () => {
    const index = indexOf({
      a: filters({ any: [{ prefix: { type: 'com' } }, { exact: { source: '/source' } }] }),
      b: filters({ cesql: "type LIKE 'com.%' OR type LIKE '%.created'" }),
    });
    assert.equal(index.anchorsOf('a')?.length, 2);
    assert.deepEqual(matched(index), ['a', 'b']);
    assert.deepEqual(matched(index, { type: 'y.created' }), ['a', 'b']);
    assert.deepEqual(matched(index, { type: 'x', source: 'x' }), []);
  });

  test('an event without the attribute visits nothing', () => {
    const index = indexOf({ a: filters({ exact: { subject: 'x' } }, { prefix: { ext: 'y' } }) });
    assert.deepEqual(matched(index), []);
    assert.deepEqual(matched(index, { subject: 'x', extensions: { ext: 'yz' } }), ['a']);
  });

  test('attributes that are no text are looked up by their text', () => {
    const index = indexOf({
      int: { attributes: { n: '5' }, filters: null },
      bool: filters({ cesql: "flag = 'true' AND n = 5" }),
    });
    assert.deepEqual(matched(index, { extensions: { n: 5, flag: true } }), ['int', 'bool']);
  });

  test('a filter that cannot be used is known and matches nothing', () => {
    const index = indexOf({ bad: filters({ not: { cesql: '(' } }) });
    assert.deepEqual(matched(index), []);
    assert.deepEqual(index.anchorsOf('bad'), []);
    assert.equal(index.explain('bad', eventWith())?.kind, 'broken');
    assert.equal(index.remove('bad'), true);
  });

  test('explains by id', () => {
    const index = indexOf({ a: filters({ exact: { type: 'x' } }) });
    assert.equal(index.explain('a', eventWith())?.passed, false);
    assert.equal(index.explain('a', eventWith({ type: 'x' }))?.passed, true);
    assert.equal(index.explain('b', eventWith()), null);
    assert.equal(index.anchorsOf('b'), null);
  });
});

describe('changing', () => {
  test('a replaced filter keeps its place, a removed and added one goes last', () => {
    const type = filters({ exact: { type: 'com.example.created' } });
    const index = indexOf({ a: type, b: type, c: type });
    index.add('a', filters({ prefix: { type: 'com' } }), 'A');
    assert.deepEqual(matched(index), ['A', 'b', 'c']);
    index.add('a', filters({ exact: { type: 'x' } }), 'A');
    assert.deepEqual(matched(index), ['b', 'c']);
    assert.equal(index.remove('b'), true);
    assert.equal(index.remove('b'), false);
    index.add('b', type, 'b');
    index.add('a', type, 'a');
    assert.deepEqual(matched(index), ['a', 'c', 'b']);
    assert.equal(index.size, 3);
  });

  test('the last one to leave takes its look-ups along', () => {
    const index = indexOf({
      a: filters({ exact: { ext: 'a' } }),
      b: filters({ prefix: { ext: 'a' } }),
      c: filters({ suffix: { ext: 'a' } }),
    });
    const parts = { extensions: { ext: 'a' } };
    assert.deepEqual(matched(index, parts), ['a', 'b', 'c']);
    for (const id of ['b', 'a', 'c']) index.remove(id);
    assert.deepEqual(matched(index, parts), []);
    index.add('a', filters({ suffix: { ext: 'a' } }), 'a');
    assert.deepEqual(matched(index, parts), ['a']);
  });
});

describe('what a filter is filed under', () => {
  test('type before source before others, exact before prefix', () => {
    const index = indexOf({
      a: filters({ exact: { ext: 'x', source: 's', type: 't' } }),
      b: filters({ prefix: { type: 't' } }, { exact: { ext: 'x' } }),
    });
    assert.deepEqual(index.anchorsOf('a'), [{ kind: 'exact', attribute: 'type', value: 't' }]);
    assert.deepEqual(index.anchorsOf('b'), [{ kind: 'exact', attribute: 'ext', value: 'x' }]);
  });

  test('a crowded value gives way to one that tells more', () => {
    const index = createTriggerIndex<number>();
    for (let number = 0; number < 200; number += 1) {
      index.add(`${number}`, filters({ exact: { type: 't', subject: `${number}` } }), number);
    }
    assert.equal(index.anchorsOf('0')?.[0]?.attribute, 'type');
    assert.equal(index.anchorsOf('199')?.[0]?.attribute, 'subject');
    const into: number[] = [];
    for (const number of [0, 31, 32, 33, 199]) {
      index.match(eventWith({ type: 't', subject: `${number}` }), into);
      assert.deepEqual(into, [number]);
    }
  });
});

describe('cost', () => {
  /** How many predicates an event made run: each reads the extension map once. */
  function readsOf(index: TriggerIndex<number>, type: string): number {
    let reads = 0;
    const extensions = new Map([['n', 1]]);
    const counting = {
      ...eventWith({ type }),
      extensions: Object.assign(extensions, {
        get: () => {
          reads += 1;
          return 1;
        },
      }),
    };
    index.match(counting, []);
    return reads;
  }

  test('an event tries only what its attributes lead to', () => {
    const index = createTriggerIndex<number>();
    for (let number = 0; number < 1_000; number += 1) {
      index.add(`a${number}`, filters({ cesql: `type = 'exact.${number}' AND n = 1` }), number);
      index.add(
        `b${number}`,
        filters({ cesql: `type LIKE 'prefix.${number}.%' AND n = 1` }),
        number,
      );
      index.add(
        `c${number}`,
        filters({ cesql: `type LIKE '%.${number}.suffix' AND n = 1` }),
        number,
      );
    }
    assert.equal(readsOf(index, 'exact.77'), 1);
    assert.equal(readsOf(index, 'prefix.77.x'), 1);
    assert.equal(readsOf(index, 'x.77.suffix'), 1);
    assert.equal(readsOf(index, 'prefix.77.suffix'), 2);
    assert.equal(readsOf(index, 'other'), 0);
  });
});

const TEXTS = ['a', 'ab', 'abc', 'b', '5', 'true', ''];
const NAMES = ['type', 'source', 'subject', 'ext', 'num', 'flag'];
const text = fc.constantFrom(...TEXTS);
const name = fc.constantFrom(...NAMES);
const nonEmpty = fc.constantFrom(...TEXTS.filter((one) => one !== ''));
const map = fc.dictionary(name, nonEmpty, { minKeys: 1, maxKeys: 2, noNullPrototype: true });

const cesqlTerm = fc.oneof(
  fc.tuple(name, fc.constantFrom('=', '!=', '<'), text).map(([a, o, v]) => `${a} ${o} '${v}'`),
  fc.tuple(name, text).map(([a, v]) => `'${v}' = ${a}`),
  fc.tuple(name, fc.constantFrom(5, true)).map(([a, v]) => `${a} = ${v}`),
  fc.tuple(name, fc.constantFrom(5, true)).map(([a, v]) => `${v} = ${a}`),
  fc
    .tuple(name, fc.constantFrom('IN', 'NOT IN'), text, fc.constantFrom("'a'", '5', 'TRUE', 'ext'))
    .map(([a, o, v, w]) => `${a} ${o} ('${v}', ${w})`),
  fc
    .tuple(
      name,
      fc.constantFrom('LIKE', 'NOT LIKE'),
      fc.constantFrom('a%', '%b', 'a%c', 'a_', '%', 'ab', ''),
    )
    .map(([a, o, p]) => `${a} ${o} '${p}'`),
  name.map((a) => `EXISTS ${a}`),
  name.map((a) => `LENGTH(${a}) > 1`),
  name,
);
const { cesql } = fc.letrec<{ cesql: string }>((tie) => ({
  cesql: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    cesqlTerm,
    fc
      .tuple(tie('cesql'), fc.constantFrom('AND', 'OR', 'XOR', 'AND'), tie('cesql'))
      .map(([left, operator, right]) => `(${left}) ${operator} (${right})`),
    tie('cesql').map((inner) => `NOT (${inner})`),
  ),
}));
const { item } = fc.letrec<{ item: FilterExpression }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    map.map((exact): FilterExpression => ({ exact })),
    map.map((prefix): FilterExpression => ({ prefix })),
    map.map((suffix): FilterExpression => ({ suffix })),
    cesql.map((expression): FilterExpression => ({ cesql: expression })),
    fc.array(tie('item'), { minLength: 1, maxLength: 3 }).map((all): FilterExpression => ({ all })),
    fc.array(tie('item'), { minLength: 1, maxLength: 3 }).map((any): FilterExpression => ({ any })),
    tie('item').map((not): FilterExpression => ({ not })),
  ),
}));
const spec: fc.Arbitrary<TriggerFilterSpec> = fc.record({
  attributes: fc.option(fc.dictionary(name, text, { maxKeys: 2, noNullPrototype: true })),
  filters: fc.option(fc.array(item, { maxLength: 3 })),
});
const event: fc.Arbitrary<CloudEvent> = fc
  .record({
    type: text,
    source: text,
    subject: fc.option(text),
    ext: fc.option(text),
    num: fc.option(fc.constantFrom(5, -1)),
    flag: fc.option(fc.boolean()),
  })
  .map(({ type, source, subject, ...others }) => {
    const extensions: Record<string, string | number | boolean> = {};
    for (const [key, value] of Object.entries(others)) if (value !== null) extensions[key] = value;
    return eventWith({ type, source, subject, extensions });
  });
const change = fc.oneof(
  { weight: 3, arbitrary: fc.record({ id: fc.nat(11), filter: spec }) },
  { weight: 1, arbitrary: fc.record({ id: fc.nat(11), filter: fc.constant(null) }) },
);

test('agrees with trying every predicate, whatever is added, replaced and removed', () => {
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 30 }),
      fc.array(event, { minLength: 1, maxLength: 6 }),
      (changes, events) => {
        const index = createTriggerIndex<string>();
        const plain = new Map<string, TriggerFilterSpec>();
        const into: string[] = [];
        for (const { id, filter } of changes) {
          if (filter === null) assert.equal(index.remove(`${id}`), plain.delete(`${id}`));
          else {
            // The plain map, too, keeps the place of a key that is set again.
            plain.set(`${id}`, filter);
            index.add(`${id}`, filter, `${id}`);
          }
          for (const one of events) {
            index.match(one, into);
            const wanted = [...plain].filter(([, each]) => compileFilter(each).matches(one));
            assert.deepEqual(
              into,
              wanted.map(([key]) => key),
            );
          }
        }
        assert.equal(index.size, plain.size);
      },
    ),
    { numRuns: 200 },
  );
});

test('an explanation says what the predicate says', () => {
  fc.assert(
    fc.property(spec, event, (filter, one) => {
      const compiled = compileFilter(filter);
      assert.equal(compiled.explain(one).passed, compiled.matches(one));
    }),
    { numRuns: 500 },
  );
});

test('what the parser admits compiles, and comes out as it went in', () => {
  fc.assert(
    fc.property(spec, ({ attributes, filters: items }) => {
      const result = parseTriggerFilter(attributes, items);
      assert(result.ok, JSON.stringify(result));
      assert.notEqual(compileFilter(result.filter).clause, null);
      assert.deepEqual(result.filter.filters ?? [], items ?? []);
      assert.deepEqual({ ...result.filter.attributes }, { ...attributes });
    }),
    { numRuns: 300 },
  );
});
