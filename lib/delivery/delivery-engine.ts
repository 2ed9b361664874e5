/**
 * Delivers (event, target) pairs: takes them from readers and from the waiting store, sends within
 * each target's window, and settles, stores or moves each on its own. One per channel driver in a
 * process that has the dispatcher role; `services/dispatcher` feeds it.
 *
 * Invariants: an open pair is in its reader's list until it is settled or its row is durable; the
 * attempt number is durable before every retry; a pair that left stage `subscriber` never invokes
 * the subscriber again; no target can hold more than its window and its bounded queue in memory.
 */
import { assert } from '#lib/assert/assert';
import { Fifo } from '#lib/async/fifo';
import type { EventRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import type {
  DeliveryFailure,
  TargetWaiting,
  WaitingPair,
  WaitingStore,
} from '#lib/channel/waiting-store';
import { messageOf } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import { Attempts } from './attempts.ts';
import type { DeliveryMetrics } from './delivery-metrics.ts';
import type { DeliveryObserver } from './delivery-observer.ts';
import { DueTimer } from './due-timer.ts';
import type { Step } from './next-step.ts';
import { createPair, OpenPairs } from './pair.ts';
import type { Pair, PairSource } from './pair.ts';
import { PairStore } from './pair-store.ts';
import { RecoveredPairs } from './recovered-pairs.ts';
import { makeReply } from './reply.ts';
import { QUEUED_BYTES_MAX, QUEUED_COUNT_MAX, Target } from './target.ts';
import type { TargetSettings } from './target.ts';

const LEASE_RENEWAL_MS = 2_000;
const LEASE_COUNT_MAX = 256;
const LEASE_BYTES_MAX = 4 * 1_048_576;
/** A target with stored pairs of which none is due is asked again after this. */
const LEASE_POLL_MS = 250;
/** Unclean ends with the pair in flight after which it is sent alone, and after which it is parked. */
/** How long a deleted target is remembered for readers that have not heard of it yet. */
const FROZEN_MEMORY_MS = 60_000;
const DEATHS_ISOLATED = 3;
const DEATHS_PARKED = 5;

export interface EngineDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: DeliveryMetrics;
  readonly waiting: WaitingStore;
  readonly append: (topic: string, record: EventRecord) => Promise<Receipt>;
  /** The name under which this process leases; the same after a restart. */
  readonly holder: string;
}

export class DeliveryEngine {
  /** Who watches, or `null`. */
  observer: DeliveryObserver | null = null;
  /** Told when a target needs an own reader: its window cannot take what the shared one brings. */
  onOverflow: ((target: Target) => void) | null = null;
  readonly #deps: EngineDeps;
  readonly #targets = new Map<string, Target>();
  readonly #attempts: Attempts;
  readonly #store: PairStore;
  readonly #recovered: RecoveredPairs;
  readonly #due: DueTimer;
  /** Pairs in memory whose row is leased by this process, for renewals. */
  readonly #leased = new Set<Pair>();
  /** Deleted targets, and until when (monotonic) they are remembered. */
  readonly #frozen = new Map<Target, number>();
  readonly #isolated = new Fifo<Pair>();
  #isolatedInFlight = false;
  #inFlightCount = 0;
  #isSending = true;
  #renewal: Timer | null = null;
  #quietWaiters: (() => void)[] = [];

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#attempts = new Attempts({
      ...deps,
      finished: (pair, step) => this.#finished(pair, step),
    });
    this.#store = new PairStore({ ...deps, onStored: (pair, dueMs) => this.#stored(pair, dueMs) });
    this.#recovered = new RecoveredPairs(deps.waiting);
    this.#due = new DueTimer(deps.clock, (target) => this.#pump(target));
  }

  /** Voids what a former life of this holder had leased. Call once, before {@link loadTopic}. */
  async start(): Promise<void> {
    const { unclean } = await this.#deps.waiting.recover(this.#deps.holder);
    this.#recovered.wasUnclean = unclean;
    this.#renewal = this.#deps.clock.every(LEASE_RENEWAL_MS, () => {
      this.#forgetFrozen();
      void this.#renew(); // never rejects
    });
  }

  /** Reads what waits for a topic's targets; before any of its pairs is offered. */
  loadTopic(topic: string, partitions: readonly number[]): Promise<void> {
    return this.#recovered.load(topic, partitions);
  }

  /**
   * A list for one reader's open pairs. Events from `from` up to `end` (the log's end at the start of
   * the process) may have been in flight when a former life died: their attempts are pre-written.
   */
  openList(from: number, end: number, spanMax: number, isOwn: boolean): OpenPairs {
    return new OpenPairs(this.#recovered.wasUnclean ? Math.min(end, from + spanMax) : 0, isOwn);
  }

  target(uid: string): Target | undefined {
    return this.#targets.get(uid);
  }

  targets(): Iterable<Target> {
    return this.#targets.values();
  }

  /** Creates the target or gives it its new settings: the next attempt uses them. */
  putTarget(settings: TargetSettings): Target {
    const known = this.#targets.get(settings.uid);
    const target = known ?? new Target(settings);
    target.settings = settings;
    target.isFrozen = false;
    if (known === undefined) {
      this.#targets.set(settings.uid, target);
      this.#recovered.adopt(target);
    }
    this.#pump(target);
    return target;
  }

  /** The Trigger was deleted: what is queued is stored, what is in flight ends as it ends. */
  freezeTarget(uid: string): void {
    const target = this.#targets.get(uid);
    if (target === undefined || target.isFrozen) return;
    target.isFrozen = true;
    this.#storeQueued(target);
    this.#due.disarm(target);
    this.#frozen.set(target, this.#deps.clock.monotonicMs() + FROZEN_MEMORY_MS);
  }

  /** A stand-in for a target that was deleted before this process heard of it: it only stores. */
  orphanTarget(settings: TargetSettings): Target {
    const target = this.putTarget(settings);
    this.freezeTarget(settings.uid);
    return target;
  }

  /** An ordered target's own reader has handed over everything below: what the shared one brought goes on. */
  releaseHeld(target: Target): void {
    for (const pair of target.releaseHeld()) {
      if (!target.push(pair)) this.#store.put(pair, false, 0);
    }
    this.#pump(target);
  }

  /** Pairs of targets changed in the store behind our back (redrive, inheritance): count again. */
  async reload(topic: string, uids: ReadonlySet<string>): Promise<void> {
    const rows = new Map<string, TargetWaiting>();
    for (const row of await this.#deps.waiting.summary(topic)) rows.set(row.target, row);
    for (const uid of uids) {
      const target = this.#targets.get(uid);
      if (target === undefined) continue;
      const row = rows.get(uid);
      target.waitingCount = row?.waiting ?? 0;
      target.parkedCount = row?.parked ?? 0;
      target.nextDueMs = 0;
      this.#pump(target);
    }
  }

  /** A matched event. The hot path: queue, and send as far as the window allows. */
  offer(target: Target, source: PairSource, record: EventRecord, list: OpenPairs): void {
    const pair = createPair(target, source, record);
    if (source.mark < list.recoveryEnd && !this.#recovered.admit(pair)) return;
    list.add(pair);
    if (target.holdsShared && !list.isOwn) target.hold(pair);
    else if (target.isFrozen || this.#isFlooded(target)) this.#storeFlood(pair);
    else if (!target.push(pair)) this.#store.put(pair, false, 0);
    this.#pump(target);
    if (!target.wantsOwn && target.isOverflowing) this.#askForOwn(target);
  }

  /** An event that goes straight to the target's dead-letter sink, or is parked without one. */
  offerFailed(
    target: Target,
    source: PairSource,
    record: EventRecord,
    list: OpenPairs,
    failure: DeliveryFailure,
  ): void {
    const pair = createPair(target, source, record);
    if (source.mark < list.recoveryEnd && !this.#recovered.admit(pair)) return;
    list.add(pair);
    pair.failure = failure;
    pair.firstFailureMs = pair.lastFailureMs = this.#deps.clock.wallMs();
    if (target.settings.deadLetter === null) {
      this.#park(pair);
      return;
    }
    pair.stage = 'deadLetter';
    target.push(pair);
    this.#pump(target);
  }

  /**
   * Makes everything of the list below `mark` durable: pairs still open are written to the waiting
   * store as leased. Afterwards the reader's position may move there.
   */
  async persistBelow(list: OpenPairs, mark: number): Promise<void> {
    for (let open = list.below(mark); open.length > 0; open = list.below(mark)) {
      for (const pair of open) if (pair.pendingPuts === 0) this.#putLeased(pair);
      await this.#store.idle();
    }
  }

  /** Stops sending and waits for requests in flight, at most `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isSending = false;
    if (this.#inFlightCount === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.after(deadlineMs, resolve);
      this.#quietWaiters.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** A clean end, after the readers' last checkpoints: leases are given back without a death. */
  async close(): Promise<void> {
    this.#isSending = false;
    this.#renewal?.cancel();
    this.#due.close();
    await this.#store.idle();
    this.#store.close();
    await this.#deps.waiting.release(this.#deps.holder);
  }

  #isFlooded(target: Target): boolean {
    return target.queuedCount > 2 * QUEUED_COUNT_MAX || target.queuedBytes > 2 * QUEUED_BYTES_MAX;
  }

  /** More than the queue may hold, between the request for an own reader and the change. */
  #storeFlood(pair: Pair): void {
    const target = pair.target;
    if (target.settings.isOrdered && pair.stage === 'subscriber') {
      for (const queued of target.floodLane(pair)) this.#store.put(queued, false, 0);
    } else this.#store.put(pair, false, 0);
  }

  #askForOwn(target: Target): void {
    target.wantsOwn = true;
    this.onOverflow?.(target);
  }

  #pump(target: Target): void {
    while (this.#isSending && target.hasRoom) {
      const pair = target.take();
      if (pair === undefined) break;
      this.#begin(pair);
    }
    if (target.waitingCount > 0) this.#leaseWhenDue(target);
  }

  #begin(pair: Pair): void {
    const target = pair.target;
    if (pair.deaths >= DEATHS_PARKED) {
      pair.failure ??= processDied(target.settings.subscriberUrl);
      target.leaveLane(pair);
      this.#park(pair);
      return;
    }
    if (pair.deaths >= DEATHS_ISOLATED) {
      if (this.#isolatedInFlight) {
        this.#isolated.push(pair);
        return;
      }
      this.#isolatedInFlight = true;
      pair.isIsolated = true;
    }
    pair.isInFlight = true;
    target.inFlightCount++;
    target.inFlightBytes += pair.sizeBytes;
    this.#inFlightCount++;
    if (pair.isAttemptCounted) pair.isAttemptCounted = false;
    else pair.attempt++;
    if (pair.needsPrewrite) {
      pair.needsPrewrite = false;
      this.#putLeased(pair, () => this.#attempts.begin(pair));
    } else this.#attempts.begin(pair);
  }

  #finished(pair: Pair, step: Step): void {
    const target = pair.target;
    pair.isInFlight = false;
    target.inFlightCount--;
    target.inFlightBytes -= pair.sizeBytes;
    this.#inFlightCount--;
    this.#report(pair, step);
    this.#apply(pair, step);
    if (pair.isIsolated) this.#nextIsolated(pair);
    if (target.isFrozen) this.#storeQueued(target);
    this.#pump(target);
    if (this.#inFlightCount === 0) this.#wakeQuiet();
  }

  #apply(pair: Pair, step: Step): void {
    switch (step.do) {
      case 'settle':
        this.#settle(pair);
        return;
      case 'reply':
        pair.reply = makeReply(pair.record, step, this.#deps.clock.wallMs());
        this.#enterStage(pair, 'reply');
        return;
      case 'deadLetter':
        pair.failedAttempts = pair.attempt;
        pair.failure = step.failure;
        this.#enterStage(pair, 'deadLetter');
        return;
      case 'wait':
        this.#wait(pair, this.#deps.clock.wallMs() + step.delayMs);
        return;
      case 'park':
        if (pair.stage === 'subscriber') {
          pair.failedAttempts = pair.attempt;
          pair.failure = step.failure;
        }
        pair.target.leaveLane(pair);
        this.#park(pair);
    }
  }

  #settle(pair: Pair): void {
    const target = pair.target;
    pair.isEnded = true;
    pair.list?.remove(pair);
    this.#leased.delete(pair);
    if (target.leaveLane(pair)) this.#store.settle(pair, () => this.#leaseNow(target));
    else this.#store.settle(pair);
  }

  /** The pair leaves stage `subscriber` for good; durably so, when it has a row. */
  #enterStage(pair: Pair, stage: 'reply' | 'deadLetter'): void {
    const target = pair.target;
    const headIsStored = target.leaveLane(pair);
    pair.stage = stage;
    pair.attempt = 0;
    pair.isFromStore = false;
    if (pair.id !== 0 || pair.pendingPuts > 0) {
      this.#putLeased(pair, headIsStored ? () => this.#leaseNow(target) : null);
    }
    target.pushFirst(pair);
  }

  #wait(pair: Pair, dueMs: number): void {
    this.#leased.delete(pair);
    const behind = pair.target.storeLane(pair);
    if (pair.target.isFrozen) this.#inherit(pair);
    this.#store.put(pair, false, dueMs);
    for (const waiting of behind) {
      this.#leased.delete(waiting);
      this.#store.put(waiting, false, 0);
    }
  }

  /** Its Trigger was deleted while it was in flight, and may have come back under another UID. */
  #inherit(pair: Pair): void {
    const { key, uid } = pair.target.settings;
    for (const target of this.#targets.values()) {
      if (target.settings.key !== key || target.settings.uid === uid || target.isFrozen) continue;
      pair.target = target;
      return;
    }
  }

  #park(pair: Pair): void {
    pair.stage = 'parked';
    this.#leased.delete(pair);
    this.#store.put(pair, false, 0);
  }

  #putLeased(pair: Pair, whenStored: (() => void) | null = null): void {
    this.#leased.add(pair);
    this.#store.put(pair, true, 0, whenStored);
  }

  #storeQueued(target: Target): void {
    for (const pair of target.drain()) {
      this.#leased.delete(pair);
      this.#store.put(pair, false, 0);
    }
  }

  /** The row is durable and not leased: the pair has left memory. */
  #stored(pair: Pair, dueMs: number): void {
    const target = pair.target;
    if (pair.stage === 'parked') {
      target.parkedCount++;
      return;
    }
    target.waitingCount++;
    target.nextDueMs = Math.min(target.nextDueMs, dueMs);
    this.#leaseWhenDue(target);
    if (!target.wantsOwn && target.isOverflowing) this.#askForOwn(target);
  }

  #leaseNow(target: Target): void {
    target.nextDueMs = 0;
    this.#pump(target);
  }

  #leaseWhenDue(target: Target): void {
    if (target.isLeasing || target.isFrozen || !this.#isSending) return;
    const nowMs = this.#deps.clock.wallMs();
    if (target.nextDueMs > nowMs) this.#due.arm(target);
    else if (target.hasRoom) void this.#lease(target, nowMs); // never rejects
  }

  async #lease(target: Target, nowMs: number): Promise<void> {
    target.isLeasing = true;
    const free = target.settings.concurrency - target.inFlightCount;
    try {
      const lease = await this.#deps.waiting.lease({
        target: target.settings.uid,
        holder: this.#deps.holder,
        nowMs,
        countMax: Math.min(free, LEASE_COUNT_MAX),
        bytesMax: LEASE_BYTES_MAX,
      });
      for (const row of lease.pairs) this.#takeLeased(target, row);
      const idle = lease.pairs.length === 0 ? nowMs + LEASE_POLL_MS : 0;
      target.nextDueMs = Math.max(lease.nextDueMs ?? nowMs + LEASE_POLL_MS, idle);
    } catch (error) {
      this.#deps.logger.warn('Cannot lease waiting events: it is tried again', {
        'knative.dev/key': target.settings.key,
        error: messageOf(error),
      });
      target.nextDueMs = nowMs + LEASE_POLL_MS;
    } finally {
      target.isLeasing = false;
    }
    this.#pump(target);
  }

  #takeLeased(target: Target, row: WaitingPair): void {
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
    target.waitingCount = Math.max(0, target.waitingCount - 1);
    this.#leased.add(pair);
    target.pushFirst(pair, row.stage === 'subscriber' ? row.lane : null);
  }

  #nextIsolated(pair: Pair): void {
    pair.isIsolated = false;
    this.#isolatedInFlight = false;
    const next = this.#isolated.shift();
    if (next !== undefined) this.#begin(next);
  }

  async #renew(): Promise<void> {
    if (this.#leased.size === 0) return;
    const ids: number[] = [];
    for (const pair of this.#leased) if (pair.id !== 0) ids.push(pair.id);
    try {
      await this.#deps.waiting.renew(this.#deps.holder, ids);
    } catch (error) {
      this.#deps.logger.warn('Cannot renew leases', { error: messageOf(error), pairs: ids.length });
    }
  }

  #report(pair: Pair, step: Step): void {
    const metrics = pair.target.metricsFrom(this.#deps.metrics);
    const durationMs = this.#deps.clock.monotonicMs() - pair.startedMs;
    if (pair.stage === 'subscriber') metrics.dispatchDuration.record(durationMs / 1_000);
    const next = nameOf(pair, step);
    if (next === 'delivered') metrics.delivered.add(1);
    else if (next === 'retry') metrics.retries.add(1);
    else if (next === 'deadLettered') metrics.deadLettered.add(1);
    else if (next === 'parked') metrics.parked.add(1);
    else if (next === 'replied')
      (pair.stage === 'reply' ? metrics.replies : metrics.delivered).add(1);
    if (this.observer === null) return;
    this.observer.attempt({
      brokerKey: pair.target.settings.brokerKey,
      target: pair.target.settings.key,
      record: pair.record,
      partition: pair.partition,
      offset: pair.offset,
      stage: pair.stage,
      attempt: pair.attempt,
      durationMs,
      next,
      delayMs: step.do === 'wait' ? step.delayMs : null,
      failure: pair.failure,
    });
  }

  #forgetFrozen(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [target, untilMs] of this.#frozen) {
      if (untilMs > nowMs) continue;
      this.#frozen.delete(target);
      if (!target.isFrozen || this.#targets.get(target.settings.uid) !== target) continue;
      this.#targets.delete(target.settings.uid);
      this.#deps.metrics.forget(target.settings.brokerKey, target.settings.key);
    }
  }

  #wakeQuiet(): void {
    const waiters = this.#quietWaiters;
    this.#quietWaiters = [];
    for (const wake of waiters) wake();
  }
}

function nameOf(
  pair: Pair,
  step: Step,
): 'delivered' | 'replied' | 'deadLettered' | 'parked' | 'retry' | 'toDeadLetter' {
  switch (step.do) {
    case 'settle':
      if (pair.stage === 'deadLetter') return 'deadLettered';
      return pair.stage === 'reply' ? 'replied' : 'delivered';
    case 'reply':
      return 'replied';
    case 'wait':
      return 'retry';
    case 'deadLetter':
      return 'toDeadLetter';
    case 'park':
      return 'parked';
  }
}

function processDied(destination: string | null): DeliveryFailure {
  return { destination, status: null, body: Buffer.alloc(0), reason: 'ProcessDied' };
}

/** Bytes that a stored pair counts for in its target's window. */
function sizeOf(record: EventRecord): number {
  return (record.event.data?.length ?? 0) + 512;
}
