/**
 * Reads the deliveries log of one partition: matched events that a filter in another process wrote
 * down, with their targets, and the changes of readers in between. Its position is checkpointed like
 * every reader's; a driver whose entries only refer to the Broker's log keeps what unread ones need.
 */
import type { ChannelDriver, LogEntry, LogReader } from '#lib/channel/channel-driver';
import type { DeliveryRecord } from '#lib/channel/event-record';
import type { RoutingTable } from '#lib/contract/routing-table';
import { Checkpoint, SPAN_COUNT_MAX } from '#lib/delivery/checkpoint';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { deadTargetUid, deliveriesTopic } from '#lib/delivery/handover';
import { OpenPairs } from '#lib/delivery/pair';
import { deadFailure, lostFailure, poisonEvent } from '#lib/delivery/poison';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { Target } from '#lib/delivery/target';
import { decodeReaderState, READER_PREFIX } from '#lib/delivery/trigger-cursors';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import type { Clock } from '#lib/time/clock';
import type { OwnReaders } from './own-readers.ts';
import { TakenPairs } from './taken-pairs.ts';
import type { Targets } from './targets.ts';

const READ_COUNT_MAX = 256;
const READ_BYTES_MAX = 1_048_576;
const FAULT_DELAY_MS = 250;
/** A target may be newer than this process's routing table: it waits this long for it. */
const UNKNOWN_TARGET_MS = 5_000;
const UNKNOWN_LOOK_MS = 20;

/** Its cursor on the deliveries log. */
export const DISPATCH_CURSOR = 'dispatch';

export interface DeliveriesReaderDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
  readonly routing: RoutingTable;
  readonly engine: DeliveryEngine;
  readonly targets: Targets;
  readonly ownReaders: OwnReaders;
  readonly positions: SharedPositions;
}

export interface DeliveriesPlace {
  readonly topic: string;
  readonly partition: number;
  readonly brokerKey: string;
}

export class DeliveriesReader {
  readonly #deps: DeliveriesReaderDeps;
  readonly #place: DeliveriesPlace;
  readonly #log: string;
  readonly #stop = new AbortController();
  /** UIDs that did not appear in time: deleted Triggers, whose events are only stored. */
  readonly #gone = new Set<string>();
  readonly #taken = new TakenPairs();
  #epoch = 0;
  #position = 0;
  #end = 0;
  #list = new OpenPairs();
  #checkpoint: Checkpoint | null = null;
  #running: Promise<void> = Promise.resolve();
  readonly #stopped: Promise<void>;

  constructor(deps: DeliveriesReaderDeps, place: DeliveriesPlace) {
    this.#deps = deps;
    this.#place = place;
    this.#log = deliveriesTopic(place.topic);
    this.#stopped = new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Takes the partition over and finds the position. */
  async open(): Promise<void> {
    const { driver, engine } = this.#deps;
    const { partition } = this.#place;
    this.#epoch = await driver.cursors.acquire(this.#log, partition, 'dispatcher');
    const ends = (await driver.log.ends(this.#log)).find((end) => end.partition === partition);
    this.#end = ends?.next ?? 0;
    const cursors = await driver.cursors.load(this.#log, DISPATCH_CURSOR);
    const cursor = cursors.find((c) => c.name === DISPATCH_CURSOR && c.partition === partition);
    this.#position = cursor?.offset ?? ends?.first ?? 0;
    this.#list = engine.openList(this.#position, this.#end, SPAN_COUNT_MAX, false);
    this.#checkpoint = new Checkpoint(
      {
        ...this.#deps,
        write: (offset) => this.#write(offset),
        onStale: () => this.#stop.abort(new Error('epoch is stale')),
      },
      this.#position,
    );
    await this.#write(this.#position);
  }

  start(): void {
    this.#running = this.#run(); // never rejects
  }

  /** Hands over all that is there, for a process that will match for itself from now on. */
  async drainToEnd(): Promise<void> {
    const reader = await this.#deps.driver.log.read(
      this.#log,
      this.#place.partition,
      this.#position,
    );
    try {
      while (this.#position < this.#end) await this.#readSome(reader);
    } finally {
      reader.close();
    }
  }

  async close(flush: boolean): Promise<void> {
    this.#stop.abort(new Error('deliveries reader closed'));
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
      let reader: LogReader | null = null;
      try {
        reader = await this.#deps.driver.log.read(this.#log, this.#place.partition, this.#position);
        while (!this.#isStopped()) await this.#readSome(reader);
      } catch (error) {
        if (this.#isStopped() || isMeshError(error, 'CHANNEL_EPOCH_STALE')) return;
        this.#deps.logger.warn('Cannot read the deliveries log: it is tried again', {
          'knative.dev/key': this.#place.brokerKey,
          error: messageOf(error),
        });
        await this.#pause(FAULT_DELAY_MS);
      } finally {
        reader?.close();
      }
    }
  }

  async #readSome(reader: LogReader): Promise<void> {
    const room = this.#checkpoint?.room() ?? null;
    if (room !== null) return Promise.race([room, this.#stopped]);
    const entries = await reader.next(READ_COUNT_MAX, READ_BYTES_MAX, this.#stop.signal);
    for (const entry of entries) {
      const { record } = entry;
      if (record.kind === 'delivery' && this.#offerAll(entry, record)) {
        this.#position = entry.offset + 1;
      } else await this.#take(entry);
    }
    this.#checkpoint?.advance(this.#position);
  }

  /** The usual case, without a promise: every target is known. False when nothing was offered. */
  #offerAll(entry: LogEntry, delivery: DeliveryRecord): boolean {
    const { engine } = this.#deps;
    for (const uid of delivery.targets) if (engine.target(uid) === undefined) return false;
    for (const uid of this.#taken.add(delivery.source.offset, delivery.targets)) {
      const target = engine.target(uid);
      if (target !== undefined) this.#offer(entry, delivery, target);
    }
    return true;
  }

  async #take(entry: LogEntry): Promise<void> {
    const { record } = entry;
    switch (record.kind) {
      case 'delivery': {
        const targets: Target[] = [];
        for (const uid of this.#taken.add(record.source.offset, record.targets)) {
          targets.push(await this.#target(uid));
        }
        for (const target of targets) this.#offer(entry, record, target);
        break;
      }
      case 'readerChange':
        for (const { uid, reader } of record.triggers) {
          const target = await this.#target(uid);
          if (!target.isFrozen) {
            this.#deps.ownReaders.changed(record.source, target.settings.uid, reader);
          }
        }
        break;
      case 'poison':
        await this.#dead(entry);
        break;
      case 'event':
        break; // nothing writes events to a deliveries log
    }
    this.#position = entry.offset + 1;
  }

  #offer(entry: LogEntry, delivery: DeliveryRecord, target: Target): void {
    const { engine } = this.#deps;
    const { record } = delivery;
    const source = { ...delivery.source, sizeBytes: entry.sizeBytes, mark: entry.offset };
    if (target.settings.subscriber === null && !target.isFrozen) {
      engine.offerFailed(target, source, record, this.#list, lostFailure(record));
    } else engine.offer(target, source, record, this.#list);
  }

  /** The entry refers to bytes that cannot be decoded: they go to the Broker's dead letters, raw. */
  async #dead(entry: LogEntry): Promise<void> {
    const { record } = entry;
    const broker = this.#deps.routing.broker(this.#place.brokerKey)?.broker;
    if (record.kind !== 'poison' || broker === undefined) return;
    const source = {
      topic: this.#log,
      partition: this.#place.partition,
      offset: entry.offset,
      sizeBytes: entry.sizeBytes,
      mark: entry.offset,
    };
    const uid = deadTargetUid(broker.uid);
    const target = await this.#target(uid);
    const event = poisonEvent(source, record, entry.timeMs);
    this.#deps.engine.offerFailed(target, source, event, this.#list, deadFailure('poison'));
  }

  /**
   * The target, or who has its name by now; waits a while for a routing table that is behind filter's.
   * A target that is gone only stores what comes for it.
   */
  async #target(uid: string): Promise<Target> {
    const { clock, engine, targets } = this.#deps;
    const known = engine.target(uid);
    if (known !== undefined) return known;
    const name = await this.#nameOf(uid);
    const deadlineMs = clock.monotonicMs() + UNKNOWN_TARGET_MS;
    for (;;) {
      const heir = name?.isFormer === true ? engine.heirOf(name.key) : undefined;
      const target = engine.target(uid) ?? heir;
      if (target !== undefined) return target;
      const isLate = this.#gone.has(uid) || clock.monotonicMs() >= deadlineMs;
      if (isLate || this.#isStopped()) break;
      await this.#pause(UNKNOWN_LOOK_MS);
    }
    this.#gone.add(uid);
    return targets.orphan(uid, this.#place.topic, name?.key);
  }

  /** What the readers' records say of a UID: its name, and whether the name has passed to another one. */
  async #nameOf(uid: string): Promise<{ readonly key: string; readonly isFormer: boolean } | null> {
    const cursors = await this.#deps.driver.cursors.load(this.#place.topic, READER_PREFIX);
    for (const { name, metadata } of cursors) {
      const state = decodeReaderState(metadata);
      const isFormer = state.formerUids.includes(uid);
      if (isFormer || state.uid === uid) return { key: name.slice(READER_PREFIX.length), isFormer };
    }
    return null;
  }

  async #write(offset: number): Promise<void> {
    const { driver, engine } = this.#deps;
    const { partition } = this.#place;
    await engine.persistBelow(this.#list, offset);
    await driver.cursors.commit(this.#log, [
      {
        name: DISPATCH_CURSOR,
        partition,
        offset,
        role: 'dispatcher',
        epoch: this.#epoch,
        pins: true,
        metadata: '',
      },
    ]);
  }

  async #pause(delayMs: number): Promise<void> {
    try {
      await sleep(this.#deps.clock, delayMs, this.#stop.signal);
    } catch {
      // Only a stop wakes it early; the loops look at the signal.
    }
  }
}
