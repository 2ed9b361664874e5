/**
 * The own readers of this dispatcher, one per Trigger and partition, started and ended as filter
 * says. Also where a replay begins. Used by `dispatcher.ts`.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { ReaderName, SourcePosition } from '#lib/channel/event-record';
import type { StartPosition } from '#lib/contract/routing';
import type { DeliveryMetrics } from '#lib/delivery/delivery-metrics';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { OwnReader } from '#lib/delivery/own-reader';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { Target } from '#lib/delivery/target';
import { OWN_PREFIX, ownCursor, startOffsets, WANT_PREFIX } from '#lib/delivery/trigger-cursors';
import { messageOf } from '#lib/errors/mesh-error';
import type { EventPredicate } from '#lib/filters/predicate';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';

export interface OwnReadersDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
  readonly engine: DeliveryEngine;
  readonly positions: SharedPositions;
  /** The dispatcher's epoch of a partition, acquired at start. */
  readonly epoch: (topic: string, partition: number) => number;
  readonly endAtStart: (topic: string, partition: number) => number;
  /** `null` while the Trigger is not in the routing table. */
  readonly predicate: (uid: string) => EventPredicate | null;
  readonly metrics: DeliveryMetrics;
}

export class OwnReaders {
  readonly #deps: OwnReadersDeps;
  readonly #readers = new Map<string, OwnReader>();
  /** Set back just now: what reads there must not begin before filter says so. */
  readonly #replaying = new Set<string>();
  /** Their readers go through events of the past that no former life had in flight. */
  readonly #replayed = new Set<string>();

  constructor(deps: OwnReadersDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** UIDs of the Triggers that have at least one. */
  uids(): ReadonlySet<string> {
    const uids = new Set<string>();
    for (const key of this.#readers.keys()) uids.add(key.slice(key.indexOf(' ') + 1));
    return uids;
  }

  /** The reader gives up what lies below the offset, and counts it. */
  dropTo(uid: string, partition: number, offset: number): void {
    this.#readers.get(keyOf(uid, partition))?.dropTo(offset);
  }

  /** The next offset of the Trigger's own reader, or `null` while the shared one has it. */
  position(uid: string, partition: number): number | null {
    return this.#readers.get(keyOf(uid, partition))?.position ?? null;
  }

  /** Since when the oldest event that the Trigger's own reader has not come to is in the log, or `null`. */
  behindSinceMs(uid: string, partition: number): number | null {
    return this.#readers.get(keyOf(uid, partition))?.behindSinceMs ?? null;
  }

  /** Filter has written a change down: it begins or ends exactly there. */
  changed(source: SourcePosition, uid: string, reader: ReaderName): void {
    const known = this.#readers.get(keyOf(uid, source.partition));
    if (known !== undefined) known.refresh();
    else if (reader === 'own') this.start(source.topic, source.partition, uid);
    const target = this.#deps.engine.target(uid);
    if (target === undefined) return;
    if (reader === 'own') target.wantsOwn = true;
    else {
      target.wantsOwn = false;
      // Ordered: what the shared reader brings now waits for what the own reader still has.
      if (known !== undefined && target.settings.isOrdered) {
        if (!target.holdsShared.has(source.partition)) {
          target.holdsShared.set(source.partition, source.offset);
        }
      }
    }
  }

  start(topic: string, partition: number, uid: string): void {
    const target = this.#deps.engine.target(uid);
    const key = keyOf(uid, partition);
    if (target === undefined || target.isFrozen || this.#readers.has(key)) return;
    if (this.#replaying.has(key)) return; // filter says again when it begins
    const reader = new OwnReader(
      {
        ...this.#deps,
        epoch: this.#deps.epoch(topic, partition),
        // What is replayed was not in flight when a former life died.
        endAtStart: this.#replayed.has(key) ? 0 : this.#deps.endAtStart(topic, partition),
        onHandedOver: (below) => this.#handedOver(target, partition, below),
        onDropped: (count) => target.metricsFrom(this.#deps.metrics).dropped.add(count),
        onDone: () => this.#done(key, target, partition),
        onStale: () => this.#readers.delete(key),
      },
      { topic, partition, target, matches: () => this.#deps.predicate(uid) },
    );
    this.#readers.set(key, reader);
    reader.start();
  }

  /**
   * Sends the Trigger everything from `start` on again. A position ahead of an own reader that is
   * still behind is not jumped to: nothing may be left out.
   */
  async replay(topic: string, uid: string, key: string, start: StartPosition): Promise<void> {
    const { driver } = this.#deps;
    const ends = await driver.log.ends(topic);
    const offsets = await startOffsets(driver, topic, ends, start);
    for (const [partition, offset] of offsets) {
      const readerKey = keyOf(uid, partition);
      const wasReading = this.#readers.has(readerKey);
      this.#replaying.add(readerKey);
      try {
        await this.stop(uid, partition, false);
        await this.#setBack(topic, key, partition, offset);
        this.#replayed.add(readerKey);
      } catch (error) {
        this.#replaying.delete(readerKey);
        if (wasReading) this.start(topic, partition, uid);
        throw error;
      } finally {
        this.#replaying.delete(readerKey);
      }
    }
  }

  async #setBack(topic: string, key: string, partition: number, offset: number): Promise<void> {
    const { driver } = this.#deps;
    const name = OWN_PREFIX + key;
    const own = (await driver.cursors.load(topic, name)).find(
      (cursor) => cursor.name === name && cursor.partition === partition,
    );
    const from = Math.min(offset, own?.offset ?? Infinity);
    const writer = { role: 'dispatcher' as const, epoch: this.#deps.epoch(topic, partition) };
    const want = { name: WANT_PREFIX + key, partition, offset: from, pins: false, ...writer };
    await driver.cursors.commit(topic, [
      ownCursor(key, partition, from, writer),
      { ...want, metadata: 'replay' },
    ]);
  }

  /** Ends one reader; with `flush`, at a position that is written down. */
  async stop(uid: string, partition: number, flush: boolean): Promise<void> {
    const reader = this.#readers.get(keyOf(uid, partition));
    if (reader === undefined) return;
    this.#readers.delete(keyOf(uid, partition));
    await this.#close(reader, flush);
  }

  /** The Trigger is gone: its readers stop where they are. */
  async stopTrigger(uid: string): Promise<void> {
    for (const key of [...this.#readers.keys()]) {
      const [partition, readerUid] = key.split(' ', 2);
      if (readerUid === uid) await this.stop(uid, Number(partition), true);
    }
  }

  async close(): Promise<void> {
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    await Promise.all(readers.map((reader) => this.#close(reader, true)));
  }

  /** A position that cannot be written is no reason to keep the rest from closing: events repeat. */
  async #close(reader: OwnReader, flush: boolean): Promise<void> {
    try {
      await reader.close(flush);
    } catch (error) {
      this.#deps.logger.warn('Cannot write the last position of an own reader', {
        error: messageOf(error),
      });
    }
  }

  /** A later stretch of the shared reader still waits for what the own reader has before it. */
  #handedOver(target: Target, partition: number, below: number): void {
    if (!target.holdsShared.has(partition)) return;
    if (below === Infinity) target.holdsShared.delete(partition);
    else target.holdsShared.set(partition, below);
    this.#deps.engine.releaseHeld(target);
  }

  #done(key: string, target: Target, partition: number): void {
    this.#readers.delete(key);
    this.#replayed.delete(key);
    target.wantsOwn = false;
    this.#handedOver(target, partition, Infinity);
  }
}

function keyOf(uid: string, partition: number): string {
  return `${partition} ${uid}`;
}
