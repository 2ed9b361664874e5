/**
 * The `cloudevents` package as oracle: both codecs read each other's messages and agree on the common
 * subset. Where they are known to differ, a row of {@link DIFFERENCES} says what each does and why
 * ours does not follow; a row fails as soon as one of the two changes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudEvent as SdkEvent, HTTP } from 'cloudevents';
import type { Headers, Message } from 'cloudevents';
import fc from 'fast-check';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { encodeBatch, encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';

/** What both models can say of an event, in one form. */
type Plain = Readonly<Record<string, unknown>>;

const ATTRIBUTES = [
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
] as const;

function plainOfOurs(event: CloudEvent): Plain {
  const plain: Record<string, unknown> = {};
  for (const name of ATTRIBUTES) if (event[name] !== null) plain[name] = event[name];
  for (const [name, value] of event.extensions) plain[name] = value;
  if (event.data !== null) plain['data'] = dataValue(event.datacontenttype, event.data);
  return plain;
}

function dataValue(datacontenttype: string | null, data: Buffer): unknown {
  if (datacontenttype === 'application/json') return JSON.parse(data.toString('utf8'));
  return datacontenttype === 'text/plain' ? data.toString('utf8') : data.toString('base64');
}

function plainOfSdk(event: unknown): Plain {
  assert(event instanceof SdkEvent);
  const { data, data_base64, ...attributes } = event;
  const plain: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) plain[name] = value;
  }
  const value = data_base64 ?? data;
  if (value !== undefined && value !== '') plain['data'] = value;
  return plain;
}

function decodeOurs(headers: Headers, body: string): readonly CloudEvent[] {
  const rawHeaders = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  const result = decodeHttp({ rawHeaders, body: Buffer.from(body), limits });
  assert(result.ok, JSON.stringify(result));
  return result.events;
}

/** Our answer to a message: the events, or the code and the attribute of the first problem. */
function ours(headers: Headers, body: string): unknown {
  const rawHeaders = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  const result = decodeHttp({ rawHeaders, body: Buffer.from(body), limits });
  if (!result.ok) return `${result.error.code} ${result.error.attribute ?? '-'}`;
  return result.events.map(plainOfOurs);
}

function headersOf(flat: readonly string[]): Headers {
  const headers: Headers = {};
  for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  return headers;
}

function messageOf(headers: Headers, body: string | undefined): Message {
  return { headers, body };
}

const word = fc.stringMatching(/^[a-zA-Z0-9._/-]{1,20}$/);

/** The common subset: ASCII without spaces, millisecond UTC times, JSON or text, text extensions. */
const commonEvent = fc.record(
  {
    id: word,
    source: word.map((path) => `/${path.replaceAll('/', '')}`),
    type: word,
    subject: fc.option(word),
    dataschema: fc.option(word.map((path) => `https://example.com/${path}`)),
    time: fc
      .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString()),
    extensions: fc.dictionary(fc.stringMatching(/^x[a-z0-9]{1,10}$/), word, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
    content: fc.oneof(
      fc
        .dictionary(
          fc.stringMatching(/^[a-z]{1,5}$/),
          fc.oneof(fc.string(), fc.integer(), fc.boolean()),
          {
            noNullPrototype: true,
          },
        )
        .map((data) => ({ datacontenttype: 'application/json', data })),
      word.map((data) => ({ datacontenttype: 'text/plain', data })),
      fc.constant({}),
    ),
  },
  { noNullPrototype: true },
);

const sdkEvent = commonEvent.map(({ content, extensions, subject, dataschema, ...rest }) => {
  const optional = {
    ...(subject === null ? {} : { subject }),
    ...(dataschema === null ? {} : { dataschema }),
  };
  return new SdkEvent<unknown>({ ...rest, ...optional, ...extensions, ...content });
});

test('what the SDK sends, we read as the SDK does', () => {
  fc.assert(
    fc.property(sdkEvent, (event) => {
      for (const message of [HTTP.binary(event), HTTP.structured(event)]) {
        const body = typeof message.body === 'string' ? message.body : '';
        const headers = headersSentBy(event, message);
        const [decoded] = decodeOurs(headers, body);
        assert(decoded !== undefined);
        assert.deepEqual(plainOfOurs(decoded), plainOfSdk(event));
      }
    }),
    { numRuns: 200 },
  );
});

/** The SDK names JSON as Content-Type even where an event has no datacontenttype; see DIFFERENCES. */
function headersSentBy(event: SdkEvent<unknown>, message: Message): Headers {
  const headers = { ...message.headers };
  const isInvented = event.datacontenttype === undefined && headers['ce-id'] !== undefined;
  if (isInvented) delete headers['content-type'];
  return headers;
}

test('what we send, the SDK reads as we do', () => {
  fc.assert(
    fc.property(fc.array(sdkEvent, { minLength: 1, maxLength: 3 }), (events) => {
      const decoded = events.flatMap((event) =>
        decodeOurs({ 'content-type': 'application/cloudevents+json' }, event.toString()),
      );
      const expected = decoded.map(plainOfOurs);
      for (const [index, event] of decoded.entries()) {
        const flat: string[] = [];
        const body = encodeBinary(event, flat);
        const text = body.length === 0 ? undefined : body.toString('utf8');
        assert.deepEqual(
          plainOfSdk(HTTP.toEvent(messageOf(headersOf(flat), text))),
          expected[index],
        );
        const structured = encodeStructured(event);
        const headers = { 'content-type': structured.contentType };
        assert.deepEqual(
          plainOfSdk(HTTP.toEvent(messageOf(headers, structured.body.toString()))),
          expected[index],
        );
      }
      const batch = encodeBatch(decoded);
      const read = HTTP.toEvent(
        messageOf({ 'content-type': batch.contentType }, batch.body.toString()),
      );
      assert(Array.isArray(read));
      assert.deepEqual(read.map(plainOfSdk), expected);
    }),
    { numRuns: 100 },
  );
});

const TIME = '2026-01-31T12:00:00.000Z';
const JSON_HEADERS: Headers = { 'content-type': 'application/cloudevents+json' };
const BATCH_HEADERS: Headers = { 'content-type': 'application/cloudevents-batch+json' };
const HEAD = `"specversion":"1.0","id":"i","source":"/s","type":"t","time":"${TIME}"`;
const BASE: Plain = { specversion: '1.0', id: 'i', source: '/s', type: 't', time: TIME };
const BINARY: Headers = {
  'ce-specversion': '1.0',
  'ce-id': 'i',
  'ce-source': '/s',
  'ce-type': 't',
  'ce-time': TIME,
};
const RANDOM_ID = /^[0-9a-f-]{36}$/;

interface Difference {
  readonly name: string;
  /** Why ours does not do as the SDK does. */
  readonly reason: string;
  readonly headers: Headers;
  readonly body: string;
  /** What the SDK does with the message: fails the test when that changes. */
  readonly sdk: (decode: () => Plain) => void;
  readonly ours: unknown;
}

const DIFFERENCES: readonly Difference[] = [
  {
    name: 'structured without id',
    reason: 'id is required; an invented one makes every retry of the producer another event',
    headers: JSON_HEADERS,
    body: '{"specversion":"1.0","source":"/s","type":"t"}',
    sdk: (decode) => assert.match(String(decode()['id']), RANDOM_ID),
    ours: 'CLOUDEVENTS_ATTRIBUTE_MISSING id',
  },
  {
    name: 'without type',
    reason: 'type is required',
    headers: JSON_HEADERS,
    body: '{"specversion":"1.0","id":"i","source":"/s"}',
    sdk: (decode) => assert.equal(decode()['type'], undefined),
    ours: 'CLOUDEVENTS_ATTRIBUTE_MISSING type',
  },
  {
    name: 'specversion 2.0',
    reason: 'the rules of an unknown version are not known',
    headers: JSON_HEADERS,
    body: `{${HEAD.replace('1.0', '2.0')}}`,
    sdk: (decode) => assert.equal(decode()['specversion'], '2.0'),
    ours: 'CLOUDEVENTS_SPECVERSION_UNSUPPORTED specversion',
  },
  {
    name: 'without time',
    reason: 'time is optional, and a relay must not invent it',
    headers: { 'ce-specversion': '1.0', 'ce-id': 'i', 'ce-source': '/s', 'ce-type': 't' },
    body: '',
    sdk: (decode) => assert.equal(typeof decode()['time'], 'string'),
    ours: [{ specversion: '1.0', id: 'i', source: '/s', type: 't' }],
  },
  {
    name: 'time with microseconds and a zone, binary',
    reason: 'a relay must not change the event',
    headers: { ...BINARY, 'ce-time': '2026-01-31T12:00:00.123456+01:00' },
    body: '',
    sdk: (decode) => assert.equal(decode()['time'], '2026-01-31T11:00:00.123Z'),
    ours: [{ ...BASE, time: '2026-01-31T12:00:00.123456+01:00' }],
  },
  {
    name: 'time that is none, binary',
    reason: 'an invalid time is refused, not replaced by the present',
    headers: { ...BINARY, 'ce-time': 'yesterday' },
    body: '',
    sdk: (decode) => assert.notEqual(decode()['time'], 'yesterday'),
    ours: 'CLOUDEVENTS_TIME_INVALID time',
  },
  {
    name: 'percent-encoded header',
    reason: 'the HTTP binding encodes header values, the SDK does not decode them',
    headers: { ...BINARY, 'ce-subject': 'a%20%E2%82%AC' },
    body: '',
    sdk: (decode) => assert.equal(decode()['subject'], 'a%20%E2%82%AC'),
    ours: [{ ...BASE, subject: 'a €' }],
  },
  {
    name: 'quoted header',
    reason: 'the HTTP binding asks receivers to take quotes off',
    headers: { ...BINARY, 'ce-subject': '"a b"' },
    body: '',
    sdk: (decode) => assert.equal(decode()['subject'], '"a b"'),
    ours: [{ ...BASE, subject: 'a b' }],
  },
  {
    name: 'extension with a hyphen',
    reason: 'attribute names are a-z and 0-9',
    headers: { ...BINARY, 'ce-a-b': 'x' },
    body: '',
    sdk: (decode) => assert.equal(decode()['a-b'], 'x'),
    ours: 'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID a-b',
  },
  {
    name: 'ce-datacontenttype in binary mode',
    reason: 'there it is the Content-Type; two sources would be two truths',
    headers: { ...BINARY, 'ce-datacontenttype': 'text/plain' },
    body: '',
    sdk: (decode) => assert.equal(decode()['datacontenttype'], 'text/plain'),
    ours: 'CLOUDEVENTS_ATTRIBUTE_RESERVED datacontenttype',
  },
  {
    name: 'source with a space',
    reason: 'source is a URI-reference',
    headers: { ...BINARY, 'ce-source': '/a b' },
    body: '',
    sdk: (decode) => assert.equal(decode()['source'], '/a b'),
    ours: 'CLOUDEVENTS_URI_INVALID source',
  },
  {
    name: 'body that is not the JSON it claims to be, binary',
    reason: 'data is opaque to a relay; the subscriber may judge it',
    headers: { ...BINARY, 'content-type': 'text/plain' },
    body: '{"a":',
    sdk: (decode) => {
      assert.equal(decode()['data'], '{"a":');
      const broken = { ...BINARY, 'content-type': 'application/json' };
      assert.throws(() => HTTP.toEvent({ headers: broken, body: '{"a":' }), SyntaxError);
    },
    ours: [{ ...BASE, datacontenttype: 'text/plain', data: '{"a":' }],
  },
  {
    name: 'application/x+json in binary mode',
    reason: 'the SDK knows application/json alone; our data are bytes in any case',
    headers: { ...BINARY, 'content-type': 'application/x+json' },
    body: '{"a":1}',
    sdk: (decode) => assert.equal(decode()['data'], '{"a":1}'),
    ours: [{ ...BASE, datacontenttype: 'application/x+json', data: 'eyJhIjoxfQ==' }],
  },
  {
    name: 'data and data_base64',
    reason: 'they exclude each other',
    headers: JSON_HEADERS,
    body: `{${HEAD},"data":1,"data_base64":"AA=="}`,
    sdk: (decode) => assert.equal(decode()['data'], 'AA=='),
    ours: 'CLOUDEVENTS_DATA_CONFLICT data_base64',
  },
  {
    name: 'the same key twice',
    reason: 'which value the producer meant is not certain',
    headers: JSON_HEADERS,
    body: `{${HEAD},"id":"j"}`,
    sdk: (decode) => assert.equal(decode()['id'], 'j'),
    ours: 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE id',
  },
  {
    name: 'JSON data without datacontenttype',
    reason: 'the JSON format says it means application/json, which binary mode has to say',
    headers: JSON_HEADERS,
    body: `{${HEAD},"data":{"a":1}}`,
    sdk: (decode) => assert.equal(decode()['datacontenttype'], undefined),
    ours: [{ ...BASE, datacontenttype: 'application/json', data: { a: 1 } }],
  },
  {
    name: 'extension that is null',
    reason: 'null is an unset attribute',
    headers: JSON_HEADERS,
    body: `{${HEAD},"x":null}`,
    sdk: (decode) => assert.equal(decode()['x'], null),
    ours: [BASE],
  },
  {
    name: 'extension that is an object',
    reason: 'the type system has no objects',
    headers: JSON_HEADERS,
    body: `{${HEAD},"x":{"a":1}}`,
    sdk: (decode) => assert.deepEqual(decode()['x'], { a: 1 }),
    ours: 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID x',
  },
  {
    name: 'extension that is no 32-bit integer',
    reason: 'Integer has 32 bits',
    headers: JSON_HEADERS,
    body: `{${HEAD},"x":4294967296}`,
    sdk: (decode) => assert.equal(decode()['x'], 4294967296),
    ours: 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID x',
  },
  {
    name: 'Content-Type in other letters',
    reason: 'media types have no case',
    headers: { 'content-type': 'Application/CloudEvents+JSON' },
    body: `{${HEAD}}`,
    sdk: (decode) => assert.throws(decode, /no cloud event detected/),
    ours: [BASE],
  },
  {
    name: 'an event without id in a batch',
    reason: 'a batch is taken whole or not at all',
    headers: BATCH_HEADERS,
    body: '[{"specversion":"1.0","source":"/s","type":"t"}]',
    sdk: (decode) => assert.match(String(decode()['id']), RANDOM_ID),
    ours: 'CLOUDEVENTS_ATTRIBUTE_MISSING id',
  },
];

for (const { name, reason, headers, body, sdk, ours: expected } of DIFFERENCES) {
  test(`known difference: ${name} (${reason})`, () => {
    sdk(() => {
      const read = HTTP.toEvent({ headers, body });
      return plainOfSdk(Array.isArray(read) ? read[0] : read);
    });
    assert.deepEqual(ours(headers, body), expected);
  });
}

test('known difference when sending: the SDK does not encode headers and invents a Content-Type', () => {
  const event = new SdkEvent({ id: 'i', source: '/s', type: 't', time: TIME, subject: 'a\r\n€' });
  const { headers } = HTTP.binary(event);
  assert.equal(headers['ce-subject'], 'a\r\n€');
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  const flat: string[] = [];
  const [decoded] = decodeOurs(JSON_HEADERS, `{${HEAD},"subject":"a €"}`);
  assert(decoded !== undefined);
  encodeBinary(decoded, flat);
  assert.equal(headersOf(flat)['ce-subject'], 'a%20%E2%82%AC');
  assert.equal(headersOf(flat)['content-type'], undefined);
});

test('known difference: large numbers in data keep their digits', () => {
  const body = `{${HEAD},"datacontenttype":"application/json","data":{"n":12345678901234567890}}`;
  const read = HTTP.toEvent<{ n: number }>({ headers: JSON_HEADERS, body });
  assert(!Array.isArray(read));
  assert.equal(JSON.stringify(read.data), '{"n":12345678901234567000}');
  assert.equal(decodeOurs(JSON_HEADERS, body)[0]?.data?.toString(), '{"n":12345678901234567890}');
});
