/**
 * Takes due pairs of a target out of the waiting store and keeps their leases while this process has
 * them. Used by the engine. Invariants: a row is at most once in memory, whatever becomes of its
 * lease; a target that has pairs in the store is asked for again until the store says it has none.
 */
import { assert } from '#lib/assert/assert';
import type { EventRecord } from '#lib/channel/event-record';
import type { Lease, TargetWaiting, WaitingPair, WaitingStore } from '#lib/channel/waiting-store';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { DueTimer } from './due-timer.ts';
import { createPair } from './pair.ts';
import type { Pair } from './pair.ts';
import type { Target } from './target.ts';

const LEASE_COUNT_MAX = 256;
const LEASE_BYTES_MAX = 4 * 1_048_576;
/** A target with stored pairs of which none can be leased is asked again after this. */
const POLL_MS = 250;
/**
 * How long an empty answer is not believed while the count says otherwise: a lease in this holder's
 * name may be running that was never heard of (its answer was lost, or a former life woke up once
 * more), and the store does not tell about leases of the asker's own. A lease lasts 10 s.
 */
const DOUBT_MS = 12_000;
/** The same while a pair of the target is open here: its end asks at once. */
const POLL_OPEN_MS = 5_000;

export interface LeasesDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly waiting: WaitingStore;
  readonly holder: string;
  /** Sends what the target has and asks {@link Leases.whenDue}. */
  readonly pump: (target: Target) => void;
  /** A pair that was leased for a target that takes none any more. */
  readonly giveBack: (pair: Pair) => void;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #due: DueTimer;
  /** Pairs in memory by the id of their row. */
  readonly #rows = new Map<number, Pair>();
  /** Targets whose count says more than the store, and since when (monotonic). */
  readonly #doubts = new Map<Target, number>();
  #isOpen = true;

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
    this.#due = new DueTimer(deps.clock, deps.pump);
  }

  /** The pair's row is durable and leased by this process. */
  keep(pair: Pair): void {
    this.#rows.set(pair.id, pair);
  }

  /** The pair's row is gone, or free for anybody: durably. */
  drop(pair: Pair): void {
    if (this.#rows.get(pair.id) === pair) this.#rows.delete(pair.id);
  }

  /** Leases what is due if there is room, else sees to it that it is looked for in time. */
  whenDue(target: Target): void {
    if (target.nextDueMs === Infinity || target.isLeasing || target.isFrozen) return;
    if (target.isLoading || !this.#isOpen) return;
    const nowMs = this.#deps.clock.wallMs();
    if (target.nextDueMs > nowMs) this.#due.arm(target);
    else if (target.hasRoom) void this.#lease(target, nowMs); // never rejects
  }

  /** The target is frozen: nothing is leased for it. */
  disarm(target: Target): void {
    this.#doubts.delete(target);
    this.#due.disarm(target);
  }

  /** Counts again what the store holds for the targets, without what is in memory here. */
  recount(targets: Iterable<Target>, rows: ReadonlyMap<string, TargetWaiting>): void {
    const inMemory = new Map<Target, number>();
    for (const pair of this.#rows.values()) {
      inMemory.set(pair.target, (inMemory.get(pair.target) ?? 0) + 1);
    }
    for (const target of targets) {
      const row = rows.get(target.settings.uid);
      target.parkedCount = row?.parked ?? 0;
      target.waitingCount = Math.max(0, (row?.waiting ?? 0) - (inMemory.get(target) ?? 0));
      if (target.waitingCount > 0) target.nextDueMs = 0;
    }
  }

  has(id: number): boolean {
    return this.#rows.has(id);
  }

  async renew(): Promise<void> {
    if (this.#rows.size === 0) return;
    try {
      await this.#deps.waiting.renew(this.#deps.holder, [...this.#rows.keys()]);
    } catch (error) {
      this.#deps.logger.warn('Cannot renew leases', {
        error: messageOf(error),
        pairs: this.#rows.size,
      });
    }
  }

  /** Leases no more; returns what was leased and not begun. */
  close(): readonly Pair[] {
    this.#isOpen = false;
    this.#due.close();
    return [...this.#rows.values()].filter((pair) => pair.isAttemptCounted);
  }

  async #lease(target: Target, nowMs: number): Promise<void> {
    target.isLeasing = true;
    target.nextDueMs = Infinity; // what is stored from now on lowers it again
    const lease = await this.#ask(target, nowMs);
    target.isLeasing = false;
    if (lease === null) target.nextDueMs = Math.min(target.nextDueMs, nowMs + POLL_MS);
    else this.#take(target, lease, nowMs);
    this.#deps.pump(target);
  }

  /** `null` when the store cannot answer. */
  async #ask(target: Target, nowMs: number): Promise<Lease | null> {
    const free = target.settings.concurrency - target.inFlightCount;
    assert(free >= 1, 'a lease is asked for with room in the window', { free });
    try {
      return await this.#deps.waiting.lease({
        target: target.settings.uid,
        holder: this.#deps.holder,
        nowMs,
        countMax: Math.min(free, LEASE_COUNT_MAX),
        bytesMax: LEASE_BYTES_MAX,
      });
    } catch (error) {
      this.#deps.logger.warn('Cannot lease waiting events: it is tried again', {
        'knative.dev/key': target.settings.key,
        error: messageOf(error),
      });
      return null;
    }
  }

  #take(target: Target, lease: Lease, nowMs: number): void {
    let taken = 0;
    for (const row of lease.pairs) {
      // Ours already: its lease had run out, because the store or this process stood still.
      if (this.#rows.has(row.id)) continue;
      taken++;
      this.#takeRow(target, row);
    }
    target.nextDueMs = Math.min(target.nextDueMs, this.#nextLook(target, lease, taken, nowMs));
  }

  #nextLook(target: Target, lease: Lease, taken: number, nowMs: number): number {
    if (lease.nextDueMs !== null) {
      return taken > 0 ? lease.nextDueMs : Math.max(lease.nextDueMs, nowMs + POLL_MS);
    }
    const isOpen = target.inFlightCount > 0 || target.aheadCount > 0;
    // Nothing to lease, nothing stored meanwhile, and no head of a lane here: there is nothing.
    const isEmpty = target.nextDueMs === Infinity && !(target.settings.isOrdered && isOpen);
    if (taken > 0 || !isEmpty || target.waitingCount === 0) this.#doubts.delete(target);
    else if (this.#isBelieved(target)) target.waitingCount = 0;
    if (target.waitingCount === 0) return Infinity;
    return nowMs + (isOpen ? POLL_OPEN_MS : POLL_MS);
  }

  /** The store has said for long enough that nothing can be leased. */
  #isBelieved(target: Target): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const sinceMs = this.#doubts.get(target);
    if (sinceMs === undefined) this.#doubts.set(target, nowMs);
    if (sinceMs === undefined || nowMs - sinceMs < DOUBT_MS) return false;
    this.#doubts.delete(target);
    return true;
  }

  #takeRow(target: Target, row: WaitingPair): void {
    const source = { ...row.source, sizeBytes: sizeOf(row.record), mark: row.source.offset };
    const pair = createPair(target, source, row.record);
    pair.stage = row.stage;
    pair.attempt = row.attempt;
    pair.failedAttempts = row.stage === 'subscriber' ? 0 : target.settings.policy.retryCount + 1;
    pair.deaths = row.deaths;
    pair.id = row.id;
    pair.failure = row.failure;
    pair.reply = row.reply;
    pair.firstFailureMs = row.firstFailureMs;
    pair.lastFailureMs = row.lastFailureMs;
    pair.isFromStore = true;
    pair.isAttemptCounted = true;
    this.#rows.set(row.id, pair);
    target.waitingCount = Math.max(0, target.waitingCount - 1);
    const lane = row.stage === 'subscriber' ? row.lane : null;
    if (target.isFrozen) {
      pair.storedLane = lane;
      this.#deps.giveBack(pair);
    } else target.pushFirst(pair, lane);
  }
}

/** Bytes that a stored pair counts for in its target's window. */
function sizeOf(record: EventRecord): number {
  return (record.event.data?.length ?? 0) + 512;
}
