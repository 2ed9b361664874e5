import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, recordOf } from '#test/kit/event-path';
import { createPair } from './pair.ts';
import type { Pair } from './pair.ts';
import { QUEUED_BYTES_MAX, QUEUED_COUNT_MAX, Target, WAITING_COUNT_MAX } from './target.ts';
import type { TargetSettings } from './target.ts';

const fixture = new EngineFixture();

function targetOf(given: Partial<TargetSettings> = {}): Target {
  return new Target(fixture.settings('t', given));
}

function pairOf(target: Target, offset: number, sizeBytes = 100, key: string | null = null): Pair {
  const source = { topic: TOPIC, partition: 0, offset, sizeBytes, mark: offset };
  return createPair(target, source, recordOf(eventOf(`e${offset}`), { key }));
}

test('room: both sides of the window in items, bytes, pause and deletion', () => {
  const target = targetOf({ concurrency: 2, inFlightBytesMax: 100 });
  assert.equal(target.hasRoom, true);
  target.inFlightCount = 1;
  target.inFlightBytes = 99;
  assert.equal(target.hasRoom, true);
  target.inFlightBytes = 100;
  assert.equal(target.hasRoom, false);
  target.inFlightBytes = 0;
  target.inFlightCount = 2;
  assert.equal(target.hasRoom, false);
  target.inFlightCount = 0;
  target.inFlightBytes = 1_000; // nothing is in flight: one always may
  assert.equal(target.hasRoom, true);
  target.isFrozen = true;
  assert.equal(target.hasRoom, false);
  assert.equal(targetOf({ isPaused: true }).hasRoom, false);
});

test('what comes from the store goes before what comes from the log', () => {
  const target = targetOf();
  const [first, second, retry] = [1, 2, 0].map((offset) => pairOf(target, offset));
  for (const pair of [first, second]) if (pair !== undefined) target.push(pair);
  if (retry !== undefined) target.pushFirst(retry);
  assert.equal(target.queuedBytes, 300);
  assert.deepEqual([target.take(), target.take(), target.take()], [retry, first, second]);
  assert.equal(target.queuedBytes, 0);
  assert.equal(target.take(), undefined);
});

test('overflowing: both sides of every bound', () => {
  const target = targetOf();
  for (let offset = 0; offset < QUEUED_COUNT_MAX; offset++) target.push(pairOf(target, offset, 1));
  assert.equal(target.isOverflowing, false);
  target.push(pairOf(target, 9_999, 1));
  assert.equal(target.isOverflowing, true);
  assert.equal(target.isFlooded, false);
  const heavy = targetOf();
  heavy.push(pairOf(heavy, 1, QUEUED_BYTES_MAX));
  assert.equal(heavy.isOverflowing, false);
  heavy.push(pairOf(heavy, 2, 1));
  assert.equal(heavy.isOverflowing, true);
  const waiting = targetOf();
  waiting.waitingCount = WAITING_COUNT_MAX;
  assert.equal(waiting.isOverflowing, false);
  waiting.waitingCount++;
  assert.equal(waiting.isOverflowing, true);
});

test('held pairs count as queued, but not for the own reader that they wait for', () => {
  const target = targetOf({ isOrdered: true });
  target.holdsShared.set(0, 0);
  for (let offset = 0; offset < 500; offset++) target.hold(pairOf(target, offset, 10, 'k'));
  assert.equal(target.queuedCount, 500);
  assert.equal(target.aheadCount, 0);
  assert.equal(target.queuedBytes, 0);
  assert.deepEqual(target.takeHeld(), [], 'still held');
  target.holdsShared.clear();
  const released = target.takeHeld();
  assert.deepEqual(
    released.map((pair) => pair.offset),
    Array.from({ length: 500 }, (_, offset) => offset),
  );
  assert.ok(released.every((pair) => pair.storedLane === null));
});

test('a drain takes everything, in order per lane, and leaves lanes in flight alone', () => {
  const target = targetOf({ isOrdered: true });
  for (const offset of [1, 2]) target.push(pairOf(target, offset, 10, 'a'));
  const head = target.take();
  assert.equal(head?.offset, 1);
  target.push(pairOf(target, 3, 10, 'b'));
  target.holdsShared.set(0, 0);
  target.hold(pairOf(target, 4, 10, 'b'));
  assert.deepEqual(
    target.drain().map(({ offset, storedLane }) => [offset, storedLane]),
    [
      [2, 'ka'],
      [3, 'kb'],
      [4, 'kb'],
    ],
  );
  assert.equal(target.queuedCount, 0);
  assert.equal(target.push(pairOf(target, 5, 10, 'a')), false, 'its lane waits in the store');
  assert.equal(target.leaveLane(head), true);
});
