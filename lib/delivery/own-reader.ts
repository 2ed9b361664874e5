/**
 * Reads one partition for one Trigger: one that starts in the past, replays, was paused, or cannot
 * keep up with the shared reader. It goes at the pace of the Trigger's window, never runs ahead of
 * the shared reader, and ends exactly where the schedule gives the Trigger back. Run by the
 * dispatcher. What it hands to the engine is checkpointed like everything else; its cursor pins the
 * log, so the backlog stays where backlog belongs.
 */
import { assert } from '#lib/assert/assert';
import type { ChannelDriver, LogEntry, LogReader } from '#lib/channel/channel-driver';
import type { EventPredicate } from '#lib/filters/predicate';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { sleep } from '#lib/time/clock';
import { Checkpoint, SPAN_COUNT_MAX } from './checkpoint.ts';
import type { DeliveryEngine } from './delivery-engine.ts';
import type { OpenPairs } from './pair.ts';
import { nextChange, ownEnd, readerAt } from './reader-schedule.ts';
import type { ReaderSchedule } from './reader-schedule.ts';
import type { SharedPositions } from './shared-positions.ts';
import type { Target } from './target.ts';
import { decodeReaderState, OWN_PREFIX, ownCursor, READER_PREFIX } from './trigger-cursors.ts';

const READ_COUNT_MAX = 256;
const READ_BYTES_MAX = 1_048_576;
/** Pairs that may wait in memory while an own reader feeds the target. */
const QUEUED_AHEAD_MAX = 256;
/** Pairs in the waiting store at which it stops reading, and at which it may go back to shared. */
const WAITING_STALL_COUNT = 1_000;
const WAITING_READY_COUNT = 500;
const STALL_LOOK_MS = 25;
const FAULT_DELAY_MS = 500;

/** What the own cursor says to filter: go on without me, take me back, or I have reached the end. */
export const OWN_BEHIND = 'behind';
export const OWN_READY = 'ready';
export const OWN_DONE = 'done';

export interface OwnReaderDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
  readonly engine: DeliveryEngine;
  readonly positions: SharedPositions;
  /** The dispatcher's epoch of this partition. */
  readonly epoch: number;
  /** The end of the log when the process started, for the pre-written attempts. */
  readonly endAtStart: number;
  /** It has handed over everything below that offset: what the shared reader brought there may follow. */
  readonly onHandedOver: (below: number) => void;
  /** So many of its events were given up, because its backlog was past the quota. */
  readonly onDropped: (count: number) => void;
  readonly onDone: () => void;
  readonly onStale: () => void;
}

export interface OwnReaderPlace {
  readonly topic: string;
  readonly partition: number;
  readonly target: Target;
  /** Looked up again for every batch: the newest filter decides. `null`: it is not known, so nothing is read. */
  readonly matches: () => EventPredicate | null;
}

export class OwnReader {
  readonly #deps: OwnReaderDeps;
  readonly #place: OwnReaderPlace;
  readonly #stop = new AbortController();
  #schedule: ReaderSchedule = [];
  #position = 0;
  #checkpoint: Checkpoint | null = null;
  #list: OpenPairs | null = null;
  #isRefreshing = true;
  /** When the event at the position was appended (wall clock); 0 while that is not known. */
  #nextTimeMs = 0;
  /** What is its own below this offset is dropped and counted. */
  #dropBelow = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: OwnReaderDeps, place: OwnReaderPlace) {
    this.#deps = deps;
    this.#place = place;
  }

  /** The next offset to read. */
  get position(): number {
    return this.#position;
  }

  /** When the event at the position was appended (wall clock), or `null` when it has caught up. */
  get behindSinceMs(): number | null {
    const limit = this.#deps.positions.get(this.#place.topic, this.#place.partition);
    return this.#position < limit && this.#nextTimeMs > 0 ? this.#nextTimeMs : null;
  }

  start(): void {
    this.#running = this.#run(); // never rejects
  }

  /** Gives up what lies below the offset: the backlog is past its quota. */
  dropTo(offset: number): void {
    this.#dropBelow = Math.max(this.#dropBelow, offset);
    this.#deps.positions.wake();
  }

  /** The schedule was changed (and is durable): read it again before the next batch. */
  refresh(): void {
    this.#isRefreshing = true;
    this.#deps.positions.wake();
  }

  /** Stops reading; with `flush`, writes the last position down first. */
  async close(flush: boolean): Promise<void> {
    this.#stop.abort(new Error('own reader closed'));
    this.#deps.positions.wake();
    await this.#running;
    if (flush) await this.#checkpoint?.flush();
    this.#checkpoint?.close();
  }

  /** Read through a function: the flag changes while something is awaited. */
  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped()) {
      try {
        // A change that was written down since the last look at the schedule means more to read.
        if ((await this.#readOn()) && !this.#isRefreshing) {
          this.#deps.onDone();
          return;
        }
      } catch (error) {
        if (this.#isStopped()) return;
        if (isMeshError(error, 'CHANNEL_EPOCH_STALE')) {
          this.#deps.onStale();
          return;
        }
        this.#deps.logger.warn('Own reader failed: it is tried again', {
          'knative.dev/key': this.#place.target.settings.key,
          error: messageOf(error),
        });
        await this.#pause(FAULT_DELAY_MS);
      }
    }
  }

  /** From where it is to the end of what is its own. True when there is nothing left. */
  async #readOn(): Promise<boolean> {
    const checkpoint = this.#checkpoint ?? (await this.#open());
    if (checkpoint === null) return true;
    const { topic, partition } = this.#place;
    const reader = await this.#deps.driver.log.read(topic, partition, this.#position);
    try {
      return await this.#feed(reader, checkpoint);
    } finally {
      reader.close();
    }
  }

  /** From the durable position; a fault afterwards goes on where it was. `null`: nothing is its own. */
  async #open(): Promise<Checkpoint | null> {
    this.#isRefreshing = false; // what is changed from here on is looked at again
    const from = await this.#loadPosition();
    if (from === null) return null;
    this.#position = from;
    await this.#loadSchedule();
    const list = this.#deps.engine.openList(from, this.#deps.endAtStart, SPAN_COUNT_MAX, true);
    this.#list = list;
    this.#checkpoint = new Checkpoint(
      {
        ...this.#deps,
        write: (offset) => this.#write(list, offset),
        onStale: () => {
          this.#stop.abort(new Error('epoch is stale'));
          this.#deps.onStale();
        },
      },
      from,
    );
    return this.#checkpoint;
  }

  async #feed(reader: LogReader, checkpoint: Checkpoint): Promise<boolean> {
    const list = this.#list;
    assert(list !== null, 'an own reader that is open has a list of pairs');
    let held: readonly LogEntry[] = [];
    while (!this.#isStopped()) {
      if (this.#isRefreshing) await this.#loadSchedule();
      this.#skipForeign();
      const end = ownEnd(this.#schedule);
      if (end !== null && this.#position >= end) {
        checkpoint.advance(this.#position);
        await checkpoint.flush();
        checkpoint.close(); // nothing may write the cursor once filter has removed it
        this.#checkpoint = null;
        await this.#write(list, this.#position);
        return true;
      }
      const limit = this.#deps.positions.get(this.#place.topic, this.#place.partition);
      const isStalled = this.#isStalled || this.#place.matches() === null;
      if (isStalled || this.#position >= limit || checkpoint.isFull) {
        checkpoint.advance(this.#position);
        await this.#waitToGoOn(this.#position >= limit);
        continue;
      }
      if (held.length === 0) held = await this.#next(reader);
      held = this.#take(held, limit, list);
      checkpoint.advance(this.#position);
    }
    return false;
  }

  get #isStalled(): boolean {
    const { target } = this.#place;
    if (this.#position < this.#dropBelow) return false; // nothing is offered
    return (
      target.isFrozen ||
      target.isLoading ||
      target.settings.isPaused ||
      target.waitingCount >= WAITING_STALL_COUNT ||
      target.aheadCount >= QUEUED_AHEAD_MAX ||
      target.queuedBytes >= READ_BYTES_MAX
    );
  }

  async #next(reader: LogReader): Promise<readonly LogEntry[]> {
    return reader.next(READ_COUNT_MAX, READ_BYTES_MAX, this.#stop.signal);
  }

  /** Offers what is its own, up to the limit and the window; returns what is left for later. */
  #take(entries: readonly LogEntry[], limit: number, list: OpenPairs): readonly LogEntry[] {
    const { target, topic, partition } = this.#place;
    const matches = this.#place.matches();
    if (matches === null) return entries;
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index];
      if (entry === undefined) break;
      const { offset, record, sizeBytes } = entry;
      if (offset < this.#position) continue; // read before the schedule said to skip it
      this.#nextTimeMs = entry.timeMs;
      if (offset >= limit || this.#isStalled) {
        this.#position = Math.max(this.#position, Math.min(offset, limit));
        return entries.slice(index);
      }
      if (readerAt(this.#schedule, offset) === 'shared') {
        this.#position = offset; // what was held back of this stretch goes before the next one
        return entries.slice(index);
      }
      this.#position = offset + 1;
      // Poison and used-up TTLs are the shared reader's: it sends them to the Broker's dead letters.
      if (record.kind !== 'event' || record.ttl <= 0) continue;
      if (readerAt(this.#schedule, offset) !== 'own' || !matches(record.event)) continue;
      if (offset < this.#dropBelow) {
        this.#deps.onDropped(1);
        continue;
      }
      const source = { topic, partition, offset, sizeBytes, mark: offset };
      this.#deps.engine.offer(target, source, record, list);
    }
    return [];
  }

  /** Until the window opens, the shared reader moves on, or somebody stops it. */
  async #waitToGoOn(isAtLimit: boolean): Promise<void> {
    if (!isAtLimit) return this.#pause(STALL_LOOK_MS);
    const { clock, positions } = this.#deps;
    await new Promise<void>((resolve) => {
      const timer = clock.after(STALL_LOOK_MS * 10, () => {
        stopWaiting();
        resolve();
      });
      const stopWaiting = positions.onMove(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #pause(delayMs: number): Promise<void> {
    try {
      await sleep(this.#deps.clock, delayMs, this.#stop.signal);
    } catch {
      // Only a stop wakes it early; the loop sees the aborted signal.
    }
  }

  async #write(list: OpenPairs, offset: number): Promise<void> {
    const { driver, engine, epoch } = this.#deps;
    const { topic, partition, target } = this.#place;
    await engine.persistBelow(list, offset);
    const writer = { role: 'dispatcher' as const, epoch };
    const cursor = ownCursor(target.settings.key, partition, offset, writer, this.#state(offset));
    await driver.cursors.commit(topic, [cursor]);
  }

  #state(offset: number): string {
    const end = ownEnd(this.#schedule);
    if (end !== null && offset >= end) return OWN_DONE;
    const { target } = this.#place;
    const isHealthy = target.waitingCount < WAITING_READY_COUNT && !target.settings.isPaused;
    return isHealthy && !target.isFrozen ? OWN_READY : OWN_BEHIND;
  }

  async #loadPosition(): Promise<number | null> {
    const { topic, partition, target } = this.#place;
    const name = OWN_PREFIX + target.settings.key;
    const cursors = await this.#deps.driver.cursors.load(topic, name);
    const found = cursors.find((c) => c.name === name && c.partition === partition);
    return found?.offset ?? null;
  }

  async #loadSchedule(): Promise<void> {
    this.#isRefreshing = false;
    const { topic, partition, target } = this.#place;
    const name = READER_PREFIX + target.settings.key;
    const cursors = await this.#deps.driver.cursors.load(topic, name);
    const found = cursors.find((c) => c.name === name && c.partition === partition);
    if (found === undefined) return;
    this.#schedule = decodeReaderState(found.metadata).schedule;
    this.#skipForeign();
  }

  /** Jumps over a stretch that the shared reader has, when a later one is its own again. */
  #skipForeign(): void {
    while (readerAt(this.#schedule, this.#position) !== 'own') {
      const change = nextChange(this.#schedule, this.#position);
      if (change === null) return;
      this.#position = change.at;
      this.#deps.onHandedOver(change.at);
    }
  }
}
