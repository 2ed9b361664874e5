/** Tells metrics and observers how an attempt ended and what comes next. Used by the engine. */
import type { Clock } from '#lib/time/clock';
import type { DeliveryMetrics } from './delivery-metrics.ts';
import type { AttemptReport, DeliveryObserver } from './delivery-observer.ts';
import type { Step } from './next-step.ts';
import type { Pair } from './pair.ts';

export interface ReportDeps {
  readonly clock: Clock;
  readonly metrics: DeliveryMetrics;
}

/** Before the step is carried out: the pair is still in the stage of the attempt. */
export function reportAttempt(
  deps: ReportDeps,
  observer: DeliveryObserver | null,
  pair: Pair,
  step: Step,
): void {
  const metrics = pair.target.metricsFrom(deps.metrics);
  const durationMs = deps.clock.monotonicMs() - pair.startedMs;
  if (pair.stage === 'subscriber') metrics.dispatchDuration(pair.status).record(durationMs / 1_000);
  const next = nameOf(pair, step);
  if (next === 'delivered') metrics.delivered.add(1);
  else if (next === 'retry') metrics.retries.add(1);
  else if (next === 'deadLettered') metrics.deadLettered.add(1);
  else if (next === 'replied') {
    (pair.stage === 'reply' ? metrics.replies : metrics.delivered).add(1);
  }
  if (observer === null) return;
  observer.attempt({
    brokerKey: pair.target.settings.brokerKey,
    target: pair.target.settings.key,
    record: pair.record,
    partition: pair.partition,
    offset: pair.offset,
    stage: pair.stage,
    attempt: pair.attempt,
    durationMs,
    next,
    delayMs: step.do === 'wait' ? step.delayMs : null,
    failure: pair.failure,
  });
}

function nameOf(pair: Pair, step: Step): AttemptReport['next'] {
  switch (step.do) {
    case 'settle':
      if (pair.stage === 'deadLetter') return 'deadLettered';
      return pair.stage === 'reply' ? 'replied' : 'delivered';
    case 'reply':
      return 'replied';
    case 'wait':
      return 'retry';
    case 'deadLetter':
      return 'toDeadLetter';
    case 'park':
      return 'parked';
  }
}
