import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attributeText, attributeValue } from '#lib/cloudevents/cloud-event';
import { createTextReader, createValueReader, isAlwaysText } from '#lib/filters/attribute-reader';
import { eventWith } from '#lib/filters/event-fixture';

const NAMES = [
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'schemaurl',
  'text',
  'count',
  'flag',
  'constructor',
  'data',
];
const extensions = { text: 'é', count: 7, flag: false, schemaurl: 'x', dataschema: 'y' };
const FULL = {
  subject: 's',
  time: '2020-01-01T00:00:00+02:00',
  datacontenttype: 'text/plain',
  dataschema: 'urn:d',
};
const EVENTS = [
  eventWith(),
  eventWith({ ...FULL, extensions }),
  eventWith({ ...FULL, specversion: '0.3', extensions }),
  eventWith({ specversion: '0.3' }),
];

describe('attribute readers', () => {
  test('read what the event model reads, for every name and version', () => {
    for (const name of NAMES) {
      for (const event of EVENTS) {
        assert.equal(createValueReader(name)(event), attributeValue(event, name), name);
        assert.equal(createTextReader(name)(event), attributeText(event, name), name);
      }
    }
  });

  test('only core attributes are texts in every event', () => {
    assert.equal(isAlwaysText('type'), true);
    assert.equal(isAlwaysText('dataschema'), false);
    assert.equal(isAlwaysText('schemaurl'), false);
    assert.equal(isAlwaysText('count'), false);
  });
});
