/**
 * Filter: one shared reader per Broker partition, kept in step with the routing table. Matched events
 * go through a `Handover` to a dispatcher in this process or in another. Composed by `local/` or by
 * `main.ts`.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { BrokerSnapshot } from '#lib/contract/routing';
import type { RoutingChange, RoutingTable } from '#lib/contract/routing-table';
import type { Handover } from '#lib/delivery/handover';
import { deliveriesTopic } from '#lib/delivery/handover';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { createFilterMetrics } from './filter-metrics.ts';
import type { FilterMetrics } from './filter-metrics.ts';
import { SharedReader } from './shared-reader.ts';
import type { FilterObserver } from './shared-reader.ts';

const FAULT_DELAY_MS = 500;
const FROZEN_MS_DEFAULT = 24 * 3_600_000;

export interface FilterDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly routing: RoutingTable;
  readonly driver: ChannelDriver;
  readonly handover: Handover;
  /** Resolves when a dispatcher in this process has opened the Broker; at once for a remote one. */
  readonly opened: (brokerKey: string) => Promise<void>;
}

export interface FilterOptions {
  /** The dispatcher is another process: matched events go through the deliveries log. */
  readonly hasRemoteDispatcher: boolean;
  /** How long a deleted Trigger's name can be inherited, in milliseconds. */
  readonly frozenMsMax?: number;
}

export class Filter {
  readonly #deps: FilterDeps;
  readonly #options: FilterOptions;
  readonly #metrics: FilterMetrics;
  /** By Broker key; `null` while it is being opened. */
  readonly #brokers = new Map<string, readonly SharedReader[] | null>();
  #observer: FilterObserver | null = null;
  #stopListening: (() => void) | null = null;
  #isClosed = false;

  constructor(deps: FilterDeps, options: FilterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = createFilterMetrics(deps.metrics);
    deps.handover.onWanted = (topic) => this.#look(topic);
  }

  set observer(observer: FilterObserver | null) {
    this.#observer = observer;
  }

  /** Begins to read every Broker of the routing table, and those that come. */
  start(): void {
    this.#stopListening = this.#deps.routing.listen((change) => this.#changed(change));
    for (const snapshot of this.#deps.routing.brokers()) void this.#open(snapshot.broker.key);
  }

  /** Resolves when the Trigger's Broker is read here and every Trigger known now has its reader. */
  async settled(brokerKey: string): Promise<void> {
    const readers = this.#brokers.get(brokerKey) ?? [];
    await Promise.all(readers.map((reader) => reader.ready));
  }

  /** Stops reading; what was matched is made durable and the positions are written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopListening?.();
    const readers = [...this.#brokers.values()].flatMap((open) => open ?? []);
    await Promise.all(readers.map((reader) => this.#closeReader(reader)));
    this.#brokers.clear();
  }

  #changed(change: RoutingChange): void {
    switch (change.kind) {
      case 'broker':
        if (!this.#brokers.has(change.snapshot.broker.key)) {
          void this.#open(change.snapshot.broker.key); // never rejects
        }
        return;
      case 'brokerRemoved':
        void this.#remove(change.broker.key);
        return;
      case 'trigger':
        for (const reader of this.#brokers.get(change.trigger.brokerKey) ?? []) {
          reader.putTrigger(change.trigger);
        }
        return;
      case 'triggerRemoved':
        for (const reader of this.#brokers.get(change.trigger.brokerKey) ?? []) {
          reader.removeTrigger(change.trigger);
        }
    }
  }

  async #open(brokerKey: string): Promise<void> {
    this.#brokers.set(brokerKey, null);
    for (;;) {
      const snapshot = this.#deps.routing.broker(brokerKey);
      if (snapshot === undefined || this.#isClosed) return;
      try {
        await this.#openReaders(brokerKey, snapshot);
        return;
      } catch (error) {
        this.#deps.logger.warn('Cannot open a Broker for filtering: it is tried again', {
          'knative.dev/key': brokerKey,
          error: messageOf(error),
        });
        await new Promise<void>((resolve) => this.#deps.clock.after(FAULT_DELAY_MS, resolve));
      }
    }
  }

  async #openReaders(brokerKey: string, first: BrokerSnapshot): Promise<void> {
    const { driver, routing } = this.#deps;
    const { topic, partitions } = first.broker;
    if (this.#options.hasRemoteDispatcher) {
      await driver.admin.ensureTopic(deliveriesTopic(topic), { partitions });
    }
    await this.#deps.opened(brokerKey);
    const ends = await driver.log.ends(topic);
    const snapshot = routing.broker(brokerKey) ?? first;
    const readers = ends.map((end) => this.#reader(brokerKey, snapshot, end.partition));
    this.#brokers.set(brokerKey, readers);
    for (const reader of readers) {
      for (const trigger of snapshot.triggers.values()) reader.putTrigger(trigger);
      reader.start();
    }
  }

  #reader(brokerKey: string, snapshot: BrokerSnapshot, partition: number): SharedReader {
    const { routing } = this.#deps;
    let broker = snapshot.broker;
    return new SharedReader(
      {
        ...this.#deps,
        metrics: this.#metrics,
        revision: () => routing.broker(brokerKey)?.revision ?? 0,
        observer: () => this.#observer,
        hasRemoteDispatcher: this.#options.hasRemoteDispatcher,
        frozenMsMax: this.#options.frozenMsMax ?? FROZEN_MS_DEFAULT,
      },
      () => {
        broker = routing.broker(brokerKey)?.broker ?? broker;
        return broker;
      },
      partition,
    );
  }

  async #remove(brokerKey: string): Promise<void> {
    const readers = this.#brokers.get(brokerKey) ?? [];
    this.#brokers.delete(brokerKey);
    for (const reader of readers) await this.#closeReader(reader);
  }

  async #closeReader(reader: SharedReader): Promise<void> {
    try {
      await reader.close(true);
    } catch (error) {
      this.#deps.logger.warn('Cannot write the last position of a reader: events will repeat', {
        error: messageOf(error),
      });
    }
  }

  #look(topic: string): void {
    for (const snapshot of this.#deps.routing.brokers()) {
      if (snapshot.broker.topic !== topic) continue;
      for (const reader of this.#brokers.get(snapshot.broker.key) ?? []) reader.look();
    }
  }
}
