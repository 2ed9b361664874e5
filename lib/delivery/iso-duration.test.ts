import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DURATION_MS_MAX, parseIsoDuration } from './iso-duration.ts';

function msOf(text: string): number | string {
  const result = parseIsoDuration(text);
  return result.ok ? result.ms : result.message;
}

test('periods that are taken', () => {
  const table: readonly (readonly [string, number])[] = [
    ['PT0.2S', 200],
    ['PT0,2S', 200],
    ['PT1S', 1_000],
    ['PT1.5S', 1_500],
    ['+PT1S', 1_000],
    ['PT0S', 0],
    ['P0D', 0],
    ['PT0.0001S', 1],
    ['PT0.0004S', 1],
    ['PT2M', 120_000],
    ['PT1H30M', 5_400_000],
    ['PT1H30M0.5S', 5_400_500],
    ['P1D', 86_400_000],
    ['P1DT12H', 129_600_000],
    ['P0.5D', 43_200_000],
    ['P2W', 1_209_600_000],
    ['P1W1D', 691_200_000],
    ['PT36000S', 36_000_000],
    ['P36500D', DURATION_MS_MAX],
  ];
  for (const [text, ms] of table) assert.equal(msOf(text), ms, text);
});

test('periods that are refused, each with its reason', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['', /begin with P/],
    ['1s', /did you mean PT1S/],
    ['1.5m', /did you mean PT1.5M/],
    ['500', /begin with P/],
    ['P', /no component/],
    ['PT', /nothing after its T/],
    ['P1DT', /nothing after its T/],
    ['-PT1S', /negative/],
    ['PT-1S', /no number/],
    ['P1M', /months.*PT1M/],
    ['P1Y', /years/],
    ['P1000Y', /years/],
    ['P1S', /before the T/],
    ['PT1D', /unknown unit "D"/],
    ['PT1', /without a unit/],
    ['PT1S1S', /twice or out of order/],
    ['PT1S1M', /twice or out of order/],
    ['P1D1W', /twice or out of order/],
    ['PT0.5H1M', /fraction only in its last/],
    ['PT.5S', /no number/],
    ['PT1.S', /no number/],
    ['PT1.2.3S', /unknown unit "\."/],
    ['pt1s', /begin with P/],
    [' PT1S', /begin with P/],
    ['PT1S ', /no number/],
    ['PT1TS', /unknown unit "T"/],
    ['PTT1S', /no number/],
    ['P36500DT1S', /hundred years/],
    ['P36501D', /hundred years/],
    [`PT${'9'.repeat(15)}S`, /hundred years/],
    [`PT${'9'.repeat(16)}S`, /no number/],
    [`PT${'0'.repeat(70)}S`, /longer than 64/],
  ];
  for (const [text, why] of table) assert.match(String(msOf(text)), why, text);
});

test('any composition of units is the sum of its parts', () => {
  const part = fc.option(fc.nat({ max: 999 }), { nil: null });
  fc.assert(
    fc.property(part, part, part, part, part, (weeks, days, hours, minutes, seconds) => {
      const date = `${weeks === null ? '' : `${weeks}W`}${days === null ? '' : `${days}D`}`;
      const time =
        `${hours === null ? '' : `${hours}H`}` +
        `${minutes === null ? '' : `${minutes}M`}${seconds === null ? '' : `${seconds}S`}`;
      fc.pre(date !== '' || time !== '');
      const text = `P${date}${time === '' ? '' : `T${time}`}`;
      const wanted =
        (weeks ?? 0) * 604_800 +
        (days ?? 0) * 86_400 +
        (hours ?? 0) * 3_600 +
        (minutes ?? 0) * 60 +
        (seconds ?? 0);
      assert.equal(msOf(text), wanted * 1_000, text);
    }),
  );
});

test('no text makes it throw or run long', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'PTWDHMS0159.,+- x') }), (text) => {
      const result = parseIsoDuration(text);
      if (result.ok) assert.ok(Number.isInteger(result.ms) && result.ms >= 0);
    }),
  );
});
