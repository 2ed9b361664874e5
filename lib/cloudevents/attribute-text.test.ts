/** What an attribute value and an attribute name may hold, at both sides of every boundary. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAttributeName, isAttributeText, isBlank } from './attribute-text.ts';

const LEGAL = [
  '',
  ' ',
  '~',
  '\u00a0',
  'é€',
  '\ufdcf\ufdf0',
  '\ufffd',
  '\ud7ff\ue000',
  '😀',
  '\u{1fffd}',
  '\u{10fffd}',
];
const ILLEGAL = [
  '\u0000',
  'a\tb',
  '\n',
  '\u001f',
  '\u007f',
  '\u0080',
  '\u009f',
  '\ufdd0',
  '\ufdef',
  '\ufffe',
  '\uffff',
  '\u{1fffe}',
  '\u{10ffff}',
  'x\ud800',
  '\ud800x',
  '\ud800\ud800',
  '\udc00',
  '\udc00\ud800',
];

test('text without control characters, noncharacters and lone surrogates is legal', () => {
  for (const text of LEGAL) assert.equal(isAttributeText(text), true, JSON.stringify(text));
});

test('control characters, noncharacters and lone surrogates are not', () => {
  for (const text of ILLEGAL) assert.equal(isAttributeText(text), false, JSON.stringify(text));
});

test('blank is nothing or spaces', () => {
  assert.deepEqual(['', ' ', '   ', ' a ', '\u00a0'].map(isBlank), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

test('a name is 1 to the limit of a-z and 0-9', () => {
  for (const name of ['a', '0', 'z9', 'a'.repeat(64)])
    assert.equal(isAttributeName(name, 64), true);
  for (const name of [
    '',
    'A',
    'a-b',
    'a_b',
    'é',
    '`',
    '{',
    '/',
    ':',
    '__proto__',
    'a'.repeat(65),
  ]) {
    assert.equal(isAttributeName(name, 64), false, name);
  }
});
