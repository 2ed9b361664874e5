/**
 * The `Retry-After` header of a response: seconds, or an HTTP date in one of its three forms. Used by
 * `next-step.ts`. Invariant: the result is finite and not negative; what cannot be read is `null`.
 * Source: RFC 9110, sections 10.2.3 and 5.6.7.
 */

const SECONDS_DIGITS_MAX = 12;
const TEXT_LENGTH_MAX = 64;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Each form has one way to match, so none can backtrack. Groups: day, month, year, hh, mm, ss. */
const IMF_FIXDATE =
  /^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/;
const RFC_850 =
  /^[A-Z][a-z]{5,8}, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/;
const ASCTIME =
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/;

/**
 * Milliseconds from now; a date in the past is 0; absurd values are long, and the caller caps them.
 *
 * @param nowWallMs wall-clock milliseconds since the epoch.
 */
export function parseRetryAfter(value: string, nowWallMs: number): number | null {
  const text = value.trim();
  if (text.length === 0 || text.length > TEXT_LENGTH_MAX) return null;
  if (isDigits(text)) {
    const seconds = text.length > SECONDS_DIGITS_MAX ? 10 ** SECONDS_DIGITS_MAX : Number(text);
    return seconds * 1_000;
  }
  const dateMs = parseHttpDate(text, nowWallMs);
  return dateMs === null ? null : Math.max(0, dateMs - nowWallMs);
}

function isDigits(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x30 || code > 0x39) return false;
  }
  return true;
}

function parseHttpDate(text: string, nowWallMs: number): number | null {
  const groups = (IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text))?.groups;
  if (groups === undefined) return null;
  const month = MONTHS.indexOf(groups['month'] ?? '');
  const day = Number(groups['day']);
  const yearText = groups['year'] ?? '';
  const year = yearText.length === 2 ? fullYear(Number(yearText), nowWallMs) : Number(yearText);
  const [hour = 0, minute = 0, second = 0] = (groups['time'] ?? '').split(':').map(Number);
  if (month === -1 || hour > 23 || minute > 59 || second > 60) return null;
  const midnightMs = Date.UTC(year, month, day);
  if (new Date(midnightMs).getUTCDate() !== day) return null; // 31 February
  return midnightMs + ((hour * 60 + minute) * 60 + second) * 1_000;
}

/** A two-digit year more than 50 years ahead is one of the past century. */
function fullYear(shortYear: number, nowWallMs: number): number {
  const nowYear = new Date(nowWallMs).getUTCFullYear();
  const year = nowYear - (nowYear % 100) + shortYear;
  return year > nowYear + 50 ? year - 100 : year;
}
