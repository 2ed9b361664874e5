/**
 * The dispatcher: turns matched (event, Trigger) pairs into HTTP deliveries. It takes them from
 * filter (in memory or through the deliveries log) and from own readers, and keeps its targets in
 * step with the routing table. Composed by `local/` or by `main.ts`; the engine does the work.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type {
  BrokerRoute,
  BrokerSnapshot,
  StartPosition,
  TriggerRoute,
} from '#lib/contract/routing';
import type { RoutingChange, RoutingTable } from '#lib/contract/routing-table';
import { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { createDeliveryMetrics } from '#lib/delivery/delivery-metrics';
import type { DeliveryMetrics } from '#lib/delivery/delivery-metrics';
import type { DeliveryObserver } from '#lib/delivery/delivery-observer';
import { deliveriesTopic } from '#lib/delivery/handover';
import type { Handover } from '#lib/delivery/handover';
import type { Sender } from '#lib/delivery/http-sender';
import { SharedPositions } from '#lib/delivery/shared-positions';
import { messageOf } from '#lib/errors/mesh-error';
import { compileFilter } from '#lib/filters/predicate';
import type { EventPredicate } from '#lib/filters/predicate';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { BacklogWatch } from './backlog-watch.ts';
import { DeliveriesReader } from './deliveries-reader.ts';
import { triggerStatus } from './dispatcher-status.ts';
import type { TriggerStatus } from './dispatcher-status.ts';
import { FusedHandover } from './fused-handover.ts';
import { OwnReaders } from './own-readers.ts';
import { RemoteFilter } from './remote-filter.ts';
import { Targets } from './targets.ts';

/** After the store failed. */
const OPEN_AGAIN_MS = 500;

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly routing: RoutingTable;
  readonly driver: ChannelDriver;
  readonly sender: Sender;
}

export interface DispatcherOptions {
  /** The same name after a restart: leases of the former life are void at once. */
  readonly holder: string;
  /** Filter runs in this process and hands over in memory. */
  readonly isFused: boolean;
}

export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #options: DispatcherOptions;
  readonly #metrics: DeliveryMetrics;
  readonly #engine: DeliveryEngine;
  readonly #targets: Targets;
  readonly #ownReaders: OwnReaders;
  readonly #positions = new SharedPositions();
  readonly #fused: FusedHandover;
  readonly #remote: RemoteFilter | null;
  readonly #predicates = new Map<
    string,
    { readonly generation: number; matches: EventPredicate }
  >();
  readonly #ends = new Map<string, number>();
  readonly #partitions = new Map<string, readonly number[]>();
  readonly #epochs = new Map<string, number>();
  readonly #opening = new Map<string, Promise<void>>();
  /** Brokers whose waiting pairs are loaded: only then may their targets exist. */
  readonly #open = new Set<string>();
  readonly #inheriting = new Map<string, Set<string>>();
  /** By place: an opening that failed half-way keeps those that it has opened. */
  readonly #deliveries = new Map<string, DeliveriesReader>();
  #backlog: BacklogWatch | null = null;
  #stopListening: (() => void) | null = null;

  constructor(deps: DispatcherDeps, options: DispatcherOptions) {
    this.#deps = deps;
    this.#options = options;
    const { driver } = deps;
    this.#metrics = createDeliveryMetrics(deps.metrics);
    this.#engine = new DeliveryEngine({
      ...deps,
      metrics: this.#metrics,
      waiting: driver.waiting,
      append: (topic, record) => driver.log.append(topic, record, { reserved: true }),
      holder: options.holder,
    });
    this.#targets = new Targets({ ...deps, engine: this.#engine });
    const places = {
      endAtStart: (topic: string, partition: number) =>
        this.#ends.get(keyOf(topic, partition)) ?? 0,
      epoch: (topic: string, partition: number) => this.#epochs.get(keyOf(topic, partition)) ?? 0,
    };
    const shared = { ...deps, engine: this.#engine, positions: this.#positions, ...places };
    this.#ownReaders = new OwnReaders({
      ...shared,
      metrics: this.#metrics,
      predicate: (uid) => this.#predicate(uid),
    });
    this.#fused = new FusedHandover({
      ...shared,
      partitions: (topic) => this.#partitions.get(topic) ?? [],
      targets: this.#targets,
      ownReaders: this.#ownReaders,
    });
    this.#remote = options.isFused
      ? null
      : new RemoteFilter({ ...shared, ownReaders: this.#ownReaders });
  }

  /** Where filter hands over when it shares the process. */
  get handover(): Handover {
    return this.#fused;
  }

  set observer(observer: DeliveryObserver | null) {
    this.#engine.observer = observer;
  }

  /** Recovers what a former life left, opens every known Broker and begins to deliver. */
  async start(): Promise<void> {
    await this.#engine.start();
    this.#stopListening = this.#deps.routing.listen((change) => this.#changed(change));
    for (const snapshot of this.#deps.routing.brokers()) void this.#openSoon(snapshot);
    await Promise.all(this.#opening.values());
    this.#deps.metrics.onCollect(() => this.#collect());
    this.#backlog = new BacklogWatch({
      ...this.#deps,
      engine: this.#engine,
      ownReaders: this.#ownReaders,
      positions: this.#positions,
    });
  }

  /** Resolves when the Broker is open here: filter may hand over. */
  opened(brokerKey: string): Promise<void> {
    return this.#opening.get(brokerKey) ?? Promise.resolve();
  }

  /** Stops sending; requests in flight may end within the deadline. After filter has stopped. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#engine.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.#stopListening?.();
    this.#remote?.close();
    this.#backlog?.close();
    await this.#ownReaders.close();
    for (const reader of this.#deliveries.values()) await this.#closeReader(reader);
    try {
      await this.#engine.close();
    } finally {
      this.#targets.close();
    }
  }

  async #closeReader(reader: DeliveriesReader): Promise<void> {
    try {
      await reader.close(true);
    } catch (error) {
      this.#deps.logger.warn('Cannot write the last position in the deliveries log', {
        error: messageOf(error),
      });
    }
  }

  /** Sends the Trigger everything from `start` on once more, by an own reader. */
  async replay(uid: string, start: StartPosition): Promise<void> {
    const target = this.#engine.target(uid);
    if (target === undefined) return;
    const { topic, key } = target.settings;
    await this.#ownReaders.replay(topic, uid, key, start);
    this.#fused.onWanted?.(topic);
  }

  /** Parked pairs go back to their subscriber. Returns how many. */
  async redrive(topic: string, ids: readonly number[]): Promise<number> {
    const moved = await this.#deps.driver.waiting.redrive(ids);
    await this.#engine.reload(topic);
    return moved;
  }

  async status(): Promise<readonly TriggerStatus[]> {
    await this.#remote?.refresh();
    return triggerStatus(this.#deps, this.#engine, this.#ownReaders, this.#positions);
  }

  #changed(change: RoutingChange): void {
    switch (change.kind) {
      case 'broker':
        void this.#openSoon(change.snapshot);
        return;
      case 'brokerRemoved':
        this.#opening.delete(change.broker.key);
        this.#open.delete(change.broker.key);
        this.#targets.remove(`${change.broker.uid}:dead`);
        this.#closeDeliveries(change.broker.topic);
        this.#remote?.forget(change.broker.topic);
        return;
      case 'trigger':
        if (!this.#open.has(change.snapshot.broker.key)) return; // opening puts all of them
        this.#putTrigger(change.trigger, change.snapshot.broker, change.previous === null);
        return;
      case 'triggerRemoved':
        this.#predicates.delete(change.trigger.uid);
        void this.#ownReaders.stopTrigger(change.trigger.uid).catch((error: unknown) => {
          this.#deps.logger.warn('Cannot end an own reader cleanly', { error: messageOf(error) });
        });
        this.#targets.remove(change.trigger.uid);
    }
  }

  #openSoon(snapshot: BrokerSnapshot): Promise<void> {
    const known = this.#opening.get(snapshot.broker.key);
    if (known !== undefined) {
      if (this.#open.has(snapshot.broker.key)) this.#targets.putBroker(snapshot.broker);
      return known;
    }
    const opening = this.#openWithRetry(snapshot.broker.key);
    this.#opening.set(snapshot.broker.key, opening);
    return opening;
  }

  async #openWithRetry(brokerKey: string): Promise<void> {
    for (;;) {
      const snapshot = this.#deps.routing.broker(brokerKey);
      if (snapshot === undefined) return;
      try {
        await this.#openBroker(snapshot);
        return;
      } catch (error) {
        this.#deps.logger.warn('Cannot open a Broker for delivery: it is tried again', {
          'knative.dev/key': brokerKey,
          error: messageOf(error),
        });
        await new Promise<void>((resolve) => this.#deps.clock.after(OPEN_AGAIN_MS, resolve));
      }
    }
  }

  async #openBroker(snapshot: BrokerSnapshot): Promise<void> {
    const { topic } = snapshot.broker;
    const { driver } = this.#deps;
    const ends = await driver.log.ends(topic);
    const partitions = ends.map((end) => end.partition);
    for (const end of ends) {
      this.#ends.set(keyOf(topic, end.partition), end.next);
      const epoch = await driver.cursors.acquire(topic, end.partition, 'dispatcher');
      this.#epochs.set(keyOf(topic, end.partition), epoch);
    }
    for (const partition of partitions) this.#positions.forget(topic, partition);
    this.#partitions.set(topic, partitions);
    await this.#engine.loadTopic(topic, await this.#readFrom(topic, partitions));
    const current = this.#deps.routing.broker(snapshot.broker.key) ?? snapshot;
    this.#targets.putBroker(current.broker);
    for (const trigger of current.triggers.values()) {
      this.#targets.putTrigger(trigger, current.broker);
    }
    this.#open.add(snapshot.broker.key);
    for (const uid of current.triggers.keys()) {
      // Control may have passed pairs on to it after they were counted.
      if (!snapshot.triggers.has(uid)) this.#inheritSoon(topic, uid);
    }
    await this.#openDeliveries(snapshot);
    await this.#remote?.open(topic, partitions);
  }

  /** A fused process first drains a deliveries log that it finds; a dispatcher of its own reads on. */
  async #openDeliveries(snapshot: BrokerSnapshot): Promise<void> {
    const { topic, key } = snapshot.broker;
    const deliveries = deliveriesTopic(topic);
    const topics = await this.#deps.driver.admin.topics();
    if (this.#options.isFused && !topics.includes(deliveries)) return;
    const partitions = snapshot.broker.partitions;
    await this.#deps.driver.admin.ensureTopic(deliveries, { partitions });
    for (let partition = 0; partition < partitions; partition++) {
      if (this.#deliveries.has(keyOf(topic, partition))) continue;
      const reader = new DeliveriesReader(
        {
          ...this.#deps,
          engine: this.#engine,
          targets: this.#targets,
          ownReaders: this.#ownReaders,
          positions: this.#positions,
        },
        { topic, partition, brokerKey: key },
      );
      await reader.open();
      if (this.#options.isFused) {
        await reader.drainToEnd();
        await reader.close(true);
        continue;
      }
      reader.start();
      this.#deliveries.set(keyOf(topic, partition), reader);
    }
  }

  /** The Broker is gone; one of the same name begins with new readers. */
  #closeDeliveries(topic: string): void {
    for (const [key, reader] of this.#deliveries) {
      if (key.slice(key.indexOf(' ') + 1) !== topic) continue;
      this.#deliveries.delete(key);
      void reader.close(false); // never rejects without a flush
    }
  }

  #putTrigger(trigger: TriggerRoute, broker: BrokerRoute, isNew: boolean): void {
    const target = this.#targets.putTrigger(trigger, broker);
    if (!isNew) return;
    target.isLoading = target.settings.isOrdered;
    this.#inheritSoon(broker.topic, trigger.uid);
    this.#remote?.added(trigger.uid, broker.topic);
  }

  /** Where the lowest reader of each partition begins; nothing below is read again by itself. */
  async #readFrom(
    topic: string,
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, number>> {
    const from = new Map(partitions.map((partition) => [partition, Infinity]));
    for (const cursor of await this.#deps.driver.cursors.load(topic)) {
      if (!cursor.pins) continue;
      const lowest = from.get(cursor.partition) ?? Infinity;
      from.set(cursor.partition, Math.min(lowest, cursor.offset));
    }
    // Entries of a deliveries log refer to events that filter has left behind.
    if (!this.#options.isFused) for (const partition of partitions) from.set(partition, 0);
    return from;
  }

  /** A Trigger that came back under its name has pairs in the store: one look for many Triggers. */
  #inheritSoon(topic: string, uid: string): void {
    const waiting = this.#inheriting.get(topic);
    if (waiting !== undefined) {
      waiting.add(uid);
      return;
    }
    this.#inheriting.set(topic, new Set([uid]));
    this.#deps.clock.soon(() => void this.#inherit(topic)); // never rejects
  }

  async #inherit(topic: string): Promise<void> {
    const uids = this.#inheriting.get(topic) ?? new Set<string>();
    this.#inheriting.delete(topic);
    try {
      await this.#engine.inherit(topic, this.#partitions.get(topic) ?? [], uids);
    } catch (error) {
      this.#deps.logger.warn('Cannot look for inherited events: it is tried again', {
        error: messageOf(error),
      });
      this.#deps.clock.after(OPEN_AGAIN_MS, () => {
        for (const uid of uids) this.#inheritSoon(topic, uid);
      });
    }
  }

  #predicate(uid: string): EventPredicate | null {
    const route = this.#deps.routing.trigger(uid);
    if (route === undefined) return null;
    const known = this.#predicates.get(uid);
    if (known?.generation === route.generation) return known.matches;
    const { matches } = compileFilter(route.filter);
    this.#predicates.set(uid, { generation: route.generation, matches });
    return matches;
  }

  #collect(): void {
    const own = this.#ownReaders.uids();
    for (const target of this.#engine.targets()) {
      const { uid, topic } = target.settings;
      const isOwn = own.has(uid);
      const hasStored = target.waitingCount > 0 || target.parkedCount > 0 || isOwn;
      const series = hasStored ? target.metricsFrom(this.#metrics) : target.boundMetrics;
      if (series === null) continue;
      series.backlog.set(this.#backlog?.backlog(uid, topic) ?? 0);
      series.oldestAge.set((this.#backlog?.oldestAgeMs(uid) ?? 0) / 1_000);
      series.waiting.set(target.waitingCount);
      series.parkedNow.set(target.parkedCount);
      series.inFlight.set(target.inFlightCount);
      series.queued.set(target.queuedCount);
    }
  }
}

function keyOf(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}
