import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { createSeededRandom } from '#lib/random/random';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, backoffDelayMs } from './backoff.ts';

const ALWAYS = (value: number) => ({ float: () => value, below: () => 0 });

test('linear is n times the delay, exponential doubles from twice the delay', () => {
  const delays = (backoff: 'linear' | 'exponential'): number[] =>
    [1, 2, 3, 4].map((retry) => backoffDelayMs({ backoff, backoffDelayMs: 1_000 }, retry, null));
  assert.deepEqual(delays('linear'), [1_000, 2_000, 3_000, 4_000]);
  assert.deepEqual(delays('exponential'), [2_000, 4_000, 8_000, 16_000]);
});

test('the floor and the cap, on both sides', () => {
  const at = (delayMs: number, retry = 1): number =>
    backoffDelayMs({ backoff: 'linear', backoffDelayMs: delayMs }, retry, null);
  assert.equal(at(0), BACKOFF_MS_MIN);
  assert.equal(at(0, 1_000_000), BACKOFF_MS_MIN);
  assert.equal(at(199), 200);
  assert.equal(at(200), 200);
  assert.equal(at(201), 201);
  assert.equal(at(BACKOFF_MS_MAX - 1), BACKOFF_MS_MAX - 1);
  assert.equal(at(BACKOFF_MS_MAX), BACKOFF_MS_MAX);
  assert.equal(at(BACKOFF_MS_MAX + 1), BACKOFF_MS_MAX);
  assert.equal(at(Number.MAX_VALUE, 2 ** 31 - 1), BACKOFF_MS_MAX);
});

test('an exponent that would overflow is the cap', () => {
  for (const retry of [50, 63, 64, 100, 1_023, 1_024, 2 ** 31 - 1]) {
    assert.equal(
      backoffDelayMs({ backoff: 'exponential', backoffDelayMs: 200 }, retry, null),
      BACKOFF_MS_MAX,
    );
    assert.equal(backoffDelayMs({ backoff: 'exponential', backoffDelayMs: 0 }, retry, null), 200);
  }
});

test('jitter adds up to a tenth and takes nothing off', () => {
  const policy = { backoff: 'linear', backoffDelayMs: 1_000 } as const;
  assert.equal(backoffDelayMs(policy, 1, ALWAYS(0)), 1_000);
  assert.equal(backoffDelayMs(policy, 1, ALWAYS(0.5)), 1_050);
  assert.equal(backoffDelayMs(policy, 1, ALWAYS(0.999_999)), 1_100);
});

test('for any policy: whole, in range, never falling without jitter', () => {
  const policies = fc.record({
    backoff: fc.constantFrom('linear' as const, 'exponential' as const),
    backoffDelayMs: fc.nat({ max: 2 ** 40 }),
  });
  const retries = fc.integer({ min: 1, max: 2 ** 31 - 2 });
  fc.assert(
    fc.property(policies, retries, fc.nat(), (policy, retry, seed) => {
      const random = createSeededRandom(seed);
      const plainMs = backoffDelayMs(policy, retry, null);
      const jitteredMs = backoffDelayMs(policy, retry, random);
      assert.ok(Number.isInteger(jitteredMs));
      assert.ok(jitteredMs >= plainMs && jitteredMs <= BACKOFF_MS_MAX);
      assert.ok(plainMs >= BACKOFF_MS_MIN);
      assert.ok(backoffDelayMs(policy, retry + 1, null) >= plainMs);
    }),
  );
});

test('a retry number below 1 is a bug', () => {
  assert.throws(() => backoffDelayMs({ backoff: 'linear', backoffDelayMs: 1 }, 0, null), /from 1/);
});
