/**
 * What a dispatcher on its own knows of filter, through the store: how far the shared reader is (own
 * readers never run ahead of it), and the way to ask for an own reader.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { Target } from '#lib/delivery/target';
import { ownEnd } from '#lib/delivery/reader-schedule';
import type { ReaderSchedule } from '#lib/delivery/reader-schedule';
import {
  decodeReaderState,
  OWN_PREFIX,
  READER_PREFIX,
  SHARED_CURSOR,
  WANT_PREFIX,
} from '#lib/delivery/trigger-cursors';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { OwnReaders } from './own-readers.ts';

const LOOK_MS = 100;
/** Without own readers the position is for the backlog metrics only. */
const LOOKS_SKIPPED_MAX = 10;

export interface RemoteFilterDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
  readonly engine: DeliveryEngine;
  readonly positions: SharedPositions;
  readonly ownReaders: OwnReaders;
  readonly epoch: (topic: string, partition: number) => number;
}

export class RemoteFilter {
  readonly #deps: RemoteFilterDeps;
  readonly #topics = new Map<string, readonly number[]>();
  readonly #timer: Timer;
  /** Targets that came just now: filter may have given them own readers before they were known here. */
  readonly #fresh = new Map<string, string>();
  #isLooking = false;
  #skippedCount = 0;

  constructor(deps: RemoteFilterDeps) {
    this.#deps = deps;
    this.#timer = deps.clock.every(LOOK_MS, () => void this.#look());
    deps.engine.onOverflow = (target) => void this.#want(target);
  }

  /** Follows a topic; own readers that a former life left behind go on. */
  async open(topic: string, partitions: readonly number[]): Promise<void> {
    this.#topics.set(topic, partitions);
    await this.#lookAt(topic);
    const uids = new Set<string>();
    for (const { settings } of this.#deps.engine.targets()) {
      if (settings.topic === topic) uids.add(settings.uid);
    }
    await this.#startOwn(topic, uids);
  }

  /** The topic is not read here any more. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /** A target appeared after its topic was opened. */
  added(uid: string, topic: string): void {
    this.#fresh.set(uid, topic);
  }

  /** Own readers that exist begin or go on, and what the shared one brings waits for those that end. */
  async #startOwn(topic: string, uids: ReadonlySet<string>): Promise<void> {
    const { driver, engine, ownReaders } = this.#deps;
    const own = await driver.cursors.load(topic, OWN_PREFIX);
    if (own.length === 0) return;
    const schedules = new Map<string, ReaderSchedule>();
    for (const { name, partition, metadata } of await driver.cursors.load(topic, READER_PREFIX)) {
      const key = name.slice(READER_PREFIX.length);
      schedules.set(`${partition} ${key}`, decodeReaderState(metadata).schedule);
    }
    const byKey = new Map<string, string>();
    for (const uid of uids) byKey.set(engine.target(uid)?.settings.key ?? '', uid);
    for (const { name, partition, offset } of own) {
      const key = name.slice(OWN_PREFIX.length);
      const uid = byKey.get(key);
      if (uid === undefined || ownReaders.position(uid, partition) !== null) continue;
      const source = { topic, partition, offset };
      ownReaders.changed(source, uid, 'own');
      const end = ownEnd(schedules.get(`${partition} ${key}`) ?? []);
      if (end !== null) ownReaders.changed({ ...source, offset: end }, uid, 'shared');
    }
  }

  /** How far the shared readers are, now; for a status. */
  async refresh(): Promise<void> {
    for (const topic of this.#topics.keys()) await this.#lookAt(topic);
  }

  close(): void {
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    const isNeeded = this.#deps.ownReaders.size > 0 || this.#fresh.size > 0;
    if (!isNeeded && ++this.#skippedCount < LOOKS_SKIPPED_MAX) return;
    this.#skippedCount = 0;
    this.#isLooking = true;
    try {
      for (const topic of this.#topics.keys()) {
        await this.#lookAt(topic);
        const uids = new Set<string>();
        for (const [uid, place] of this.#fresh) if (place === topic) uids.add(uid);
        if (uids.size > 0) await this.#startOwn(topic, uids);
        for (const uid of uids) this.#fresh.delete(uid);
      }
    } catch (error) {
      this.#deps.logger.debug('Cannot read the position of filter', { error: messageOf(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookAt(topic: string): Promise<void> {
    for (const cursor of await this.#deps.driver.cursors.load(topic, SHARED_CURSOR)) {
      if (cursor.name !== SHARED_CURSOR) continue;
      this.#deps.positions.set(topic, cursor.partition, cursor.offset);
    }
  }

  async #want(target: Target): Promise<void> {
    const { topic, key } = target.settings;
    const partitions = this.#topics.get(topic) ?? [];
    try {
      await this.#deps.driver.cursors.commit(
        topic,
        partitions.map((partition) => ({
          name: WANT_PREFIX + key,
          partition,
          offset: 0,
          role: 'dispatcher' as const,
          epoch: this.#deps.epoch(topic, partition),
          pins: false,
          metadata: 'own',
        })),
      );
    } catch (error) {
      target.wantsOwn = false; // the next overflow asks again
      this.#deps.logger.warn('Cannot ask for an own reader', {
        'knative.dev/key': key,
        error: messageOf(error),
      });
    }
  }
}
