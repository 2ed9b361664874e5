/**
 * The data of an event reaches the far end bit for bit: every media type with every kind of bytes, by
 * hash, through binary mode, the stored form, structured mode and batches.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeEvent, encodeEvent } from '#lib/cloudevents/event-codec';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { encodeBatch, encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { MEDIA_TYPES } from '#test/conformance/cloudevents-arbitrary';

const TIME = '2026-01-31T23:59:59.1234567890-05:30';

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** White space around JSON is the one thing that structured mode does not keep, so none has it. */
const BODIES: Readonly<Record<string, Buffer>> = {
  'every byte': EVERY_BYTE,
  'one NUL': Buffer.from([0]),
  'no UTF-8': Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]),
  'byte order mark': Buffer.from('\ufeff{"a":1}'),
  'UTF-16': Buffer.from('{"a":1}', 'utf16le'),
  JSON: Buffer.from('{"b" : 1,\r\n "a":[1e400,0.10,12345678901234567890,-0,"\\u0041\\/\\ud800"]}'),
  'JSON with a key twice': Buffer.from('{"a":1,"a":2,"__proto__":3}'),
  'JSON text': Buffer.from('"text"'),
  'JSON null': Buffer.from('null'),
  'broken JSON': Buffer.from('{"a":'),
  'deep JSON': Buffer.from('['.repeat(2_000) + ']'.repeat(2_000)),
  'JSON of many keys': Buffer.from(`[${'{"k":0},'.repeat(12_000)}0]`),
  text: Buffer.from('line\r\n\ttwo "quoted" \\ € 😀 \u2028\u0085\u0000'),
  CRLF: Buffer.from('\r\n\r\n'),
  base64: Buffer.from('AAEC'),
  large: Buffer.alloc(100_000, 'Zm9v\u20ac'),
};

function hash(data: Buffer | null): string | null {
  return data === null ? null : createHash('sha256').update(data).digest('hex');
}

function decodeOne(rawHeaders: readonly string[], body: Buffer): CloudEvent {
  const result = decodeHttp({ rawHeaders, body, limits });
  assert(result.ok, JSON.stringify(result));
  const [event] = result.events;
  assert(event !== undefined && result.events.length === 1);
  return event;
}

function receive(contentType: string | null, body: Buffer): CloudEvent {
  const headers = [
    'ce-specversion',
    '1.0',
    'ce-id',
    'i',
    'ce-source',
    '/s',
    'ce-type',
    't',
    'ce-time',
    TIME,
  ];
  return decodeOne(
    contentType === null ? headers : [...headers, 'Content-Type', contentType],
    body,
  );
}

const STEPS: Readonly<Record<string, (event: CloudEvent) => CloudEvent>> = {
  stored: (event) => decodeEvent(encodeEvent(event)),
  binary: (event) => {
    const headers: string[] = [];
    const body = encodeBinary(event, headers);
    return decodeOne(headers, body);
  },
  structured: (event) => {
    const { contentType, body } = encodeStructured(event);
    return decodeOne(['Content-Type', contentType], body);
  },
  batch: (event) => {
    const { contentType, body } = encodeBatch([event]);
    return decodeOne(['Content-Type', contentType], body);
  },
};

const WAYS: readonly (readonly string[])[] = [
  ['binary', 'stored', 'binary'],
  ['structured', 'stored', 'binary'],
  ['structured', 'binary', 'structured', 'stored'],
  ['batch', 'stored', 'structured', 'binary'],
];

test('data and time arrive as they were sent, whatever the media type and the way', () => {
  for (const contentType of [...MEDIA_TYPES, null]) {
    for (const [name, body] of Object.entries(BODIES)) {
      const sent = hash(body);
      for (const way of WAYS) {
        let event = receive(contentType, body);
        for (const step of way) event = STEPS[step]?.(event) ?? assert.fail(step);
        const told = `${contentType ?? 'no media type'}, ${name}, ${way.join(' > ')}`;
        assert.equal(hash(event.data), sent, told);
        assert.equal(event.time, TIME, told);
        if (contentType !== null) assert.equal(event.datacontenttype, contentType, told);
      }
    }
  }
});

test('the data of a received event is the received buffer, and nothing writes to it', () => {
  const body = Buffer.from(EVERY_BYTE);
  const event = receive('application/json', body);
  assert.equal(event.data, body);
  for (const step of Object.values(STEPS)) step(event);
  assert.deepEqual(body, EVERY_BYTE);
});

test('structured mode keeps JSON data but for white space around it', () => {
  const event = receive('application/json', Buffer.from(' \n{"a" : 1}\t\r\n'));
  assert.equal(STEPS['structured']?.(event).data?.toString(), '{"a" : 1}');
});
