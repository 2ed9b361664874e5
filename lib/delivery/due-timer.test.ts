import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '#lib/time/manual-clock';
import { EngineFixture } from '#test/kit/engine-fixture';
import { DueTimer } from './due-timer.ts';
import { Target } from './target.ts';

const fixture = new EngineFixture();

function bench() {
  const clock = createManualClock();
  const fired: string[] = [];
  const timer = new DueTimer(clock, (target) => fired.push(target.settings.uid));
  const arm = (uid: string, inMs: number): Target => {
    const target = new Target(fixture.settings(uid));
    target.nextDueMs = clock.wallMs() + inMs;
    timer.arm(target);
    return target;
  };
  return { clock, fired, timer, arm };
}

test('each target once, at its time, not before', async () => {
  const { clock, fired, arm } = bench();
  arm('late', 5_000);
  arm('early', 100);
  await clock.advance(99);
  assert.deepEqual(fired, []);
  await clock.advance(1);
  assert.deepEqual(fired, ['early']);
  await clock.advance(4_899);
  assert.deepEqual(fired, ['early']);
  await clock.advance(1_001);
  assert.deepEqual(fired, ['early', 'late']);
  await clock.advance(100_000);
  assert.equal(fired.length, 2);
});

test('a target whose time was moved forward is armed again; a disarmed one never fires', async () => {
  const { clock, fired, timer, arm } = bench();
  const target = arm('t', 60_000);
  target.nextDueMs = clock.wallMs() + 10;
  timer.arm(target);
  const gone = arm('gone', 10);
  timer.disarm(gone);
  await clock.advance(20);
  assert.deepEqual(fired, ['t']);
});

test('a step of the wall clock forward is noticed within a second', async () => {
  const { clock, fired, arm } = bench();
  arm('t', 3_600_000);
  clock.stepWall(3_600_000);
  await clock.advance(1_000);
  assert.deepEqual(fired, ['t']);
});

test('a step back far beyond the longest back-off has the store asked again', async () => {
  const { clock, fired, arm } = bench();
  const target = arm('t', 1_000);
  clock.stepWall(-86_400_000);
  await clock.advance(1_000);
  assert.deepEqual(fired, ['t']);
  assert.ok(target.nextDueMs <= clock.wallMs());
});

test('nothing fires after the end', async () => {
  const { clock, fired, timer, arm } = bench();
  arm('t', 10);
  timer.close();
  await clock.advance(10_000);
  assert.deepEqual(fired, []);
});
