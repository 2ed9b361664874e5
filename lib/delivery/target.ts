/**
 * One target of deliveries (a Trigger, or a Broker's dead-letter target) in this process: its
 * settings, its window and what waits in memory for a place in it. Owned by the engine.
 * Invariant: a target costs its own window and nothing else; what exceeds it goes to an own reader
 * (the log keeps the backlog) or, between request and change, to the waiting store.
 */
import { Fifo } from '#lib/async/fifo';
import type { DeliveryPolicy } from '#lib/contract/routing';
import type { Destination } from './http-sender.ts';
import { laneKey, Lanes } from './lanes.ts';
import type { Lane } from './lanes.ts';
import type { DeliveryMetrics, TargetMetrics } from './delivery-metrics.ts';
import type { Pair } from './pair.ts';
import type { DeliveryEncoding } from './http-message.ts';

/** Pairs that may wait in memory for a place in the window before an own reader is asked for. */
export const QUEUED_COUNT_MAX = 1_000;
/** Bytes of events that may wait in memory for one target before an own reader is asked for. */
export const QUEUED_BYTES_MAX = 8 * 1_048_576;
/** Pairs in the waiting store at which a target gets (and stalls) an own reader. */
export const WAITING_COUNT_MAX = 1_000;

/** The settings of a target, compiled from its route; replaced whole when the route changes. */
export interface TargetSettings {
  readonly uid: string;
  /** `namespace/name`, or `namespace/broker (dead letters)` for a Broker's own. */
  readonly key: string;
  readonly namespace: string;
  readonly brokerKey: string;
  readonly topic: string;
  readonly isOrdered: boolean;
  readonly isPaused: boolean;
  readonly concurrency: number;
  readonly inFlightBytesMax: number;
  readonly policy: DeliveryPolicy;
  readonly nonEventReply: 'fail' | 'ignore';
  /** `null` for a Broker's dead-letter target: its pairs begin in stage `deadLetter`. */
  readonly subscriber: Destination | null;
  readonly subscriberUrl: string | null;
  readonly deadLetter: Destination | null;
  readonly deadLetterUrl: string | null;
  readonly encoding: DeliveryEncoding;
}

export class Target {
  settings: TargetSettings;
  /** Deleted: nothing is sent any more, what is open is stored for whoever inherits the name. */
  isFrozen = false;
  /** This process has asked for an own reader and was not answered yet. */
  wantsOwn = false;
  inFlightCount = 0;
  inFlightBytes = 0;
  queuedBytes = 0;
  /** Pairs of this target in the waiting store that are not held in memory (parked not counted). */
  waitingCount = 0;
  parkedCount = 0;
  /** Wall clock when the next stored pair falls due; `Infinity` without any. */
  nextDueMs = Infinity;
  isLeasing = false;
  /**
   * Of an ordered target: partitions whose own reader is not at its end, and the offset up to which it
   * has come; what the shared reader brings at or above that waits.
   */
  readonly holdsShared = new Map<number, number>();
  /** Ordered, and what it inherits is not known yet: everything waits. */
  isLoading = false;
  /** Its name's pairs and position pass to it; false when it was given a start position. */
  inheritsName = true;
  readonly #held = new Fifo<Pair>();
  #heldBytes = 0;
  #metrics: TargetMetrics | null = null;
  /** Leased pairs: they go first. */
  readonly #retries = new Fifo<Pair>();
  readonly #queue = new Fifo<Pair>();
  readonly #lanes = new Lanes();

  constructor(settings: TargetSettings) {
    this.settings = settings;
  }

  /** Bound at the first use: most of 10,000 Triggers are quiet. */
  metricsFrom(metrics: DeliveryMetrics): TargetMetrics {
    this.#metrics ??= metrics.open(this.settings.brokerKey, this.settings.key);
    return this.#metrics;
  }

  /** The bound series, or `null` while nothing was ever sent. */
  get boundMetrics(): TargetMetrics | null {
    return this.#metrics;
  }

  get queuedCount(): number {
    return this.aheadCount + this.#held.size;
  }

  /** Pairs queued to be sent, without those that are held back: what an own reader looks at. */
  get aheadCount(): number {
    return this.#queue.size + this.#retries.size + this.#lanes.queuedCount;
  }

  get isOverflowing(): boolean {
    return (
      this.queuedCount > QUEUED_COUNT_MAX ||
      this.queuedBytes + this.#heldBytes > QUEUED_BYTES_MAX ||
      this.waitingCount > WAITING_COUNT_MAX
    );
  }

  /** Twice the bound: the own reader that was asked for did not come yet. */
  get isFlooded(): boolean {
    return (
      this.queuedCount > 2 * QUEUED_COUNT_MAX ||
      this.queuedBytes + this.#heldBytes > 2 * QUEUED_BYTES_MAX
    );
  }

  /** What the shared reader of the partition brings from that offset must wait in memory. */
  isHolding(partition: number, offset: number): boolean {
    if (this.isLoading) return true;
    return this.holdsShared.size > 0 && offset >= (this.holdsShared.get(partition) ?? Infinity);
  }

  get hasRoom(): boolean {
    return (
      this.inFlightCount < this.settings.concurrency &&
      (this.inFlightCount === 0 || this.inFlightBytes < this.settings.inFlightBytesMax) &&
      !this.settings.isPaused &&
      !this.isFrozen
    );
  }

  /** Queues a fresh pair; false when it must go to the store because its lane waits there. */
  push(pair: Pair): boolean {
    if (this.settings.isOrdered && pair.stage === 'subscriber') {
      const lane = this.#lanes.open(laneKey(pair.partition, pair.record.key));
      if (!this.#lanes.push(lane, pair)) {
        lane.storedCount++;
        pair.storedLane = lane.key;
        return false;
      }
      pair.lane = lane;
    } else this.#queue.push(pair);
    this.queuedBytes += pair.sizeBytes;
    return true;
  }

  /** Keeps a pair of the shared reader back; its lane is remembered for a checkpoint's row. */
  hold(pair: Pair): void {
    pair.storedLane = laneKey(pair.partition, pair.record.key);
    this.#held.push(pair);
    this.#heldBytes += pair.sizeBytes;
  }

  /** The held pairs that nothing holds any more, in order, to be queued now. */
  takeHeld(): readonly Pair[] {
    const free: Pair[] = [];
    for (const pair of this.#held.drain()) {
      if (this.isHolding(pair.partition, pair.offset)) {
        this.#held.push(pair);
        continue;
      }
      this.#heldBytes -= pair.sizeBytes;
      pair.storedLane = null;
      free.push(pair);
    }
    return free;
  }

  /** Queues a pair that goes before the others: leased from the store, or in its next stage. */
  pushFirst(pair: Pair, laneOfStore: string | null = null): void {
    if (laneOfStore !== null) {
      const lane = this.#lanes.open(laneOfStore);
      pair.lane = lane;
      if (lane.isBusy) {
        lane.leased = pair;
        return;
      }
      lane.isBusy = true;
    }
    this.#retries.push(pair);
    this.queuedBytes += pair.sizeBytes;
  }

  /** The next pair to send; the caller has checked {@link hasRoom}. */
  take(): Pair | undefined {
    const pair = this.#retries.shift() ?? this.#queue.shift() ?? this.#lanes.take();
    if (pair !== undefined) this.queuedBytes -= pair.sizeBytes;
    return pair;
  }

  /** The pair has left stage `subscriber`: its lane goes on. True when the store holds the next head. */
  leaveLane(pair: Pair): boolean {
    const lane = pair.lane;
    if (lane === null) return false;
    pair.lane = null;
    if (pair.isFromStore && lane.storedCount > 0) lane.storedCount--;
    this.#release(lane);
    return lane.storedCount > 0;
  }

  /** The lane's head goes to the store: so does everything behind it, returned in order. */
  storeLane(pair: Pair): readonly Pair[] {
    const lane = pair.lane;
    if (lane === null) return [];
    pair.lane = null;
    pair.storedLane = lane.key;
    if (!pair.isFromStore) lane.storedCount++;
    const behind = this.#storeBehind(lane);
    this.#lanes.release(lane);
    return behind;
  }

  /** What waits behind the lane's head, the pair that the store leased first; all of it is for the store. */
  #storeBehind(lane: Lane): readonly Pair[] {
    const queued = this.#lanes.drain(lane);
    for (const waiting of queued) this.queuedBytes -= waiting.sizeBytes;
    lane.storedCount += queued.length;
    const behind = lane.leased === null ? queued : [lane.leased, ...queued];
    lane.leased = null; // the lane counts it as stored already
    for (const waiting of behind) {
      waiting.lane = null;
      waiting.storedLane = lane.key;
    }
    return behind;
  }

  /** The queue is full: the fresh pair and what its lane holds in memory, in order, for the store. */
  floodLane(pair: Pair): readonly Pair[] {
    const lane = this.#lanes.open(laneKey(pair.partition, pair.record.key));
    const queued = this.#lanes.drain(lane);
    for (const waiting of queued) this.queuedBytes -= waiting.sizeBytes;
    for (const each of [...queued, pair]) {
      each.lane = null;
      each.storedLane = lane.key;
      lane.storedCount++;
    }
    return [...queued, pair];
  }

  /** A pair of this lane lies in the store, from a former life of the process. */
  noteStoredLane(key: string): void {
    this.#lanes.open(key).storedCount++;
  }

  #release(lane: Lane): void {
    const leased = lane.leased;
    if (leased === null) {
      this.#lanes.release(lane);
      return;
    }
    lane.leased = null; // the lane stays busy, with the head that the store had leased
    this.#retries.push(leased);
    this.queuedBytes += leased.sizeBytes;
  }

  /** Everything queued or held, in order, leased pairs first; all of it is for the store. */
  drain(): readonly Pair[] {
    const pairs: Pair[] = [];
    for (const pair of [...this.#retries.drain(), ...this.#queue.drain()]) {
      pairs.push(pair, ...this.storeLane(pair));
    }
    for (const lane of this.#lanes.all()) pairs.push(...this.#storeBehind(lane));
    for (const pair of this.#held.drain()) {
      if (pair.storedLane !== null) this.noteStoredLane(pair.storedLane);
      pairs.push(pair);
    }
    this.queuedBytes = 0;
    this.#heldBytes = 0;
    return pairs;
  }
}
