/**
 * ISO 8601 periods as Knative's delivery settings use them (`PT0.2S`, `P1DT12H`). Used by the parser
 * of delivery specs. Years and months are refused because their length is not fixed: `P1M` is nearly
 * always a mistaken `PT1M`. A negative period is refused too: Knative takes it and it means nothing.
 *
 *   [+]P [nW] [nD] [T [nH] [nM] [nS]]     the last component may have a fraction, with "." or ","
 */

export type DurationResult =
  | { readonly ok: true; readonly ms: number }
  | { readonly ok: false; readonly message: string };

/** A hundred years: far above every limit of delivery, far below what a float can count in ms. */
export const DURATION_MS_MAX = 100 * 365 * 86_400_000;

const TEXT_LENGTH_MAX = 64;
const DIGITS_MAX = 15;

interface Unit {
  readonly letter: string;
  readonly ms: number;
}

const DATE_UNITS: readonly Unit[] = [
  { letter: 'W', ms: 7 * 86_400_000 },
  { letter: 'D', ms: 86_400_000 },
];

const TIME_UNITS: readonly Unit[] = [
  { letter: 'H', ms: 3_600_000 },
  { letter: 'M', ms: 60_000 },
  { letter: 'S', ms: 1_000 },
];

/** Milliseconds of the period, rounded; anything above zero is at least 1. `PT0S` is zero. */
export function parseIsoDuration(text: string): DurationResult {
  if (text.length > TEXT_LENGTH_MAX) return wrong(`is longer than ${TEXT_LENGTH_MAX} characters`);
  if (text.startsWith('-')) return wrong('is negative');
  const start = text.startsWith('+') ? 1 : 0;
  if (text.charAt(start) !== 'P')
    return wrong(`must begin with P, as in PT1.5S or P1D${hint(text)}`);
  return parseComponents(text, start + 1);
}

function parseComponents(text: string, start: number): DurationResult {
  let units = DATE_UNITS;
  let nextUnit = 0;
  let totalMs = 0;
  let isEmpty = true;
  let hasFraction = false;
  for (let index = start; index < text.length; ) {
    if (text.charAt(index) === 'T' && units === DATE_UNITS) {
      units = TIME_UNITS;
      nextUnit = 0;
      isEmpty = true;
      index += 1;
      continue;
    }
    if (hasFraction) return wrong('may have a fraction only in its last component');
    const numberEnd = decimalEnd(text, index);
    if (numberEnd === null) return wrong(`has no number before "${text.charAt(index)}"`);
    const letter = text.charAt(numberEnd);
    const position = units.findIndex((unit) => unit.letter === letter);
    const unit = units[position];
    if (unit === undefined) return wrong(unitMessage(letter, units === DATE_UNITS));
    if (position < nextUnit) return wrong(`has "${letter}" twice or out of order`);
    const decimal = text.slice(index, numberEnd).replace(',', '.');
    hasFraction = decimal.includes('.');
    totalMs += Number(decimal) * unit.ms;
    nextUnit = position + 1;
    isEmpty = false;
    index = numberEnd + 1;
  }
  if (isEmpty) return wrong(units === TIME_UNITS ? 'has nothing after its T' : 'has no component');
  if (totalMs > DURATION_MS_MAX) return wrong('is longer than a hundred years');
  return { ok: true, ms: totalMs === 0 ? 0 : Math.max(1, Math.round(totalMs)) };
}

/** Index behind `digits [("." / ",") digits]` at `start`, or `null` when there is none. */
function decimalEnd(text: string, start: number): number | null {
  const whole = digitsEnd(text, start);
  if (whole === start || whole - start > DIGITS_MAX) return null;
  const mark = text.charAt(whole);
  if (mark !== '.' && mark !== ',') return whole;
  const end = digitsEnd(text, whole + 1);
  return end === whole + 1 || end - whole > DIGITS_MAX ? null : end;
}

function digitsEnd(text: string, start: number): number {
  let index = start;
  while (text.charCodeAt(index) >= 0x30 && text.charCodeAt(index) <= 0x39) index += 1;
  return index;
}

function unitMessage(letter: string, isDatePart: boolean): string {
  if (isDatePart && (letter === 'M' || letter === 'Y')) {
    const advice = letter === 'M' ? '; minutes are written PT1M' : '';
    return `has ${letter === 'M' ? 'months' : 'years'}, whose length is not fixed${advice}`;
  }
  if (isDatePart && (letter === 'H' || letter === 'S')) {
    return `has "${letter}" before the T, as in PT1${letter}`;
  }
  return letter === '' ? 'ends with a number without a unit' : `has the unknown unit "${letter}"`;
}

/** What a Go duration such as `1s` was probably meant to be. */
function hint(text: string): string {
  const found = /^(\d{1,9}(?:\.\d{1,9})?)(s|m|h)$/.exec(text);
  return found === null
    ? ''
    : `; did you mean PT${found[1] ?? ''}${(found[2] ?? '').toUpperCase()}`;
}

function wrong(message: string): DurationResult {
  return { ok: false, message };
}
