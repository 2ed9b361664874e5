/**
 * The event path in one process for tests: filter and dispatcher over any channel driver, real HTTP
 * subscribers, no ingress (events are appended straight to the log). Invariant: everything it opens
 * it closes, and it never sleeps: tests wait with `eventually`.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryDriver } from '#channels/memory/memory-driver';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { EventRecord } from '#lib/channel/event-record';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { BrokerRoute, DeliveryPolicy, TriggerRoute } from '#lib/contract/routing';
import type { RoutingTableWriter } from '#lib/contract/routing-table';
import { createRoutingTable } from '#lib/contract/routing-table-store';
import { createHttpSender } from '#lib/delivery/http-sender';
import type { Sender } from '#lib/delivery/http-sender';
import { ensureTriggers } from '#lib/delivery/trigger-cursors';
import { EVERY_EVENT } from '#lib/filters/dialect';
import { createSeededRandom } from '#lib/random/random';
import { createAddressRules, LAPTOP_PROFILE } from '#lib/security/address-rules';
import { silentLogger } from '#lib/telemetry/log';
import type { Logger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import type { Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { Dispatcher } from '#services/dispatcher/dispatcher';
import { Filter } from '#services/filter/filter';

export const BROKER: BrokerRoute = {
  key: 'default/default',
  namespace: 'default',
  name: 'default',
  uid: 'broker-uid',
  topic: 'broker/default/default',
  partitions: 1,
  policy: { countsTtl: true, nonEventReply: 'fail' },
  deadLetter: null,
  delivery: policyOf({}),
};

export function policyOf(given: Partial<DeliveryPolicy>): DeliveryPolicy {
  return {
    retryCount: 3,
    backoff: 'linear',
    backoffDelayMs: 1,
    timeoutMs: 5_000,
    retryAfterMsMax: 0,
    format: 'binary',
    ...given,
  };
}

/** One arrival at a subscriber. */
export interface Arrival {
  readonly path: string;
  readonly id: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Answer = (arrival: Arrival, response: ServerResponse) => void;

/** A real HTTP subscriber that remembers what came; `answer` decides, 200 by default. */
export class Subscriber {
  readonly arrivals: Arrival[] = [];
  answer: Answer = (_arrival, response) => response.writeHead(200).end();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#take(request, response));
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  ids(path?: string): string[] {
    const wanted = this.arrivals.filter((arrival) => path === undefined || arrival.path === path);
    return wanted.map((arrival) => arrival.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const arrival = {
        path: request.url ?? '',
        id: String(request.headers['ce-id'] ?? ''),
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      this.arrivals.push(arrival);
      this.answer(arrival, response);
    });
    request.on('error', () => response.destroy());
  }
}

export function eventOf(id: string, given: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: '/test',
    type: 'test',
    subject: null,
    time: null,
    datacontenttype: 'text/plain',
    dataschema: null,
    extensions: NO_EXTENSIONS,
    data: Buffer.from(`data of ${id}`),
    ...given,
  };
}

export function recordOf(event: CloudEvent, given: Partial<EventRecord> = {}): EventRecord {
  return {
    kind: 'event',
    event,
    passThrough: [],
    ttl: 255,
    arrivalMs: 1_800_000_000_000,
    key: null,
    ...given,
  };
}

export interface EventPathOptions {
  readonly driver?: ChannelDriver;
  readonly broker?: BrokerRoute;
  readonly logger?: Logger;
}

/** One life of filter and dispatcher over a driver that may outlive it. */
export class EventPath {
  readonly clock: Clock = createSystemClock();
  readonly metrics: Metrics = createMetrics();
  readonly driver: ChannelDriver;
  readonly broker: BrokerRoute;
  readonly routing: RoutingTableWriter;
  readonly dispatcher: Dispatcher;
  readonly filter: Filter;
  readonly #sender: Sender;
  #isClosed = false;

  constructor(options: EventPathOptions = {}) {
    const { clock } = this;
    this.driver = options.driver ?? createMemoryDriver({ clock });
    this.broker = options.broker ?? BROKER;
    this.routing = createRoutingTable({ clock });
    this.#sender = createHttpSender({
      clock,
      addressRules: createAddressRules({ profile: LAPTOP_PROFILE, ownPorts: [] }),
    });
    const shared = {
      clock,
      logger: options.logger ?? silentLogger,
      metrics: this.metrics,
      routing: this.routing,
      driver: this.driver,
    };
    this.dispatcher = new Dispatcher(
      { ...shared, random: createSeededRandom(1), sender: this.#sender },
      { holder: 'test', isFused: true },
    );
    this.filter = new Filter(
      {
        ...shared,
        handover: this.dispatcher.handover,
        opened: (key) => this.dispatcher.opened(key),
      },
      { hasRemoteDispatcher: false },
    );
  }

  async start(triggers: readonly TriggerRoute[]): Promise<this> {
    await this.driver.admin.ensureTopic(this.broker.topic, { partitions: this.broker.partitions });
    this.routing.apply([{ op: 'putBroker', broker: this.broker }]);
    for (const trigger of triggers) await this.put(trigger);
    this.routing.markSynced();
    await this.dispatcher.start();
    this.filter.start();
    return this;
  }

  /** As the control side does: cursors first, then the route. */
  async put(trigger: TriggerRoute): Promise<void> {
    await ensureTriggers(this.driver, this.broker.topic, [trigger]);
    this.routing.apply([{ op: 'putTrigger', trigger }]);
  }

  remove(trigger: TriggerRoute): void {
    const { brokerKey, uid } = trigger;
    this.routing.apply([{ op: 'removeTrigger', brokerKey, uid }]);
  }

  async send(...ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.driver.log.append(this.broker.topic, recordOf(eventOf(id)));
    }
  }

  /** A clean end; the driver stays open. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.filter.close();
    await this.dispatcher.drain(1_000);
    await this.dispatcher.close();
    await this.#sender.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.driver.close();
  }
}

let uidCount = 0;

export function triggerOf(
  name: string,
  url: string,
  given: Partial<TriggerRoute> = {},
): TriggerRoute {
  return {
    uid: `${name}-${++uidCount}`,
    key: `default/${name}`,
    namespace: 'default',
    name,
    brokerKey: BROKER.key,
    generation: 1,
    filter: EVERY_EVENT,
    subscriber: { url, caCerts: null, audience: null },
    deadLetter: null,
    delivery: policyOf({}),
    nonEventReply: 'fail',
    order: 'unordered',
    concurrency: 100,
    inFlightBytesMax: 8 * 1_048_576,
    isPaused: false,
    start: null,
    backlog: null,
    ...given,
  };
}

/** Waits until `check` holds or answers; fails with what it last said. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`gave up waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
