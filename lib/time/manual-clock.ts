/**
 * A clock that stands still until told to move: for unit tests and, later, the simulation.
 * Timers fire in order of (due time, creation), and `soon` callbacks before any timer.
 */
import type { Clock, Timer } from './clock.ts';

interface Entry {
  readonly dueMs: number;
  readonly sequence: number;
  readonly run: () => void;
  readonly periodMs: number | null;
  cancelled: boolean;
}

export interface ManualClock extends Clock {
  /** Moves time forward, firing what falls due, and lets microtasks run between callbacks. */
  advance(byMs: number): Promise<void>;
  /** Moves the wall clock only, as a step of the system clock would. */
  stepWall(byMs: number): void;
}

export function createManualClock(startWallMs = 1_800_000_000_000): ManualClock {
  let nowMs = 0;
  let wallOffsetMs = startWallMs;
  let sequence = 0;
  let soonQueue: (() => void)[] = [];
  const entries = new Set<Entry>();

  const add = (dueMs: number, run: () => void, periodMs: number | null): Timer => {
    const entry: Entry = { dueMs, sequence: sequence++, run, periodMs, cancelled: false };
    entries.add(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
        entries.delete(entry);
      },
    };
  };
  const drainSoon = async (): Promise<void> => {
    await settleMicrotasks();
    while (soonQueue.length > 0) {
      const batch = soonQueue;
      soonQueue = [];
      for (const run of batch) run();
      await settleMicrotasks();
    }
  };
  const nextDue = (limitMs: number): Entry | null => {
    let best: Entry | null = null;
    for (const entry of entries) {
      if (entry.dueMs > limitMs) continue;
      const isEarlier =
        best === null ||
        entry.dueMs < best.dueMs ||
        (entry.dueMs === best.dueMs && entry.sequence < best.sequence);
      if (isEarlier) best = entry;
    }
    return best;
  };
  return {
    wallMs: () => Math.floor(wallOffsetMs + nowMs),
    monotonicMs: () => nowMs,
    after: (delayMs, run) => add(nowMs + Math.max(0, delayMs), run, null),
    every: (periodMs, run) => everyOn(add, () => nowMs, periodMs, run),
    soon(run) {
      soonQueue.push(run);
    },
    stepWall(byMs) {
      wallOffsetMs += byMs;
    },
    async advance(byMs) {
      const limitMs = nowMs + byMs;
      await drainSoon();
      for (let entry = nextDue(limitMs); entry !== null; entry = nextDue(limitMs)) {
        entries.delete(entry);
        nowMs = Math.max(nowMs, entry.dueMs);
        entry.run();
        await drainSoon();
      }
      nowMs = limitMs;
    },
  };
}

function everyOn(
  add: (dueMs: number, run: () => void, periodMs: number | null) => Timer,
  nowMs: () => number,
  periodMs: number,
  run: () => void,
): Timer {
  let stopped = false;
  let timer: Timer;
  const arm = (): void => {
    timer = add(
      nowMs() + periodMs,
      () => {
        run();
        if (!stopped) arm();
      },
      periodMs,
    );
  };
  arm();
  return {
    cancel: () => {
      stopped = true;
      timer.cancel();
    },
  };
}

async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 16; turn++) await Promise.resolve();
}
