/** Rows about headers: attributes in binary mode, Content-Type, Content-Encoding, what is passed on. */
import { rawRequest } from '#services/ingress/raw-client';
import { accepted, refused, replaced, utf8, withLine } from '../bad-input-row.ts';
import type { BadInputRow, RefusalCode } from '../bad-input-row.ts';

const DUPLICATE = 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE';
const NAME = 'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID';
const EMPTY = 'CLOUDEVENTS_ATTRIBUTE_EMPTY';
const ENCODING = 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID';
const CHARACTER = 'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID';
const URI = 'CLOUDEVENTS_URI_INVALID';
const TIME = 'CLOUDEVENTS_TIME_INVALID';
const TTL = 'INGRESS_TTL_INVALID';
const MISSING = 'CLOUDEVENTS_ATTRIBUTE_MISSING';
const REQUIRED: readonly string[] = ['id', 'source', 'type', 'specversion'];

function extensions(count: number): string {
  return rawRequest({ lines: Array.from({ length: count }, (_, at) => `ce-x${at}: ${at}`) });
}

const ATTRIBUTES: readonly BadInputRow[] = [
  refused(23, 'two ce-id', withLine('ce-id: 2'), 400, DUPLICATE),
  refused(23, 'two ce-source', withLine('CE-Source: /test'), 400, DUPLICATE),
  refused(23, 'two of an extension', withLine('ce-x: 1\r\nCE-X: 1'), 400, DUPLICATE),
  refused(
    24,
    'two Content-Types',
    withLine('content-type: text/plain'),
    400,
    'HTTP_HEADER_DUPLICATE',
  ),
  refused(
    25,
    'two Authorizations',
    rawRequest({ lines: ['Authorization: Bearer a', 'authorization: Bearer b'] }),
    400,
    'HTTP_HEADER_DUPLICATE',
  ),
  accepted(25, 'one Authorization goes nowhere', withLine('Authorization: Bearer a'), {
    passThrough: [],
  }),
  refused(26, 'ce-__proto__', withLine('ce-__proto__: x'), 400, NAME),
  accepted(26, '__proto__', withLine('__proto__: x'), { passThrough: [] }),
  accepted(
    26,
    'ce-constructor, ce-hasownproperty',
    rawRequest({ lines: ['ce-constructor: x', 'ce-hasownproperty: y', 'constructor: z'] }),
    { extensions: { constructor: 'x', hasownproperty: 'y' } },
  ),
  refused(27, 'ce_id', rawRequest({ without: ['ce-id'], lines: ['ce_id: 1'] }), 400, MISSING),
  ...REQUIRED.flatMap((name) => [
    refused(28, `no ${name}`, rawRequest({ without: [`ce-${name}`] }), 400, MISSING),
    refused(28, `empty ${name}`, replaced(`ce-${name}`, ''), 400, EMPTY),
    refused(28, `spaces as ${name}`, replaced(`ce-${name}`, '%20%20'), 400, EMPTY),
  ]),
  accepted(29, 'specversion 0.3', replaced('ce-specversion', '0.3')),
  ...['1.1', '%201.0', '1', '1.0.2', '2.0', '0.2', '1.00', 'v1.0', '1,0', '"1.0 "'].map((value) =>
    refused(
      29,
      `specversion ${value}`,
      replaced('ce-specversion', value),
      400,
      'CLOUDEVENTS_SPECVERSION_UNSUPPORTED',
    ),
  ),
  accepted(29, 'specversion in quotes', replaced('ce-specversion', '"1.0"')),
  refused(
    32,
    'ce-datacontenttype',
    withLine('ce-datacontenttype: text/plain'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_RESERVED',
  ),
  ...['ce-a-b', 'ce-a_b', 'ce-a.b', 'ce-a!', 'ce-', "ce-'", 'ce-a|b', 'ce-a~b'].map((name) =>
    refused(33, `name ${name}`, withLine(`${name}: x`), 400, NAME),
  ),
  accepted(33, 'name in upper case', withLine('CE-ABC: x'), { extensions: { abc: 'x' } }),
  ...[20, 21, 64].map((length) =>
    accepted(33, `name of ${length}`, withLine(`ce-${'a'.repeat(length)}: x`)),
  ),
  ...[65, 1_000].map((length) =>
    refused(33, `name of ${length}`, withLine(`ce-${'a'.repeat(length)}: x`), 400, NAME),
  ),
  accepted(null, 'name that is a digit', withLine('ce-1: x'), { extensions: { '1': 'x' } }),
  refused(34, 'extension data', withLine('ce-data: x'), 400, 'CLOUDEVENTS_ATTRIBUTE_RESERVED'),
  refused(34, 'extension DATA', withLine('CE-DATA: x'), 400, 'CLOUDEVENTS_ATTRIBUTE_RESERVED'),
  accepted(null, '64 attributes', extensions(59)),
  refused(null, '65 attributes', extensions(60), 400, 'CLOUDEVENTS_ATTRIBUTES_TOO_MANY'),
  accepted(null, 'a value of 8,192 bytes', withLine(`ce-subject: ${'x'.repeat(8_192)}`)),
  refused(
    null,
    'a value of 8,193 bytes',
    withLine(`ce-subject: ${'x'.repeat(8_193)}`),
    431,
    'HTTP_HEADERS_TOO_LARGE',
  ),
  accepted(
    null,
    'a value of 8,192 bytes of UTF-8',
    withLine(`ce-subject: ${utf8('é').repeat(4_096)}`),
  ),
  refused(null, 'an empty subject', withLine('ce-subject:'), 400, EMPTY),
  refused(null, 'a blank subject', withLine('ce-subject: %20'), 400, EMPTY),
  accepted(null, 'an empty extension', withLine('ce-x:'), { extensions: { x: '' } }),
];

const URIS: readonly (readonly [
  number: number | null,
  source: string,
  code: RefusalCode | null,
])[] = [
  [30, '/a b', URI],
  [30, '/a%20b', URI],
  [30, '/a%0d%0ab', CHARACTER],
  [30, '/a%250d%250ab', null],
  [null, 'a%25', URI],
  [null, '/caf\u00c3\u00a9', URI],
  [null, '1:a', URI],
  [null, ':a', URI],
  [null, 'http://[::1', URI],
  [null, 'http://[zz]/', URI],
  [null, 'http://[fe80::1%25eth0]/', URI],
  [null, 'http://a:b/', URI],
  [null, '/a#b#c', URI],
  [null, '/a\\b', URI],
  [null, '<a>', URI],
  [null, '{a}', URI],
  [null, 'a|b', URI],
  [null, 'a^b', URI],
  [null, 'urn:a:b', null],
  [null, '#', null],
  [null, '?', null],
  [null, '//', null],
  [null, 'http://user:password@[::1]:80/a?b#c', null],
  [null, 'javascript:alert(1)', null],
  [null, 'file:///etc/passwd', null],
];

const TIMES: readonly (readonly [time: string, isGood: boolean])[] = [
  ['yesterday', false],
  ['2026-02-30T00:00:00Z', false],
  ['2025-02-29T00:00:00Z', false],
  ['2024-02-29T00:00:00Z', true],
  ['1900-02-29T00:00:00Z', false],
  ['2000-02-29T00:00:00Z', true],
  ['2016-12-31T23:59:60Z', true],
  ['2016-12-31T18:59:60-05:00', true],
  ['2016-12-31T22:59:60Z', false],
  ['2016-12-31T23:59:61Z', false],
  ['99999-01-01T00:00:00Z', false],
  ['0000-01-01T00:00:00Z', true],
  ['2026-01-01T00:00:00', false],
  ['2026-01-01', false],
  ['2026-01-01T24:00:00Z', false],
  ['2026-01-01T23:60:00Z', false],
  ['2026-13-01T00:00:00Z', false],
  ['2026-00-01T00:00:00Z', false],
  ['2026-01-00T00:00:00Z', false],
  ['2026-1-1T0:0:0Z', false],
  ['2026-01-01T00:00:00.Z', false],
  ['2026-01-01T00:00:00,5Z', false],
  [`2026-01-01T00:00:00.${'9'.repeat(100)}Z`, true],
  ['2026-01-01T00:00:00+24:00', false],
  ['2026-01-01T00:00:00+0100', false],
  ['2026-01-01T00:00:00 +01:00', false],
  ['2026-01-01T00:00:00-00:00', true],
  ['2026-01-01t00:00:00z', true],
  ['2026-01-01%2000:00:00Z', false],
  ['2026-01-01T00:00:00ZZ', false],
  ['-2026-01-01T00:00:00Z', false],
  ['+002026-01-01T00:00:00Z', false],
  ['1767225600', false],
];

/** Header values, what they decode to, or the code. */
const VALUES: readonly (readonly [
  number: number | null,
  value: string,
  decoded: string | { readonly code: RefusalCode },
])[] = [
  ...['%C0%A0', '%ED%A0%80', '%FF', '%E2%82'].map(
    (value) => [35, value, { code: ENCODING }] as const,
  ),
  [36, '%zz', { code: ENCODING }],
  [36, '%', { code: ENCODING }],
  [37, '%2541', '%41'],
  [38, '"a\\"b"', 'a"b'],
  [39, '%c3%a9%41', 'éA'],
  [null, '%C1%81', { code: ENCODING }],
  [null, '%E0%80%AF', { code: ENCODING }],
  [null, '%F0%80%80%AF', { code: ENCODING }],
  [null, '%F4%90%80%80', { code: ENCODING }],
  [null, '%F8%88%80%80%80', { code: ENCODING }],
  [null, '%80', { code: ENCODING }],
  [null, 'a%BFb', { code: ENCODING }],
  [null, '%E2%28%A1', { code: ENCODING }],
  [null, '%2', { code: ENCODING }],
  [null, '%G1', { code: ENCODING }],
  [null, '%1G', { code: ENCODING }],
  [null, '%%41', { code: ENCODING }],
  [null, '%u0041', { code: ENCODING }],
  [null, '% 41', { code: ENCODING }],
  [null, '%+1', { code: ENCODING }],
  [null, '\u00e9%C3%A9', { code: ENCODING }],
  [null, '\u00c3%A9', 'é'],
  [null, '"', { code: ENCODING }],
  [null, '"a', { code: ENCODING }],
  [null, '"a"b', { code: ENCODING }],
  [null, '"a\\"', { code: ENCODING }],
  [null, '"a" "b"', { code: ENCODING }],
  [null, '"%41\\\\"', 'A\\'],
  [null, '%22a%22', '"a"'],
  [null, 'a"b', 'a"b'],
  [null, 'a+b', 'a+b'],
  [null, "'a'", "'a'"],
  [null, 'a,b', 'a,b'],
  [null, '%F0%9F%98%80', '😀'],
  [null, '%EF%BB%BFa', '\ufeffa'],
  [null, '%E2%80%AE', '\u202e'],
  [null, '%E2%80%A8', '\u2028'],
  [null, '%C2%A0', '\u00a0'],
  [null, '<script>alert(1)</script>', '<script>alert(1)</script>'],
  [null, '${jndi:ldap://a}', '${jndi:ldap://a}'],
  ...['%00', '%0A', '%0D%0A', '%09', '%1F', '%7F', '%C2%80', '%C2%85', '%C2%9F'].map(
    (value) => [null, `a${value}b`, { code: CHARACTER }] as const,
  ),
  ...['%EF%B7%90', '%EF%B7%AF', '%EF%BF%BE', '%EF%BF%BF', '%F0%9F%BF%BE', '%F4%8F%BF%BF'].map(
    (value) => [null, `a${value}b`, { code: CHARACTER }] as const,
  ),
  [null, 'a%0D%0Ace-evil: b', { code: CHARACTER }],
];

const RULES: readonly BadInputRow[] = [
  ...URIS.map(([number, source, code]) => {
    const bytes = replaced('ce-source', source);
    const name = `source ${source}`;
    return code === null ? accepted(number, name, bytes) : refused(number, name, bytes, 400, code);
  }),
  refused(null, 'dataschema relative', withLine('ce-dataschema: /a'), 400, URI),
  refused(null, 'dataschema empty', withLine('ce-dataschema:'), 400, EMPTY),
  accepted(null, 'dataschema with fragment', withLine('ce-dataschema: http://a/#b')),
  ...TIMES.map(([time, isGood]) => {
    const name = `time ${time.slice(0, 40)}`;
    const bytes = withLine(`ce-time: ${time}`);
    return isGood ? accepted(31, name, bytes) : refused(31, name, bytes, 400, TIME);
  }),
  ...VALUES.map(([number, value, decoded]) => {
    const bytes = withLine(`ce-subject: ${value}`);
    const name = `value ${value}`;
    return typeof decoded === 'string'
      ? accepted(number, name, bytes, { subject: decoded })
      : refused(number, name, bytes, 400, decoded.code);
  }),
];

/** The round counter, and what is stored; a negative one is refused. */
const ROUNDS: readonly (readonly [number: number, given: string, ttl: number | null])[] = [
  [40, '2147483647', 254],
  [40, '256', 254],
  [40, '255', 254],
  [40, '254', 253],
  [41, '0', 0],
  [41, '1', 0],
  [41, '-1', null],
  [41, '-2147483648', null],
  [41, 'abc', 255],
  [41, '', 255],
  [41, '1.5', 255],
  [41, '2147483648', 255],
  [41, '99999999999999999999', 255],
  [41, '%2D1', null],
  [41, '+5', 4],
];

const KNATIVE: readonly BadInputRow[] = [
  ...ROUNDS.map(([number, given, ttl]) => {
    const bytes = withLine(`ce-knativebrokerttl: ${given}`);
    const name = `TTL "${given}"`;
    if (ttl === null) return refused(number, name, bytes, 400, TTL);
    return accepted(number, name, bytes, { ttl, extensions: { knativebrokerttl: null } });
  }),
  accepted(42, 'forged arrival time', withLine('ce-knativearrivaltime: 1970-01-01T00:00:00Z'), {
    extensions: { knativearrivaltime: null },
  }),
  accepted(43, 'forged error extensions', withLine('ce-knativeerrordest: http://evil/'), {
    extensions: { knativeerrordest: 'http://evil/' },
  }),
  accepted(
    44,
    'the documented list and nothing else',
    rawRequest({
      lines: [
        'Kn-Namespace: other',
        'Knative-Foo: 1',
        'X-B3-TraceId: 2',
        'X-Request-Id: 3',
        'Cookie: a=b',
        'X-Forwarded-For: 1.2.3.4',
        'Prefer: reply',
        'Proxy-Authorization: Basic x',
      ],
    }),
    { passThrough: ['knative-foo', '1', 'x-b3-traceid', '2', 'x-request-id', '3'] },
  ),
  accepted(44, 'a traceparent that is none', withLine('traceparent: 00-zz'), { passThrough: [] }),
];

const UNSUPPORTED = 'CLOUDEVENTS_FORMAT_UNSUPPORTED';
const NO_TYPE = 'CLOUDEVENTS_CONTENT_TYPE_INVALID';
const CODED = 'HTTP_CONTENT_ENCODING_UNSUPPORTED';

const CONTENT_TYPES: readonly (readonly [
  number: number | null,
  value: string,
  code: RefusalCode | null,
])[] = [
  [55, 'application/json\ta', NO_TYPE],
  [null, '', NO_TYPE],
  [null, 'json', NO_TYPE],
  [null, '/json', NO_TYPE],
  [null, 'application/', NO_TYPE],
  [null, 'application/json/x', NO_TYPE],
  [null, 'application /json', NO_TYPE],
  [null, 'application/json, text/plain', NO_TYPE],
  [null, 'application/json; charset', NO_TYPE],
  [null, 'application/json; charset=', NO_TYPE],
  [null, 'application/json; charset = utf-8', NO_TYPE],
  [null, 'application/json; charset="', NO_TYPE],
  [null, 'application/json; a="b\\"', NO_TYPE],
  [null, 'application/json; a=b c', NO_TYPE],
  [null, 'application/json; a="\u00c3\u00a9"', NO_TYPE],
  [null, 'applicati\u00f6n/json', NO_TYPE],
  [null, 'text/html; a=<b>', NO_TYPE],
  [null, 'application/cloudeventsx', UNSUPPORTED],
  [null, 'application/cloudevents; a=b', UNSUPPORTED],
  [null, 'application/cloudevents+', UNSUPPORTED],
  [null, 'application/cloudevents+json2', UNSUPPORTED],
  [null, 'application/cloudevents-batch', UNSUPPORTED],
  [null, 'application/cloudevents-batch+xml', UNSUPPORTED],
  [null, 'APPLICATION/CLOUDEVENTS+PROTOBUF', UNSUPPORTED],
  [null, 'application/json;', null],
  [null, 'application/json;;', null],
  [null, 'application/json ; a=b', null],
  [null, 'application/json; a="b;c=\\"d"', null],
  [null, 'x/y', null],
  [null, 'text/plain; charset=utf-7', null],
  [null, '*/*', null],
  [null, 'x-application/cloudevents+json', null],
];

const TYPES: readonly BadInputRow[] = [
  ...CONTENT_TYPES.map(([number, value, code]) => {
    const bytes = replaced('content-type', value);
    const name = `Content-Type "${value}"`;
    return code === null
      ? accepted(number, name, bytes, { datacontenttype: value })
      : refused(number, name, bytes, 415, code);
  }),
  accepted(null, 'Content-Type with tabs', replaced('content-type', 'text/plain\t;\ta=b'), {
    datacontenttype: 'text/plain ; a=b',
  }),
  accepted(null, 'no Content-Type', rawRequest({ without: ['content-type'] }), {
    datacontenttype: null,
    data: '{}',
  }),
  ...['gzip', 'br', 'x-gzip', 'identity, gzip', 'deflate', 'zstd', 'none', 'identity;q=1'].map(
    (value) => refused(58, `coding ${value}`, withLine(`Content-Encoding: ${value}`), 415, CODED),
  ),
  refused(
    58,
    'identity twice',
    rawRequest({ lines: ['Content-Encoding: identity', 'Content-Encoding: identity'] }),
    415,
    CODED,
  ),
  refused(
    58,
    'gzip and gzip',
    rawRequest({ lines: ['Content-Encoding: gzip', 'Content-Encoding: gzip'] }),
    415,
    CODED,
  ),
  accepted(58, 'identity', withLine('Content-Encoding: Identity')),
  accepted(58, 'an empty coding', withLine('Content-Encoding:')),
];

export const HEADER_ROWS: readonly BadInputRow[] = [...ATTRIBUTES, ...RULES, ...KNATIVE, ...TYPES];
