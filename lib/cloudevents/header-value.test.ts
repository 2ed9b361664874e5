/** Header values: percent-encoding both ways, quoted strings, raw UTF-8. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeHeaderValue, encodeHeaderValue, isPlainHeaderValue } from './header-value.ts';

/** Text as Node gives the bytes of a header: one character per byte. */
const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('values that decode', () => {
  const rows: readonly [string, string][] = [
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%e2%82%ac', '€'],
    ['%41%2541', 'A%41'],
    ['"a \\"b\\" \\\\ %20"', 'a "b" \\  '],
    ['""', ''],
    ['a"b', 'a"b'],
    [raw('é€😀'), 'é€😀'],
    [`${raw('é')}%20x`, 'é x'],
    ['%0D%0A', '\r\n'],
  ];
  for (const [value, text] of rows) assert.deepEqual(decodeHeaderValue(value), { text }, value);
});

test('values that do not', () => {
  const rows: readonly [string, string][] = [
    ['%zz', 'percent'],
    ['%', 'percent'],
    ['100%', 'percent'],
    ['%4', 'percent'],
    ['%4g', 'percent'],
    ['%g4', 'percent'],
    ['%@@', 'percent'],
    ['%::', 'percent'],
    ['%C0%A0', 'utf8'],
    ['%ED%A0%80', 'utf8'],
    ['%FF', 'utf8'],
    ['%E2%82', 'utf8'],
    ['\u00e9', 'utf8'],
    ['€', 'utf8'],
    ['"abc', 'quote'],
    ['"', 'quote'],
    ['"a"b', 'quote'],
    ['"a\\"', 'quote'],
    ['"a\\', 'quote'],
  ];
  for (const [value, fault] of rows) assert.deepEqual(decodeHeaderValue(value), { fault }, value);
});

test('only printable ASCII without percent and quote stands for itself', () => {
  for (const value of ['', 'a b', '!#$&~']) assert.equal(isPlainHeaderValue(value), true, value);
  for (const value of ['%', '"', '\t', '\u007f', 'é']) {
    assert.equal(isPlainHeaderValue(value), false, value);
  }
});

test('the encoder escapes as little as the binding asks for, in upper case', () => {
  assert.equal(encodeHeaderValue('!#$&~^|'), '!#$&~^|');
  assert.equal(encodeHeaderValue('a b'), 'a%20b');
  assert.equal(encodeHeaderValue('"%€😀'), '%22%25%E2%82%AC%F0%9F%98%80');
  assert.equal(encodeHeaderValue('a\r\nb\u0000\u007f'), 'a%0D%0Ab%00%7F');
});
