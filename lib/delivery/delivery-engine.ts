/**
 * Delivers (event, target) pairs: takes them from readers and from the waiting store, sends within
 * each target's window, and settles, stores or moves each on its own. One per channel driver in a
 * process that has the dispatcher role; `services/dispatcher` feeds it.
 *
 * Invariants: an open pair is in its reader's list until it is settled or its row is durable; the
 * attempt number is durable before every retry; a pair that left stage `subscriber` never invokes
 * the subscriber again; no target can hold more than its window and its bounded queue in memory.
 */
import { Fifo } from '#lib/async/fifo';
import type { EventRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import type { DeliveryFailure, TargetWaiting, WaitingStore } from '#lib/channel/waiting-store';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import { Attempts } from './attempts.ts';
import type { DeliveryMetrics } from './delivery-metrics.ts';
import type { DeliveryObserver } from './delivery-observer.ts';
import { reportAttempt } from './delivery-report.ts';
import { Leases } from './leases.ts';
import type { Step } from './next-step.ts';
import { createPair, OpenPairs } from './pair.ts';
import type { Pair, PairSource } from './pair.ts';
import { PairStore } from './pair-store.ts';
import { lostFailure } from './poison.ts';
import { RecoveredPairs } from './recovered-pairs.ts';
import { makeReply } from './reply.ts';
import { Target } from './target.ts';
import type { TargetSettings } from './target.ts';

/** Leases are renewed, and requests for own readers repeated, this often. */
const RENEWAL_MS = 2_000;
/** How long a deleted target is remembered for readers that have not heard of it yet. */
const FROZEN_MEMORY_MS = 60_000;
/** Unclean ends with the pair in flight after which it is sent alone, and after which it is parked. */
const DEATHS_ISOLATED = 3;
const DEATHS_PARKED = 5;
/** When the row of a pair that waits here for its isolation would be due for another process. */
const ISOLATED_KEPT_MS = 5_000;
/** A store that does not take the last writes ends the wait for it: they happen again. */
const CLOSE_MS_MAX = 5_000;

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
  /** The present target of each name: deleted ones pass their pairs to it. */
  readonly #byKey = new Map<string, Target>();
  readonly #attempts: Attempts;
  readonly #store: PairStore;
  readonly #leases: Leases;
  readonly #recovered: RecoveredPairs;
  /** Deleted targets, and until when (monotonic) they are remembered. */
  readonly #frozen = new Map<Target, number>();
  /** Pairs that wait to be sent alone; they have their place in their target's window. */
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
    this.#store = new PairStore({
      ...deps,
      onLeased: (pair) => this.#leases.keep(pair),
      onStored: (pair, dueMs) => this.#stored(pair, dueMs),
      onGone: (pair) => this.#gone(pair),
    });
    this.#leases = new Leases({
      ...deps,
      pump: (target) => this.#pump(target),
      giveBack: (pair) => this.#putFree(pair, 0),
    });
    this.#recovered = new RecoveredPairs(deps.waiting);
  }

  /** Voids what a former life of this holder had leased. Call once, before {@link loadTopic}. */
  async start(): Promise<void> {
    const { unclean } = await this.#deps.waiting.recover(this.#deps.holder);
    this.#recovered.wasUnclean = unclean;
    this.#renewal = this.#deps.clock.every(RENEWAL_MS, () => {
      this.#forgetFrozen();
      this.#remindOwn();
      void this.#leases.renew(); // never rejects
    });
  }

  /**
   * Reads what waits for a topic's targets; before any of its pairs is offered. `readFrom` is the
   * lowest position of a reader, per partition.
   */
  loadTopic(topic: string, readFrom: ReadonlyMap<number, number>): Promise<void> {
    return this.#recovered.load(topic, readFrom);
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

  /** The target that has the name now, if it inherits what was meant for the name. */
  heirOf(key: string): Target | undefined {
    const target = this.#byKey.get(key);
    return target?.inheritsName === true ? target : undefined;
  }

  targets(): Iterable<Target> {
    return this.#targets.values();
  }

  /** Creates the target or gives it its new settings: the next attempt uses them. */
  putTarget(settings: TargetSettings, inheritsName = true): Target {
    const known = this.#targets.get(settings.uid);
    const target = known ?? new Target(settings);
    target.settings = settings;
    target.isFrozen = false;
    target.inheritsName = inheritsName;
    this.#byKey.set(settings.key, target);
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
    target.holdsShared.clear();
    target.isLoading = false;
    if (this.#byKey.get(target.settings.key) === target) this.#byKey.delete(target.settings.key);
    this.#storeQueued(target);
    this.#leases.disarm(target);
    this.#frozen.set(target, this.#deps.clock.monotonicMs() + FROZEN_MEMORY_MS);
  }

  /** A stand-in for a target that was deleted before this process heard of it: it only stores. */
  orphanTarget(settings: TargetSettings): Target {
    const known = this.#targets.get(settings.uid);
    if (known !== undefined) return known;
    const target = new Target(settings);
    target.isFrozen = true;
    this.#targets.set(settings.uid, target);
    this.#recovered.adopt(target);
    this.#frozen.set(target, this.#deps.clock.monotonicMs() + FROZEN_MEMORY_MS);
    return target;
  }

  /** An ordered target goes on with what was held back and is not any more. */
  releaseHeld(target: Target): void {
    for (const pair of target.takeHeld()) this.#enqueue(pair);
    this.#pump(target);
  }

  /** Pairs of targets changed in the store behind our back (redrive): count again. */
  async reload(topic: string): Promise<void> {
    const targets = [...this.#targets.values()].filter(({ settings }) => settings.topic === topic);
    this.#leases.recount(targets, await this.#summary(topic));
    for (const target of targets) this.#pump(target);
  }

  /**
   * New targets take over what their name left in the store, also what this process was still writing
   * for a deleted one when the control side passed its pairs on. Ordered ones wait for it.
   */
  async inherit(
    topic: string,
    partitions: readonly number[],
    uids: ReadonlySet<string>,
  ): Promise<void> {
    await this.#store.idle();
    for (const { target: uid, targetKey } of await this.#deps.waiting.summary(topic)) {
      const heir = this.heirOf(targetKey)?.settings.uid;
      if (heir === undefined || heir === uid || !uids.has(heir)) continue;
      await this.#deps.waiting.retarget(topic, uid, heir);
    }
    const targets = [...uids]
      .map((uid) => this.#targets.get(uid))
      .filter((found) => found !== undefined);
    const summary = await this.#summary(topic);
    const hasLanes = targets.some(({ settings: { uid, isOrdered } }) => {
      return isOrdered && (summary.get(uid)?.waiting ?? 0) > 0;
    });
    if (hasLanes) await this.#loadLanes(topic, partitions, uids);
    this.#leases.recount(targets, summary);
    for (const target of targets) {
      target.isLoading = false;
      this.releaseHeld(target);
      this.#pump(target);
    }
  }

  /** A matched event. The hot path: queue, and send as far as the window allows. */
  offer(given: Target, source: PairSource, record: EventRecord, list: OpenPairs): void {
    const target = given.isFrozen ? (this.#successor(given) ?? given) : given;
    if (target !== given && !target.inheritsName) {
      given.metricsFrom(this.#deps.metrics).dropped.add(1);
      return;
    }
    const pair = createPair(target, source, record);
    if (source.mark < list.recoveryEnd && !this.#recovered.admit(pair)) return;
    list.add(pair);
    if (!list.isOwn && target.isHolding(pair.partition, pair.offset)) target.hold(pair);
    else this.#enqueue(pair);
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
    pair.stage = 'deadLetter';
    if (target.settings.deadLetter === null && !target.isFrozen) {
      this.#park(pair);
      return;
    }
    this.#enqueue(pair);
    this.#pump(target);
  }

  /**
   * Makes everything of the list below `mark` durable: pairs still open are written to the waiting
   * store as leased. Afterwards the reader's position may move there.
   */
  async persistBelow(list: OpenPairs, mark: number): Promise<void> {
    for (let open = list.below(mark); open.length > 0; open = list.below(mark)) {
      for (const pair of open) if (pair.pendingPuts === 0) this.#store.put(pair, true, 0);
      await this.#store.idle();
      if (this.#store.isClosed) throw new Error('the waiting store was closed before it took all');
    }
  }

  /** Stops sending and waits for requests in flight, at most `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isSending = false;
    this.#nextIsolated();
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
    for (const pair of this.#leases.close()) this.#store.put(pair, false, 0);
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.after(CLOSE_MS_MAX, () => this.#store.close());
      void this.#writeAll().then(() => {
        timer.cancel();
        resolve();
      });
    });
    this.#store.close();
    await this.#deps.waiting.release(this.#deps.holder);
  }

  /** Until nothing is left, also of what the last writes asked for; or the store is closed. */
  async #writeAll(): Promise<void> {
    while (this.#store.isBusy && !this.#store.isClosed) await this.#store.idle();
  }

  async #summary(topic: string): Promise<ReadonlyMap<string, TargetWaiting>> {
    const rows = await this.#deps.waiting.summary(topic);
    return new Map(rows.map((row) => [row.target, row]));
  }

  /** Lanes that wait in the store; those whose pair is in memory here are known already. */
  async #loadLanes(
    topic: string,
    partitions: readonly number[],
    uids: ReadonlySet<string>,
  ): Promise<void> {
    for (const partition of partitions) {
      for (const key of await this.#deps.waiting.keys(topic, partition, 0)) {
        if (key.lane === null || key.stage !== 'subscriber' || !uids.has(key.target)) continue;
        if (!this.#leases.has(key.id)) this.#targets.get(key.target)?.noteStoredLane(key.lane);
      }
    }
  }

  /** Into the target's queue; to the store when it is deleted, full, or its lane waits there. */
  #enqueue(pair: Pair): void {
    const target = pair.target;
    if (!target.isFrozen && !target.isFlooded) {
      if (!target.push(pair)) this.#putFree(pair, 0);
    } else if (target.settings.isOrdered && pair.stage === 'subscriber') {
      for (const queued of target.floodLane(pair)) this.#putFree(queued, 0);
    } else this.#putFree(pair, 0);
  }

  #askForOwn(target: Target): void {
    target.wantsOwn = true;
    this.onOverflow?.(target);
  }

  /** A request can be lost with whoever took it: it is repeated while there is a reason. */
  #remindOwn(): void {
    for (const target of this.#targets.values()) {
      if (target.wantsOwn && target.isOverflowing && !target.isFrozen) this.onOverflow?.(target);
    }
  }

  #pump(target: Target): void {
    while (this.#isSending && target.hasRoom) {
      const pair = target.take();
      if (pair === undefined) break;
      this.#begin(pair);
    }
    if (this.#isSending && target.nextDueMs < Infinity) this.#leases.whenDue(target);
  }

  #begin(pair: Pair): void {
    const target = pair.target;
    const { settings } = target;
    if (pair.stage === 'subscriber' && settings.subscriber === null) {
      pair.stage = 'deadLetter'; // a Broker's own dead letters, redriven or stored while unknown
      pair.attempt = 0;
    }
    const isHopeless = pair.deaths >= DEATHS_PARKED;
    if (isHopeless || (pair.stage === 'deadLetter' && settings.deadLetter === null)) {
      pair.failure ??= isHopeless ? processDied(settings.subscriberUrl) : lostFailure(pair.record);
      pair.wakesLane = target.leaveLane(pair);
      this.#park(pair);
      return;
    }
    if (pair.stage === 'deadLetter') pair.failure ??= lostFailure(pair.record);
    pair.isInFlight = true;
    target.inFlightCount++;
    target.inFlightBytes += pair.sizeBytes;
    this.#inFlightCount++;
    if (pair.deaths >= DEATHS_ISOLATED) {
      if (this.#isolatedInFlight) return this.#queueIsolated(pair);
      this.#isolatedInFlight = pair.isIsolated = true;
    }
    this.#attempt(pair);
  }

  #attempt(pair: Pair): void {
    if (pair.isAttemptCounted) pair.isAttemptCounted = false;
    else pair.attempt++;
    if (!pair.needsPrewrite) {
      this.#attempts.begin(pair);
      return;
    }
    pair.needsPrewrite = false;
    this.#store.put(pair, true, 0, () => {
      if (this.#canSend(pair.target)) return this.#attempts.begin(pair);
      pair.attempt--;
      this.#giveUpPlace(pair);
    });
  }

  /**
   * It waits until the isolated pair in flight has ended. Only what is really in flight may count a
   * death, or a crash loop would park events that never did any harm: its row says that none is begun.
   */
  #queueIsolated(pair: Pair): void {
    if (pair.isAttemptCounted) {
      pair.isAttemptCounted = false;
      pair.attempt--;
    }
    pair.needsPrewrite = true;
    this.#store.keep(pair, this.#deps.clock.wallMs() + ISOLATED_KEPT_MS);
    this.#isolated.push(pair);
  }

  #canSend(target: Target): boolean {
    return this.#isSending && !target.isFrozen && !target.settings.isPaused;
  }

  /** It has a place in the window and is not sent after all: back to the store, nothing counted. */
  #giveUpPlace(pair: Pair): void {
    this.#leavePlace(pair);
    this.#wait(pair, 0);
    if (pair.isIsolated) this.#endIsolation(pair);
    this.#pump(pair.target);
  }

  #leavePlace(pair: Pair): void {
    const target = pair.target;
    pair.isInFlight = false;
    target.inFlightCount--;
    target.inFlightBytes -= pair.sizeBytes;
    this.#inFlightCount--;
    if (this.#inFlightCount === 0) this.#wakeQuiet();
  }

  #finished(pair: Pair, step: Step): void {
    const target = pair.target;
    this.#leavePlace(pair);
    reportAttempt(this.#deps, this.observer, pair, step);
    this.#apply(pair, step);
    if (pair.isIsolated) this.#endIsolation(pair);
    if (target.isFrozen) this.#storeQueued(target);
    this.#pump(target);
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
        if (pair.stage !== 'deadLetter') {
          pair.failedAttempts = pair.attempt;
          pair.failure = step.failure;
        }
        pair.wakesLane = pair.target.leaveLane(pair);
        this.#park(pair);
    }
  }

  #settle(pair: Pair): void {
    pair.wakesLane = pair.target.leaveLane(pair);
    this.#end(pair);
  }

  #end(pair: Pair): void {
    pair.isEnded = true;
    pair.list?.remove(pair);
    if (pair.id !== 0 || pair.pendingPuts > 0) this.#store.settle(pair);
    else if (pair.wakesLane) this.#leaseNow(pair.target);
  }

  /** Who has the deleted target's name by now. */
  #successor(target: Target): Target | undefined {
    const found = this.#byKey.get(target.settings.key);
    return found !== target && found?.settings.topic === target.settings.topic ? found : undefined;
  }

  #gone(pair: Pair): void {
    this.#leases.drop(pair);
    if (pair.wakesLane) this.#leaseNow(pair.target);
  }

  /** The pair leaves stage `subscriber` for good; durably so, when it has a row. */
  #enterStage(pair: Pair, stage: 'reply' | 'deadLetter'): void {
    const target = pair.target;
    const wakesLane = target.leaveLane(pair);
    pair.stage = stage;
    pair.attempt = 0;
    pair.isFromStore = false;
    if (pair.id !== 0 || pair.pendingPuts > 0) {
      this.#store.put(pair, true, 0, wakesLane ? () => this.#leaseNow(target) : null);
    } else if (wakesLane) this.#leaseNow(target);
    target.pushFirst(pair);
  }

  #wait(pair: Pair, dueMs: number): void {
    const behind = pair.target.storeLane(pair);
    this.#putFree(pair, dueMs);
    for (const waiting of behind) this.#putFree(waiting, 0);
  }

  #park(pair: Pair): void {
    pair.stage = 'parked';
    pair.target.metricsFrom(this.#deps.metrics).parked.add(1);
    this.#putFree(pair, 0);
  }

  #storeQueued(target: Target): void {
    for (const pair of target.drain()) this.#putFree(pair, 0);
  }

  /** Out of memory: to the store, for whoever has the target's name by now. */
  #putFree(pair: Pair, dueMs: number): void {
    const heir = pair.target.isFrozen ? this.#successor(pair.target) : undefined;
    if (heir !== undefined && !heir.inheritsName && pair.stage !== 'parked') {
      pair.target.metricsFrom(this.#deps.metrics).dropped.add(1);
      pair.wakesLane = false;
      return this.#end(pair);
    }
    if (heir !== undefined) {
      pair.target = heir;
      const hasLane = pair.stage === 'subscriber' && heir.settings.isOrdered;
      if (hasLane && pair.storedLane !== null) heir.noteStoredLane(pair.storedLane);
    }
    this.#store.put(pair, false, dueMs);
  }

  /** The row is durable and not leased: the pair has left memory. */
  #stored(pair: Pair, dueMs: number): void {
    const target = pair.target;
    this.#leases.drop(pair);
    if (pair.stage === 'parked') {
      target.parkedCount++;
      if (pair.wakesLane) this.#leaseNow(target);
      return;
    }
    target.waitingCount++;
    target.nextDueMs = Math.min(target.nextDueMs, dueMs);
    if (this.#isSending) this.#leases.whenDue(target);
    if (!target.wantsOwn && target.isOverflowing) this.#askForOwn(target);
  }

  #leaseNow(target: Target): void {
    target.nextDueMs = 0;
    this.#pump(target);
  }

  #endIsolation(pair: Pair): void {
    pair.isIsolated = false;
    this.#isolatedInFlight = false;
    this.#nextIsolated();
  }

  #nextIsolated(): void {
    while (!this.#isolatedInFlight || !this.#isSending) {
      const next = this.#isolated.shift();
      if (next === undefined) return;
      if (!this.#canSend(next.target)) {
        this.#giveUpPlace(next);
        continue;
      }
      this.#isolatedInFlight = next.isIsolated = true;
      this.#attempt(next);
    }
  }

  #forgetFrozen(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const [target, untilMs] of this.#frozen) {
      if (untilMs > nowMs) continue;
      this.#frozen.delete(target);
      const { uid, key, brokerKey } = target.settings;
      if (!target.isFrozen || this.#targets.get(uid) !== target) continue;
      this.#targets.delete(uid);
      if (!this.#byKey.has(key)) this.#deps.metrics.forget(brokerKey, key);
    }
  }

  #wakeQuiet(): void {
    const waiters = this.#quietWaiters;
    this.#quietWaiters = [];
    for (const wake of waiters) wake();
  }
}

function processDied(destination: string | null): DeliveryFailure {
  return { destination, status: null, body: Buffer.alloc(0), reason: 'ProcessDied' };
}
