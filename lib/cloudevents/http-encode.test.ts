/** Encoders: header text, JSON text, and what may be changed on the way out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudEvent } from './cloud-event.ts';
import type { EncodeOptions } from './encode-options.ts';
import { encodeBatch, encodeBinary, encodeStructured } from './http-encode.ts';
import { SMALLEST_EVENT as EVENT } from './event-fixture.ts';

const REQUIRED = ['ce-specversion', '1.0', 'ce-id', 'i', 'ce-source', '/s', 'ce-type', 't'];
const HEAD = '"specversion":"1.0","id":"i","source":"/s","type":"t"';

function headersOf(event: CloudEvent, options?: EncodeOptions): string[] {
  const target: string[] = [];
  encodeBinary(event, target, options);
  return target;
}

function jsonOf(event: CloudEvent, options?: EncodeOptions): string {
  return encodeStructured(event, options).body.toString('utf8');
}

test('binary: all attributes, the data itself as body', () => {
  const data = Buffer.from('x');
  const event: CloudEvent = {
    ...EVENT,
    subject: 'a "b" 100% €',
    time: '2026-01-31T12:00:00+01:00',
    datacontenttype: 'text/plain; charset=utf-8',
    dataschema: 'urn:x',
    extensions: new Map<string, string | number | boolean>([
      ['text', 'a\r\nb'],
      ['integer', -5],
      ['on', true],
      ['off', false],
    ]),
    data,
  };
  const target = ['first', 'stays'];
  assert.equal(encodeBinary(event, target), data);
  assert.deepEqual(target, [
    'first',
    'stays',
    ...REQUIRED,
    'ce-subject',
    'a%20%22b%22%20100%25%20%E2%82%AC',
    'ce-time',
    '2026-01-31T12:00:00+01:00',
    'ce-dataschema',
    'urn:x',
    'ce-text',
    'a%0D%0Ab',
    'ce-integer',
    '-5',
    'ce-on',
    'true',
    'ce-off',
    'false',
    'content-type',
    'text/plain; charset=utf-8',
  ]);
});

test('binary: an event without data has an empty body and no Content-Type', () => {
  const target: string[] = [];
  assert.equal(encodeBinary(EVENT, target).length, 0);
  assert.deepEqual(target, REQUIRED);
});

test('binary: a tampered content type cannot end a header line', () => {
  const headers = headersOf({ ...EVENT, datacontenttype: 'a/b\r\nx: y' });
  assert.equal(headers.at(-1), 'a/b??x: y');
});

test('0.3 calls its schema schemaurl', () => {
  const old: CloudEvent = { ...EVENT, specversion: '0.3', dataschema: '/x' };
  assert.deepEqual(headersOf(old).slice(-2), ['ce-schemaurl', '/x']);
  assert.match(jsonOf(old), /^\{"specversion":"0\.3",.*"schemaurl":"\/x"\}$/);
});

test('extensions can be left out, added and replaced', () => {
  const event = {
    ...EVENT,
    extensions: new Map([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]),
  };
  const options: EncodeOptions = {
    omit: new Set(['a']),
    extra: [
      ['b', 'x y'],
      ['d', 404],
    ],
  };
  assert.deepEqual(headersOf(event, options), [
    ...REQUIRED,
    'ce-c',
    '3',
    'ce-b',
    'x%20y',
    'ce-d',
    '404',
  ]);
  assert.equal(jsonOf(event, options), `{${HEAD},"c":"3","b":"x y","d":404}`);
  assert.deepEqual(headersOf(event, { extra: [['a', 'z']] }).slice(8), [
    'ce-b',
    '2',
    'ce-c',
    '3',
    'ce-a',
    'z',
  ]);
  assert.deepEqual(headersOf(event, { omit: new Set(['a', 'b', 'c']) }), REQUIRED);
  for (const name of ['', 'A', 'a-b', 'data', 'x\r\ny']) {
    assert.throws(() => headersOf(event, { extra: [[name, 'x']] }), { name: 'AssertionFailure' });
    assert.throws(() => jsonOf(event, { extra: [[name, 'x']] }), { name: 'AssertionFailure' });
  }
});

test('structured: how each kind of data is embedded', () => {
  const rows: readonly [string | null, string | Buffer, string][] = [
    [null, '{"a":1e400}', '"data":{"a":1e400}'],
    [null, 'not json', '"data_base64":"bm90IGpzb24="'],
    ['application/json', ' [1, 2] ', '"data": [1, 2] '],
    ['application/x+json', 'null', '"data":null'],
    ['application/json', '{"a":', '"data_base64":"eyJhIjo="'],
    ['application/json', '', '"data_base64":""'],
    ['application/json', '\ufeff{}', '"data_base64":"77u/e30="'],
    ['application/json', Buffer.from([0x22, 0xff, 0x22]), '"data_base64":"Iv8i"'],
    [
      'application/json',
      '['.repeat(64) + ']'.repeat(64),
      `"data_base64":"${Buffer.from('['.repeat(64) + ']'.repeat(64)).toString('base64')}"`,
    ],
    ['text/json', 'broken', '"data_base64":"YnJva2Vu"'],
    ['text/plain', 'a "€"\n', '"data":"a \\"€\\"\\n"'],
    ['text/plain', '', '"data":""'],
    ['text/plain', Buffer.from([0xe9]), '"data_base64":"6Q=="'],
    ['text/plain; charset=iso-8859-1', 'a', '"data_base64":"YQ=="'],
    ['application/xml', '<a/>', '"data":"<a/>"'],
    ['application/octet-stream', 'a', '"data_base64":"YQ=="'],
  ];
  for (const [datacontenttype, data, expected] of rows) {
    const type = datacontenttype === null ? '' : `,"datacontenttype":"${datacontenttype}"`;
    const event = { ...EVENT, datacontenttype, data: Buffer.from(data) };
    assert.equal(jsonOf(event), `{${HEAD}${type},${expected}}`);
  }
  assert.equal(encodeStructured(EVENT).contentType, 'application/cloudevents+json');
});

test('structured: all attributes', () => {
  const event: CloudEvent = {
    ...EVENT,
    subject: 'a "b"\n€',
    time: '2026-01-31T12:00:00+01:00',
    dataschema: 'urn:x',
    extensions: new Map<string, string | number | boolean>([
      ['n', -5],
      ['on', true],
    ]),
  };
  const expected = `{${HEAD},"subject":"a \\"b\\"\\n€","time":"2026-01-31T12:00:00+01:00","dataschema":"urn:x","n":-5,"on":true}`;
  assert.equal(jsonOf(event), expected);
});

test('structured: 0.3 packs bytes as data with datacontentencoding', () => {
  const old: CloudEvent = { ...EVENT, specversion: '0.3', datacontenttype: 'image/png' };
  const oldHead = `${HEAD.replace('1.0', '0.3')},"datacontenttype":"image/png"`;
  assert.equal(
    jsonOf({ ...old, data: Buffer.from([0]) }),
    `{${oldHead},"datacontentencoding":"base64","data":"AA=="}`,
  );
  // Binary mode may bring data that is base64 text already, and says so: it stays that text.
  const extensions = new Map([
    ['datacontentencoding', 'base64'],
    ['x', 'y'],
  ]);
  assert.equal(
    jsonOf({ ...old, extensions, data: Buffer.from('AA==') }),
    `{${oldHead},"x":"y","datacontentencoding":"base64","data":"AA=="}`,
  );
  assert.equal(
    jsonOf({ ...old, extensions, data: Buffer.from('!') }),
    `{${oldHead},"x":"y","datacontentencoding":"base64","data":"IQ=="}`,
  );
  assert.equal(jsonOf({ ...old, extensions }), `{${oldHead},"x":"y"}`);
});

test('a batch is an array, which may be empty', () => {
  assert.deepEqual(encodeBatch([]), {
    contentType: 'application/cloudevents-batch+json',
    body: Buffer.from('[]'),
  });
  assert.equal(encodeBatch([EVENT]).body.toString(), `[{${HEAD}}]`);
  assert.equal(encodeBatch([EVENT, EVENT]).body.toString(), `[{${HEAD}},{${HEAD}}]`);
});
