/**
 * Properties of the CloudEvents codec: what is encoded decodes to an equal event in every form, and no
 * bytes whatever make a decoder throw.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeEvent, encodeEvent, encodedEventSize } from '#lib/cloudevents/event-codec';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { encodeBatch, encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import type { EncodedMessage } from '#lib/cloudevents/http-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { isMeshError } from '#lib/errors/mesh-error';
import { dataBytes, legalEvent } from '#test/conformance/cloudevents-arbitrary';

const RUNS = { numRuns: 400 };

function eventsOf(rawHeaders: readonly string[], body: Buffer): readonly CloudEvent[] {
  const result = decodeHttp({ rawHeaders, body, limits });
  assert(result.ok, JSON.stringify(result));
  return result.events;
}

function eventsOfMessage(message: EncodedMessage): readonly CloudEvent[] {
  return eventsOf(['Content-Type', message.contentType], message.body);
}

/** Headers are text: types of extensions are lost, and so is the empty body. */
function asBinary(event: CloudEvent): CloudEvent {
  const texts = [...event.extensions].map(([name, value]): [string, AttributeValue] => [
    name,
    String(value),
  ]);
  const data = event.data?.length === 0 ? null : event.data;
  return { ...event, extensions: new Map(texts), data };
}

function jsonText(bytes: Buffer): string | null {
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) return null;
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    assert(error instanceof SyntaxError);
    return null;
  }
}

/** JSON loses white space around the data, and data that is JSON says so. */
function asStructured(event: CloudEvent): CloudEvent {
  const { data, datacontenttype } = event;
  const isJson = datacontenttype === null || /[/+]json(;|$)/.test(datacontenttype);
  const text = data !== null && isJson ? jsonText(data) : null;
  if (text === null) return event;
  const trimmed = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
  return {
    ...event,
    datacontenttype: datacontenttype ?? 'application/json',
    data: Buffer.from(trimmed),
  };
}

test('stored form: every legal event survives', () => {
  fc.assert(
    fc.property(legalEvent, (event) => {
      const bytes = encodeEvent(event);
      assert.equal(bytes.length, encodedEventSize(event));
      assert.deepEqual(decodeEvent(bytes), event);
    }),
    RUNS,
  );
});

test('binary mode: every legal event survives, and headers are printable ASCII', () => {
  fc.assert(
    fc.property(legalEvent, (event) => {
      const headers: string[] = [];
      const body = encodeBinary(event, headers);
      for (const text of headers) assert.match(text, /^[\x20-\x7e]*$/);
      assert.deepEqual(eventsOf(headers, body), [asBinary(event)]);
    }),
    RUNS,
  );
});

test('structured mode: every legal event survives, and twice is as once', () => {
  fc.assert(
    fc.property(legalEvent, (event) => {
      const [once] = eventsOfMessage(encodeStructured(event));
      assert(once !== undefined);
      assert.deepEqual(once, asStructured(event));
      assert.deepEqual(eventsOfMessage(encodeStructured(once)), [once]);
    }),
    RUNS,
  );
});

test('batch: all events survive in their order', () => {
  fc.assert(
    fc.property(fc.array(legalEvent, { maxLength: 5 }), (events) => {
      assert.deepEqual(eventsOfMessage(encodeBatch(events)), events.map(asStructured));
    }),
    { numRuns: 100 },
  );
});

test('any bytes: a JSON body gives events or problems', () => {
  const fragment = fc.oneof(
    fc
      .constantFrom(
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        '\\u',
        'd800',
        '"id"',
        '"data"',
        '"data_base64"',
        '"specversion":"1.0"',
        '"x":1',
        '"source":"/s"',
        '"type":"t"',
        'null',
        'true',
        '1e5',
        '-',
        ' ',
        '\u0000',
        '\ufeff',
        'é',
      )
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  );
  const body = fc.array(fragment, { maxLength: 30 }).map((parts) => Buffer.concat(parts));
  const type = fc.constantFrom(
    'application/cloudevents+json',
    'application/cloudevents-batch+json',
  );
  fc.assert(
    fc.property(body, type, (bytes, contentType) => {
      const result = decodeHttp({ rawHeaders: ['content-type', contentType], body: bytes, limits });
      assert.equal(typeof result.ok, 'boolean');
      if (!result.ok) assert(result.problems.length > 0);
    }),
    { numRuns: 3_000 },
  );
});

test('any bytes: headers give an event or problems', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'ce-id',
      'CE-Source',
      'ce-type',
      'ce-specversion',
      'ce-time',
      'ce-x',
      'content-type',
      'ce-data',
    ),
    fc.string({ maxLength: 8 }).map((text) => `ce-${text}`),
    fc.string({ maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.constantFrom(
      '1.0',
      '/s',
      'i',
      '%',
      '%zz',
      '%E2%82',
      '"',
      '"a',
      'application/json',
      '2026-02-30T00:00:00Z',
    ),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(name, value), { maxLength: 16 }),
      dataBytes,
      (rawHeaders, body) => {
        const result = decodeHttp({ rawHeaders, body, limits });
        assert.equal(typeof result.ok, 'boolean');
        if (!result.ok)
          assert(result.problems.every((found) => /^[\x20-\x7e]+$/.test(found.message)));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('any bytes: the stored form gives an event or a MeshError', () => {
  const decodes = (bytes: Buffer): void => {
    try {
      assert.equal(typeof decodeEvent(bytes).id, 'string');
    } catch (error) {
      assert(isMeshError(error), String(error));
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (tail) => {
      decodes(Buffer.from(tail));
      decodes(Buffer.from([1, ...tail]));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(legalEvent, fc.nat(), fc.integer({ min: 0, max: 255 }), (event, place, byte) => {
      const bytes = encodeEvent(event);
      bytes[place % bytes.length] = byte;
      decodes(bytes);
    }),
    { numRuns: 2_000 },
  );
});
