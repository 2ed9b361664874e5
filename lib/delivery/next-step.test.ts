import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { DeliveryPolicy } from '#lib/contract/routing';
import { createSeededRandom } from '#lib/random/random';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN } from './backoff.ts';
import { attemptsMax, giveUp, nextStep } from './next-step.ts';
import type { SendStage, Step, StepInput } from './next-step.ts';
import type { Outcome } from './outcome.ts';

const POLICY: DeliveryPolicy = {
  retryCount: 2,
  backoff: 'linear',
  backoffDelayMs: 1_000,
  timeoutMs: 1_000,
  retryAfterMsMax: 0,
  format: 'binary',
};

const FAILURE: DeliveryFailure = {
  destination: 'http://a/',
  status: 503,
  body: Buffer.alloc(0),
  reason: 'StatusCode',
};

const EVENT: CloudEvent = {
  specversion: '1.0',
  id: '1',
  source: '/s',
  type: 't',
  subject: null,
  time: null,
  datacontenttype: null,
  dataschema: null,
  extensions: NO_EXTENSIONS,
  data: null,
};

const RETRY: Outcome = { kind: 'retry', failure: FAILURE, retryAfterMs: null };
const REPLY: Outcome = { kind: 'reply', event: EVENT, rawHeaders: ['a', 'b'] };

function step(change: Partial<StepInput>): Step {
  return nextStep({
    stage: 'subscriber',
    attempt: 1,
    policy: POLICY,
    outcome: RETRY,
    hasDeadLetter: true,
    random: null,
    ...change,
  });
}

test('a delivery settles; a reply goes on in its own stage, from the subscriber only', () => {
  assert.deepEqual(step({ outcome: { kind: 'delivered' } }), { do: 'settle' });
  assert.deepEqual(step({ outcome: REPLY }), { do: 'reply', event: EVENT, rawHeaders: ['a', 'b'] });
  assert.deepEqual(step({ outcome: REPLY, stage: 'deadLetter' }), { do: 'settle' });
});

test('retries wait as the policy says, and are counted exactly', () => {
  assert.deepEqual(step({ attempt: 1 }), { do: 'wait', delayMs: 1_000 });
  assert.deepEqual(step({ attempt: 2 }), { do: 'wait', delayMs: 2_000 });
  assert.deepEqual(step({ attempt: 3 }), { do: 'deadLetter', failure: FAILURE });
  const noRetries = { ...POLICY, retryCount: 0 };
  assert.deepEqual(step({ policy: noRetries }), { do: 'deadLetter', failure: FAILURE });
});

test('the end of a stage: dead letter, then parking; no sink: parking at once', () => {
  const failed: Outcome = { kind: 'failed', failure: FAILURE };
  assert.deepEqual(step({ outcome: failed }), { do: 'deadLetter', failure: FAILURE });
  assert.deepEqual(step({ outcome: failed, hasDeadLetter: false }), {
    do: 'park',
    failure: FAILURE,
  });
  assert.deepEqual(step({ outcome: failed, stage: 'deadLetter' }), {
    do: 'park',
    failure: FAILURE,
  });
  assert.deepEqual(step({ attempt: 3, stage: 'deadLetter' }), { do: 'park', failure: FAILURE });
  assert.deepEqual(step({ attempt: 1, stage: 'deadLetter' }), { do: 'wait', delayMs: 1_000 });
  assert.deepEqual(giveUp({ stage: 'subscriber', hasDeadLetter: true }, FAILURE), {
    do: 'deadLetter',
    failure: FAILURE,
  });
});

test('Retry-After: only within its maximum, never less than the back-off, never above the cap', () => {
  const delayMs = (retryAfterMs: number | null, retryAfterMsMax: number): number => {
    const found = step({
      policy: { ...POLICY, retryAfterMsMax },
      outcome: { kind: 'retry', failure: FAILURE, retryAfterMs },
    });
    return found.do === 'wait' ? found.delayMs : -1;
  };
  assert.equal(delayMs(30_000, 0), 1_000);
  assert.equal(delayMs(null, 60_000), 1_000);
  assert.equal(delayMs(30_000, 60_000), 30_000);
  assert.equal(delayMs(90_000, 60_000), 60_000);
  assert.equal(delayMs(10, 60_000), 1_000);
  assert.equal(delayMs(0, 60_000), 1_000);
  assert.equal(delayMs(1e15, 1e15), BACKOFF_MS_MAX);
});

const outcomes = fc.oneof(
  fc.constant<Outcome>({ kind: 'delivered' }),
  fc.constant<Outcome>(REPLY),
  fc.constant<Outcome>({ kind: 'failed', failure: FAILURE }),
  fc
    .option(fc.nat(), { nil: null })
    .map((retryAfterMs): Outcome => ({ kind: 'retry', failure: FAILURE, retryAfterMs })),
);

test('whatever happens, every pair ends, with at most retry + 1 attempts in each stage', () => {
  const policies = fc.record({
    retryCount: fc.nat({ max: 12 }),
    backoff: fc.constantFrom('linear' as const, 'exponential' as const),
    backoffDelayMs: fc.nat({ max: 10_000_000 }),
    timeoutMs: fc.constant(1),
    retryAfterMsMax: fc.nat({ max: 10_000_000 }),
    format: fc.constant('binary' as const),
  });
  const history = fc.infiniteStream(outcomes);
  fc.assert(
    fc.property(
      policies,
      history,
      fc.boolean(),
      fc.nat(),
      (policy, stream, hasDeadLetter, seed) => {
        const random = createSeededRandom(seed);
        const attempts: Record<SendStage, number> = { subscriber: 0, deadLetter: 0 };
        let stage: SendStage = 'subscriber';
        for (const outcome of stream) {
          attempts[stage] += 1;
          assert.ok(attempts[stage] <= attemptsMax(policy), 'too many attempts');
          const attempt = attempts[stage];
          const found = nextStep({ stage, attempt, policy, outcome, hasDeadLetter, random });
          if (found.do === 'wait') {
            assert.ok(found.delayMs >= BACKOFF_MS_MIN && found.delayMs <= BACKOFF_MS_MAX);
          } else if (found.do === 'deadLetter') {
            assert.equal(stage, 'subscriber');
            assert.ok(hasDeadLetter);
            stage = 'deadLetter';
          } else {
            if (found.do === 'settle') assert.ok(['delivered', 'reply'].includes(outcome.kind));
            if (found.do === 'park') assert.ok(stage === 'deadLetter' || !hasDeadLetter);
            return;
          }
        }
      },
    ),
  );
});
