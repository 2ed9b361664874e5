/** Times, URI-references, base64 and request targets against grammars written as patterns. */
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { decodeBase64 } from '#lib/cloudevents/base64-text';
import { isTimestamp } from '#lib/cloudevents/timestamp';
import { isUri, isUriReference } from '#lib/cloudevents/uri-reference';
import { parseTarget } from '#lib/http/request-target';
import { createTarget } from '../fuzz-target.ts';

const TIME_WORDS = [
  ...['2026-01-31T23:59:59Z', '2016-12-31T23:59:60Z', '+23:59', '-00:00', '.5', '02-29', '2000-'],
  ...['T', 't', 'Z', 'z', ':60', ':59', '24:', '-13-', '0000', '9999'],
];

export const TIMESTAMPS = createTarget('timestamps', TIME_WORDS, (input) => {
  const text = input.toString('latin1');
  assert.equal(isTimestamp(text), isTime(text));
});

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;

/** By the calendar of Date. */
function isTime(text: string): boolean {
  const found = TIME.exec(text);
  if (found === null) return false;
  const [, year, month, day, hour, minute, second, sign = '+', zoneHour = '0', zoneMinute = '0'] =
    found;
  const date = new Date(Date.UTC(2000, Number(month) - 1, Number(day)));
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const isDay = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  if (!isDay || Number(month) === 0 || second !== '60') return isDay && Number(month) > 0;
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === '-' ? -1 : 1);
  return (Number(hour) * 60 + Number(minute) - zone + 2_880) % 1_440 === 1_439;
}

const URI_WORDS = [
  ...['http://', 'urn:', '//', '/', '?', '#', ':', '@', '%41', '%', '[::1]', '[v1.a]', ':80', '..'],
  ...['a', '[', ']', '\\', ' ', '[fe80::1%25eth0]', '[::ffff:1.2.3.4]', "!$&'()*+,;="],
];

const PCT = '%[0-9A-Fa-f]{2}';
const NAME = "A-Za-z0-9\\-._~!$&'()*+,;=";
const PCHAR = `(?:[${NAME}:@]|${PCT})`;
const AUTHORITY = `(?:(?:[${NAME}:]|${PCT})*@)?(?:\\[([^\\]]*)\\]|(?:[${NAME}]|${PCT})*)(?::\\d*)?`;
const TAIL = `(?:\\?(?:${PCHAR}|[/?])*)?(?:#(?:${PCHAR}|[/?])*)?`;
const SEGMENTS = `(?:/${PCHAR}*)*`;
const HIERARCHY = `(?://${AUTHORITY}${SEGMENTS}|/(?:${PCHAR}+${SEGMENTS})?|${PCHAR}+${SEGMENTS}|)`;
const NO_COLON = `(?:[${NAME}@]|${PCT})+`;
const RELATIVE = `(?://${AUTHORITY}${SEGMENTS}|/(?:${PCHAR}+${SEGMENTS})?|${NO_COLON}${SEGMENTS}|)`;
const URI = new RegExp(`^[A-Za-z][A-Za-z0-9+.-]*:${HIERARCHY}${TAIL}$`);
const REFERENCE = new RegExp(`^${RELATIVE}${TAIL}$`);

/** Long inputs would make the patterns backtrack. */
const URI_LENGTH_MAX = 200;

export const URIS = createTarget('uris', URI_WORDS, (input) => {
  const text = input.toString('latin1').slice(0, URI_LENGTH_MAX);
  const isAbsolute = fits(URI, text);
  assert.equal(isUri(text), isAbsolute, 'URI');
  assert.equal(
    isUriReference(text),
    text !== '' && (isAbsolute || fits(REFERENCE, text)),
    'reference',
  );
});

function fits(pattern: RegExp, text: string): boolean {
  const found = pattern.exec(text);
  if (found === null) return false;
  const [, literal] = found;
  return literal === undefined || isLiteral(literal);
}

function isLiteral(literal: string): boolean {
  if (/^v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+$/i.test(literal)) return true;
  return isIPv6(literal) && !literal.includes('%');
}

const BASE64_WORDS = ['AA==', 'AAA=', 'AAAA', '=', '==', '+', '/', '-', '_', '\n', 'B=', 'R=='];

export const BASE64 = createTarget('base64', BASE64_WORDS, (input) => {
  const decoded = decodeBase64(input);
  const plain = Buffer.from(input.toString('latin1'), 'base64');
  const isExact = plain.toString('base64') === input.toString('latin1');
  assert.deepEqual(decoded, isExact ? plain : null);
});

const TARGET_WORDS = [
  ...[
    '/ns/b',
    '/',
    '//',
    '/../',
    '%2f',
    '?',
    '#',
    ';',
    '.',
    '-',
    '/a.b',
    '/ns/b/',
    'http://h/ns/b',
  ],
  'a'.repeat(63),
];
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const TARGET = new RegExp(`^/(${LABEL})/(${LABEL}(?:\\.${LABEL})*)/?(?:\\?[^#]*)?$`);

export const REQUEST_TARGETS = createTarget('request-targets', TARGET_WORDS, (input) => {
  const text = input.toString('latin1');
  const found = TARGET.exec(text);
  const parsed = parseTarget(text);
  if (found !== null && text.length <= 1_024 && (found[2] ?? '').length <= 253) {
    const [, namespace, name] = found;
    assert.deepEqual(parsed, { kind: 'object', namespace, name });
  } else if (/^\/(?:\?[^#]*)?$/.test(text) && text.length <= 1_024) {
    assert.deepEqual(parsed, { kind: 'root' });
  } else {
    assert.deepEqual(parsed, { kind: 'invalid' });
  }
});
