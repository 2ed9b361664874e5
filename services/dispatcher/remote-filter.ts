/**
 * What a dispatcher on its own knows of filter, through the store: how far the shared reader is (own
 * readers never run ahead of it), and the way to ask for an own reader.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { Target } from '#lib/delivery/target';
import { OWN_PREFIX, SHARED_CURSOR, WANT_PREFIX } from '#lib/delivery/trigger-cursors';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { OwnReaders } from './own-readers.ts';

const LOOK_MS = 100;

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
  #isLooking = false;

  constructor(deps: RemoteFilterDeps) {
    this.#deps = deps;
    this.#timer = deps.clock.every(LOOK_MS, () => void this.#look());
    deps.engine.onOverflow = (target) => void this.#want(target);
  }

  /** Follows a topic; own readers that a former life left behind go on. */
  async open(topic: string, partitions: readonly number[]): Promise<void> {
    this.#topics.set(topic, partitions);
    await this.#lookAt(topic);
    const keys = new Set<string>();
    const cursors = await this.#deps.driver.cursors.load(topic, OWN_PREFIX);
    for (const cursor of cursors) keys.add(cursor.name.slice(OWN_PREFIX.length));
    for (const target of this.#deps.engine.targets()) {
      if (target.settings.topic !== topic || !keys.has(target.settings.key)) continue;
      for (const partition of partitions) {
        this.#deps.ownReaders.start(topic, partition, target.settings.uid);
      }
    }
  }

  close(): void {
    this.#timer.cancel();
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#deps.ownReaders.size === 0) return;
    this.#isLooking = true;
    try {
      for (const topic of this.#topics.keys()) await this.#lookAt(topic);
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
