/** The real clock: the one place that touches `Date.now`, `performance.now` and timers. */
import type { Clock, Timer } from './clock.ts';

const TIMEOUT_MS_MAX = 2 ** 31 - 1; // Node clamps longer timers to 1 ms.

/** A clock on the operating system's time. Timers keep the process alive unless `unref` is true. */
export function createSystemClock(options: { readonly unref?: boolean } = {}): Clock {
  const unref = options.unref ?? false;
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after: (delayMs, run) => afterInParts(delayMs, run, unref),
    every(periodMs, run) {
      const handle = setInterval(run, periodMs);
      if (unref) handle.unref();
      return { cancel: () => clearInterval(handle) };
    },
    soon(run) {
      setImmediate(run);
    },
  };
}

function afterInParts(delayMs: number, run: () => void, unref: boolean): Timer {
  let handle: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const partMs = Math.min(leftMs, TIMEOUT_MS_MAX);
    handle = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : run()), partMs);
    if (unref) handle.unref();
  };
  arm(Math.max(0, delayMs));
  return { cancel: () => clearTimeout(handle) };
}
