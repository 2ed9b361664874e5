/**
 * The own readers of this dispatcher, one per Trigger and partition, started and ended as filter
 * says. Also where a replay begins. Used by `dispatcher.ts`.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { ReaderName, SourcePosition } from '#lib/channel/event-record';
import type { StartPosition } from '#lib/contract/routing';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { OwnReader } from '#lib/delivery/own-reader';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import { OWN_PREFIX, ownCursor, startOffsets, WANT_PREFIX } from '#lib/delivery/trigger-cursors';
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
  readonly predicate: (uid: string) => EventPredicate;
}

export class OwnReaders {
  readonly #deps: OwnReadersDeps;
  readonly #readers = new Map<string, OwnReader>();

  constructor(deps: OwnReadersDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#readers.size;
  }

  /** The next offset of the Trigger's own reader, or `null` while the shared one has it. */
  position(uid: string, partition: number): number | null {
    return this.#readers.get(keyOf(uid, partition))?.position ?? null;
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
      if (known !== undefined && target.settings.isOrdered) target.holdsShared = true;
    }
  }

  start(topic: string, partition: number, uid: string): void {
    const target = this.#deps.engine.target(uid);
    const key = keyOf(uid, partition);
    if (target === undefined || target.isFrozen || this.#readers.has(key)) return;
    const reader = new OwnReader(
      {
        ...this.#deps,
        epoch: this.#deps.epoch(topic, partition),
        endAtStart: this.#deps.endAtStart(topic, partition),
        onDone: () => this.#done(key, uid),
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
      await this.stop(uid, partition, false);
      const own = (await driver.cursors.load(topic, OWN_PREFIX + key)).find(
        (cursor) => cursor.name === OWN_PREFIX + key && cursor.partition === partition,
      );
      const from = Math.min(offset, own?.offset ?? Infinity);
      const writer = {
        role: 'dispatcher' as const,
        epoch: this.#deps.epoch(topic, partition),
      };
      await driver.cursors.commit(topic, [
        ownCursor(key, partition, from, writer),
        {
          name: WANT_PREFIX + key,
          partition,
          offset: from,
          ...writer,
          pins: false,
          metadata: 'replay',
        },
      ]);
    }
  }

  /** Ends one reader; with `flush`, at a position that is written down. */
  async stop(uid: string, partition: number, flush: boolean): Promise<void> {
    const reader = this.#readers.get(keyOf(uid, partition));
    if (reader === undefined) return;
    this.#readers.delete(keyOf(uid, partition));
    await reader.close(flush);
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
    await Promise.all(readers.map((reader) => reader.close(true)));
  }

  #done(key: string, uid: string): void {
    this.#readers.delete(key);
    const target = this.#deps.engine.target(uid);
    if (target === undefined) return;
    target.wantsOwn = false;
    if (target.holdsShared) this.#deps.engine.releaseHeld(target);
  }
}

function keyOf(uid: string, partition: number): string {
  return `${partition} ${uid}`;
}
