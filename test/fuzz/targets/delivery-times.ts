/** ISO durations and Retry-After against patterns. */
import assert from 'node:assert/strict';
import { DURATION_MS_MAX, parseIsoDuration } from '#lib/delivery/iso-duration';
import { parseRetryAfter } from '#lib/delivery/retry-after';
import { createTarget } from '../fuzz-target.ts';

const DURATION_WORDS = [
  ...['P', 'PT', 'T', 'W', 'D', 'H', 'M', 'S', 'Y', 'PT1S', 'PT0.2S', 'P1DT2H3M4.5S', 'P1W', ','],
  ...['.', '-', '+', '0', '000000000000000', '999999999999999', '1s', 'P1M', 'p', 'e5'],
];

const DECIMAL = '(\\d{1,15}(?:[.,]\\d{1,14})?)';
const optional = (letter: string): string => `(?:${DECIMAL}${letter})?`;
const DURATION = new RegExp(
  `^\\+?P${optional('W')}${optional('D')}(?:T(?=\\d)${optional('H')}${optional('M')}${optional('S')})?$`,
);
const UNITS_MS = [7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000];
const DURATION_LENGTH_MAX = 64;

export const ISO_DURATIONS = createTarget('iso-durations', DURATION_WORDS, (input) => {
  const text = input.toString('latin1');
  const result = parseIsoDuration(text);
  const wantedMs = durationMs(text);
  if (wantedMs === null) {
    assert.ok(!result.ok);
    assert.ok(result.message.length < 200, result.message);
  } else {
    assert.deepEqual(result, { ok: true, ms: wantedMs });
  }
});

function durationMs(text: string): number | null {
  const found = DURATION.exec(text);
  if (found === null || text.length > DURATION_LENGTH_MAX) return null;
  const parts = found.slice(1).map((part: string | undefined) => part?.replace(',', '.'));
  const given = parts.filter((part) => part !== undefined);
  if (given.length === 0 || given.slice(0, -1).some((part) => part.includes('.'))) return null;
  let ms = 0;
  for (const [at, unitMs] of UNITS_MS.entries()) ms += Number(parts[at] ?? 0) * unitMs;
  if (ms > DURATION_MS_MAX) return null;
  return ms === 0 ? 0 : Math.max(1, Math.round(ms));
}

const RETRY_WORDS = [
  ...[
    '0',
    '120',
    '999999999999',
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
  ],
  ...[
    'Sun Nov  6 08:49:37 1994',
    'GMT',
    'Feb',
    '29',
    '2028',
    ' ',
    ':60',
    '24:',
    '-1',
    '1.5',
    '\u00a0',
  ],
];
const NOW_MS = Date.UTC(2026, 0, 31);
const FIXDATE =
  /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) ([1-9]\d{3}) (([01]\d|2[0-3]):[0-5]\d:[0-5]\d) GMT$/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';

export const RETRY_AFTER = createTarget('retry-after', RETRY_WORDS, (input) => {
  const value = input.toString('latin1');
  const waitMs = parseRetryAfter(value, NOW_MS);
  if (waitMs !== null) assert.ok(Number.isFinite(waitMs) && waitMs >= 0, String(waitMs));
  const text = value.trim();
  if (/^\d{1,12}$/.test(text)) assert.equal(waitMs, Number(text) * 1_000);
  else if (/^\d+$/.test(text)) assert.ok(text.length > 64 ? waitMs === null : waitMs === 1e15);
  else if (!/^[A-Z][a-z]/.test(text)) assert.equal(waitMs, null);
  const dateMs = fixDateMs(text);
  if (dateMs !== null) assert.equal(waitMs, Math.max(0, dateMs - NOW_MS));
});

/** Of the usual form, when the day exists. */
function fixDateMs(text: string): number | null {
  const found = FIXDATE.exec(text);
  if (found === null) return null;
  const [, day, month = '', year, time = ''] = found;
  const at = MONTHS.indexOf(month);
  if (at === -1 || at % 3 !== 0) return null;
  const ms = Date.parse(`${year}-${String(at / 3 + 1).padStart(2, '0')}-${day}T${time}Z`);
  return new Date(ms).getUTCDate() === Number(day) ? ms : null;
}
