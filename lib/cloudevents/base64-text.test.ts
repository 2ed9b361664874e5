/** Strict base64, compared with what Node's encoder gives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64, isBase64 } from './base64-text.ts';

test('whatever Node encodes, decodes to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
      const text = Buffer.from(Buffer.from(data).toString('base64'), 'latin1');
      assert.deepEqual(decodeBase64(text), Buffer.from(data));
    }),
  );
});

test('anything that does not encode back to itself is refused', () => {
  const bad = [
    'A',
    'AA',
    'AAA',
    'A===',
    '====',
    'AA=A',
    'AA==\n',
    ' AAA',
    'A A=',
    '-_-_',
    'AB==',
    'AAB=',
    'AAAA=',
    'é===',
  ];
  for (const text of bad) assert.equal(isBase64(Buffer.from(text)), false, text);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'AZaz09+/=-_ Q'), maxLength: 12 }), (text) => {
      const isExact = Buffer.from(text, 'base64').toString('base64') === text;
      assert.equal(isBase64(Buffer.from(text)), isExact);
    }),
  );
});
