import assert from 'node:assert/strict';
import test from 'node:test';
import type { EventRecord } from '#lib/channel/event-record';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { encodeDelivery } from './http-message.ts';
import type { DeliveryEncoding } from './http-message.ts';
import type { OutgoingMessage } from './http-sender.ts';

const BINARY: DeliveryEncoding = {
  format: 'binary',
  namespace: 'shop',
  prefersReply: true,
  extra: null,
};

const EVENT: CloudEvent = {
  specversion: '1.0',
  id: '1',
  source: '/s',
  type: 't',
  subject: 'Größe',
  time: '2026-01-01T00:00:00.000000001+01:00',
  datacontenttype: 'application/octet-stream',
  dataschema: null,
  extensions: new Map<string, string | number>([
    ['number', 7],
    ['knativeerrordest', 'http://former/'],
    ['knativeerrorcode', 500],
  ]),
  data: Buffer.from([0, 255, 10, 13]),
};

const RECORD: EventRecord = {
  kind: 'event',
  event: EVENT,
  passThrough: ['x-request-id', 'r1', 'traceparent', '00-a-b-01'],
  ttl: 200,
  arrivalMs: Date.UTC(2026, 0, 31, 1, 2, 3, 4),
  key: null,
};

function headersOf(message: OutgoingMessage): Record<string, string> {
  const found: Record<string, string> = {};
  for (let index = 0; index < message.headers.length; index += 2) {
    const name = message.headers[index] ?? '';
    assert.equal(found[name], undefined, `${name} twice`);
    found[name] = message.headers[index + 1] ?? '';
  }
  return found;
}

function decoded(message: OutgoingMessage): CloudEvent {
  const result = decodeHttp({
    rawHeaders: message.headers,
    body: message.body ?? Buffer.alloc(0),
    limits: DEFAULT_CLOUD_EVENT_LIMITS,
  });
  assert.ok(result.ok);
  const [event] = result.events;
  assert.ok(event !== undefined);
  return event;
}

test('binary: attributes, arrival, namespace, Prefer, pass-through; the data is not copied', () => {
  const message = encodeDelivery(RECORD, BINARY);
  assert.equal(message.body, EVENT.data);
  assert.deepEqual(headersOf(message), {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/s',
    'ce-type': 't',
    'ce-subject': 'Gr%C3%B6%C3%9Fe',
    'ce-time': '2026-01-01T00:00:00.000000001+01:00',
    'ce-number': '7',
    'ce-knativeerrordest': 'http://former/',
    'ce-knativeerrorcode': '500',
    'content-type': 'application/octet-stream',
    'ce-knativearrivaltime': '2026-01-31T01:02:03.004Z',
    'kn-namespace': 'shop',
    prefer: 'reply',
    'x-request-id': 'r1',
    traceparent: '00-a-b-01',
  });
});

test('the TTL never leaves, in either format', () => {
  for (const format of ['binary', 'json'] as const) {
    const message = encodeDelivery(RECORD, { ...BINARY, format });
    assert.equal(decoded(message).extensions.has('knativebrokerttl'), false);
  }
});

test('structured: one JSON event with the arrival in it, the other headers as in binary', () => {
  const message = encodeDelivery(RECORD, { ...BINARY, format: 'json' });
  const headers = headersOf(message);
  assert.equal(headers['content-type'], 'application/cloudevents+json');
  assert.equal(headers['prefer'], 'reply');
  assert.equal(headers['kn-namespace'], 'shop');
  assert.equal(headers['x-request-id'], 'r1');
  const event = decoded(message);
  assert.deepEqual(event.data, EVENT.data);
  assert.equal(event.subject, 'Größe');
  assert.equal(event.extensions.get('knativearrivaltime'), '2026-01-31T01:02:03.004Z');
});

test("a dead letter: no Prefer, and the error extensions replace the event's own", () => {
  for (const format of ['binary', 'json'] as const) {
    const message = encodeDelivery(RECORD, {
      ...BINARY,
      format,
      prefersReply: false,
      extra: [
        ['knativeerrordest', 'http://now/'],
        ['millracereason', 'Timeout'],
      ],
    });
    assert.equal(headersOf(message)['prefer'], undefined);
    const { extensions } = decoded(message);
    assert.equal(extensions.get('knativeerrordest'), 'http://now/');
    assert.equal(extensions.has('knativeerrorcode'), false);
    assert.equal(extensions.get('millracereason'), 'Timeout');
    assert.equal(extensions.get('knativearrivaltime'), '2026-01-31T01:02:03.004Z');
    assert.equal(String(extensions.get('number')), '7');
  }
});

test('no data is no body; each event has its own arrival', () => {
  const event = { ...EVENT, data: null };
  const message = encodeDelivery({ ...RECORD, event, arrivalMs: 0 }, BINARY);
  assert.equal(message.body, null);
  assert.equal(headersOf(message)['ce-knativearrivaltime'], '1970-01-01T00:00:00.000Z');
  const next = encodeDelivery({ ...RECORD, arrivalMs: 1 }, BINARY);
  assert.equal(headersOf(next)['ce-knativearrivaltime'], '1970-01-01T00:00:00.001Z');
});
