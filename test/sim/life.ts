/**
 * One life of one process. Whatever reaches the code of a process goes through its life: a dead one is
 * never called again, a paused one (a stopped process, a long collection) is called when it goes on.
 * Invariant: code of a dead life never runs, so abandoning its objects is a crash.
 */
import type { Clock, Timer } from '#lib/time/clock';
import type { Entry, SimTime } from './sim-time.ts';

export class Life {
  readonly name: string;
  readonly clock: Clock;
  readonly #time: SimTime;
  #isDead = false;
  #isPaused = false;
  #held: (() => void)[] = [];
  readonly #endings: (() => void)[] = [];

  constructor(time: SimTime, name: string) {
    this.#time = time;
    this.name = name;
    this.clock = createLifeClock(time, this);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Calls into the process: now, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.#isDead) return;
    if (this.#isPaused) this.#held.push(run);
    else run();
  }

  /** Calls into the process after a delay. */
  later(delayMs: number, run: () => void): Entry {
    return this.#time.in(delayMs, () => this.enter(run));
  }

  /** Runs (outside the process) when the life ends. */
  onEnd(run: () => void): void {
    this.#endings.push(run);
  }

  end(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#held = [];
    for (const run of this.#endings.splice(0)) run();
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** What was held comes in order, each in a turn of its own. */
  resume(): void {
    this.#isPaused = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.#time.in(0, () => this.enter(run));
  }

  /** A promise that the process sees settle `delayMs` after the real one; never once it is dead. */
  answer<Value>(work: Promise<Value>, delayMs: () => number): Promise<Value> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => this.later(delayMs(), () => resolve(value)),
        (error: unknown) =>
          this.later(delayMs(), () =>
            reject(error instanceof Error ? error : new Error(String(error))),
          ),
      );
    });
  }
}

function createLifeClock(time: SimTime, life: Life): Clock {
  const after = (delayMs: number, run: () => void): Timer => {
    const timer = { isCancelled: false };
    const entry = time.in(delayMs, () => {
      life.enter(() => {
        if (!timer.isCancelled) run();
      });
    });
    return {
      cancel() {
        timer.isCancelled = true;
        entry.isCancelled = true;
      },
    };
  };
  return {
    wallMs: () => time.wallMs,
    monotonicMs: () => time.nowMs,
    after,
    every(periodMs, run) {
      let timer: Timer;
      let isStopped = false;
      const arm = (): void => {
        timer = after(periodMs, () => {
          run();
          if (!isStopped) arm();
        });
      };
      arm();
      return {
        cancel() {
          isStopped = true;
          timer.cancel();
        },
      };
    },
    soon(run) {
      after(0, run);
    },
  };
}
