/** The catalogue is complete and sound: every number has a row, every code its status. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOUDEVENTS_ERRORS } from '#lib/cloudevents/cloudevents-errors';
import type { ErrorDefinition } from '#lib/errors/mesh-error';
import { HTTP_ERRORS } from '#lib/http/http-errors';
import { INGRESS_ERRORS } from '#services/ingress/ingress-errors';
import { CATALOGUE, rowTitle } from './catalogue.ts';

const NUMBER_MAX = 59;
const OWN_ROWS_MIN = 200;

const TABLE: Readonly<Record<string, ErrorDefinition>> = {
  ...HTTP_ERRORS,
  ...CLOUDEVENTS_ERRORS,
  ...INGRESS_ERRORS,
};

test('every number from I-1 to I-59 has a row', () => {
  const found = new Set(CATALOGUE.map(({ number }) => number));
  const wanted = Array.from({ length: NUMBER_MAX }, (_, at) => at + 1);
  assert.deepEqual(
    wanted.filter((number) => !found.has(number)),
    [],
  );
});

test('there are at least 200 rows beyond the numbers, and no two of one title', () => {
  const own = CATALOGUE.filter(({ number }) => number === null);
  assert.ok(own.length >= OWN_ROWS_MIN, `${own.length} rows of our own`);
  const titles = CATALOGUE.map(rowTitle);
  const twice = titles.filter((title, at) => titles.indexOf(title) !== at);
  assert.deepEqual(twice, []);
});

test('every code has the status of its table', () => {
  for (const row of CATALOGUE) {
    for (const { status, code } of row.answers) {
      if (code !== null) assert.equal(status, TABLE[code]?.httpStatus, rowTitle(row));
    }
  }
});

/** Codes that no single request can bring about: load, time, or a failing store. */
const NOT_BY_ONE_REQUEST: readonly string[] = [
  ...['HTTP_CONNECTIONS_TOO_MANY', 'HTTP_LISTEN_FAILED', 'HTTP_HOST_REFUSED'],
  ...['INGRESS_NOT_SYNCED', 'INGRESS_PRESSURE_HIGH', 'INGRESS_BYTES_IN_FLIGHT'],
  ...['INGRESS_BROKER_SHARE', 'INGRESS_PIPELINE_TOO_LONG', 'INGRESS_WAITERS_TOO_MANY'],
  ...['INGRESS_STORE_TIMEOUT', 'INGRESS_INTERNAL', 'INGRESS_BACKLOG_FULL'],
  // Ingress finds the second Content-Type before the codec does; replies come without ingress.
  'CLOUDEVENTS_CONTENT_TYPE_DUPLICATE',
  ...['CLOUDEVENTS_RECORD_INVALID', 'CLOUDEVENTS_RECORD_VERSION_UNKNOWN'],
];

test('every code that a request can bring about has a row', () => {
  const shown = new Set<string>(
    CATALOGUE.flatMap((row) => [...row.answers.map(({ code }) => code), row.silentCode]).filter(
      (code) => code !== null,
    ),
  );
  const missing = Object.keys(TABLE).filter(
    (code) => !shown.has(code) && !NOT_BY_ONE_REQUEST.includes(code),
  );
  assert.deepEqual(missing, []);
});
