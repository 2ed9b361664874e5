import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { createManualClock } from '#lib/time/manual-clock';
import { Deadlines, TICK_MS } from './sender-deadlines.ts';
import type { Deadline } from './sender-deadlines.ts';

function deadline(expire: () => void): Deadline {
  return { expire, dueTick: 0, wheelSlot: -1, previous: null, next: null };
}

test('an entry expires once, never early, at most two ticks late', async () => {
  for (const timeoutMs of [0, 1, 9, 10, 11, 250, 5_000, 20_479, 20_480, 20_481, 100_000]) {
    const clock = createManualClock();
    await clock.advance(7);
    const deadlines = new Deadlines(clock);
    const startMs = clock.monotonicMs();
    const fired: number[] = [];
    deadlines.add(
      deadline(() => fired.push(clock.monotonicMs() - startMs)),
      timeoutMs,
    );
    await clock.advance(timeoutMs + 2 * TICK_MS);
    assert.equal(fired.length, 1, String(timeoutMs));
    const [atMs = -1] = fired;
    assert.ok(atMs >= timeoutMs && atMs <= timeoutMs + 2 * TICK_MS, `${timeoutMs}: ${atMs}`);
    assert.equal(deadlines.count, 0);
  }
});

test('any mix of entries: exactly those that were not removed expire, in their time', async () => {
  const entries = fc.array(
    fc.record({ timeoutMs: fc.nat({ max: 30_000 }), isKept: fc.boolean() }),
    {
      maxLength: 40,
    },
  );
  await fc.assert(
    fc.asyncProperty(entries, async (mix) => {
      const clock = createManualClock();
      const deadlines = new Deadlines(clock);
      const fired = new Map<number, number>();
      for (const [index, { timeoutMs, isKept }] of mix.entries()) {
        const entry = deadline(() => fired.set(index, clock.monotonicMs()));
        deadlines.add(entry, timeoutMs);
        if (!isKept) {
          deadlines.remove(entry);
          deadlines.remove(entry);
        }
      }
      assert.equal(deadlines.count, mix.filter(({ isKept }) => isKept).length);
      await clock.advance(31_000);
      for (const [index, { timeoutMs, isKept }] of mix.entries()) {
        const atMs = fired.get(index);
        assert.equal(atMs !== undefined, isKept);
        if (atMs !== undefined) assert.ok(atMs >= timeoutMs && atMs <= timeoutMs + 2 * TICK_MS);
      }
    }),
    { numRuns: 8 },
  );
});

test('one expiry may remove another that is due, and add new ones', async () => {
  const clock = createManualClock();
  const deadlines = new Deadlines(clock);
  const fired: string[] = [];
  const first = deadline(() => {
    fired.push('first');
    deadlines.remove(second);
    deadlines.add(third, 50);
  });
  const second = deadline(() => {
    fired.push('second');
    deadlines.remove(first);
  });
  const third = deadline(() => fired.push('third'));
  deadlines.add(first, 100);
  deadlines.add(second, 100);
  await clock.advance(125);
  assert.equal(fired.length, 1);
  await clock.advance(100);
  assert.ok(fired[0] !== 'first' || fired.includes('third'));
});

test('a stall longer than a turn of the wheel loses nothing', async () => {
  let nowMs = 0;
  let tick = (): void => undefined;
  const manual = createManualClock();
  const deadlines = new Deadlines({
    ...manual,
    monotonicMs: () => nowMs,
    every: (_periodMs, run) => {
      tick = run;
      return { cancel: () => undefined };
    },
  });
  let firedCount = 0;
  for (let timeoutMs = 0; timeoutMs < 40_000; timeoutMs += 111) {
    deadlines.add(
      deadline(() => {
        firedCount += 1;
      }),
      timeoutMs,
    );
  }
  const addedCount = deadlines.count;
  nowMs = 100_000;
  tick();
  assert.equal(firedCount, addedCount);
  assert.equal(deadlines.count, 0);
});
