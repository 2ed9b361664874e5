/** Binary mode and content types: every accepted form, every refusal with its code and attribute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudEvent } from './cloud-event.ts';
import { decodeBinaryHeaders, decodeContentType, decodeHttp, withData } from './http-decode.ts';
import type { DecodeResult } from './http-decode.ts';
import { DEFAULT_CLOUD_EVENT_LIMITS } from './limits.ts';

const limits = DEFAULT_CLOUD_EVENT_LIMITS;
const NO_BODY = Buffer.alloc(0);
const REQUIRED: readonly string[] = [
  'ce-specversion',
  '1.0',
  'ce-id',
  'i',
  'ce-source',
  '/s',
  'ce-type',
  't',
];

/** Text as Node gives the bytes of a header: one character per byte. */
const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function decode(rawHeaders: readonly string[], body: Buffer = NO_BODY): DecodeResult {
  return decodeHttp({ rawHeaders, body, limits });
}

function decodeGood(rawHeaders: readonly string[], body: Buffer = NO_BODY): CloudEvent {
  const result = decode(rawHeaders, body);
  assert(result.ok, JSON.stringify(result));
  const [event] = result.events;
  assert(event !== undefined);
  return event;
}

/** `code attribute` of each problem, the first first. */
function problemsOf(result: DecodeResult): string[] {
  assert(!result.ok, 'refused');
  assert.equal(result.error, result.problems[0]);
  return result.problems.map((found) => `${found.code.slice(12)} ${found.attribute ?? '-'}`);
}

/** The required headers with one replaced, or left out. */
function without(name: string, replacement: readonly string[] = []): string[] {
  const at = REQUIRED.indexOf(name);
  assert(at !== -1);
  return [...REQUIRED.slice(0, at), ...REQUIRED.slice(at + 2), ...replacement];
}

test('a full event: attributes decoded, data the very body', () => {
  const body = Buffer.from([0, 1, 255]);
  const event = decodeGood(
    [
      'Host',
      'x',
      'CE-ID',
      'a b',
      'Ce-Source',
      '//h/%25C3%25A9',
      'ce-type',
      't',
      'ce-specversion',
      '1.0',
      'ce-subject',
      'Euro%20%E2%82%AC',
      'ce-time',
      '2026-01-31T12:34:56.789000-05:30',
      'ce-dataschema',
      'urn:x',
      'cOnTeNt-TyPe',
      'image/png; q=1',
      'ce-Zext',
      '',
      'ce-aext',
      '"a\\"b%2541"',
      'ce_id',
      'no',
      'cfid',
      'no',
      'bce-x',
      'no',
      '__proto__',
      'no',
      'constructor',
      'no',
    ],
    body,
  );
  assert.equal(event.id, 'a b');
  assert.equal(event.source, '//h/%C3%A9');
  assert.equal(event.data, body);
  assert.deepEqual(
    [...event.extensions],
    [
      ['zext', ''],
      ['aext', 'a"b%41'],
    ],
  );
  assert.equal(event.subject, 'Euro €');
  assert.equal(event.time, '2026-01-31T12:34:56.789000-05:30');
  assert.equal(event.dataschema, 'urn:x');
  assert.equal(event.datacontenttype, 'image/png; q=1');
});

test('the smallest event has nulls, no data and the shared empty map', () => {
  assert.deepEqual(decodeGood(REQUIRED), {
    specversion: '1.0',
    id: 'i',
    source: '/s',
    type: 't',
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    extensions: new Map(),
    data: null,
  });
});

const BAD_HEADERS: readonly (readonly [readonly string[], ...string[]])[] = [
  [
    [],
    'ATTRIBUTE_MISSING specversion',
    'ATTRIBUTE_MISSING id',
    'ATTRIBUTE_MISSING source',
    'ATTRIBUTE_MISSING type',
  ],
  [without('ce-id'), 'ATTRIBUTE_MISSING id'],
  [without('ce-id', ['ce_id', 'x']), 'ATTRIBUTE_MISSING id'],
  [without('ce-source'), 'ATTRIBUTE_MISSING source'],
  [without('ce-type'), 'ATTRIBUTE_MISSING type'],
  [without('ce-specversion'), 'ATTRIBUTE_MISSING specversion'],
  [without('ce-id', ['ce-id', '']), 'ATTRIBUTE_EMPTY id'],
  [without('ce-id', ['ce-id', '%20%20']), 'ATTRIBUTE_EMPTY id'],
  [without('ce-id', ['ce-id', '"  "']), 'ATTRIBUTE_EMPTY id'],
  [without('ce-source', ['ce-source', '   ']), 'ATTRIBUTE_EMPTY source'],
  [without('ce-type', ['ce-type', '']), 'ATTRIBUTE_EMPTY type'],
  [without('ce-specversion', ['ce-specversion', '']), 'ATTRIBUTE_EMPTY specversion'],
  ...['1.1', ' 1.0', '1', '2.0', '1.0.0', 'v1', '0.2', '0.3 '].map(
    (version) =>
      [
        without('ce-specversion', ['ce-specversion', version]),
        'SPECVERSION_UNSUPPORTED specversion',
      ] as const,
  ),
  [without('ce-source', ['ce-source', 'a b']), 'URI_INVALID source'],
  [without('ce-source', ['ce-source', '/a%0d%0ab']), 'ATTRIBUTE_CHARACTER_INVALID source'],
  [without('ce-source', ['ce-source', raw('/é')]), 'URI_INVALID source'],
  // One round of decoding belongs to the header, so a URI's own percent signs come as %25.
  [without('ce-source', ['ce-source', '/a%20b']), 'URI_INVALID source'],
  [[...REQUIRED, 'ce-time', 'yesterday'], 'TIME_INVALID time'],
  [[...REQUIRED, 'ce-time', '2026-02-30T00:00:00Z'], 'TIME_INVALID time'],
  [[...REQUIRED, 'ce-time', ''], 'ATTRIBUTE_EMPTY time'],
  [[...REQUIRED, 'ce-subject', ''], 'ATTRIBUTE_EMPTY subject'],
  [[...REQUIRED, 'ce-dataschema', '/relative'], 'URI_INVALID dataschema'],
  [[...REQUIRED, 'ce-dataschema', ''], 'ATTRIBUTE_EMPTY dataschema'],
  [[...REQUIRED, 'ce-datacontenttype', 'text/plain'], 'ATTRIBUTE_RESERVED datacontenttype'],
  [
    [...REQUIRED, 'Content-Type', 'a/b', 'ce-datacontenttype', 'a/b'],
    'ATTRIBUTE_RESERVED datacontenttype',
  ],
  [[...REQUIRED, 'ce-data', 'x'], 'ATTRIBUTE_RESERVED data'],
  [[...REQUIRED, 'CE-ID', 'x'], 'ATTRIBUTE_DUPLICATE id'],
  ...['specversion', 'source', 'type'].map(
    (name) => [[...REQUIRED, `ce-${name}`, '1.0'], `ATTRIBUTE_DUPLICATE ${name}`] as const,
  ),
  ...['subject', 'time', 'dataschema', 'x'].map(
    (name) =>
      [
        [...REQUIRED, `ce-${name}`, '%zz', `ce-${name}`, 'a:b'],
        `ATTRIBUTE_ENCODING_INVALID ${name}`,
      ] as const,
  ),
  [[...REQUIRED, 'ce-subject', 'a', 'ce-subject', 'a'], 'ATTRIBUTE_DUPLICATE subject'],
  [[...REQUIRED, 'ce-time', '2026-01-01T00:00:00Z', 'ce-time', 'x'], 'ATTRIBUTE_DUPLICATE time'],
  [[...REQUIRED, 'ce-dataschema', 'a:b', 'ce-dataschema', 'a:b'], 'ATTRIBUTE_DUPLICATE dataschema'],
  [[...REQUIRED, 'ce-x', '1', 'Ce-X', '1'], 'ATTRIBUTE_DUPLICATE x'],
  [[...REQUIRED, 'ce-x', '1', 'ce-x', '%zz'], 'ATTRIBUTE_ENCODING_INVALID x'],
  [[...REQUIRED, 'ce-', 'x'], 'ATTRIBUTE_NAME_INVALID '],
  [[...REQUIRED, 'ce-__proto__', 'x'], 'ATTRIBUTE_NAME_INVALID __proto__'],
  [[...REQUIRED, 'ce-a-b', 'x'], 'ATTRIBUTE_NAME_INVALID a-b'],
  [[...REQUIRED, `ce-${'a'.repeat(65)}`, 'x'], `ATTRIBUTE_NAME_INVALID ${'a'.repeat(64)}`],
  [[...REQUIRED, 'ce-<script>', 'x'], 'ATTRIBUTE_NAME_INVALID ?script?'],
  [[...REQUIRED, 'ce-x', 'a\tb'], 'ATTRIBUTE_CHARACTER_INVALID x'],
  [[...REQUIRED, 'ce-x', 'a\u007fb'], 'ATTRIBUTE_CHARACTER_INVALID x'],
  [[...REQUIRED, 'ce-x', raw('\u0085')], 'ATTRIBUTE_CHARACTER_INVALID x'],
  [[...REQUIRED, 'ce-x', '%EF%BF%BF'], 'ATTRIBUTE_CHARACTER_INVALID x'],
  [[...REQUIRED, 'ce-x', '%00'], 'ATTRIBUTE_CHARACTER_INVALID x'],
  [[...REQUIRED, 'ce-x', '\u00e9'], 'ATTRIBUTE_ENCODING_INVALID x'],
  ...['%C0%A0', '%ED%A0%80', '%FF', '%E2%82', '%', '"x'].map(
    (value) => [[...REQUIRED, 'ce-subject', value], 'ATTRIBUTE_ENCODING_INVALID subject'] as const,
  ),
  [[...REQUIRED, 'ce-x', 'a'.repeat(8193)], 'ATTRIBUTE_TOO_LARGE x'],
  [[...REQUIRED, 'ce-x', raw('é'.repeat(4097))], 'ATTRIBUTE_TOO_LARGE x'],
];

test('each bad header gives one precise problem', () => {
  for (const [headers, ...expected] of BAD_HEADERS) {
    const result = decode(headers);
    assert.deepEqual(problemsOf(result), expected, headers.join('|').slice(0, 200));
    assert(!result.ok);
    assert.equal(result.error.httpStatus, 400);
    assert.equal(result.error.index, null);
  }
});

test('accepted: leap second, long names, values at the limit, all printable ASCII', () => {
  const event = decodeGood([
    ...REQUIRED,
    'ce-time',
    '2016-12-31T23:59:60Z',
    `ce-${'a'.repeat(64)}`,
    'x',
    'ce-hasownproperty',
    '1',
    'ce-constructor',
    '2',
    'ce-b',
    'a'.repeat(8192),
    'ce-c',
    raw('é'.repeat(4096)),
    'ce-d',
    ' !#$&~',
  ]);
  assert.equal(event.time, '2016-12-31T23:59:60Z');
  assert.equal(event.extensions.get('c'), 'é'.repeat(4096));
  assert.equal(event.extensions.get('constructor'), '2');
  assert.equal(event.extensions.size, 6);
});

test('tabs of a Content-Type do not stay in the attribute', () => {
  const event = decodeGood([...REQUIRED, 'content-type', 'text/plain\t;\ta=b']);
  assert.equal(event.datacontenttype, 'text/plain ; a=b');
});

test('problems come in a fixed order, whatever the order of the headers', () => {
  const headers = [
    'ce-x',
    '%',
    'ce-time',
    'no',
    'ce-source',
    'a b',
    'ce-id',
    '',
    'ce-specversion',
    '9',
  ];
  const expected = [
    'SPECVERSION_UNSUPPORTED specversion',
    'ATTRIBUTE_EMPTY id',
    'URI_INVALID source',
    'ATTRIBUTE_MISSING type',
    'TIME_INVALID time',
    'ATTRIBUTE_ENCODING_INVALID x',
  ];
  assert.deepEqual(problemsOf(decode(headers)), expected);
  const turned: string[] = [];
  for (let at = headers.length - 2; at >= 0; at -= 2) turned.push(...headers.slice(at, at + 2));
  assert.deepEqual(problemsOf(decode(turned)), expected);
});

test('messages name the attribute and never its value', () => {
  const result = decode([...REQUIRED, 'ce-time', 'secret-value']);
  assert(!result.ok);
  assert.equal(
    result.error.message,
    'Cannot take the event: attribute "time" is not an RFC 3339 time with a zone, of a day that exists',
  );
});

test('64 attributes are taken, 65 are not; the list of problems is bounded', () => {
  const extensions = (count: number, value: string): string[] =>
    Array.from({ length: count }, (_, index) => [`ce-x${index}`, value]).flat();
  assert.equal(decodeGood([...REQUIRED, ...extensions(60, 'v')]).extensions.size, 60);
  assert.deepEqual(problemsOf(decode([...REQUIRED, ...extensions(61, 'v')])), [
    'ATTRIBUTES_TOO_MANY -',
  ]);
  assert.deepEqual(problemsOf(decode([...extensions(61, 'v'), ...REQUIRED])), [
    'ATTRIBUTES_TOO_MANY -',
  ]);
  const many = decode([...REQUIRED, ...extensions(500, '%')]);
  assert.equal(problemsOf(many).length, 64);
  assert(
    problemsOf(decode([...extensions(63, '%'), ...REQUIRED])).includes('ATTRIBUTES_TOO_MANY -'),
  );
});

test('content types that are refused', () => {
  const rows: readonly [string, string, number][] = [
    ['application/json\ta', 'CONTENT_TYPE_INVALID', 415],
    ['', 'CONTENT_TYPE_INVALID', 415],
    ['json', 'CONTENT_TYPE_INVALID', 415],
    ['application/cloudevents', 'FORMAT_UNSUPPORTED', 415],
    ['application/cloudevents+avro', 'FORMAT_UNSUPPORTED', 415],
    ['application/cloudevents-batch', 'FORMAT_UNSUPPORTED', 415],
    ['application/cloudevents+json;charset=utf-7', 'CHARSET_UNSUPPORTED', 415],
    ['application/cloudevents+json;charset=utf-8;charset=utf-8', 'CHARSET_UNSUPPORTED', 415],
    ['application/cloudevents-batch+json; charset=utf-16', 'CHARSET_UNSUPPORTED', 415],
  ];
  for (const [contentType, code, httpStatus] of rows) {
    const result = decode([...REQUIRED, 'Content-Type', contentType]);
    assert.deepEqual(problemsOf(result), [`${code} -`], contentType);
    assert(!result.ok);
    assert.equal(result.error.httpStatus, httpStatus);
  }
  const twice = decode([...REQUIRED, 'Content-Type', 'a/b', 'content-type', 'a/b']);
  assert.deepEqual(problemsOf(twice), ['CONTENT_TYPE_DUPLICATE -']);
});

test('content types that are taken', () => {
  const rows: readonly [string, string][] = [
    ['application/json;charset=utf-7', 'binary'],
    ['APPLICATION/CLOUDEVENTS+JSON; charset="UTF-8"', 'structured'],
    ['application/cloudevents-batch+json', 'batch'],
  ];
  for (const [contentType, mode] of rows) {
    assert.deepEqual(decodeContentType(['content-type', contentType]), {
      ok: true,
      contentType,
      mode,
    });
  }
  assert.deepEqual(decodeContentType(['Host', 'x']), {
    ok: true,
    contentType: null,
    mode: 'binary',
  });
  assert.deepEqual(decodeContentType(['Content-Type']), {
    ok: true,
    contentType: null,
    mode: 'binary',
  });
});

test('the headers of a structured message are not read, its body is', () => {
  const body = Buffer.from('{"specversion":"1.0","id":"b","source":"/s","type":"t"}');
  const headers = ['ce-id', '%', 'ce-id', 'x', 'Content-Type', 'application/cloudevents+json'];
  assert.equal(decodeGood(headers, body).id, 'b');
  const batch = decode(['Content-Type', 'application/cloudevents-batch+json'], Buffer.from('[]'));
  assert.deepEqual(batch, { ok: true, mode: 'batch', events: [] });
  const bad = decode(['Content-Type', 'application/cloudevents-batch+json'], Buffer.from('{}'));
  assert.deepEqual(problemsOf(bad), ['JSON_NOT_AN_EVENT -']);
  const empty = decode(['Content-Type', 'application/cloudevents+json']);
  assert.deepEqual(problemsOf(empty), ['BODY_EMPTY -']);
});

test('an event of exactly the limit is taken, one byte more is not', () => {
  const attributeBytes = 'specversion1.0idisource/stypetxé'.length + 1;
  const headers = [...REQUIRED, 'ce-x', '%C3%A9'];
  const room = limits.eventBytesMax - attributeBytes;
  assert.equal(decodeGood(headers, Buffer.alloc(room)).data?.length, room);
  const result = decode(headers, Buffer.alloc(room + 1));
  assert.deepEqual(problemsOf(result), ['EVENT_TOO_LARGE -']);
  assert(!result.ok);
  assert.equal(result.error.httpStatus, 413);
  const head = decodeBinaryHeaders(headers, null, limits);
  assert(head.ok);
  assert.equal(head.attributeBytes, attributeBytes);
});

test('headers can be decoded before the body is there', () => {
  const headers = [...REQUIRED, 'Content-Type', 'text/plain', 'ce-x', 'y'];
  const body = Buffer.from('hello');
  const head = decodeBinaryHeaders(headers, 'text/plain', limits);
  assert(head.ok);
  assert.equal(head.event.data, null);
  assert.deepEqual(withData(head.event, body), decodeGood(headers, body));
  assert.equal(withData(head.event, NO_BODY).data, null);
  assert.equal(decodeBinaryHeaders([], null, limits).ok, false);
});

test('0.3: schemaurl is the schema, dataschema an extension, datacontentencoding stays', () => {
  const old = without('ce-specversion', ['ce-specversion', '0.3']);
  const event = decodeGood(
    [...old, 'ce-schemaurl', '/relative', 'ce-dataschema', 'x', 'ce-datacontentencoding', 'base64'],
    Buffer.from('AAAA'),
  );
  assert.equal(event.specversion, '0.3');
  assert.equal(event.dataschema, '/relative');
  assert.deepEqual(
    [...event.extensions],
    [
      ['datacontentencoding', 'base64'],
      ['dataschema', 'x'],
    ],
  );
  assert.equal(event.data?.toString(), 'AAAA');
  const bare = decodeGood([...old, 'ce-dataschema', 'x']);
  assert.deepEqual([...bare.extensions], [['dataschema', 'x']]);
  const rows: readonly [string[], string][] = [
    [['ce-schemaurl', 'a b'], 'URI_INVALID schemaurl'],
    [['ce-schemaurl', ''], 'ATTRIBUTE_EMPTY schemaurl'],
    [['ce-datacontentencoding', 'gzip'], 'DATACONTENTENCODING_UNSUPPORTED datacontentencoding'],
  ];
  for (const [extra, expected] of rows) {
    assert.deepEqual(problemsOf(decode([...old, ...extra])), [expected]);
  }
  const schemaInNew = decodeGood([...REQUIRED, 'ce-schemaurl', 'a b']);
  assert.deepEqual([...schemaInNew.extensions], [['schemaurl', 'a b']]);
  assert.equal(schemaInNew.dataschema, null);
});
