/**
 * RFC 3339 check of `time`, used by the attribute checks. The text itself is kept: digits, case and
 * zone reach the subscriber as the producer wrote them.
 *
 *   date-time = YYYY "-" MM "-" DD "T" hh ":" mm ":" ss ["." 1*DIGIT] ("Z" / ("+" / "-") hh ":" mm)
 */

const MONTH_DAYS: readonly number[] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const LAST_MINUTE_OF_DAY = 23 * 60 + 59;
const MINUTES_PER_DAY = 24 * 60;

/** True for a timestamp of a day that exists. Second 60 only where UTC can have a leap second. */
export function isTimestamp(text: string): boolean {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return false;
  if (text.charCodeAt(13) !== 0x3a || text.charCodeAt(16) !== 0x3a) return false;
  if (!isLetter(text.charCodeAt(10), 0x54)) return false;
  const zoneStart = fractionEnd(text, 19);
  if (zoneStart === -1) return false;
  const offsetMinutes = zoneOffset(text, zoneStart);
  if (Number.isNaN(offsetMinutes)) return false;
  return second < 60 || isLastMinuteUtc(hour * 60 + minute - offsetMinutes);
}

/** The number of `count` digits at `start`, or -1. */
function digits(text: string, start: number, count: number): number {
  let value = 0;
  for (let index = start; index < start + count; index += 1) {
    const digit = text.charCodeAt(index) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function daysIn(year: number, month: number): number {
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeapYear ? 29 : (MONTH_DAYS[month - 1] ?? 0);
}

/** That ASCII letter in either case; RFC 3339 allows "t" and "z". */
function isLetter(code: number, upperCase: number): boolean {
  return code === upperCase || code === upperCase + 0x20;
}

/** Index behind an optional fraction at `start`, or -1 for a dot without a digit. */
function fractionEnd(text: string, start: number): number {
  if (text.charCodeAt(start) !== 0x2e) return start;
  let index = start + 1;
  while (digits(text, index, 1) !== -1) index += 1;
  return index === start + 1 ? -1 : index;
}

/** Minutes east of UTC, or NaN when the rest of the text is no zone. */
function zoneOffset(text: string, start: number): number {
  const sign = text.charCodeAt(start);
  if (isLetter(sign, 0x5a)) return text.length === start + 1 ? 0 : Number.NaN;
  if (sign !== 0x2b && sign !== 0x2d) return Number.NaN;
  const hours = digits(text, start + 1, 2);
  const minutes = digits(text, start + 4, 2);
  const isZone =
    text.length === start + 6 &&
    text.charCodeAt(start + 3) === 0x3a &&
    hours >= 0 &&
    hours <= 23 &&
    minutes >= 0 &&
    minutes <= 59;
  if (!isZone) return Number.NaN;
  return (hours * 60 + minutes) * (sign === 0x2b ? 1 : -1);
}

function isLastMinuteUtc(minuteOfDay: number): boolean {
  return (minuteOfDay + MINUTES_PER_DAY) % MINUTES_PER_DAY === LAST_MINUTE_OF_DAY;
}
