/** Pressure is the worse of memory and lateness, as of the last sample. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#lib/time/clock';
import { createManualClock } from '#lib/time/manual-clock';
import { createMemoryReader, createPressure } from './pressure.ts';

test('memory counts as its used share', async () => {
  const clock = createManualClock();
  let share = 0.25;
  const pressure = createPressure({ clock, readMemory: () => share }, 1_000);
  assert.equal(pressure.level, 0);
  await clock.advance(250);
  assert.equal(pressure.level, 0.25);
  share = 0.9;
  assert.equal(pressure.level, 0.25);
  await clock.advance(250);
  assert.equal(pressure.level, 0.9);
  pressure.stop();
  share = 0;
  await clock.advance(10_000);
  assert.equal(pressure.level, 0.9);
});

test('a timer that is late counts as the share of the longest delay, until the next sample', async () => {
  const manual = createManualClock();
  let lateMs = 0;
  const clock: Clock = { ...manual, monotonicMs: () => manual.monotonicMs() + lateMs };
  const pressure = createPressure({ clock, readMemory: () => 0 }, 1_000);
  lateMs = 450;
  await manual.advance(250);
  assert.equal(pressure.level, 0.45);
  await manual.advance(250);
  assert.equal(pressure.level, 0);
  pressure.stop();
});

test('the memory of this process is some part of its limit, and all of a small one', () => {
  const used = createMemoryReader(0)();
  assert.ok(used > 0 && used < 1, String(used));
  assert.ok(createMemoryReader(1_048_576)() > 1);
});
