/**
 * The event side of one process, composed of the real services: the store, and any of ingress, filter
 * and dispatcher. Read this to see how they fit together. Made by `event-process.ts`.
 *
 *   start       store opened and recovered, then ingress listens (503 until the routes are there)
 *   markSynced  dispatcher, then filter: whoever takes over is there before whoever hands over
 *   drain       ingress, filter, dispatcher: takers first
 */
import type { AddressInfo } from 'node:net';
import { openDriver } from '#channels/index';
import type { StoreAccess } from '#channels/index';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { WaitingPair } from '#lib/channel/waiting-store';
import { encodeJsonEvent } from '#lib/cloudevents/json-encode';
import { createRoutingTable } from '#lib/contract/routing-table-store';
import type { RoutingTableWriter } from '#lib/contract/routing-table';
import type { RoutingPatch } from '#lib/contract/routing';
import { createHttpSender } from '#lib/delivery/http-sender';
import type { Sender } from '#lib/delivery/http-sender';
import { ensureTriggers, startOffsets } from '#lib/delivery/trigger-cursors';
import type { TriggerStart } from '#lib/delivery/trigger-cursors';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSystemRandom } from '#lib/random/random';
import { createAddressRules, LAPTOP_PROFILE } from '#lib/security/address-rules';
import type { Logger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import type { MetricFamily, Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { Dispatcher } from '#services/dispatcher/dispatcher';
import { Filter } from '#services/filter/filter';
import { LogHandover } from '#services/filter/log-handover';
import { createIngress } from '#services/ingress/ingress';
import type { Ingress } from '#services/ingress/ingress';
import type { IngressObserver } from '#services/ingress/ingress-core';
import { listenFault, urlOf } from './admin-listener.ts';
import { EVENT_ROLES } from './event-side.ts';
import type {
  EnsureRequest,
  EventRole,
  EventSide,
  EventSideStarted,
  EventSideStatus,
  ParkedDetail,
  ParkedPair,
  ParkedQuery,
  ReplayAnswer,
  ReplayRequest,
  StoreStatus,
  TailEntry,
} from './event-side.ts';
import type { EventSideSettings } from './event-side-settings.ts';
import { localError } from './local-errors.ts';
import { tailAttempt, tailEvent } from './tail-entries.ts';

export interface ComposedDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onFatal: (error: unknown) => void;
}

interface Parts {
  readonly driver: ChannelDriver;
  readonly sender: Sender | null;
  readonly ingress: Ingress | null;
  readonly filter: Filter | null;
  readonly dispatcher: Dispatcher | null;
}

const RESPONSE_SHOWN_BYTES_MAX = 768;

export class ComposedEventSide implements EventSide {
  readonly #deps: ComposedDeps;
  readonly #roles: readonly EventRole[];
  readonly #settings: EventSideSettings;
  readonly #routing: RoutingTableWriter;
  /** One for each role: a service declares its instruments as if it were alone. */
  readonly #metrics: Readonly<Record<EventRole, Metrics>> = {
    ingress: createMetrics(),
    filter: createMetrics(),
    dispatcher: createMetrics(),
  };
  readonly #random = createSystemRandom();
  readonly #ingressObserver: IngressObserver = {};
  #parts: Parts | null = null;
  #isServing = false;
  #isDraining = false;
  #closing: Promise<void> | null = null;

  constructor(deps: ComposedDeps, roles: readonly EventRole[], settings: EventSideSettings) {
    this.#deps = deps;
    this.#roles = roles;
    this.#settings = settings;
    this.#routing = createRoutingTable(deps);
  }

  async start(): Promise<EventSideStarted> {
    const { clock, log, onFatal } = this.#deps;
    const { driver: name, storeDir, embedded, listen } = this.#settings;
    const driver = await openDriver(
      name,
      { clock, random: this.#random, logger: log.child('store'), onFatal },
      { dataDir: storeDir, embedded, access: this.#storeAccess },
    );
    const parts = this.#compose(driver);
    this.#parts = parts;
    const address = parts.ingress === null ? undefined : await this.#listen(parts.ingress);
    return { eventsUrl: address === undefined ? null : urlOf(listen.host, address.port) };
  }

  async ensure(request: EnsureRequest): Promise<void> {
    const { driver } = this.#opened();
    for (const { topic, partitions } of request.topics) {
      await driver.admin.ensureTopic(topic, { partitions });
    }
    const byTopic = new Map<string, TriggerStart[]>();
    for (const { topic, uid, key, start } of request.triggers) {
      const starts = byTopic.get(topic) ?? [];
      starts.push({ uid, key, start });
      byTopic.set(topic, starts);
    }
    for (const [topic, starts] of byTopic) await ensureTriggers(driver, topic, starts);
  }

  apply(patches: readonly RoutingPatch[]): void {
    this.#routing.apply(patches);
  }

  async markSynced(): Promise<void> {
    const { dispatcher, filter } = this.#opened();
    await dispatcher?.start();
    filter?.start();
    this.#routing.markSynced();
    this.#isServing = true;
  }

  async status(): Promise<EventSideStatus> {
    const { driver, dispatcher, ingress } = this.#opened();
    const isReady = this.#isServing && !this.#isDraining && (ingress?.isReady ?? true);
    const store = this.#isOwner ? await this.#storeStatus(driver) : null;
    return {
      isReady,
      reason: isReady ? (store?.reason ?? null) : 'starting or ending',
      store: store?.status ?? null,
      triggers: (await dispatcher?.status()) ?? [],
    };
  }

  metrics(): readonly MetricFamily[] {
    return Object.values(this.#metrics).flatMap((metrics) => metrics.snapshot());
  }

  tail(listener: ((entry: TailEntry) => void) | null): void {
    const { filter, dispatcher } = this.#opened();
    const { clock } = this.#deps;
    if (listener === null) {
      this.#ingressObserver.accepted = undefined;
      if (filter !== null) filter.observer = null;
      if (dispatcher !== null) dispatcher.observer = null;
      return;
    }
    this.#ingressObserver.accepted = (broker, record, { partition, offset }) => {
      const place = { atMs: clock.wallMs(), broker: broker.key, partition, offset };
      listener({ kind: 'accepted', ...place, event: tailEvent(record) });
    };
    if (filter !== null) {
      filter.observer = {
        matched(record, broker, { partition, offset }, targets) {
          const place = { atMs: clock.wallMs(), broker, partition, offset };
          listener({ kind: 'matched', ...place, event: tailEvent(record), targets });
        },
      };
    }
    if (dispatcher !== null) {
      dispatcher.observer = { attempt: (report) => listener(tailAttempt(report, clock.wallMs())) };
    }
  }

  async replay({ uid, from }: ReplayRequest): Promise<ReplayAnswer> {
    const { driver, dispatcher } = this.#opened();
    const trigger = this.#routing.trigger(uid);
    const snapshot = trigger === undefined ? undefined : this.#routing.broker(trigger.brokerKey);
    if (dispatcher === null || snapshot === undefined) {
      throw localError('LOCAL_OBJECT_UNKNOWN', `Cannot replay to ${uid}: it is not in force`);
    }
    const { topic } = snapshot.broker;
    const ends = await driver.log.ends(topic);
    const offsets = await startOffsets(driver, topic, ends, from);
    let eventCount = 0;
    for (const { partition, first, next } of ends) {
      eventCount += Math.max(0, next - Math.max(first, offsets.get(partition) ?? next));
    }
    await dispatcher.replay(uid, from);
    return { eventCount };
  }

  async parkedList({ targetKey, countMax, afterId }: ParkedQuery): Promise<readonly ParkedPair[]> {
    const { driver } = this.#opened();
    const query = { stage: 'parked', countMax, afterId } as const;
    const pairs = await driver.waiting.peek(targetKey === null ? query : { ...query, targetKey });
    return pairs.map(parkedPair);
  }

  async parkedShow(id: number): Promise<ParkedDetail | null> {
    const pair = await this.#parked(id);
    if (pair === null) return null;
    const body = pair.failure?.body.subarray(0, RESPONSE_SHOWN_BYTES_MAX) ?? Buffer.alloc(0);
    return {
      ...parkedPair(pair),
      eventJson: encodeJsonEvent(pair.record.event, {}).toString('utf8'),
      responseText: body.toString('utf8'),
    };
  }

  async parkedRedrive(ids: readonly number[]): Promise<number> {
    const { dispatcher } = this.#opened();
    let count = 0;
    for (const [topic, parked] of await this.#parkedByTopic(ids)) {
      count += (await dispatcher?.redrive(topic, parked)) ?? 0;
    }
    return count;
  }

  async parkedDrop(ids: readonly number[]): Promise<number> {
    const { driver } = this.#opened();
    const parked = [...(await this.#parkedByTopic(ids)).values()].flat();
    await driver.waiting.settle(parked);
    return parked.length;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    const endMs = this.#deps.clock.monotonicMs() + deadlineMs;
    const { ingress, filter, dispatcher } = this.#parts ?? NO_PARTS;
    await ingress?.drain(deadlineMs);
    await filter?.close();
    await dispatcher?.drain(Math.max(0, endMs - this.#deps.clock.monotonicMs()));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#isDraining = true;
    const { ingress, filter, dispatcher, sender, driver } = this.#parts ?? NO_PARTS;
    const steps = [
      () => ingress?.close(),
      () => filter?.close(),
      () => dispatcher?.close(),
      () => sender?.close(),
      () => driver?.close(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        // The rest must be released all the same; what was not written down happens again.
        this.#deps.log.warn('a part did not close cleanly', { error });
      }
    }
  }

  async #listen(ingress: Ingress): Promise<AddressInfo> {
    try {
      return await ingress.start();
    } catch (error) {
      if (!isMeshError(error, 'HTTP_LISTEN_FAILED')) throw error;
      const { host, port } = this.#settings.listen;
      const message = `Cannot listen at ${urlOf(host, port)}: ${listenFault(error.cause)} (--listen)`;
      throw localError('LOCAL_ADDRESS_IN_USE', message, { cause: error });
    }
  }

  get #storeAccess(): StoreAccess {
    if (!this.#isOwner) return 'join';
    return this.#roles.length === EVENT_ROLES.length ? 'alone' : 'serve';
  }

  get #isOwner(): boolean {
    return this.#roles.includes('ingress');
  }

  #opened(): Parts {
    if (this.#parts !== null) return this.#parts;
    throw localError('LOCAL_CHILD_FAILED', 'Cannot do this now: the process is starting');
  }

  #compose(driver: ChannelDriver): Parts {
    const { clock, log } = this.#deps;
    const { listen, ownPorts } = this.#settings;
    const shared = { clock, random: this.#random, driver };
    const base = { ...shared, routing: this.#routing };
    const has = (role: EventRole): boolean => this.#roles.includes(role);
    const sender = has('dispatcher')
      ? createHttpSender({
          clock,
          addressRules: createAddressRules({ profile: LAPTOP_PROFILE, ownPorts }),
          metrics: this.#metrics.dispatcher,
        })
      : null;
    const isFused = has('filter') && has('dispatcher');
    const dispatcher =
      sender === null
        ? null
        : new Dispatcher(
            { ...base, metrics: this.#metrics.dispatcher, logger: log.child('dispatcher'), sender },
            { holder: 'dispatcher', isFused },
          );
    const filter = has('filter')
      ? new Filter(
          {
            ...base,
            metrics: this.#metrics.filter,
            logger: log.child('filter'),
            handover:
              dispatcher?.handover ??
              new LogHandover({ clock, logger: log.child('filter'), driver }),
            opened: (key) => dispatcher?.opened(key) ?? Promise.resolve(),
          },
          { hasRemoteDispatcher: !isFused },
        )
      : null;
    const ingress = has('ingress')
      ? createIngress(
          {
            ...base,
            metrics: this.#metrics.ingress,
            log: driver.log,
            cursors: driver.cursors,
            logger: log.child('ingress'),
            observer: this.#ingressObserver,
          },
          { ...listen, settings: this.#settings.ingress },
        )
      : null;
    return { driver, sender, dispatcher, filter, ingress };
  }

  async #storeStatus(
    driver: ChannelDriver,
  ): Promise<{ readonly status: StoreStatus; readonly reason: string | null }> {
    const verified = await driver.admin.verify();
    const usage = await driver.admin.usage();
    const status = { driver: driver.name, durability: verified.level, usage };
    return { status, reason: verified.reason };
  }

  async #parked(id: number): Promise<WaitingPair | null> {
    const { driver } = this.#opened();
    const query = { stage: 'parked', countMax: 1, afterId: id - 1 } as const;
    const pair = (await driver.waiting.peek(query))[0];
    return pair?.id === id ? pair : null;
  }

  /** Only what is parked: a number of anything else is left out. */
  async #parkedByTopic(ids: readonly number[]): Promise<ReadonlyMap<string, number[]>> {
    const byTopic = new Map<string, number[]>();
    for (const id of ids) {
      const pair = await this.#parked(id);
      if (pair === null) continue;
      const { topic } = pair.source;
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), id]);
    }
    return byTopic;
  }
}

const NO_PARTS: { readonly [Part in keyof Parts]: Parts[Part] | null } = {
  driver: null,
  sender: null,
  ingress: null,
  filter: null,
  dispatcher: null,
};

function parkedPair(pair: WaitingPair): ParkedPair {
  const { id, targetKey, source, record, failure } = pair;
  const { event } = record;
  return {
    id,
    targetKey,
    topic: source.topic,
    eventId: event.id,
    eventType: event.type,
    eventSource: event.source,
    sizeBytes: event.data?.length ?? 0,
    reason: failure?.reason ?? '',
    status: failure?.status ?? null,
    destination: failure?.destination ?? null,
    firstFailureMs: pair.firstFailureMs,
    lastFailureMs: pair.lastFailureMs,
  };
}
