/** Structured mode and batches: data untouched, every refusal with its code and attribute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudEvent } from './cloud-event.ts';
import type { EventResult, Refusal } from './draft-check.ts';
import { decodeJsonBatch, decodeJsonEvent } from './json-decode.ts';
import { DEFAULT_CLOUD_EVENT_LIMITS } from './limits.ts';
import type { CloudEventLimits } from './limits.ts';

const limits = DEFAULT_CLOUD_EVENT_LIMITS;
const HEAD = '"specversion":"1.0","id":"i","source":"/s","type":"t"';
const OLD_HEAD = '"specversion":"0.3","id":"i","source":"/s","type":"t"';

function decode(members: string, changed: CloudEventLimits = limits): EventResult {
  return decodeJsonEvent(Buffer.from(`{${members}}`), changed);
}

function decodeGood(members: string): CloudEvent {
  const result = decode(members);
  assert(result.ok, JSON.stringify(result));
  return result.event;
}

function problemsOf(result: { readonly ok: true } | Refusal): string[] {
  assert(!result.ok, 'refused');
  assert.equal(result.error.code, result.problems[0]?.code);
  return result.problems.map((found) => `${found.code.slice(12)} ${found.attribute ?? '-'}`);
}

function dataText(members: string): string | null {
  return decodeGood(`${HEAD},${members}`).data?.toString('utf8') ?? null;
}

test('a full event keeps the types of its extensions and the bytes of its data', () => {
  const event = decodeGood(
    ` "data" : {"n":1e400, "big":12345678901234567890 ,"s":"\\ud800"} , ${HEAD},"time":"2026-01-31T12:00:00.10+01:00",
    "datacontenttype":"application/json","dataschema":"urn:x","subject":"é \\u20ac \\ud83d\\ude00",
    "on":true,"off":false,"int":-2147483648,"exp":2e3,"zero":-0,"text":"1","empty":"","unset":null `,
  );
  assert.equal(event.subject, 'é € 😀');
  assert.equal(event.time, '2026-01-31T12:00:00.10+01:00');
  assert.equal(event.data?.toString(), '{"n":1e400, "big":12345678901234567890 ,"s":"\\ud800"}');
  assert.deepEqual(
    [...event.extensions],
    [
      ['on', true],
      ['off', false],
      ['int', -2147483648],
      ['exp', 2000],
      ['zero', 0],
      ['text', '1'],
      ['empty', ''],
    ],
  );
});

test('data that is JSON, by its type or for lack of one, is a view of the body', () => {
  for (const value of ['null', 'true', '0', '"a\\u0041\\/"', '[ 1 ]', '{ }', '"\\udfff"']) {
    assert.equal(dataText(`"data":${value}`), value);
    assert.equal(dataText(`"datacontenttype":"application/vnd.x+json","data": ${value} `), value);
  }
  const body = Buffer.from(`{${HEAD},"data":[1]}`);
  const result = decodeJsonEvent(body, limits);
  assert(result.ok);
  assert.equal(result.event.data?.buffer, body.buffer);
});

test('JSON data without a datacontenttype is application/json, no data is not', () => {
  assert.equal(decodeGood(`${HEAD},"data":1`).datacontenttype, 'application/json');
  assert.equal(
    decodeGood(`${HEAD},"datacontenttype":null,"data":1`).datacontenttype,
    'application/json',
  );
  assert.equal(decodeGood(HEAD).datacontenttype, null);
  assert.equal(decodeGood(`${HEAD},"data_base64":"AA=="`).datacontenttype, null);
});

test('other data is text, or base64', () => {
  assert.equal(dataText('"datacontenttype":"text/plain","data":"a\\n\\u20ac€"'), 'a\n€€');
  assert.equal(dataText('"datacontenttype":"text/plain","data":"plain €"'), 'plain €');
  assert.equal(dataText('"data":"","datacontenttype":"text/plain"'), '');
  assert.equal(dataText('"datacontenttype":"text/plain","data":null'), null);
  assert.equal(dataText('"data_base64":"aGk/"'), 'hi?');
  assert.equal(dataText('"data_base64":"\\/\\/\\/\\/"')?.length, 3);
  assert.equal(dataText('"data_base64":""'), '');
  assert.equal(dataText('"data_base64":null'), null);
  assert.equal(dataText('"data_base64":null,"data":7'), '7');
});

const BAD_MEMBERS: readonly (readonly [string, ...string[]])[] = [
  [
    '',
    'ATTRIBUTE_MISSING specversion',
    'ATTRIBUTE_MISSING id',
    'ATTRIBUTE_MISSING source',
    'ATTRIBUTE_MISSING type',
  ],
  [`${HEAD},"id":"j"`, 'ATTRIBUTE_DUPLICATE id'],
  [`${HEAD},"id":null`, 'ATTRIBUTE_DUPLICATE id'],
  ...['specversion', 'source', 'type'].map(
    (name) => [`${HEAD},"${name}":null`, `ATTRIBUTE_DUPLICATE ${name}`] as const,
  ),
  ...['subject', 'dataschema', 'x'].map(
    (name) => [`${HEAD},"${name}":"a:/b","${name}":null`, `ATTRIBUTE_DUPLICATE ${name}`] as const,
  ),
  [`${HEAD},"datacontenttype":"a/b","datacontenttype":null`, 'ATTRIBUTE_DUPLICATE datacontenttype'],
  [
    `${HEAD},"datacontenttype":"a/b","datacontenttype":"a/b"`,
    'ATTRIBUTE_DUPLICATE datacontenttype',
  ],
  [`${HEAD},"time":"2026-01-01T00:00:00Z","time":null`, 'ATTRIBUTE_DUPLICATE time'],
  [`${HEAD},"x":null,"x":"1"`, 'ATTRIBUTE_DUPLICATE x'],
  [`${HEAD},"x":null,"x":null`, 'ATTRIBUTE_DUPLICATE x'],
  [`"id":null,${HEAD}`, 'ATTRIBUTE_DUPLICATE id'],
  [`${HEAD},"data":1,"data":1`, 'ATTRIBUTE_DUPLICATE data'],
  [`${HEAD},"data_base64":"","data_base64":""`, 'ATTRIBUTE_DUPLICATE data_base64'],
  ['"specversion":"1.0","id":null,"source":"/s","type":"t"', 'ATTRIBUTE_MISSING id'],
  [
    '"specversion":"1.0","id":7,"source":"/s","type":{}',
    'ATTRIBUTE_TYPE_INVALID id',
    'ATTRIBUTE_TYPE_INVALID type',
  ],
  [
    '"specversion":1.0,"id":"i","source":true,"type":[]',
    'ATTRIBUTE_TYPE_INVALID specversion',
    'ATTRIBUTE_TYPE_INVALID source',
    'ATTRIBUTE_TYPE_INVALID type',
  ],
  [
    '"specversion":" 1.0","id":"  ","source":"","type":""',
    'SPECVERSION_UNSUPPORTED specversion',
    'ATTRIBUTE_EMPTY id',
    'ATTRIBUTE_EMPTY source',
    'ATTRIBUTE_EMPTY type',
  ],
  [`${HEAD},"subject":""`, 'ATTRIBUTE_EMPTY subject'],
  [`${HEAD},"time":""`, 'ATTRIBUTE_EMPTY time'],
  [`${HEAD},"datacontenttype":"json"`, 'DATACONTENTTYPE_INVALID datacontenttype'],
  [`${HEAD},"x":{"a":1}`, 'ATTRIBUTE_TYPE_INVALID x'],
  [`${HEAD},"x":[]`, 'ATTRIBUTE_TYPE_INVALID x'],
  ...[
    '1.5',
    '1.0',
    '1e-1',
    '2147483648',
    '-2147483649',
    '1e400',
    '1e99',
    '12345678901234567890',
    '1'.repeat(40),
  ].map((value) => [`${HEAD},"x":${value}`, 'ATTRIBUTE_TYPE_INVALID x'] as const),
  [`${HEAD},"X":"1"`, 'ATTRIBUTE_NAME_INVALID X'],
  [`${HEAD},"Id":null`, 'ATTRIBUTE_NAME_INVALID Id'],
  [`${HEAD},"a-b":"1"`, 'ATTRIBUTE_NAME_INVALID a-b'],
  [`${HEAD},"a_b":{}`, 'ATTRIBUTE_NAME_INVALID a_b'],
  [`${HEAD},"é":"1"`, 'ATTRIBUTE_NAME_INVALID ?'],
  [`${HEAD},"":"1"`, 'ATTRIBUTE_NAME_INVALID '],
  [`${HEAD},"__proto__":{"x":1}`, 'ATTRIBUTE_NAME_INVALID __proto__'],
  [`${HEAD},"${'a'.repeat(65)}":"1"`, `ATTRIBUTE_NAME_INVALID ${'a'.repeat(64)}`],
  [`${HEAD},"${'a'.repeat(1000)}":"1"`, `ATTRIBUTE_NAME_INVALID ${'a'.repeat(64)}`],
  [`${HEAD},"x":"\\ud800"`, 'ATTRIBUTE_CHARACTER_INVALID x'],
  [`${HEAD},"x":"\\t"`, 'ATTRIBUTE_CHARACTER_INVALID x'],
  [`${HEAD},"x":"\\u0000"`, 'ATTRIBUTE_CHARACTER_INVALID x'],
  [`${HEAD},"x":"\\uffff"`, 'ATTRIBUTE_CHARACTER_INVALID x'],
  [`${HEAD},"x":"${'a'.repeat(8193)}"`, 'ATTRIBUTE_TOO_LARGE x'],
  [`${HEAD},"data":1,"data_base64":"AA=="`, 'DATA_CONFLICT data_base64'],
  [`${HEAD},"data":null,"data_base64":"AA=="`, 'DATA_CONFLICT data_base64'],
  ...[
    '"A"',
    '"AA"',
    '"A A="',
    '"AA==\\n"',
    '"-_-_"',
    '"AB=="',
    '"é==="',
    '1',
    '{}',
    '["AA=="]',
  ].map((value) => [`${HEAD},"data_base64":${value}`, 'DATA_BASE64_INVALID data_base64'] as const),
  ...['1', '{}', '[]', 'true', '"\\ud800"'].map(
    (value) =>
      [`${HEAD},"datacontenttype":"text/xml","data":${value}`, 'DATA_NOT_TEXT data'] as const,
  ),
];

test('each bad member gives one precise problem', () => {
  for (const [members, ...expected] of BAD_MEMBERS) {
    assert.deepEqual(problemsOf(decode(members)), expected, members.slice(0, 200));
  }
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal(Reflect.get({}, 'x'), undefined);
});

test('keys may be escaped, and are compared as text', () => {
  assert.equal(decodeGood(`${HEAD},"sub\\u006aect":"x"`).subject, 'x');
  assert.deepEqual(problemsOf(decode(`${HEAD},"\\u0069d":"x"`)), ['ATTRIBUTE_DUPLICATE id']);
});

test('bodies that are not one JSON object', () => {
  const rows: readonly [string | Buffer, string][] = [
    ['', 'BODY_EMPTY'],
    [' ', 'JSON_INVALID'],
    ['[]', 'JSON_NOT_AN_EVENT'],
    ['"x"', 'JSON_NOT_AN_EVENT'],
    ['1', 'JSON_NOT_AN_EVENT'],
    ['null', 'JSON_NOT_AN_EVENT'],
    ['nul', 'JSON_INVALID'],
    ['{', 'JSON_INVALID'],
    ['{"a"', 'JSON_INVALID'],
    ['{"a', 'JSON_INVALID'],
    ['{"a":', 'JSON_INVALID'],
    ['{"a":1', 'JSON_INVALID'],
    ['{"a":1,', 'JSON_INVALID'],
    ['{"a":1,}', 'JSON_INVALID'],
    ['{"a":1;', 'JSON_INVALID'],
    ['{,}', 'JSON_INVALID'],
    [`{${HEAD}}x`, 'JSON_INVALID'],
    [`{${HEAD}}{}`, 'JSON_INVALID'],
    [`\ufeff{${HEAD}}`, 'JSON_ENCODING_INVALID'],
    [Buffer.from(`{${HEAD}}`, 'utf16le'), 'JSON_ENCODING_INVALID'],
    [
      Buffer.concat([Buffer.from([0]), Buffer.from(`{${HEAD}}`, 'utf16le')]),
      'JSON_ENCODING_INVALID',
    ],
    [Buffer.from([0xfe, 0xff, 0, 0x7b]), 'JSON_ENCODING_INVALID'],
    [Buffer.from(`{${HEAD},"x":"é"}`, 'latin1'), 'JSON_ENCODING_INVALID'],
  ];
  for (const [body, code] of rows) {
    const result = decodeJsonEvent(Buffer.from(body), limits);
    assert.deepEqual(problemsOf(result), [`${code} -`], String(body));
    assert(!result.ok);
    assert.equal(result.error.httpStatus, 400);
  }
  assert(decodeJsonEvent(Buffer.from(` \r\n\t{ ${HEAD} }\n `), limits).ok);
});

test('depth, keys and size, at both sides of the limit', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert(decode(`${HEAD},"data":${nested(63)}`).ok);
  for (const depth of [64, 5_000, 500_000]) {
    assert.deepEqual(problemsOf(decode(`${HEAD},"data":${nested(depth)}`)), ['JSON_TOO_DEEP -']);
  }
  const keys = (count: number): string => Array.from({ length: count }, () => '"k":1').join();
  assert(decode(`${HEAD},"data":{${keys(9_995)}}`).ok);
  assert.deepEqual(problemsOf(decode(`${HEAD},"data":{${keys(9_996)}}`)), ['JSON_TOO_MANY_KEYS -']);
  const sizeBytes = HEAD.length + 2;
  assert(decode(HEAD, { ...limits, eventBytesMax: sizeBytes }).ok);
  const large = decode(HEAD, { ...limits, eventBytesMax: sizeBytes - 1 });
  assert.deepEqual(problemsOf(large), ['EVENT_TOO_LARGE -']);
});

test('ten thousand bad members cost little and list 64 problems', () => {
  const members = Array.from({ length: 9_000 }, (_, index) => `"X${index}":1`).join();
  assert.equal(problemsOf(decode(`${HEAD},${members}`)).length, 64);
});

test('0.3: base64 is announced by datacontentencoding and undone', () => {
  const event = decodeGood(
    `${OLD_HEAD},"datacontentencoding":"base64","data":"AAEC","datacontenttype":"image/png","schemaurl":"/x"`,
  );
  assert.deepEqual([...(event.data ?? [])], [0, 1, 2]);
  assert.equal(event.extensions.size, 0);
  assert.equal(event.dataschema, '/x');
  assert.equal(decodeGood(`${OLD_HEAD},"datacontentencoding":"base64","data":null`).data, null);
  assert.equal(decodeGood(`${OLD_HEAD},"datacontentencoding":"base64"`).data, null);
  assert.equal(decodeGood(`${OLD_HEAD},"data":{"a":1}`).data?.toString(), '{"a":1}');
  const rows: readonly [string, string][] = [
    [
      '"datacontentencoding":"gzip","data":"x"',
      'DATACONTENTENCODING_UNSUPPORTED datacontentencoding',
    ],
    ['"datacontentencoding":"base64","data":"x"', 'DATA_BASE64_INVALID data'],
    ['"datacontentencoding":"base64","data":1', 'DATA_BASE64_INVALID data'],
    ['"data_base64":"AA=="', 'ATTRIBUTE_NAME_INVALID data_base64'],
    ['"schemaurl":1', 'ATTRIBUTE_TYPE_INVALID schemaurl'],
  ];
  for (const [members, expected] of rows) {
    assert.deepEqual(problemsOf(decode(`${OLD_HEAD},${members}`)), [expected]);
  }
  const typed = decodeGood(`${HEAD},"schemaurl":true,"datacontentencoding":1`);
  assert.deepEqual(
    [...typed.extensions],
    [
      ['schemaurl', true],
      ['datacontentencoding', 1],
    ],
  );
});

test('a batch: none, one, versions mixed', () => {
  const batch = (text: string) => decodeJsonBatch(Buffer.from(text), limits);
  assert.deepEqual(batch(' [ ] '), { ok: true, events: [] });
  const result = batch(` [ {${HEAD},"data":1} , {${OLD_HEAD}} ] `);
  assert(result.ok);
  assert.deepEqual(
    result.events.map((event) => [event.specversion, event.data?.toString()]),
    [
      ['1.0', '1'],
      ['0.3', undefined],
    ],
  );
});

test('one bad event refuses the batch and is named by its index', () => {
  const good = `{${HEAD}}`;
  const rows: readonly [string, string, number | null][] = [
    [`[${good},{"id":1},${good}]`, 'ATTRIBUTE_MISSING specversion', 1],
    [`[${good},1]`, 'JSON_NOT_AN_EVENT -', 1],
    [`[${good},[]]`, 'JSON_NOT_AN_EVENT -', 1],
    [`[${good},{]`, 'JSON_INVALID -', 1],
    [`[${good},x]`, 'JSON_INVALID -', 1],
    [`[${good},]`, 'JSON_INVALID -', 1],
    [`[{"a":${'['.repeat(64)}`, 'JSON_TOO_DEEP -', 0],
    [`[${good} ${good}]`, 'JSON_INVALID -', null],
    [`[${good}`, 'JSON_INVALID -', null],
    [`[${good}]x`, 'JSON_INVALID -', null],
    ['[', 'JSON_INVALID -', 0],
    ['{}', 'JSON_NOT_AN_EVENT -', null],
    ['{', 'JSON_INVALID -', null],
    ['', 'BODY_EMPTY -', null],
  ];
  for (const [body, expected, index] of rows) {
    const result = decodeJsonBatch(Buffer.from(body), limits);
    assert.equal(problemsOf(result)[0], expected, body);
    assert(!result.ok);
    assert.equal(result.error.index, index, body);
  }
  const named = decodeJsonBatch(
    Buffer.from(`[${good},{"specversion":"1.0","id":"i","source":"/s"}]`),
    limits,
  );
  assert(!named.ok);
  assert.equal(
    named.error.message,
    'Cannot take event 1 of the batch: attribute "type" is missing',
  );
});

test('batch limits, at both sides', () => {
  const events = (count: number): Buffer =>
    Buffer.from(`[${Array.from({ length: count }, () => `{${HEAD}}`).join()}]`);
  const hundred = decodeJsonBatch(events(100), limits);
  assert(hundred.ok);
  assert.equal(hundred.events.length, 100);
  const more = decodeJsonBatch(events(101), limits);
  assert.deepEqual(problemsOf(more), ['BATCH_TOO_LARGE -']);
  assert(!more.ok);
  assert.equal(more.error.httpStatus, 413);
  const body = events(2);
  assert(decodeJsonBatch(body, { ...limits, batchBytesMax: body.length }).ok);
  const bytes = decodeJsonBatch(body, { ...limits, batchBytesMax: body.length - 1 });
  assert.deepEqual(problemsOf(bytes), ['BATCH_TOO_LARGE -']);
  const eventBytesMax = HEAD.length + 2;
  assert(decodeJsonBatch(body, { ...limits, eventBytesMax }).ok);
  const large = decodeJsonBatch(body, { ...limits, eventBytesMax: eventBytesMax - 1 });
  assert.deepEqual(problemsOf(large), ['EVENT_TOO_LARGE -']);
  // Keys and depth count per event.
  assert(decodeJsonBatch(body, { ...limits, jsonKeysMax: 4, jsonDepthMax: 1 }).ok);
});
