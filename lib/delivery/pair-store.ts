/**
 * Writes pairs to the waiting store and settles them there, batched per loop turn and in order: one
 * transaction however many pairs changed. The engine's only way to the store's `put` and `settle`.
 * Invariant: a pair leaves its reader's open list only after its row is durable. A store that fails
 * (full disk) is tried again, with everything kept in order, until it takes the rows or is closed.
 */
import type { WaitingPair, WaitingStore } from '#lib/channel/waiting-store';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import type { Pair } from './pair.ts';

const RETRY_DELAY_MS = 200;

export interface PairStoreDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly waiting: WaitingStore;
  readonly holder: string;
  /** An unleased or parked row is durable: the pair is no longer in memory. */
  readonly onStored: (pair: Pair, dueMs: number) => void;
}

interface Put {
  readonly pair: Pair;
  readonly row: WaitingPair;
  readonly isLeased: boolean;
  readonly whenStored: (() => void) | null;
}

interface Settle {
  readonly id: number;
  readonly whenSettled: (() => void) | null;
}

export class PairStore {
  readonly #deps: PairStoreDeps;
  #puts: Put[] = [];
  #settles: Settle[] = [];
  #isScheduled = false;
  #isFlushing = false;
  #isClosed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(deps: PairStoreDeps) {
    this.#deps = deps;
  }

  /** Stores the pair as it is now; leased by this process, or free from `dueMs` (wall clock) on. */
  put(pair: Pair, isLeased: boolean, dueMs: number, whenStored: (() => void) | null = null): void {
    pair.pendingPuts++;
    this.#puts.push({ pair, row: rowOf(pair, dueMs), isLeased, whenStored });
    this.#schedule();
  }

  /** The pair is settled: its row goes, if it has or is about to have one. */
  settle(pair: Pair, whenSettled: (() => void) | null = null): void {
    if (pair.pendingPuts > 0 || pair.id === 0) return; // the acknowledgement of the put sees `isEnded`
    this.#settles.push({ id: pair.id, whenSettled });
    this.#schedule();
  }

  /** Resolves when every write asked for so far is durable, or the store is closed. */
  idle(): Promise<void> {
    if (!this.#isFlushing && this.#puts.length === 0 && this.#settles.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Gives up what cannot be written; for the end of the process after {@link idle}. */
  close(): void {
    this.#isClosed = true;
    this.#wakeIdle();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isFlushing || this.#isClosed) return;
    this.#isScheduled = true;
    this.#deps.clock.soon(() => {
      this.#isScheduled = false;
      void this.#flush(); // never rejects: failures are kept and tried again
    });
  }

  async #flush(): Promise<void> {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    const puts = this.#puts;
    const settles = this.#settles;
    this.#puts = [];
    this.#settles = [];
    const failed = await this.#write(puts, settles);
    this.#isFlushing = false;
    if (this.#isClosed) return;
    if (failed) {
      this.#deps.clock.after(RETRY_DELAY_MS, () => this.#schedule());
    } else if (this.#puts.length > 0 || this.#settles.length > 0) this.#schedule();
    else this.#wakeIdle();
  }

  /** Puts first, run by run of the same lease state, then settles. True when something is left to do. */
  async #write(puts: readonly Put[], settles: readonly Settle[]): Promise<boolean> {
    let done = 0;
    try {
      while (done < puts.length) {
        const run = sameLease(puts, done);
        const ids = await this.#deps.waiting.put(
          run.map((put) => put.row),
          run[0]?.isLeased === true ? this.#deps.holder : null,
        );
        run.forEach((put, index) => this.#stored(put, ids[index] ?? 0));
        done += run.length;
      }
      if (settles.length > 0) {
        await this.#deps.waiting.settle(settles.map((settle) => settle.id));
        for (const settle of settles) settle.whenSettled?.();
      }
      return false;
    } catch (error) {
      this.#puts = [...puts.slice(done), ...this.#puts];
      this.#settles = [...settles, ...this.#settles];
      const code = isMeshError(error) ? error.code : 'UNKNOWN';
      this.#deps.logger.error('Cannot write to the waiting store: it is tried again', {
        code,
        error: messageOf(error),
        pairs: this.#puts.length,
      });
      return true;
    }
  }

  #stored(put: Put, id: number): void {
    const pair = put.pair;
    pair.pendingPuts--;
    pair.id = id;
    pair.list?.remove(pair);
    if (!put.isLeased) this.#deps.onStored(pair, put.row.dueMs);
    else if (pair.isEnded && pair.pendingPuts === 0) this.settle(pair);
    put.whenStored?.();
  }

  #wakeIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}

function sameLease(puts: readonly Put[], from: number): readonly Put[] {
  let to = from + 1;
  while (to < puts.length && puts[to]?.isLeased === puts[from]?.isLeased) to++;
  return puts.slice(from, to);
}

function rowOf(pair: Pair, dueMs: number): WaitingPair {
  return {
    id: pair.id,
    source: { topic: pair.topic, partition: pair.partition, offset: pair.offset },
    target: pair.target.settings.uid,
    targetKey: pair.target.settings.key,
    stage: pair.stage,
    attempt: pair.attempt,
    deaths: pair.deaths,
    lane: pair.stage === 'subscriber' ? (pair.lane?.key ?? pair.storedLane) : null,
    dueMs,
    firstFailureMs: pair.firstFailureMs,
    lastFailureMs: pair.lastFailureMs,
    failure: pair.failure,
    record: pair.record,
    reply: pair.reply,
  };
}
