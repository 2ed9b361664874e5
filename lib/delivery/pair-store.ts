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
/** A store that goes on failing is reported this often. */
const REPORT_MS = 10_000;

export interface PairStoreDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly waiting: WaitingStore;
  readonly holder: string;
  /** A row is durable and leased by this process, which still has the pair in memory. */
  readonly onLeased: (pair: Pair) => void;
  /** An unleased or parked row is durable: the pair is no longer in memory. */
  readonly onStored: (pair: Pair, dueMs: number) => void;
  /** The row of a settled pair is gone, durably. */
  readonly onGone: (pair: Pair) => void;
}

interface Put {
  readonly pair: Pair;
  readonly row: WaitingPair;
  readonly isLeased: boolean;
  /** The pair goes on living in memory. */
  readonly staysHere: boolean;
  readonly whenStored: (() => void) | null;
}

export class PairStore {
  readonly #deps: PairStoreDeps;
  #puts: Put[] = [];
  #settles: Pair[] = [];
  #isScheduled = false;
  #isFlushing = false;
  #isClosed = false;
  /** Callers of {@link idle} whose writes are queued. */
  #waiters: (() => void)[] = [];
  #failingSinceMs: number | null = null;
  #reportedMs = 0;

  constructor(deps: PairStoreDeps) {
    this.#deps = deps;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Stores the pair as it is now; leased by this process, or free from `dueMs` (wall clock) on. */
  put(pair: Pair, isLeased: boolean, dueMs: number, whenStored: (() => void) | null = null): void {
    this.#push(pair, isLeased, isLeased, dueMs, whenStored);
  }

  /** Writes a free row for a pair that stays in memory: a crash finds that nothing was begun. */
  keep(pair: Pair, dueMs: number): void {
    this.#push(pair, false, true, dueMs, null);
  }

  /** The pair is settled: its row goes, if it has or is about to have one. */
  settle(pair: Pair): void {
    if (pair.pendingPuts > 0 || pair.id === 0) return; // the acknowledgement of the put sees `isEnded`
    this.#settles.push(pair);
    this.#schedule();
  }

  /** Something is still to be written; a write that ends can ask for another (a row to be removed). */
  get isBusy(): boolean {
    return this.#isFlushing || this.#puts.length > 0 || this.#settles.length > 0;
  }

  /**
   * Resolves when every write asked for before is durable, whatever is asked for meanwhile; or when
   * the store is closed.
   */
  idle(): Promise<void> {
    if (!this.isBusy || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Gives up what cannot be written; for the end of the process after {@link idle}. */
  close(): void {
    this.#isClosed = true;
    this.#wake(this.#waiters.splice(0));
  }

  #push(
    pair: Pair,
    isLeased: boolean,
    staysHere: boolean,
    dueMs: number,
    whenStored: (() => void) | null,
  ): void {
    pair.pendingPuts++;
    const row = rowOf(pair, isLeased, dueMs);
    this.#puts.push({ pair, row, isLeased, staysHere, whenStored });
    this.#schedule();
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
    if (this.#isFlushing || this.#isClosed) return;
    this.#isFlushing = true;
    const puts = this.#puts;
    const settles = this.#settles;
    const waiters = this.#waiters;
    this.#puts = [];
    this.#settles = [];
    this.#waiters = [];
    const isDone = (await this.#writePuts(puts)) && (await this.#writeSettles(settles));
    this.#isFlushing = false;
    if (this.isClosed) return this.#wake([...waiters, ...this.#waiters.splice(0)]);
    if (!isDone) {
      this.#settles = [...settles, ...this.#settles];
      this.#waiters = [...waiters, ...this.#waiters];
      this.#isFlushing = true; // nothing is written before the pause is over
      this.#deps.clock.after(RETRY_DELAY_MS, () => {
        this.#isFlushing = false;
        this.#schedule();
      });
      return;
    }
    this.#failingSinceMs = null;
    this.#wake(waiters);
    if (this.#puts.length > 0 || this.#settles.length > 0) this.#schedule();
    else this.#wake(this.#waiters.splice(0));
  }

  /** Run by run of the same lease state. False when something is left, kept in order. */
  async #writePuts(puts: readonly Put[]): Promise<boolean> {
    for (let done = 0; done < puts.length; ) {
      const run = sameLease(puts, done);
      let ids: readonly number[];
      try {
        ids = await this.#deps.waiting.put(
          run.map(rowNow),
          run[0]?.isLeased === true ? this.#deps.holder : null,
        );
      } catch (error) {
        this.#puts = [...puts.slice(done), ...this.#puts];
        this.#failed(error);
        return false;
      }
      run.forEach((put, index) => this.#stored(put, ids[index] ?? 0));
      done += run.length;
    }
    return true;
  }

  async #writeSettles(settles: readonly Pair[]): Promise<boolean> {
    if (settles.length === 0) return true;
    try {
      await this.#deps.waiting.settle(settles.map((pair) => pair.id));
    } catch (error) {
      this.#failed(error);
      return false;
    }
    for (const pair of settles) this.#deps.onGone(pair);
    return true;
  }

  #failed(error: unknown): void {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#failingSinceMs !== null && nowMs - this.#reportedMs < REPORT_MS) return;
    this.#failingSinceMs ??= nowMs;
    this.#reportedMs = nowMs;
    this.#deps.logger.error('Cannot write to the waiting store: it is tried again', {
      code: isMeshError(error) ? error.code : 'UNKNOWN',
      error: messageOf(error),
      pairs: this.#puts.length,
      failingMs: Math.round(nowMs - this.#failingSinceMs),
    });
  }

  #stored(put: Put, id: number): void {
    const pair = put.pair;
    pair.pendingPuts--;
    pair.id = id;
    pair.list?.remove(pair);
    if (!put.staysHere) this.#deps.onStored(pair, put.row.dueMs);
    else {
      this.#deps.onLeased(pair);
      if (pair.isEnded) this.settle(pair);
    }
    put.whenStored?.();
  }

  #wake(waiters: readonly (() => void)[]): void {
    for (const wake of waiters) wake();
  }
}

function sameLease(puts: readonly Put[], from: number): readonly Put[] {
  let to = from + 1;
  while (to < puts.length && puts[to]?.isLeased === puts[from]?.isLeased) to++;
  return puts.slice(from, to);
}

/** The row, with the id that an earlier write has got since: its key may have passed to another UID. */
function rowNow({ row, pair }: Put): WaitingPair {
  return row.id === pair.id ? row : { ...row, id: pair.id };
}

function rowOf(pair: Pair, isLeased: boolean, dueMs: number): WaitingPair {
  // An attempt that came with a lease and was not begun goes back with the pair: none is skipped.
  const isUnused = pair.isAttemptCounted && !isLeased;
  return {
    id: pair.id,
    source: { topic: pair.topic, partition: pair.partition, offset: pair.offset },
    target: pair.target.settings.uid,
    targetKey: pair.target.settings.key,
    stage: pair.stage,
    attempt: isUnused ? pair.attempt - 1 : pair.attempt,
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
