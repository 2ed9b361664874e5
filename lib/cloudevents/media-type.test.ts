/** Content-Type: mode, grammar, charset, and what counts as JSON and as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  charsetOf,
  contentMode,
  isJsonMediaType,
  isMediaType,
  isUtf8TextMediaType,
} from './media-type.ts';

test('the mode follows the media type in any case, the batch form apart', () => {
  const rows: readonly [string | null, string][] = [
    [null, 'binary'],
    ['', 'binary'],
    ['application/json', 'binary'],
    ['application/cbor', 'binary'],
    ['application/cloud', 'binary'],
    ['image/png', 'binary'],
    ['application/cloudevents+json', 'structured'],
    ['Application/CloudEvents+JSON ; charset=utf-8', 'structured'],
    ['APPLICATION/CLOUDEVENTS+JSON', 'structured'],
    ['application/cloudevents-batch+json', 'batch'],
    ['application/CloudEvents-Batch+json;charset=UTF-8', 'batch'],
    ['application/cloudevents', 'unsupported'],
    ['application/cloudevents+avro', 'unsupported'],
    ['application/cloudevents-batch', 'unsupported'],
    ['application/cloudevents-batch+avro', 'unsupported'],
    ['application/cloudevents-stream+json', 'unsupported'],
  ];
  for (const [contentType, mode] of rows)
    assert.equal(contentMode(contentType), mode, contentType ?? '');
});

test('grammar of a media type', () => {
  const good = [
    'a/b',
    'application/json',
    'application/vnd.x+json; charset=utf-8',
    'text/plain;a=b;c="d;\\"e"',
    'text/plain;',
    'text/plain; ;a=b',
    'multipart/form-data; boundary=----x',
    'text/plain\t;\ta=b',
    'text/plain;a=""',
  ];
  const bad = [
    '',
    'json',
    '/json',
    'application/',
    'application/json\ta',
    'application/json a',
    'application/json, text/plain',
    'a/b;c',
    'a/b;c=',
    'a/b;c="d',
    'a/b;c="d\\',
    'a/b;c="d"e',
    'a/b;c="\u00e9"',
    'a/b;c="\\\u00e9"',
    'a/b;c="\n"',
    'a/b;=c',
    'a/\u00e9',
    'a /b',
    'a/b ',
  ];
  for (const value of good) assert.equal(isMediaType(value), true, value);
  for (const value of bad) assert.equal(isMediaType(value), false, value);
});

test('charset', () => {
  assert.equal(charsetOf('a/b'), null);
  assert.equal(charsetOf('a/b; charset=UTF-8'), 'utf-8');
  assert.equal(charsetOf('a/b;CharSet="utf-7";x=y'), 'utf-7');
  assert.equal(charsetOf('a/b;charset=""'), '');
  assert.equal(charsetOf('a/b;charset=a;charset=b'), undefined);
  assert.equal(charsetOf('a/b;x="; charset=utf-7"'), null);
  assert.equal(charsetOf('a/b;x="\\";charset=a";charset="\\u\\"b" ; y=z'), 'u"b');
  assert.equal(charsetOf('a/b;;charset=a;'), 'a');
});

test('JSON is a subtype json, or one that ends in +json', () => {
  const json = ['application/json', 'TEXT/JSON', 'application/vnd.a+json;v=1', 'image/svg+json'];
  for (const value of json) assert.equal(isJsonMediaType(value), true, value);
  for (const value of ['application/jsonp', 'application/json-seq', 'text/plain', 'a/xjson']) {
    assert.equal(isJsonMediaType(value), false, value);
  }
});

test('text in UTF-8', () => {
  const text = [
    'text/plain',
    'text/csv; charset=utf-8',
    'text/x;charset="US-ASCII"',
    'application/xml',
    'image/svg+xml',
    'application/x+yaml',
    'application/x-www-form-urlencoded',
  ];
  for (const value of text) assert.equal(isUtf8TextMediaType(value), true, value);
  for (const value of ['text/plain;charset=latin1', 'application/octet-stream', 'image/png']) {
    assert.equal(isUtf8TextMediaType(value), false, value);
  }
});
