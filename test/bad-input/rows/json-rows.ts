/** Rows about events in JSON: one, and batches. */
import { rawJsonRequest, rawRequest } from '#services/ingress/raw-client';
import { BATCH, EVENT, accepted, jsonBatch, jsonEvent, refused, utf8 } from '../bad-input-row.ts';
import type { BadInputRow, ExpectedRecord, RefusalCode } from '../bad-input-row.ts';

const JSON_BAD = 'CLOUDEVENTS_JSON_INVALID';
const ENCODING = 'CLOUDEVENTS_JSON_ENCODING_INVALID';
const NOT_EVENT = 'CLOUDEVENTS_JSON_NOT_AN_EVENT';
const DEEP = 'CLOUDEVENTS_JSON_TOO_DEEP';
const KEYS = 'CLOUDEVENTS_JSON_TOO_MANY_KEYS';
const TYPE = 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID';
const NAME = 'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID';
const CHARACTER = 'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID';
const DUPLICATE = 'CLOUDEVENTS_ATTRIBUTE_DUPLICATE';
const BASE64 = 'CLOUDEVENTS_DATA_BASE64_INVALID';
const NOT_TEXT = 'CLOUDEVENTS_DATA_NOT_TEXT';
const EMPTY = 'CLOUDEVENTS_ATTRIBUTE_EMPTY';
const MISSING = 'CLOUDEVENTS_ATTRIBUTE_MISSING';

type Outcome = RefusalCode | ExpectedRecord;

/** Members added to a good event, and what comes of it. */
const MEMBERS: readonly (readonly [number: number | null, members: string, outcome: Outcome])[] = [
  [46, '"id":"2"', DUPLICATE],
  [46, '"data":1,"data":1', DUPLICATE],
  [46, '"x":1,"x":null', DUPLICATE],
  [46, '"\\u0069d":"2"', DUPLICATE],
  [46, '"data_base64":"","data_base64":""', DUPLICATE],
  [47, '"__proto__":{"x":1}', NAME],
  [47, '"\\u005f_proto__":"x"', NAME],
  [47, '"constructor":{"prototype":{"x":1}}', TYPE],
  [47, '"data":{"__proto__":{"x":1}}', { data: '{"__proto__":{"x":1}}' }],
  [49, '"data":1,"data_base64":"AA=="', 'CLOUDEVENTS_DATA_CONFLICT'],
  [49, '"data":null,"data_base64":"AA=="', 'CLOUDEVENTS_DATA_CONFLICT'],
  [49, '"data":1,"data_base64":null', { data: '1' }],
  ...[
    'A',
    '-_==',
    'AA',
    'AA=',
    'A===',
    'AAA',
    'AA==\\n',
    ' AA==',
    'AA== ',
    'AB==',
    'AAB=',
    'A=A=',
  ].map((text) => [50, `"data_base64":"${text}"`, BASE64] as const),
  ...['7', 'true', '[]', '{}'].map((value) => [50, `"data_base64":${value}`, BASE64] as const),
  [50, '"data_base64":"AAE="', { data: '\u0000\u0001' }],
  [50, '"data_base64":""', { data: '' }],
  [50, '"data_base64":"\\u0041A=="', { data: '\u0000' }],
  [51, '"data":1e400', { data: '1e400' }],
  [51, '"data":{"n":12345678901234567890}', { data: '{"n":12345678901234567890}' }],
  [
    51,
    '"data":0.1000000000000000055511151231257827',
    { data: '0.1000000000000000055511151231257827' },
  ],
  [51, '"data":-0', { data: '-0' }],
  [51, `"data":${'9'.repeat(10_000)}`, { data: '9'.repeat(10_000) }],
  [52, '"subject":"\\ud800"', CHARACTER],
  [52, '"subject":"\\udc00\\ud800"', CHARACTER],
  [52, '"subject":"\\ud83d\\ude00"', { subject: '😀' }],
  [52, '"data":"\\ud800"', { data: '"\\ud800"' }],
  [52, '"datacontenttype":"text/plain","data":"\\ud800"', NOT_TEXT],
  [52, '"\\ud800":1', NAME],
  [53, '"subject":"\u00ff"', ENCODING],
  [53, '"data":"\u00ed\u00a0\u0080"', ENCODING],
  [54, '"subject":7', TYPE],
  [54, '"time":0', TYPE],
  [54, '"subject":{}', TYPE],
  [54, '"subject":[]', TYPE],
  [54, '"subject":true', TYPE],
  [54, '"datacontenttype":false', TYPE],
  [54, '"dataschema":1', TYPE],
  [54, '"x":{}', TYPE],
  [54, '"x":[1]', TYPE],
  [54, '"x":1.5', TYPE],
  [54, '"x":1.0', TYPE],
  [54, '"x":2147483648', TYPE],
  [54, '"x":-2147483649', TYPE],
  [54, `"x":1${'0'.repeat(100)}`, TYPE],
  [54, '"x":1e400', TYPE],
  [null, '"x":2147483647', { extensions: { x: 2_147_483_647 } }],
  [null, '"x":-2147483648', { extensions: { x: -2_147_483_648 } }],
  [null, '"x":-0', { extensions: { x: 0 } }],
  [null, '"x":1e2', { extensions: { x: 100 } }],
  [null, '"x":true', { extensions: { x: true } }],
  [null, '"x":""', { extensions: { x: '' } }],
  [null, '"x":null', { extensions: { x: null } }],
  [null, '"subject":null', { subject: null }],
  [null, '"subject":""', EMPTY],
  [null, '"subject":"  "', EMPTY],
  [null, '"time":"yesterday"', 'CLOUDEVENTS_TIME_INVALID'],
  [null, '"dataschema":"/relative"', 'CLOUDEVENTS_URI_INVALID'],
  [null, '"datacontenttype":"json"', 'CLOUDEVENTS_DATACONTENTTYPE_INVALID'],
  [null, '"datacontenttype":""', 'CLOUDEVENTS_DATACONTENTTYPE_INVALID'],
  [null, '"datacontenttype":"application/xml","data":{}', NOT_TEXT],
  [null, '"datacontenttype":"application/xml","data":1', NOT_TEXT],
  [null, '"datacontenttype":"text/plain","data":null', { data: null }],
  [null, '"datacontenttype":"text/plain","data":"a\\nb"', { data: 'a\nb' }],
  [null, '"data":null', { data: 'null', datacontenttype: 'application/json' }],
  [null, '"data": [ 1 , 2 ] ', { data: '[ 1 , 2 ]' }],
  [null, '"data":"\\u0000"', { data: '"\\u0000"' }],
  [null, '"knativebrokerttl":-1', 'INGRESS_TTL_INVALID'],
  [null, '"knativebrokerttl":0', { ttl: 0 }],
  [null, '"knativebrokerttl":true', { ttl: 255, extensions: { knativebrokerttl: null } }],
  [null, '"schemaurl":"/a"', { extensions: { schemaurl: '/a' } }],
  [null, '"datacontentencoding":"gzip"', { extensions: { datacontentencoding: 'gzip' } }],
  [33, '"ABC":1', NAME],
  [33, '"Id":"2"', NAME],
  [33, '"a-b":1', NAME],
  [33, '"a_b":1', NAME],
  [33, '"":1', NAME],
  [33, '"é":1'.replace('é', utf8('é')), NAME],
  [33, `"${'a'.repeat(64)}":1`, {}],
  [33, `"${'a'.repeat(65)}":1`, NAME],
  [33, `"${'a'.repeat(1_000)}":1`, NAME],
  [34, '"DATA":1', NAME],
  [null, `"subject":"${'x'.repeat(8_192)}"`, {}],
  [null, `"subject":"${'x'.repeat(8_193)}"`, 'CLOUDEVENTS_ATTRIBUTE_TOO_LARGE'],
  [null, `"subject":"${utf8('é').repeat(4_097)}"`, 'CLOUDEVENTS_ATTRIBUTE_TOO_LARGE'],
  [null, '"subject":"a\\u0000b"', CHARACTER],
  [null, '"subject":"a\\nb"', CHARACTER],
  [null, '"subject":"a\\r\\nce-evil: b"', CHARACTER],
  [null, '"subject":"\\uffff"', CHARACTER],
  [null, '"subject":"\\u0085"', CHARACTER],
  [null, '"source":null', DUPLICATE],
  [null, many(60, (at) => `"x${at}":1`), {}],
  [null, many(61, (at) => `"x${at}":1`), 'CLOUDEVENTS_ATTRIBUTES_TOO_MANY'],
  [48, `"data":${'['.repeat(63)}${']'.repeat(63)}`, {}],
  [48, `"data":${'['.repeat(64)}${']'.repeat(64)}`, DEEP],
  [48, `"data":${'{"a":'.repeat(64)}1${'}'.repeat(64)}`, DEEP],
  [48, `"data":${'['.repeat(5_000)}${']'.repeat(5_000)}`, DEEP],
  [48, `"data":${'['.repeat(1_000_000)}`, DEEP],
  [null, `"data":{${many(9_995, (at) => `"${at}":0`)}}`, {}],
  [null, `"data":{${many(9_996, (at) => `"${at}":0`)}}`, KEYS],
];

function many(count: number, member: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => member(at)).join();
}

/** Whole bodies of one event. */
const BODIES: readonly (readonly [
  number: number | null,
  name: string,
  body: string,
  outcome: Outcome,
])[] = [
  [45, 'array', '[]', NOT_EVENT],
  [45, 'string', '"x"', NOT_EVENT],
  [45, 'number', '7', NOT_EVENT],
  [45, 'null', 'null', NOT_EVENT],
  [45, 'true', 'true', NOT_EVENT],
  [45, 'empty', '', 'CLOUDEVENTS_BODY_EMPTY'],
  [45, 'white space', ' \r\n\t', JSON_BAD],
  [45, 'empty object', '{}', MISSING],
  [53, 'byte order mark', `\u00ef\u00bb\u00bf{${EVENT}}`, ENCODING],
  [53, 'UTF-16 little endian', utf16(`{${EVENT}}`, false), ENCODING],
  [53, 'UTF-16 big endian', utf16(`{${EVENT}}`, true), ENCODING],
  [53, 'UTF-16 with mark', `\u00ff\u00fe${utf16(`{${EVENT}}`, false)}`, ENCODING],
  [54, 'id 7', `{${EVENT.replace('"1"', '7')}}`, TYPE],
  [54, 'id null', `{${EVENT.replace('"1"', 'null')}}`, MISSING],
  [54, 'type {}', `{${EVENT.replace('"t"', '{}')}}`, TYPE],
  [54, 'specversion 1.0 as a number', `{${EVENT.replace('"1.0"', '1.0')}}`, TYPE],
  [null, 'id empty', `{${EVENT.replace('"1"', '""')}}`, EMPTY],
  [null, 'white space around', `\r\n\t {${EVENT}} \r\n`, {}],
  [null, 'keys with escapes', `{${EVENT.replace('"id"', '"\\u0069\\u0064"')}}`, { id: '1' }],
  [null, 'trailing comma', `{${EVENT},}`, JSON_BAD],
  [null, 'leading comma', `{,${EVENT}}`, JSON_BAD],
  [null, 'two objects', `{${EVENT}}{${EVENT}}`, JSON_BAD],
  [null, 'text behind', `{${EVENT}}x`, JSON_BAD],
  [null, 'NUL behind', `{${EVENT}}\u0000`, JSON_BAD],
  [null, 'cut', `{${EVENT}`, JSON_BAD],
  [null, 'single quotes', `{${EVENT.replaceAll('"', "'")}}`, JSON_BAD],
  [null, 'no quotes', '{specversion:"1.0"}', JSON_BAD],
  [null, 'a comment', `{/**/${EVENT}}`, JSON_BAD],
  [null, 'a line comment', `{${EVENT}} // end`, JSON_BAD],
  [null, 'a form feed', `{\f${EVENT}}`, JSON_BAD],
  [null, 'a no-break space', `{${utf8('\u00a0')}${EVENT}}`, JSON_BAD],
  ...[
    'NaN',
    'Infinity',
    '01',
    '+1',
    '.5',
    '1.',
    '0x1',
    '1e',
    '1e+',
    '-',
    'tru',
    'nul',
    'undefined',
    "'a'",
  ].map((value) => [null, `data ${value}`, `{${EVENT},"data":${value}}`, JSON_BAD] as const),
  ...[
    '"a\u0001b"',
    '"a\nb"',
    '"\\x41"',
    '"\\u12"',
    '"\\uzzzz"',
    '"\\',
    '"a',
    '[1,]',
    '[1 2]',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '[}',
    '{"a":1]',
  ].map(
    (value) =>
      [null, `data ${JSON.stringify(value)}`, `{${EVENT},"data":${value}}`, JSON_BAD] as const,
  ),
];

function utf16(text: string, isBigEndian: boolean): string {
  const bytes = Buffer.from(text, 'utf16le');
  return (isBigEndian ? bytes.swap16() : bytes).toString('latin1');
}

function rowOf(number: number | null, name: string, bytes: string, outcome: Outcome): BadInputRow {
  if (typeof outcome !== 'string') return accepted(number, name, bytes, outcome);
  return refused(number, name, bytes, 400, outcome);
}

const OLD = EVENT.replace('1.0', '0.3');
const ONE = `{${EVENT}}`;
const TOO_LARGE = 'INGRESS_BODY_TOO_LARGE';
/** Of a JSON event with one long text; 12 bytes are `,"data":""` and the braces. */
const TEXT_MAX = 1_048_576 - EVENT.length - 12;

const OTHERS: readonly BadInputRow[] = [
  accepted(
    null,
    'structured with ce- headers: the body counts',
    rawRequest({
      without: ['content-type'],
      lines: ['Content-Type: application/cloudevents+json'],
      body: `{${EVENT.replace('"1"', '"in-body"')}}`,
    }),
    { id: 'in-body' },
  ),
  ...['application/cloudevents', 'application/cloudevents+avro'].map((type) =>
    refused(55, type, rawJsonRequest(ONE, type), 415, 'CLOUDEVENTS_FORMAT_UNSUPPORTED'),
  ),
  ...['utf-7', 'utf-16', 'iso-8859-1', '"utf-16"', 'utf8', 'utf-8; charset=utf-8'].map((charset) =>
    refused(
      55,
      `charset ${charset}`,
      rawJsonRequest(ONE, `application/cloudevents+json;charset=${charset}`),
      415,
      'CLOUDEVENTS_CHARSET_UNSUPPORTED',
    ),
  ),
  ...['utf-8', 'UTF-8', '"utf-8"', '"UTF\\-8"'].map((charset) =>
    accepted(
      55,
      `charset ${charset}`,
      rawJsonRequest(ONE, `application/cloudevents+json; charset=${charset}`),
    ),
  ),
  accepted(
    55,
    'charset inside another parameter',
    rawJsonRequest(ONE, 'application/cloudevents+json; a="; charset=utf-7"'),
  ),
  accepted(null, 'type in upper case', rawJsonRequest(ONE, 'APPLICATION/CLOUDEVENTS+JSON')),
  accepted(null, '0.3', rawJsonRequest(`{${OLD},"schemaurl":"/a"}`)),
  refused(null, '0.3 with data_base64', rawJsonRequest(`{${OLD},"data_base64":"AA=="}`), 400, NAME),
  accepted(
    null,
    '0.3 in base64',
    rawJsonRequest(`{${OLD},"datacontentencoding":"base64","data":"AA=="}`),
    {
      data: '\u0000',
      extensions: { datacontentencoding: null },
    },
  ),
  refused(
    null,
    '0.3 in bad base64',
    rawJsonRequest(`{${OLD},"datacontentencoding":"base64","data":"A"}`),
    400,
    BASE64,
  ),
  refused(
    null,
    '0.3 in gzip',
    rawJsonRequest(`{${OLD},"datacontentencoding":"gzip","data":"A"}`),
    400,
    'CLOUDEVENTS_DATACONTENTENCODING_UNSUPPORTED',
  ),
  refused(
    null,
    '0.3 with a schemaurl that is a number',
    rawJsonRequest(`{${OLD},"schemaurl":1}`),
    400,
    TYPE,
  ),
  accepted(57, 'the largest JSON event', jsonEvent(`"data":"${'x'.repeat(TEXT_MAX)}"`)),
  refused(
    57,
    'a JSON event of one byte more',
    jsonEvent(`"data":"${'x'.repeat(TEXT_MAX + 1)}"`),
    413,
    TOO_LARGE,
  ),
];

function batch(
  number: number | null,
  name: string,
  elements: readonly string[],
  outcome: number | readonly [status: number, code: RefusalCode],
): BadInputRow {
  const bytes = jsonBatch(elements);
  if (typeof outcome === 'number')
    return accepted(number, name, bytes, null, { storedCount: outcome });
  return refused(number, name, bytes, ...outcome);
}

const fill = (count: number, element = ONE): string[] =>
  Array.from({ length: count }, () => element);
const LARGE_EVENT = `{${EVENT},"data":"${'x'.repeat(TEXT_MAX)}"}`;

const BATCHES: readonly BadInputRow[] = [
  batch(56, 'an empty batch', [], 0),
  batch(56, '101 events', fill(101), [413, 'CLOUDEVENTS_BATCH_TOO_LARGE']),
  batch(56, '100 events', fill(100), 100),
  batch(56, 'one bad of 100', [...fill(99), '{}'], [400, MISSING]),
  batch(56, 'one bad of 100, the first', ['{}', ...fill(99)], [400, MISSING]),
  batch(null, 'batch: one', [ONE], 1),
  batch(null, 'batch: the same event twice', [ONE, ONE], 2),
  batch(null, 'batch: both versions', [ONE, `{${OLD}}`], 2),
  batch(
    null,
    'batch: a negative TTL',
    [ONE, `{${EVENT},"knativebrokerttl":-1}`],
    [400, 'INGRESS_TTL_INVALID'],
  ),
  batch(null, 'batch: null', ['null'], [400, NOT_EVENT]),
  batch(null, 'batch: a number', [ONE, '1'], [400, NOT_EVENT]),
  batch(null, 'batch: a batch', [`[${ONE}]`], [400, NOT_EVENT]),
  batch(null, 'batch: a comma too many', [ONE, ''], [400, JSON_BAD]),
  batch(null, 'batch: two commas', [ONE, '', ONE], [400, JSON_BAD]),
  batch(null, 'batch: no comma', [`${ONE}${ONE}`], [400, JSON_BAD]),
  batch(null, 'batch: a comment', [`/**/${ONE}`], [400, JSON_BAD]),
  batch(
    null,
    'batch: too deep',
    [ONE, `{${EVENT},"data":${'['.repeat(64)}${']'.repeat(64)}}`],
    [400, DEEP],
  ),
  batch(null, 'batch: the same key twice', [`{${EVENT},"id":"2"}`], [400, DUPLICATE]),
  batch(null, 'batch: data as an extension', [`{${EVENT},"x":{}}`], [400, TYPE]),
  batch(
    null,
    'batch: keys are counted per event',
    fill(2, `{${EVENT},"data":{${many(9_995, (at) => `"${at}":0`)}}}`),
    2,
  ),
  batch(null, 'batch: the largest event', [LARGE_EVENT], 1),
  batch(
    null,
    'batch: an event one byte larger',
    [ONE, LARGE_EVENT.replace('xx', 'xxx')],
    [413, 'CLOUDEVENTS_EVENT_TOO_LARGE'],
  ),
  batch(null, 'batch: 4 MiB and more', [`${' '.repeat(4_194_304)}${ONE}`], [413, TOO_LARGE]),
  batch(
    null,
    'batch: white space up to 4 MiB',
    [`${' '.repeat(4_194_304 - 2 - ONE.length)}${ONE}`],
    1,
  ),
  refused(56, 'batch: an object', rawJsonRequest(ONE, BATCH), 400, NOT_EVENT),
  refused(56, 'batch: empty body', rawJsonRequest('', BATCH), 400, 'CLOUDEVENTS_BODY_EMPTY'),
  refused(null, 'batch: cut', rawJsonRequest(`[${ONE}`, BATCH), 400, JSON_BAD),
  refused(null, 'batch: not closed', rawJsonRequest(`[${ONE},`, BATCH), 400, JSON_BAD),
  refused(null, 'batch: text behind', rawJsonRequest(`[${ONE}]x`, BATCH), 400, JSON_BAD),
  refused(null, 'batch: two of them', rawJsonRequest(`[${ONE}][${ONE}]`, BATCH), 400, JSON_BAD),
  refused(
    null,
    'batch: a byte order mark',
    rawJsonRequest(`\u00ef\u00bb\u00bf[${ONE}]`, BATCH),
    400,
    ENCODING,
  ),
  refused(
    null,
    'batch: charset',
    rawJsonRequest(`[${ONE}]`, `${BATCH}; charset=utf-16`),
    415,
    'CLOUDEVENTS_CHARSET_UNSUPPORTED',
  ),
];

export const JSON_ROWS: readonly BadInputRow[] = [
  ...MEMBERS.map(([number, members, outcome]) =>
    rowOf(number, `member ${shown(members)}`, jsonEvent(members), outcome),
  ),
  refused(34, 'member data_', jsonEvent('"data_":1'), 400, NAME),
  ...BODIES.map(([number, name, body, outcome]) =>
    rowOf(number, `body: ${name}`, rawJsonRequest(body), outcome),
  ),
  ...OTHERS,
  ...BATCHES,
];

/** Short enough for a test name. */
function shown(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 40)}… (${text.length})`;
}
