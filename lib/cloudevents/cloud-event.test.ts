/** Attributes by name, in both versions, and the partition key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributeText, attributeValue } from './cloud-event.ts';
import type { AttributeValue, CloudEvent } from './cloud-event.ts';
import { partitionKey } from './partition-key.ts';
import { SMALLEST_EVENT } from './event-fixture.ts';

function eventWith(changes: Partial<CloudEvent>): CloudEvent {
  return {
    ...SMALLEST_EVENT,
    ...changes,
  };
}

test('attributes by name', () => {
  const extensions = new Map<string, AttributeValue>([
    ['n', 7],
    ['on', true],
    ['x', 'y'],
  ]);
  const event = eventWith({
    subject: 'u',
    time: 'T',
    datacontenttype: 'a/b',
    dataschema: 'urn:x',
    extensions,
  });
  const names = [
    'specversion',
    'id',
    'source',
    'type',
    'subject',
    'time',
    'datacontenttype',
    'dataschema',
  ];
  assert.deepEqual(
    names.map((name) => attributeText(event, name)),
    ['1.0', 'i', '/s', 't', 'u', 'T', 'a/b', 'urn:x'],
  );
  assert.equal(attributeValue(event, 'n'), 7);
  assert.equal(attributeText(event, 'n'), '7');
  assert.equal(attributeText(event, 'on'), 'true');
  assert.equal(attributeText(event, 'x'), 'y');
  assert.equal(attributeText(event, 'none'), null);
  assert.equal(attributeValue(event, 'schemaurl'), null);
});

test('in 0.3 the schema is schemaurl, and dataschema an extension', () => {
  const event = eventWith({
    specversion: '0.3',
    dataschema: '/x',
    extensions: new Map([['dataschema', 'e']]),
  });
  assert.equal(attributeValue(event, 'schemaurl'), '/x');
  assert.equal(attributeValue(event, 'dataschema'), 'e');
});

test('the partition key is text, and never empty', () => {
  assert.equal(partitionKey(eventWith({})), null);
  const keyed = (value: AttributeValue) =>
    partitionKey(eventWith({ extensions: new Map([['partitionkey', value]]) }));
  assert.deepEqual([keyed('k'), keyed(''), keyed(0), keyed(false)], ['k', null, '0', 'false']);
});
