/**
 * The real clock with a wall clock that a test can set forward or back: real drivers need real timers,
 * and leases, due times and stamps need hours to pass at once.
 */
import { createSystemClock } from '#lib/time/system-clock';
import type { Clock } from '#lib/time/clock';

export interface StepClock extends Clock {
  /** Moves the wall clock; timers and monotonic time stay as they are. */
  step(byMs: number): void;
}

export function createStepClock(): StepClock {
  const clock = createSystemClock();
  let offsetMs = 0;
  return {
    wallMs: () => clock.wallMs() + offsetMs,
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, run) => clock.after(delayMs, run),
    every: (periodMs, run) => clock.every(periodMs, run),
    soon: (run) => clock.soon(run),
    step(byMs) {
      offsetMs += byMs;
    },
  };
}
