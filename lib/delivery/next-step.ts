/**
 * The life of a pair (event, target) as a pure state machine: what to do after an attempt. Used by the
 * engine, which carries the steps out durably. Invariants: a stage has at most
 * {@link attemptsMax} attempts, stages only go forward, so every pair ends settled or parked.
 */
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { DeliveryPolicy } from '#lib/contract/routing';
import type { Random } from '#lib/random/random';
import { BACKOFF_MS_MAX, backoffDelayMs } from './backoff.ts';
import type { Outcome } from './outcome.ts';

/** The stages in which something is sent. A reply is only appended, and that until it succeeds. */
export type SendStage = 'subscriber' | 'deadLetter';

export interface StepInput {
  readonly stage: SendStage;
  /** Attempts begun in this stage, the one that has just ended included. */
  readonly attempt: number;
  readonly policy: DeliveryPolicy;
  readonly outcome: Outcome;
  readonly hasDeadLetter: boolean;
  /** `null` for no jitter. */
  readonly random: Random | null;
}

export type Step =
  | { readonly do: 'settle' }
  /** Go to stage `reply`, attempt 0, and append the event to the Broker. */
  | { readonly do: 'reply'; readonly event: CloudEvent; readonly rawHeaders: readonly string[] }
  /** Same stage, next attempt, after the delay. */
  | { readonly do: 'wait'; readonly delayMs: number }
  /** Go to stage `deadLetter`, attempt 0. */
  | { readonly do: 'deadLetter'; readonly failure: DeliveryFailure }
  | { readonly do: 'park'; readonly failure: DeliveryFailure };

const SETTLE: Step = { do: 'settle' };

/** How many attempts a stage may have; the dead-letter sink gets as many as the subscriber. */
export function attemptsMax(policy: DeliveryPolicy): number {
  return policy.retryCount + 1;
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
      if (input.attempt >= attemptsMax(input.policy)) return giveUp(input, outcome.failure);
      return { do: 'wait', delayMs: retryDelayMs(input, outcome.retryAfterMs) };
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

function retryDelayMs(input: StepInput, askedMs: number | null): number {
  const { policy } = input;
  const ownMs = backoffDelayMs(policy, Math.max(1, input.attempt), input.random);
  if (askedMs === null || policy.retryAfterMsMax <= 0) return ownMs;
  return Math.min(Math.max(ownMs, Math.min(askedMs, policy.retryAfterMsMax)), BACKOFF_MS_MAX);
}
