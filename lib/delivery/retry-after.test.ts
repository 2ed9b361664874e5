import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseRetryAfter } from './retry-after.ts';

const NOW = Date.UTC(2026, 0, 31, 23, 59, 30);

test('seconds', () => {
  assert.equal(parseRetryAfter('0', NOW), 0);
  assert.equal(parseRetryAfter('1', NOW), 1_000);
  assert.equal(parseRetryAfter(' 120 ', NOW), 120_000);
  assert.equal(parseRetryAfter('999999999999', NOW), 999_999_999_999_000);
  assert.equal(parseRetryAfter('9'.repeat(60), NOW), 1e15);
});

test('dates in all three forms', () => {
  assert.equal(parseRetryAfter('Sat, 31 Jan 2026 23:59:59 GMT', NOW), 29_000);
  assert.equal(parseRetryAfter('Saturday, 31-Jan-26 23:59:59 GMT', NOW), 29_000);
  assert.equal(parseRetryAfter('Sat Jan 31 23:59:59 2026', NOW), 29_000);
  assert.equal(parseRetryAfter('Sun Feb  1 00:00:00 2026', NOW), 30_000);
  assert.equal(parseRetryAfter('Sat, 31 Jan 2026 23:59:60 GMT', NOW), 30_000);
});

test('the past is now; a two-digit year is the nearest that fits', () => {
  assert.equal(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', NOW), 0);
  assert.equal(parseRetryAfter('Sunday, 06-Nov-94 08:49:37 GMT', NOW), 0);
  assert.equal(parseRetryAfter('Sunday, 06-Nov-77 08:49:37 GMT', NOW), 0);
  assert.ok((parseRetryAfter('Sunday, 06-Nov-76 08:49:37 GMT', NOW) ?? 0) > 50 * 365 * 86_400_000);
});

test('what cannot be read is null', () => {
  const bad = [
    '',
    ' ',
    '-1',
    '+1',
    '1.5',
    '1s',
    '0x10',
    'soon',
    '2026-01-31T23:59:59Z',
    'Sat, 31 Jan 2026 23:59:59',
    'Sat, 31 Jan 2026 24:00:00 GMT',
    'Sat, 31 Jan 2026 23:60:00 GMT',
    'Sat, 31 Jan 2026 23:59:61 GMT',
    'Sat, 31 Feb 2026 23:59:59 GMT',
    'Sat, 00 Jan 2026 23:59:59 GMT',
    'Sat, 31 Foo 2026 23:59:59 GMT',
    `Sat, 31 Jan 2026 23:59:59 GMT${' '.repeat(60)}x`,
    '9'.repeat(65),
  ];
  for (const text of bad) assert.equal(parseRetryAfter(text, NOW), null, text);
});

test('any date that is written is read back to the second; any text is finite or null', () => {
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
  fc.assert(
    fc.property(seconds, (second) => {
      const text = new Date(second * 1_000).toUTCString();
      assert.equal(parseRetryAfter(text, 0), second * 1_000, text);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = parseRetryAfter(text, NOW);
      assert.ok(ms === null || (Number.isFinite(ms) && ms >= 0));
    }),
  );
});
