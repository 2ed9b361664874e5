/**
 * How long to wait before a process is started again: the first time nearly at once, then ever longer
 * while it does not live, from the beginning again after it has lived. Never gives up.
 */
import type { Clock } from '#lib/time/clock';

const DELAYS_MS: readonly number[] = [50, 250, 1_000, 2_000, 5_000];
/** It has lived when it was ready for this long. */
export const LIVED_MS = 30_000;

export class RestartDelays {
  readonly #clock: Clock;
  #index = 0;
  #readySinceMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It is ready, again or still. */
  lived(): void {
    this.#readySinceMs ??= this.#clock.monotonicMs();
  }

  /** It has ended: the delay before the next start. */
  next(): number {
    const sinceMs = this.#readySinceMs;
    this.#readySinceMs = null;
    if (sinceMs !== null && this.#clock.monotonicMs() - sinceMs >= LIVED_MS) this.#index = 0;
    const delayMs = DELAYS_MS[Math.min(this.#index, DELAYS_MS.length - 1)] ?? 0;
    this.#index += 1;
    return delayMs;
  }
}
