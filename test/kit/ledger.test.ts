/** The oracle sees each fault that it exists for, alone, and stays silent about what is allowed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, Ledger } from './ledger.ts';
import type { LedgerEvent } from './ledger.ts';
import { assertLedger, formatLedger, ledgerProblems } from './ledger-report.ts';
import type { TriggerReport } from './ledger-report.ts';

const HASH = hashOf(Buffer.from('data'));
const DEAD = { dest: 'http://sink', code: '500', data: null };

function event(id: string, more: Partial<LedgerEvent> = {}): LedgerEvent {
  return { source: '/test', id, type: 'a', key: null, hash: HASH, ...more };
}

function createLedger(isOrdered = false): Ledger {
  return new Ledger([{ name: 't', matches: ({ type }) => type === 'a', isOrdered }]);
}

function faultsOf(ledger: Ledger): Partial<TriggerReport> {
  const [trigger] = ledger.check().triggers;
  const entries = Object.entries(trigger ?? {}).filter(
    ([name, value]) =>
      [
        'lost',
        'ghost',
        'corrupt',
        'misrouted',
        'badDeadLetters',
        'duplicates',
        'reordered',
      ].includes(name) && value !== 0,
  );
  return Object.fromEntries(entries) as Partial<TriggerReport>;
}

test('what was accepted and delivered once balances, before or after its response', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  assert.equal(ledger.openCount, 1);
  ledger.arrived('t', event('1'), 200);
  ledger.arrived('t', event('2'), 200);
  ledger.sent(event('2'), 202);
  ledger.sent(event('3', { type: 'b' }), 202);
  assert.equal(ledger.openCount, 0);
  assert.deepEqual(faultsOf(ledger), {});
  assertLedger(ledger.check());
});

test('accepted without an end is lost; an attempt that failed is no end', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  ledger.sent(event('2'), 202);
  ledger.arrived('t', event('2'), 500);
  ledger.arrived('t', event('2'), null);
  assert.deepEqual(faultsOf(ledger), { lost: 2 });
  assert.throws(
    () => assertLedger(ledger.check(), {}, 'seed 7'),
    /lost 2[^]*t: lost: \/test 1[^]*seed 7/,
  );
});

test('dead-lettered, parked and pending are ends', () => {
  const ledger = createLedger();
  for (const id of ['1', '2', '3']) ledger.sent(event(id), 202);
  ledger.deadLettered('t', event('1'), DEAD);
  ledger.setAside('t', event('2'));
  ledger.setAside('t', event('2'));
  ledger.setAside('t', event('3'));
  assert.equal(ledger.openCount, 0);
  assert.deepEqual(faultsOf(ledger), {});
  assert.equal(ledger.check().triggers[0]?.parked, 2);
});

test('a dead letter must say where it failed and how', () => {
  for (const error of [
    { ...DEAD, dest: null },
    { ...DEAD, code: null },
    { ...DEAD, code: 'x' },
  ]) {
    const ledger = createLedger();
    ledger.sent(event('1'), 202);
    ledger.deadLettered('t', event('1'), error);
    assert.deepEqual(faultsOf(ledger), { badDeadLetters: 1 });
  }
});

test('arrived and never sent, or refused, is a ghost', () => {
  const ledger = createLedger();
  ledger.arrived('t', event('1'), 500);
  ledger.arrived('t', event('2'), 200);
  ledger.sent(event('2'), 400);
  assert.deepEqual(faultsOf(ledger), { ghost: 2 });
});

test('unknown outcomes may arrive or not', () => {
  const ledger = createLedger();
  for (const [index, status] of [null, 500, 503, 429].entries()) {
    ledger.sent(event(`${index}`), status);
    ledger.sent(event(`${index}-gone`), status);
    ledger.arrived('t', event(`${index}`), 200);
  }
  assert.deepEqual(faultsOf(ledger), {});
  const report = ledger.check();
  assert.equal(report.unknown, 8);
  assert.equal(report.unanswered, 2);
  assert.equal(report.triggers[0]?.unknownDelivered, 4);
});

test('other data or another type is corrupt, in any attempt, and of unknown outcomes too', () => {
  const changed = { hash: hashOf(Buffer.from('Data')) };
  const ledger = createLedger();
  for (const id of ['1', '2', '4']) ledger.sent(event(id), 202);
  ledger.sent(event('3'), null);
  ledger.arrived('t', event('1', changed), 200);
  ledger.arrived('t', event('2'), 200);
  ledger.arrived('t', event('2', { type: 'aa' }), 500);
  ledger.arrived('t', event('3', changed), 200);
  ledger.deadLettered('t', event('4', changed), DEAD);
  assert.deepEqual(faultsOf(ledger), { corrupt: 4 });
});

test('what does not match and arrives is mis-routed, whatever was answered', () => {
  const ledger = createLedger();
  ledger.sent(event('1', { type: 'b' }), 202);
  ledger.arrived('t', event('1', { type: 'b' }), 500);
  assert.deepEqual(faultsOf(ledger), { misrouted: 1 });
});

test('one end more than sends is a duplicate; a repeated send owes its own', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  ledger.arrived('t', event('1'), 200);
  ledger.arrived('t', event('1'), 200);
  ledger.sent(event('2'), null);
  ledger.sent(event('2'), 202);
  ledger.arrived('t', event('2'), 200);
  ledger.arrived('t', event('2'), 200);
  ledger.sent(event('3'), 202);
  ledger.arrived('t', event('3'), 200);
  ledger.deadLettered('t', event('3'), DEAD);
  assert.deepEqual(faultsOf(ledger), { duplicates: 2 });
  assert.deepEqual(ledgerProblems(ledger.check(), { duplicatesMax: 2 }), []);
});

test('order is that of sending within a key; repeats and dead letters do not count', () => {
  const ledger = createLedger(true);
  const keyed = (id: string, key: string): LedgerEvent => event(id, { key });
  for (const id of ['1', '2', '3', '4']) ledger.sent(keyed(id, 'k'), 202);
  ledger.sent(keyed('5', 'other'), 202);
  for (const id of ['5', '1', '3', '1', '2', '4']) ledger.arrived('t', event(id), 200);
  assert.deepEqual(faultsOf(ledger), { reordered: 1, duplicates: 1 });
  assert.deepEqual(ledger.check().examples, ['t: reordered: /test 2']);
  ledger.deadLettered('t', event('2'), DEAD);
  assert.equal(faultsOf(ledger).reordered, undefined);
});

test('attempts are bounded by Trigger', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  for (const status of [500, 500, 200]) ledger.arrived('t', event('1'), status);
  assert.deepEqual(ledgerProblems(ledger.check(), { attemptsMax: { t: 3 } }), []);
  assert.equal(ledgerProblems(ledger.check(), { attemptsMax: { t: 2 } }).length, 1);
});

test('one event cannot be sent with two contents, nor logged for an unknown Trigger', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  assert.throws(() => ledger.sent(event('1', { hash: 'x' }), 202), /other contents/);
  assert.throws(() => ledger.arrived('x', event('1'), 200), /no such Trigger/);
});

test('the report is a table', () => {
  const ledger = createLedger();
  ledger.sent(event('1'), 202);
  assert.match(
    formatLedger(ledger.check()),
    /^sent 1, accepted 1, .*\n *trigger +expected .*\n +t +1 /,
  );
});
