/**
 * The port for time. Nothing outside this folder calls `Date.now`, `performance.now` or a timer
 * (tidy enforces it), so that a simulation can own time. Times in names carry their unit.
 */

/** A pending timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock milliseconds since the epoch. May jump; only for stamps that leave the process. */
  wallMs(): number;
  /** Monotonic milliseconds with a fraction, from an arbitrary start. For every delay and duration. */
  monotonicMs(): number;
  /** Calls `run` once, not before `delayMs`. `delayMs` above 2^31-1 is waited for in parts. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs` until cancelled. A run that overlaps is the callee's concern. */
  every(periodMs: number, run: () => void): Timer;
  /** Calls `run` at the end of the present loop turn, after I/O callbacks (as `setImmediate`). */
  soon(run: () => void): void;
}

/** Resolves after `delayMs`, or rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
