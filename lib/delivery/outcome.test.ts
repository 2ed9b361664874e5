import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { SendErrorReason, SendResponse } from './http-sender.ts';
import { ERROR_BODY_BYTES_MAX, headerValue, isRetriedStatus, judge } from './outcome.ts';
import type { JudgeContext, Outcome } from './outcome.ts';

const CONTEXT: JudgeContext = {
  stage: 'subscriber',
  destination: 'http://a/b',
  nonEventReply: 'fail',
  acceptsReply: true,
  nowWallMs: Date.UTC(2026, 0, 1),
};

const EVENT_HEADERS = ['ce-specversion', '1.0', 'Ce-Id', '1', 'CE-SOURCE', '/s', 'ce-type', 't'];

interface Answer {
  readonly headers?: readonly string[];
  readonly contentType?: string | null;
  readonly body?: string | Buffer;
  readonly bodyTruncated?: boolean;
}

function response(status: number, answer: Answer = {}): SendResponse {
  const { contentType = null, headers = [] } = answer;
  const typeHeader = contentType === null ? [] : ['Content-Type', contentType];
  return {
    kind: 'response',
    status,
    contentType,
    rawHeaders: [...headers, ...typeHeader],
    body: Buffer.from(answer.body ?? ''),
    bodyTruncated: answer.bodyTruncated ?? false,
  };
}

const STRUCTURED = 'application/cloudevents+json; charset=utf-8';
const EVENT_JSON = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}';

/** Each kind of answer in every way it can come. */
const ANSWERS: Readonly<Record<string, readonly Answer[]>> = {
  'no body': [
    {},
    { contentType: 'application/json' },
    { contentType: STRUCTURED },
    { headers: ['x', 'y'] },
  ],
  event: [
    { headers: EVENT_HEADERS },
    { headers: EVENT_HEADERS, contentType: 'application/json', body: '{}' },
    { contentType: STRUCTURED, body: EVENT_JSON },
    { contentType: 'Application/CloudEvents+JSON', body: EVENT_JSON },
    { headers: [...EVENT_HEADERS, 'content-encoding', 'identity'], body: 'x' },
    {
      headers: ['ce-specversion', '0.3', 'ce-id', '1', 'ce-source', '/s', 'ce-type', 't'],
      body: 'x',
    },
  ],
  'unreadable event': [
    { headers: ['ce-specversion', '1.0'] },
    { headers: ['ce-specversion', '1.0', 'ce-id', '1', 'ce-source', '/s'], body: 'x' },
    { headers: ['ce-specversion', '2.0', ...EVENT_HEADERS.slice(2)], body: 'x' },
    { headers: [...EVENT_HEADERS, 'ce-id', '2'], body: 'x' },
    { headers: [...EVENT_HEADERS, 'Content-Encoding', 'gzip'], body: 'x' },
    { headers: EVENT_HEADERS, body: 'x', bodyTruncated: true },
    { contentType: STRUCTURED, body: '{' },
    { contentType: STRUCTURED, body: '[]' },
    { contentType: STRUCTURED, body: '', bodyTruncated: true },
    { contentType: 'application/cloudevents+avro', body: 'x' },
    { contentType: 'application/cloudevents-batch+json', body: `[${EVENT_JSON}]` },
    { contentType: 'application/cloudevents-batch+json', body: '[]' },
  ],
  'other body': [
    { body: 'ok' },
    { contentType: 'application/json', body: EVENT_JSON },
    { contentType: 'text/html', body: '<p>', headers: ['ce-id', '1'] },
    { body: Buffer.from([0xff, 0]) },
    { body: 'x', bodyTruncated: true },
  ],
};

interface Row {
  readonly statuses: readonly number[];
  readonly cells: readonly string[];
}

/** The tables of the page, by their heading. */
function tablesOf(markdown: string): Map<string, readonly Row[]> {
  const tables = new Map<string, readonly Row[]>();
  for (const section of markdown.split('\n## ').slice(1)) {
    const [heading = '', ...lines] = section.split('\n');
    const rows = lines.filter((line) => /^\| \d/.test(line)).map(rowOf);
    if (rows.length > 0) tables.set(heading, rows);
  }
  return tables;
}

function rowOf(line: string): Row {
  const [statuses = '', ...cells] = line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
  const numbers = statuses.split(', ').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  return { statuses: numbers, cells };
}

const PAGE = readFileSync(new URL('../../docs/delivery-outcomes.md', import.meta.url), 'utf8');
const TABLES = tablesOf(PAGE);
const COLUMNS = ['no body', 'event', 'unreadable event', 'other body', 'other body'];

for (const [heading, stage] of [
  ['A subscriber', 'subscriber'],
  ['A dead-letter sink', 'deadLetter'],
] as const) {
  test(`docs/delivery-outcomes.md, "${heading}": every status has one row`, () => {
    const statuses = (TABLES.get(heading) ?? []).flatMap((row) => row.statuses);
    const all = Array.from({ length: 500 }, (_, index) => 100 + index);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      all,
    );
  });

  test(`docs/delivery-outcomes.md, "${heading}": every cell is what the code does`, () => {
    let cellCount = 0;
    for (const row of TABLES.get(heading) ?? []) {
      assert.equal(row.cells.length, COLUMNS.length);
      for (const [column, wanted] of row.cells.entries()) {
        const nonEventReply = column === 4 ? 'ignore' : 'fail';
        for (const status of row.statuses) {
          for (const answer of ANSWERS[COLUMNS[column] ?? ''] ?? []) {
            const context = { ...CONTEXT, stage, nonEventReply } as const;
            const outcome = judge(response(status, answer), context);
            assert.equal(outcome.kind, wanted, `${status} ${JSON.stringify(answer)}`);
            cellCount += 1;
          }
        }
      }
    }
    assert.ok(cellCount > 500 * 5);
  });
}

test('an unreadable event in a 200 is a failure even when other bodies are ignored', () => {
  for (const answer of ANSWERS['unreadable event'] ?? []) {
    const outcome = judge(response(200, answer), { ...CONTEXT, nonEventReply: 'ignore' });
    assert.equal(outcome.kind, 'retry', JSON.stringify(answer));
  }
});

test('without Prefer: reply an event only acknowledges', () => {
  for (const kind of ['event', 'unreadable event']) {
    for (const answer of ANSWERS[kind] ?? []) {
      const outcome = judge(response(200, answer), { ...CONTEXT, acceptsReply: false });
      assert.equal(outcome.kind, 'delivered', JSON.stringify(answer));
    }
  }
});

test('statuses beyond the table are tried again', () => {
  for (const status of [600, 700, 999]) assert.ok(isRetriedStatus(status), String(status));
});

function failureOf(outcome: Outcome): { status: number | null; reason: string; body: Buffer } {
  assert.ok(outcome.kind === 'retry' || outcome.kind === 'failed', outcome.kind);
  assert.equal(outcome.failure.destination, 'http://a/b');
  return outcome.failure;
}

test('a reply carries the decoded event and the headers of the response', () => {
  const answer = { headers: [...EVENT_HEADERS, 'X-Request-Id', 'r'], body: 'data' };
  const outcome = judge(response(200, answer), CONTEXT);
  assert.ok(outcome.kind === 'reply');
  assert.equal(outcome.event.id, '1');
  assert.deepEqual(outcome.event.data, Buffer.from('data'));
  assert.equal(headerValue(outcome.rawHeaders, 'x-request-id'), 'r');
});

test('failures say why, with the status and the first bytes of the body', () => {
  const named = (status: number, answer: Answer) =>
    failureOf(judge(response(status, answer), CONTEXT));
  assert.deepEqual(named(503, { body: 'busy' }), {
    destination: 'http://a/b',
    status: 503,
    body: Buffer.from('busy'),
    reason: 'StatusCode',
  });
  assert.equal(named(301, {}).reason, 'StatusCode');
  const other = named(200, { body: 'text' });
  assert.deepEqual(
    [other.status, other.reason, String(other.body)],
    [502, 'NonEventReply', 'text'],
  );
  const malformed = named(200, { headers: ['ce-specversion', '1.0'], body: 'x' });
  assert.deepEqual([malformed.status, malformed.reason], [502, 'MalformedReply']);
  const large = named(200, { headers: EVENT_HEADERS, body: 'x', bodyTruncated: true });
  assert.deepEqual([large.status, large.reason], [502, 'ReplyTooLarge']);
});

test('the kept body: both sides of its limit, and a copy', () => {
  for (const size of [
    0,
    ERROR_BODY_BYTES_MAX - 1,
    ERROR_BODY_BYTES_MAX,
    ERROR_BODY_BYTES_MAX + 1,
  ]) {
    const answer = response(500, { body: Buffer.alloc(size, 7) });
    const { body } = failureOf(judge(answer, CONTEXT));
    assert.equal(body.length, Math.min(size, ERROR_BODY_BYTES_MAX));
    answer.body.fill(0);
    assert.ok(body.every((byte) => byte === 7));
  }
});

test('no response: tried again without a status; what cannot be sent is not', () => {
  const retried: readonly SendErrorReason[] = [
    'Timeout',
    'ConnectionFailed',
    'ConnectionReset',
    'TlsFailed',
    'DnsFailed',
    'AddressRefused',
    'BadResponse',
    'QueueFull',
    'SenderClosed',
  ];
  for (const stage of ['subscriber', 'deadLetter'] as const) {
    for (const reason of retried) {
      const outcome = judge({ kind: 'error', reason, message: 'm' }, { ...CONTEXT, stage });
      assert.equal(outcome.kind, 'retry');
      const { status, body, reason: kept } = failureOf(outcome);
      assert.deepEqual([status, body.length, kept], [null, 0, reason]);
    }
    const invalid = judge(
      { kind: 'error', reason: 'InvalidRequest', message: 'm' },
      { ...CONTEXT, stage },
    );
    assert.equal(invalid.kind, 'failed');
  }
});

test('Retry-After is read on 429 and 503 only', () => {
  const after = (status: number, value: string): number | null => {
    const outcome = judge(response(status, { headers: ['Retry-After', value] }), CONTEXT);
    return outcome.kind === 'retry' ? outcome.retryAfterMs : -1;
  };
  assert.equal(after(429, '7'), 7_000);
  assert.equal(after(503, 'Thu, 01 Jan 2026 00:00:09 GMT'), 9_000);
  assert.equal(after(503, 'soon'), null);
  assert.equal(after(500, '7'), null);
  assert.equal(after(404, '7'), null);
  assert.equal(after(400, '7'), -1);
});
