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
  /** Ordered, and its own reader is not at its end yet: what the shared reader brings waits. */
  holdsShared = false;
  readonly #held = new Fifo<Pair>();
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
    return this.#queue.size + this.#retries.size + this.#lanes.queuedCount + this.#held.size;
  }

  get isOverflowing(): boolean {
    return (
      this.queuedCount > QUEUED_COUNT_MAX ||
      this.queuedBytes > QUEUED_BYTES_MAX ||
      this.waitingCount > WAITING_COUNT_MAX
    );
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
    this.queuedBytes += pair.sizeBytes;
  }

  /** Ends the holding; the pairs in order, to be queued now. */
  releaseHeld(): readonly Pair[] {
    this.holdsShared = false;
    const pairs = this.#held.drain();
    for (const pair of pairs) {
      pair.storedLane = null;
      this.queuedBytes -= pair.sizeBytes;
    }
    return pairs;
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
    if (pair.isFromStore) lane.storedCount--;
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
    const behind = this.#lanes.drain(lane);
    for (const waiting of behind) {
      waiting.lane = null;
      waiting.storedLane = lane.key;
      this.queuedBytes -= waiting.sizeBytes;
    }
    lane.storedCount += behind.length;
    this.#release(lane);
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

  /** Everything queued, in order, leased pairs first. */
  drain(): readonly Pair[] {
    const pairs = [...this.#retries.drain(), ...this.#queue.drain(), ...this.#lanes.drainAll()];
    for (const pair of pairs) {
      if (pair.lane !== null) this.storeLane(pair);
    }
    this.queuedBytes = 0;
    return pairs;
  }
}
