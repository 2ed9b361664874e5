/** What commands print. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, oneLine, table } from './output.ts';
import { parseCount, parseDuration } from './duration.ts';
import { parseObjectName } from './object-name.ts';
import { linesOf } from './commands/tail.ts';
import type { TailLine } from '#local/control/tail-hub';

test('columns are as wide as their widest cell', () => {
  assert.deepEqual(
    table(
      ['A', 'BB'],
      [
        ['xxx', 'y'],
        ['', 'z'],
      ],
    ),
    ['A    BB', 'xxx  y', '     z'],
  );
  assert.deepEqual(table(['A'], []), ['A']);
});

test('ages are short', () => {
  const pairs = [
    [-5, '0 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_200_000, '2 h'],
    [172_800_000, '2 d'],
  ] as const;
  for (const [ms, text] of pairs) assert.equal(age(ms), text);
});

test('nothing from outside reaches the terminal as a control character', () => {
  assert.equal(oneLine('a\u001b[2J\nb\u009b'), 'a\\u001b[2J\\u000ab\\u009b');
});

test('durations and counts, both sides of their limits', () => {
  assert.equal(parseDuration('100ms'), 100);
  assert.equal(parseDuration('1.5s'), 1_500);
  assert.equal(parseDuration('24h'), 86_400_000);
  for (const bad of ['25h', '1', 'ms', '-1s', '1 s', ''])
    assert.throws(() => parseDuration(bad), /wanted/, bad);
  const parse = parseCount(1, 10);
  assert.equal(parse('1'), 1);
  assert.equal(parse('10'), 10);
  for (const bad of ['0', '11', '1.5', '-1', 'x', ''])
    assert.throws(() => parse(bad), /wanted/, bad);
});

test('names have a namespace or get default', () => {
  assert.deepEqual(parseObjectName('a'), { namespace: 'default', name: 'a' });
  assert.deepEqual(parseObjectName('n/a.b'), { namespace: 'n', name: 'a.b' });
  for (const bad of ['', '/', 'a/', '/a', 'a/b/c', 'A', '..'])
    assert.throws(() => parseObjectName(bad), /wanted/, bad);
});

test('tail says how each event goes on', () => {
  const place = { atMs: 0, broker: 'default/default', offset: 7, eventId: 'one' };
  const attempt = {
    kind: 'attempt',
    ...place,
    trigger: 'default/a',
    stage: 'subscriber',
    attempt: 2,
    durationMs: 12.4,
    delayMs: null,
    failure: null,
  } as const;
  const lines: readonly (readonly [TailLine, RegExp])[] = [
    [{ ...attempt, next: 'delivered' }, /delivered {2,}default\/a {2}id=one {2}attempt 2, 12 ms$/],
    [
      {
        ...attempt,
        next: 'retry',
        delayMs: 200,
        failure: { destination: 'http://s/', status: 503, reason: 'StatusCode' },
      },
      /failed .*attempt 2, 12 ms; StatusCode 503 from http:\/\/s\/; again in 0\.2 s$/,
    ],
    [
      {
        ...attempt,
        stage: 'deadLetter',
        next: 'parked',
        failure: { destination: null, status: null, reason: 'Timeout' },
      },
      /parked .*\(deadLetter\), 12 ms; Timeout; parked: millrace parked list$/,
    ],
    [
      { kind: 'verdicts', ...place, matched: [], unmatched: [], unmatchedCount: 0 },
      /unmatched {2}the Broker default\/default has no Trigger/,
    ],
    [{ kind: 'skipped', count: 5 }, /5 lines were left out/],
  ];
  for (const [line, expected] of lines) assert.match(linesOf(line).join('\n'), expected);
  const many = {
    kind: 'verdicts',
    ...place,
    matched: ['n/m'],
    unmatched: [{ trigger: 'n/u', reason: 'r\n' }],
    unmatchedCount: 3,
  } as const;
  assert.equal(linesOf(many).length, 3);
});
