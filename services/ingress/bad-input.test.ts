/**
 * The corpus of bad requests on real sockets: for each the status, the code that is counted, nothing
 * stored, no value of the request in the answer, and a valid event right after it is taken.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startIngress } from './ingress-fixture.ts';
import type { IngressFixture } from './ingress-fixture.ts';
import { RawClient, rawJsonRequest, rawRequest, sendOnce } from './raw-client.ts';

/** Name, bytes, status, code. Status 202 has no code: it must be stored. */
type Row = readonly [name: string, bytes: string, status: number, code?: string];

const MALFORMED = 'HTTP_REQUEST_MALFORMED';
const TARGET = 'HTTP_TARGET_INVALID';
const LARGE = 'HTTP_HEADERS_TOO_LARGE';

/** A head with these lines instead of Content-Length, and whatever follows it. */
function framed(lines: readonly string[], rest: string): string {
  return rawRequest({ without: ['content-length'], lines, body: rest });
}

function chunked(rest: string): string {
  return framed(['Transfer-Encoding: chunked'], rest);
}

/** A valid event with one more header, or another in place of one. */
function withLine(line: string, without: readonly string[] = []): string {
  return rawRequest({ lines: [line], without });
}

function replaced(name: string, value: string): string {
  return withLine(`${name}: ${value}`, [name]);
}

const FRAMING: readonly Row[] = [
  [
    'I-1 length and chunked',
    framed(['Content-Length: 2', 'Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'),
    400,
    MALFORMED,
  ],
  [
    'I-2 two equal lengths',
    framed(['Content-Length: 2', 'Content-Length: 2'], '{}'),
    400,
    MALFORMED,
  ],
  [
    'I-3 two different lengths',
    framed(['Content-Length: 2', 'Content-Length: 3'], '{}'),
    400,
    MALFORMED,
  ],
  ['I-4 length +2', framed(['Content-Length: +2'], '{}'), 400, MALFORMED],
  ['I-4 length -1', framed(['Content-Length: -1'], '{}'), 400, MALFORMED],
  ['I-4 length 0x2', framed(['Content-Length: 0x2'], '{}'), 400, MALFORMED],
  ['I-4 length of 23 digits', framed([`Content-Length: ${'9'.repeat(23)}`], '{}'), 400, MALFORMED],
  [
    'I-5 chunked, identity',
    framed(['Transfer-Encoding: chunked, identity'], '2\r\n{}\r\n0\r\n\r\n'),
    400,
    MALFORMED,
  ],
  ['I-5 xchunked', framed(['Transfer-Encoding: xchunked'], '2\r\n{}\r\n0\r\n\r\n'), 400, MALFORMED],
  ['I-6 chunk size 0x1', chunked('0x1\r\na\r\n0\r\n\r\n'), 400, MALFORMED],
  ['I-6 chunk without CRLF', chunked('2\r\n{}0\r\n\r\n'), 400, MALFORMED],
  [
    'I-7 chunk extension of 20 KB',
    chunked(`2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    413,
    'HTTP_CHUNK_EXTENSIONS_TOO_LARGE',
  ],
  ['I-8 space before colon', withLine('ce-subject : x'), 400, MALFORMED],
  ['I-8 folded line', withLine('ce-subject: x\r\n y'), 400, MALFORMED],
  ['I-8 bare LF', rawRequest().replaceAll('\r\n', '\n'), 400, MALFORMED],
  ['I-8 bare CR', withLine('ce-subject: a\rb'), 400, MALFORMED],
  ['I-8 NUL', withLine('ce-subject: a\u0000b'), 400, MALFORMED],
  ['I-8 DEL', withLine('ce-subject: a\u007fb'), 400, MALFORMED],
  [
    'I-9 TAB in an attribute',
    withLine('ce-subject: a\tb'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID',
  ],
  [
    'I-10 Latin-1 in an attribute',
    withLine('ce-subject: caf\u00e9'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
  ],
  ['I-10 well-formed UTF-8 in an attribute', withLine('ce-subject: caf\u00c3\u00a9'), 202],
  ['I-11 HTTP/2.0', rawRequest({ version: 'HTTP/2.0' }), 505, 'HTTP_VERSION_UNSUPPORTED'],
  ['I-11 HTTP/0.9', rawRequest({ version: 'HTTP/0.9' }), 505, 'HTTP_VERSION_UNSUPPORTED'],
  ['I-11 HTTP/1.2', rawRequest({ version: 'HTTP/1.2' }), 400, MALFORMED],
  [
    'I-12 HTTP/1.0 without Host',
    rawRequest({ version: 'HTTP/1.0', without: ['host'] }),
    400,
    'HTTP_HOST_INVALID',
  ],
  ['I-12 HTTP/1.0 with Host', rawRequest({ version: 'HTTP/1.0' }), 202],
  ['I-12 HTTP/1.1 without Host', rawRequest({ without: ['host'] }), 400, 'HTTP_HOST_INVALID'],
  ['I-13 two Hosts', withLine('Host: 127.0.0.1'), 400, 'HTTP_HOST_INVALID'],
  ['I-13 an empty Host', replaced('host', ''), 400, 'HTTP_HOST_INVALID'],
  ['I-13 a Host with a user', replaced('host', 'a@b'), 400, 'HTTP_HOST_INVALID'],
  ['I-13 a Host with a path', replaced('host', 'a/b'), 400, 'HTTP_HOST_INVALID'],
  ['I-13 a Host with IPv6 and port', replaced('host', '[::1]:8080'), 202],
  ['I-18 Expect: foo', withLine('Expect: foo'), 417, 'HTTP_EXPECTATION_UNKNOWN'],
  [
    'I-19 Upgrade: h2c',
    rawRequest({
      lines: [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ],
    }),
    202,
  ],
  ['I-20 17 KiB of headers', withLine(`x-large: ${'x'.repeat(17 * 1_024)}`), 431, LARGE],
  ['I-20 one value of 8,193 bytes', withLine(`x-large: ${'x'.repeat(8_193)}`), 431, LARGE],
  ['I-20 one value of 8,192 bytes', withLine(`x-large: ${'x'.repeat(8_192)}`), 202],
  [
    'I-20 101 headers',
    rawRequest({ lines: Array.from({ length: 94 }, (_, index) => `x-${index}: 1`) }),
    431,
    LARGE,
  ],
  [
    'I-20 100 headers',
    rawRequest({ lines: Array.from({ length: 93 }, (_, index) => `x-${index}: 1`) }),
    202,
  ],
  [
    'I-20 1,990 headers',
    rawRequest({ lines: Array.from({ length: 1_990 }, (_, index) => `x-${index}: 1`) }),
    431,
    LARGE,
  ],
  [
    'I-22 a trailer with ce-id',
    rawRequest({
      without: ['content-length', 'ce-id'],
      lines: ['Transfer-Encoding: chunked', 'Trailer: ce-id'],
      body: '2\r\n{}\r\n0\r\nce-id: 7\r\n\r\n',
    }),
    400,
    'CLOUDEVENTS_ATTRIBUTE_MISSING',
  ],
  ['a chunked body', chunked('1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'), 202],
];

const TARGETS: readonly Row[] = [
  ['I-14 absolute form', rawRequest({ target: 'http://127.0.0.1/ns/b' }), 400, TARGET],
  ['I-15 fragment', rawRequest({ target: '/ns/b#x' }), 400, TARGET],
  ['I-16 /ns/../x', rawRequest({ target: '/ns/../b' }), 400, TARGET],
  ['I-16 dots as a name', rawRequest({ target: '/ns/..' }), 400, TARGET],
  ['I-16 //', rawRequest({ target: '//ns/b' }), 400, TARGET],
  ['I-16 // inside', rawRequest({ target: '/ns//b' }), 400, TARGET],
  ['I-16 %2f', rawRequest({ target: '/ns%2fb' }), 400, TARGET],
  ['I-16 %00', rawRequest({ target: '/ns/b%00' }), 400, TARGET],
  ['I-16 ;a=b', rawRequest({ target: '/ns/b;a=b' }), 400, TARGET],
  ['I-16 backslash', rawRequest({ target: '/ns\\b' }), 400, TARGET],
  ['I-16 over-long', rawRequest({ target: `/ns/${'b'.repeat(2_000)}` }), 400, TARGET],
  ['I-70 upper case', rawRequest({ target: '/NS/b' }), 400, TARGET],
  ['one part', rawRequest({ target: '/ns' }), 400, TARGET],
  ['three parts', rawRequest({ target: '/ns/b/c' }), 400, TARGET],
  ['two trailing slashes', rawRequest({ target: '/ns/b//' }), 400, TARGET],
  ['asterisk', rawRequest({ target: '*' }), 400],
  ['the root', rawRequest({ target: '/' }), 404, 'INGRESS_PATH_EMPTY'],
  ['one trailing slash', rawRequest({ target: '/ns/b/' }), 202],
  ['a query', rawRequest({ target: '/ns/b?a=%2f' }), 202],
  ['I-17 post', rawRequest({ method: 'post' }), 400, MALFORMED],
  ['I-17 TRACE', rawRequest({ method: 'TRACE' }), 405, 'HTTP_METHOD_NOT_ALLOWED'],
  ['I-17 PUT', rawRequest({ method: 'PUT' }), 405, 'HTTP_METHOD_NOT_ALLOWED'],
  ['I-17 GET', rawRequest({ method: 'GET', body: '' }), 405, 'HTTP_METHOD_NOT_ALLOWED'],
  ['I-17 CONNECT', 'CONNECT ns:80 HTTP/1.1\r\nHost: ns:80\r\n\r\n', 405, 'HTTP_METHOD_NOT_ALLOWED'],
  ['I-17 no HTTP at all', 'hello\r\n\r\n', 400, MALFORMED],
];

const HEADERS: readonly Row[] = [
  ['I-23 two ce-id', withLine('ce-id: 2'), 400, 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE'],
  ['I-23 two ce-source', withLine('CE-Source: /test'), 400, 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE'],
  [
    'I-24 two Content-Types',
    withLine('content-type: application/json'),
    400,
    'HTTP_HEADER_DUPLICATE',
  ],
  [
    'I-25 two Authorizations',
    rawRequest({ lines: ['Authorization: Bearer a', 'authorization: Bearer b'] }),
    400,
    'HTTP_HEADER_DUPLICATE',
  ],
  ['I-26 ce-__proto__', withLine('ce-__proto__: x'), 400, 'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID'],
  ['I-26 __proto__', withLine('__proto__: x'), 202],
  [
    'I-26 ce-constructor',
    rawRequest({ lines: ['ce-constructor: x', 'ce-hasownproperty: y', 'constructor: z'] }),
    202,
  ],
  [
    'I-27 ce_id',
    rawRequest({ without: ['ce-id'], lines: ['ce_id: 1'] }),
    400,
    'CLOUDEVENTS_ATTRIBUTE_MISSING',
  ],
  ...['id', 'source', 'type', 'specversion'].flatMap((name): Row[] => [
    [
      `I-28 no ${name}`,
      rawRequest({ without: [`ce-${name}`] }),
      400,
      'CLOUDEVENTS_ATTRIBUTE_MISSING',
    ],
    [`I-28 empty ${name}`, replaced(`ce-${name}`, ''), 400, 'CLOUDEVENTS_ATTRIBUTE_EMPTY'],
    [
      `I-28 spaces as ${name}`,
      replaced(`ce-${name}`, '%20%20'),
      400,
      'CLOUDEVENTS_ATTRIBUTE_EMPTY',
    ],
  ]),
  ['I-29 specversion 0.3', replaced('ce-specversion', '0.3'), 202],
  [
    'I-29 specversion 1.1',
    replaced('ce-specversion', '1.1'),
    400,
    'CLOUDEVENTS_SPECVERSION_UNSUPPORTED',
  ],
  [
    'I-29 specversion " 1.0"',
    replaced('ce-specversion', '%201.0'),
    400,
    'CLOUDEVENTS_SPECVERSION_UNSUPPORTED',
  ],
  [
    'I-29 specversion 1',
    replaced('ce-specversion', '1'),
    400,
    'CLOUDEVENTS_SPECVERSION_UNSUPPORTED',
  ],
  ['I-30 source with a space', replaced('ce-source', '/a b'), 400, 'CLOUDEVENTS_URI_INVALID'],
  [
    'I-30 source with CRLF',
    replaced('ce-source', '/a%0d%0ab'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID',
  ],
  ['I-31 time yesterday', withLine('ce-time: yesterday'), 400, 'CLOUDEVENTS_TIME_INVALID'],
  ['I-31 30 February', withLine('ce-time: 2026-02-30T00:00:00Z'), 400, 'CLOUDEVENTS_TIME_INVALID'],
  ['I-31 leap second', withLine('ce-time: 2016-12-31T23:59:60Z'), 202],
  ['I-31 no zone', withLine('ce-time: 2026-01-01T00:00:00'), 400, 'CLOUDEVENTS_TIME_INVALID'],
  [
    'I-32 ce-datacontenttype',
    withLine('ce-datacontenttype: text/plain'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_RESERVED',
  ],
  [
    'I-33 attribute name with a dash',
    withLine('ce-a-b: x'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID',
  ],
  ['I-33 attribute name of 64', withLine(`ce-${'a'.repeat(64)}: x`), 202],
  [
    'I-33 attribute name of 65',
    withLine(`ce-${'a'.repeat(65)}: x`),
    400,
    'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID',
  ],
  ['I-34 extension data', withLine('ce-data: x'), 400, 'CLOUDEVENTS_ATTRIBUTE_RESERVED'],
  ...['%C0%A0', '%ED%A0%80', '%FF', '%E2%82'].map(
    (value): Row => [
      `I-35 ${value}`,
      withLine(`ce-subject: ${value}`),
      400,
      'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
    ],
  ),
  ['I-36 %zz', withLine('ce-subject: %zz'), 400, 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID'],
  ['I-36 lone percent', withLine('ce-subject: %'), 400, 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID'],
  ['I-37 double encoding', withLine('ce-subject: %2541'), 202],
  ['I-38 quoted string', withLine('ce-subject: "a\\"b"'), 202],
  ['I-39 lower-case hex', withLine('ce-subject: %c3%a9%41'), 202],
  ['I-40 a large TTL', withLine('ce-knativebrokerttl: 2147483647'), 202],
  ['I-41 TTL 0', withLine('ce-knativebrokerttl: 0'), 202],
  ['I-41 TTL -1', withLine('ce-knativebrokerttl: -1'), 400, 'INGRESS_TTL_INVALID'],
  ['I-41 TTL abc', withLine('ce-knativebrokerttl: abc'), 202],
  [
    'I-55 application/json<TAB>a',
    replaced('content-type', 'application/json\ta'),
    415,
    'CLOUDEVENTS_CONTENT_TYPE_INVALID',
  ],
  ['I-58 gzip', withLine('Content-Encoding: gzip'), 415, 'HTTP_CONTENT_ENCODING_UNSUPPORTED'],
  [
    'I-58 identity twice',
    rawRequest({ lines: ['Content-Encoding: identity', 'Content-Encoding: identity'] }),
    415,
    'HTTP_CONTENT_ENCODING_UNSUPPORTED',
  ],
  ['I-58 identity', withLine('Content-Encoding: Identity'), 202],
];

const EVENT = '"specversion":"1.0","id":"1","source":"/test","type":"t"';
const NOT_EVENT = 'CLOUDEVENTS_JSON_NOT_AN_EVENT';
const BATCH = 'application/cloudevents-batch+json';

/** A JSON event with these members added; or another text altogether. */
function event(members: string): string {
  return rawJsonRequest(`{${EVENT},${members}}`);
}

const JSON_BODIES: readonly Row[] = [
  ['a structured event', rawJsonRequest(`{${EVENT}}`), 202],
  ['I-45 array', rawJsonRequest('[]'), 400, NOT_EVENT],
  ['I-45 string', rawJsonRequest('"x"'), 400, NOT_EVENT],
  ['I-45 number', rawJsonRequest('7'), 400, NOT_EVENT],
  ['I-45 null', rawJsonRequest('null'), 400, NOT_EVENT],
  ['I-45 empty', rawJsonRequest(''), 400, 'CLOUDEVENTS_BODY_EMPTY'],
  ['I-46 id twice', event('"id":"2"'), 400, 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE'],
  ['I-47 __proto__', event('"__proto__":{"x":1}'), 400],
  [
    'I-48 depth 65',
    event(`"data":${'['.repeat(64)}${']'.repeat(64)}`),
    400,
    'CLOUDEVENTS_JSON_TOO_DEEP',
  ],
  ['I-48 depth 5,000', event(`"data":${'['.repeat(5_000)}`), 400, 'CLOUDEVENTS_JSON_TOO_DEEP'],
  [
    'I-49 data and data_base64',
    event('"data":1,"data_base64":"AA=="'),
    400,
    'CLOUDEVENTS_DATA_CONFLICT',
  ],
  ['I-50 bad base64', event('"data_base64":"A"'), 400, 'CLOUDEVENTS_DATA_BASE64_INVALID'],
  ['I-50 base64url', event('"data_base64":"-_=="'), 400, 'CLOUDEVENTS_DATA_BASE64_INVALID'],
  ['I-51 1e400', event('"data":1e400'), 202],
  ['I-52 lone surrogate in an attribute', event('"subject":"\\ud800"'), 400],
  [
    'I-53 byte order mark',
    rawJsonRequest(`\u00ef\u00bb\u00bf{${EVENT}}`),
    400,
    'CLOUDEVENTS_JSON_ENCODING_INVALID',
  ],
  ['I-53 invalid UTF-8', event('"subject":"\u00ff"'), 400, 'CLOUDEVENTS_JSON_ENCODING_INVALID'],
  [
    'I-54 id 7',
    rawJsonRequest('{"specversion":"1.0","id":7,"source":"/test","type":"t"}'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID',
  ],
  [
    'I-55 application/cloudevents',
    rawJsonRequest(`{${EVENT}}`, 'application/cloudevents'),
    415,
    'CLOUDEVENTS_FORMAT_UNSUPPORTED',
  ],
  [
    'I-55 +avro',
    rawJsonRequest('x', 'application/cloudevents+avro'),
    415,
    'CLOUDEVENTS_FORMAT_UNSUPPORTED',
  ],
  [
    'I-55 charset utf-7',
    rawJsonRequest(`{${EVENT}}`, 'application/cloudevents+json;charset=utf-7'),
    415,
    'CLOUDEVENTS_CHARSET_UNSUPPORTED',
  ],
  [
    'I-56 one bad of three',
    rawJsonRequest(`[{${EVENT}},{},{${EVENT}}]`, BATCH),
    400,
    'CLOUDEVENTS_ATTRIBUTE_MISSING',
  ],
  [
    'I-56 101 events',
    rawJsonRequest(`[${Array.from({ length: 101 }, () => `{${EVENT}}`).join()}]`, BATCH),
    413,
    'CLOUDEVENTS_BATCH_TOO_LARGE',
  ],
  [
    'a negative TTL in a batch',
    rawJsonRequest(`[{${EVENT}},{${EVENT},"knativebrokerttl":-1}]`, BATCH),
    400,
    'INGRESS_TTL_INVALID',
  ],
];

let fixture: IngressFixture;
before(async () => {
  fixture = await startIngress({ settings: { eventBytesMax: 65_536, batchBytesMax: 131_072 } });
});
after(() => fixture[Symbol.asyncDispose]());

async function storedCount(): Promise<number> {
  return (await fixture.stored()).length;
}

for (const [name, bytes, status, code] of [...FRAMING, ...TARGETS, ...HEADERS, ...JSON_BODIES]) {
  test(`${name} is answered ${status}`, async () => {
    const countBefore = await storedCount();
    const refusedBefore = code === undefined ? 0 : fixture.metric('millrace.ingress.refused', code);
    const answer = await sendOnce(fixture.port, bytes);
    assert.equal(answer?.status, status, answer?.body);
    assert.equal(answer?.headers.get('allow'), 'POST, OPTIONS');
    assert.equal(await storedCount(), countBefore + (status === 202 ? 1 : 0));
    if (status === 202) assert.equal(answer?.body, '');
    else assertRefusal(answer?.body ?? '', code);
    if (code !== undefined) {
      assert.equal(fixture.metric('millrace.ingress.refused', code), refusedBefore + 1);
    }
    assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
    assert.deepEqual(fixture.bugs, []);
  });
}

function assertRefusal(body: string, code?: string): void {
  const parsed = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), ['code', 'message']);
  if (code !== undefined) assert.equal(parsed['code'], code);
  assert.ok(body.length < 400, body);
  assert.doesNotMatch(body, /\.ts|node:|caf|example/);
}

test('I-21 a request pipelined behind an empty one is a request of its own', async () => {
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest({ body: '' }) + rawRequest({ without: ['ce-id'] }) + rawRequest());
  assert.equal((await client.answer())?.status, 202);
  assert.equal((await client.answer())?.status, 400);
  assert.equal((await client.answer())?.status, 202);
  client.end();
});

test('I-26 no header reaches a prototype', () => {
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal('x' in {}, false);
});

test('I-57 more bytes than announced: the event counts, the rest is refused after its answer', async () => {
  const client = await RawClient.open(fixture.port);
  client.send(`${rawRequest()}{"more":1}\r\n\r\n`);
  assert.equal((await client.answer())?.status, 202);
  assert.equal((await client.answer())?.status, 400);
  assert.equal(await client.closed, '');
});

test('I-57 fewer bytes than announced and the end: 400, nothing stored', async () => {
  const countBefore = await storedCount();
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest({ without: ['content-length'], lines: ['Content-Length: 10'] }));
  client.socket.end();
  assert.equal((await client.answer())?.status, 400);
  assert.equal(await storedCount(), countBefore);
});

test('I-59 a TLS handshake is closed without an answer in plain text', async () => {
  const client = await RawClient.open(fixture.port);
  client.send('\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003');
  assert.equal(await client.closed, '');
});

test('the prologue of HTTP/2 is closed without harm', async () => {
  const client = await RawClient.open(fixture.port);
  client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await client.closed;
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
});

test('five thousand refusals leave nothing in flight', async () => {
  const client = await RawClient.open(fixture.port);
  const bad = rawRequest({ without: ['ce-id'] });
  for (let round = 0; round < 100; round++) {
    client.send(bad.repeat(50));
    for (let count = 0; count < 50; count++) assert.equal((await client.answer())?.status, 400);
  }
  client.end();
  assert.equal(fixture.metric('millrace.ingress.in_flight'), 0);
});
