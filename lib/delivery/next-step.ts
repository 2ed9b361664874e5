/**
 * The life of a pair (event, target) as a pure state machine: what to do after an attempt. Used by the
 * engine, which carries the steps out durably. Invariants: a stage has at most
 * {@link attemptsMax} attempts, stages only go forward, so every pair ends settled or parked.
 */
import type { DeliveryFailure, Stage } from '#lib/channel/waiting-store';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { DeliveryPolicy } from '#lib/contract/routing';
import type { Random } from '#lib/random/random';
import { BACKOFF_MS_MAX, backoffDelayMs } from './backoff.ts';
import type { Outcome } from './outcome.ts';
import { parseRetryAfter } from './retry-after.ts';

/** The stages in which something is attempted. */
export type ActiveStage = Exclude<Stage, 'parked'>;

export interface StepInput {
  readonly stage: ActiveStage;
  /** Attempts begun in this stage, the one that has just ended included. */
  readonly attempt: number;
  readonly policy: DeliveryPolicy;
  readonly outcome: Outcome;
  readonly hasDeadLetter: boolean;
  /** `null` for no jitter. */
  readonly random: Random | null;
  /** For dates in `Retry-After`. */
  readonly nowWallMs: number;
}

export type Step =
  | { readonly do: 'settle' }
  /** Go to stage `reply`, attempt 0, and append the event to the Broker. */
  | { readonly do: 'reply'; readonly event: CloudEvent; readonly rawHeaders: readonly string[] }
  /** Same stage, next attempt, after the delay. */
  | { readonly do: 'wait'; readonly delayMs: number; readonly failure: DeliveryFailure }
  /** Go to stage `deadLetter`, attempt 0. */
  | { readonly do: 'deadLetter'; readonly failure: DeliveryFailure }
  | { readonly do: 'park'; readonly failure: DeliveryFailure };

/**
 * A reply that cannot be appended is the store's trouble, not the subscriber's: it is tried again even
 * where the Trigger asks for no retries.
 */
export const REPLY_RETRIES_MIN = 10;

const SETTLE: Step = { do: 'settle' };

/** How many attempts a stage may have. */
export function attemptsMax(stage: ActiveStage, policy: DeliveryPolicy): number {
  const retries =
    stage === 'reply' ? Math.max(policy.retryCount, REPLY_RETRIES_MIN) : policy.retryCount;
  return retries + 1;
}

/** What follows an attempt. Total: every outcome in every stage has a step. */
export function nextStep(input: StepInput): Step {
  const { outcome, stage } = input;
  switch (outcome.kind) {
    case 'delivered':
      return SETTLE;
    case 'reply':
      // Only a subscriber is asked for replies; elsewhere an event in the answer just acknowledges.
      return stage === 'subscriber'
        ? { do: 'reply', event: outcome.event, rawHeaders: outcome.rawHeaders }
        : SETTLE;
    case 'failed':
      return giveUp(input, outcome.failure);
    case 'retry': {
      if (input.attempt >= attemptsMax(stage, input.policy)) return giveUp(input, outcome.failure);
      const delayMs = retryDelayMs(input, outcome.retryAfter);
      return { do: 'wait', delayMs, failure: outcome.failure };
    }
  }
}

/**
 * The step for a pair that no call may be made for: expired TTL, undecodable bytes, too many deaths.
 */
export function giveUp(
  at: Pick<StepInput, 'stage' | 'hasDeadLetter'>,
  failure: DeliveryFailure,
): Step {
  const isLast = at.stage === 'deadLetter' || !at.hasDeadLetter;
  return isLast ? { do: 'park', failure } : { do: 'deadLetter', failure };
}

function retryDelayMs(input: StepInput, retryAfter: string | null): number {
  const { policy, nowWallMs } = input;
  const ownMs = backoffDelayMs(policy, Math.max(1, input.attempt), input.random);
  if (retryAfter === null || policy.retryAfterMsMax <= 0) return ownMs;
  const askedMs = parseRetryAfter(retryAfter, nowWallMs);
  if (askedMs === null) return ownMs;
  return Math.min(Math.max(ownMs, Math.min(askedMs, policy.retryAfterMsMax)), BACKOFF_MS_MAX);
}
