/**
 * One timer for all targets that wait for a due time in the store. Due times are wall clock, because
 * they outlive the process; the timer is monotonic and looks again at least every second, so that a
 * step of the wall clock delays nothing by more.
 */
import type { Clock, Timer } from '#lib/time/clock';
import { BACKOFF_MS_MAX } from './backoff.ts';
import type { Target } from './target.ts';

const LOOK_MS_MAX = 1_000;
/** No due time lies further ahead: the wall clock was set back, and the store must be asked again. */
const AHEAD_MS_MAX = 1.1 * BACKOFF_MS_MAX + 60_000;
const LOOK_MS_MIN = 5;

export class DueTimer {
  readonly #clock: Clock;
  readonly #due: (target: Target) => void;
  readonly #targets = new Set<Target>();
  #timer: Timer | null = null;
  #firesAtMs = Infinity;

  constructor(clock: Clock, due: (target: Target) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** Calls `due(target)` once its `nextDueMs` has come. */
  arm(target: Target): void {
    this.#targets.add(target);
    this.#schedule(target.nextDueMs - this.#clock.wallMs());
  }

  disarm(target: Target): void {
    this.#targets.delete(target);
  }

  close(): void {
    this.#timer?.cancel();
    this.#targets.clear();
  }

  #schedule(waitMs: number): void {
    const delayMs = Math.min(Math.max(waitMs, LOOK_MS_MIN), LOOK_MS_MAX);
    const firesAtMs = this.#clock.monotonicMs() + delayMs;
    if (firesAtMs >= this.#firesAtMs) return;
    this.#timer?.cancel();
    this.#firesAtMs = firesAtMs;
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timer = null;
    this.#firesAtMs = Infinity;
    const nowMs = this.#clock.wallMs();
    const due: Target[] = [];
    let nextMs = Infinity;
    for (const target of this.#targets) {
      if (target.nextDueMs - nowMs > AHEAD_MS_MAX) target.nextDueMs = nowMs;
      if (target.nextDueMs <= nowMs) due.push(target);
      else nextMs = Math.min(nextMs, target.nextDueMs);
    }
    for (const target of due) this.#targets.delete(target);
    if (nextMs < Infinity) this.#schedule(nextMs - nowMs);
    for (const target of due) this.#due(target);
  }
}
