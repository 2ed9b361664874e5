import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FilterExpression, TriggerFilterSpec } from '#lib/filters/dialect';
import { type EventParts, eventWith } from '#lib/filters/event-fixture';
import { compileFilter } from '#lib/filters/predicate';

const TIME = '2018-04-26T14:48:09+02:00';

function isMatch(filter: Partial<TriggerFilterSpec>, parts: EventParts = {}): boolean {
  const { matches, explain } = compileFilter({ attributes: null, filters: null, ...filter });
  const event = eventWith(parts);
  const passed = matches(event);
  assert.equal(explain(event).passed, passed, 'the explanation disagrees');
  return passed;
}

function passes(filter: FilterExpression, parts: EventParts = {}): boolean {
  return isMatch({ filters: [filter] }, parts);
}

describe('which of the two fields counts', () => {
  const attributes = { type: 'other' };
  test('neither means every event', () => {
    assert.equal(isMatch({}), true);
    assert.equal(isMatch({ attributes: {}, filters: [] }), true);
  });
  test('filters replace attributes when there are some', () => {
    assert.equal(
      isMatch({ attributes, filters: [{ exact: { type: 'com.example.created' } }] }),
      true,
    );
    assert.equal(isMatch({ attributes, filters: [] }), false);
    assert.equal(isMatch({ attributes, filters: null }), false);
  });
  test('items of filters are all required', () => {
    const yes: FilterExpression = { prefix: { type: 'com.' } };
    assert.equal(isMatch({ filters: [yes, yes] }), true);
    assert.equal(isMatch({ filters: [yes, { exact: { type: 'x' } }] }), false);
  });
});

describe('filter.attributes', () => {
  const rows: readonly [string, Record<string, string>, EventParts, boolean][] = [
    ['equal', { type: 'a' }, { type: 'a' }, true],
    ['case matters', { type: 'A' }, { type: 'a' }, false],
    ['all must', { type: 'a', source: '/b' }, { type: 'a', source: '/c' }, false],
    ['missing attribute', { subject: 'a' }, {}, false],
    ['any value: present', { subject: '' }, { subject: 'x' }, true],
    ['any value: missing', { subject: '' }, {}, false],
    ['any value: empty', { ext: '' }, { extensions: { ext: '' } }, false],
    ['any value: false is a value', { ext: '' }, { extensions: { ext: false } }, true],
    ['any time: absent is absent', { time: '' }, {}, false],
    ['any time: present', { time: '' }, { time: TIME }, true],
    ['time as it came', { time: TIME }, { time: TIME }, true],
    [
      'time in another zone is another text',
      { time: '2018-04-26T12:48:09Z' },
      { time: TIME },
      false,
    ],
    ['an integer by its digits', { n: '5' }, { extensions: { n: 5 } }, true],
    ['a boolean by its name', { f: 'true' }, { extensions: { f: true } }, true],
    ['a boolean in another case', { f: 'TRUE' }, { extensions: { f: true } }, false],
    ['dataschema', { dataschema: 'urn:a' }, { dataschema: 'urn:a' }, true],
    [
      'schemaurl is a name of 0.3',
      { schemaurl: 'u' },
      { specversion: '0.3', dataschema: 'u' },
      true,
    ],
    ['schemaurl in 1.0', { schemaurl: 'u' }, { dataschema: 'u' }, false],
    ['media type', { datamediatype: 'text/plain' }, { datacontenttype: 'Text/Plain; a=b' }, true],
    ['media type bare', { datamediatype: 'text/plain' }, { datacontenttype: 'text/plain' }, true],
    ['media type missing', { datamediatype: 'text/plain' }, {}, false],
    [
      'media type as an extension',
      { datamediatype: 'x' },
      { datacontenttype: 'a/b', extensions: { datamediatype: 'x' } },
      true,
    ],
    ['a name from the prototype', { constructor: '' }, {}, false],
  ];
  for (const [name, attributes, parts, wanted] of rows) {
    test(name, () => assert.equal(isMatch({ attributes }, parts), wanted));
  }
});

describe('dialects', () => {
  const pass: FilterExpression = { exact: { type: 'com.example.created' } };
  const fail: FilterExpression = { exact: { type: 'x' } };
  const rows: readonly [string, FilterExpression, EventParts, boolean][] = [
    ['exact', pass, {}, true],
    ['exact, several', { exact: { type: 'com.example.created', source: '/x' } }, {}, false],
    ['exact of a missing attribute', { exact: { subject: 'x' } }, {}, false],
    ['exact of an integer', { exact: { n: '-1' } }, { extensions: { n: -1 } }, true],
    ['prefix', { prefix: { type: 'com.' } }, {}, true],
    ['prefix as long as the value', { prefix: { type: 'com.example.created' } }, {}, true],
    ['prefix longer than the value', { prefix: { type: 'com.example.created.' } }, {}, false],
    ['prefix elsewhere', { prefix: { type: 'example' } }, {}, false],
    ['prefix of a missing attribute', { prefix: { subject: 'x' } }, {}, false],
    ['prefix of an integer', { prefix: { n: '12' } }, { extensions: { n: 123 } }, true],
    ['suffix', { suffix: { type: '.created' } }, {}, true],
    ['suffix elsewhere', { suffix: { type: 'example' } }, {}, false],
    ['suffix of a missing attribute', { suffix: { subject: 'x' } }, {}, false],
    ['all', { all: [pass, pass] }, {}, true],
    ['all with one that fails', { all: [pass, fail] }, {}, false],
    ['any', { any: [fail, pass] }, {}, true],
    ['any of none that pass', { any: [fail, fail] }, {}, false],
    ['all of one', { all: [fail] }, {}, false],
    ['any of one', { any: [pass] }, {}, true],
    ['not', { not: fail }, {}, true],
    ['not of a pass', { not: pass }, {}, false],
    ['not of a missing attribute', { not: { prefix: { subject: 'x' } } }, {}, true],
    ['not of not', { not: { not: pass } }, {}, true],
    ['cesql true', { cesql: "type LIKE 'com.%'" }, {}, true],
    ['cesql false', { cesql: "type = 'x'" }, {}, false],
    ['cesql with an error', { cesql: "missing = 'x'" }, {}, false],
    ['cesql true with an error', { cesql: 'NOT 10' }, {}, false],
    ['cesql with an Integer', { cesql: '1' }, {}, false],
    ['cesql with a String', { cesql: "'true'" }, {}, false],
    ['not of cesql with an error', { not: { cesql: "missing = 'x'" } }, {}, true],
  ];
  for (const [name, filter, parts, wanted] of rows) {
    test(name, () => assert.equal(passes(filter, parts), wanted));
  }
});

describe('a filter that skipped admission fails closed', () => {
  const bad: readonly [string, FilterExpression][] = [
    ['empty map', { exact: {} }],
    ['empty value', { prefix: { type: '' } }],
    ['empty all', { all: [] }],
    ['empty any', { any: [] }],
    ['cesql that does not parse', { cesql: '(' }],
    ['inside all', { all: [{ suffix: {} }] }],
  ];
  for (const [name, filter] of bad) {
    test(name, () => {
      assert.equal(passes(filter), false);
      assert.equal(passes({ not: filter }), false, 'NOT must not turn it into a match');
      assert.equal(passes({ any: [{ prefix: { type: 'c' } }, filter] }), false);
      assert.equal(compileFilter({ attributes: null, filters: [filter] }).clause, null);
    });
  }
});
