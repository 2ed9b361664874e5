/**
 * The delivery engine on a manual clock, over the memory driver and a sender that does nothing until
 * it is told: for tests of `lib/delivery`. A second life over the same driver stands for a restart.
 * Invariant: nothing happens between two calls of `turn` or `advance`.
 */
import { createMemoryDriver } from '#channels/memory/memory-driver';
import { channelError } from '#lib/channel/channel-errors';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { EventRecord } from '#lib/channel/event-record';
import type { WaitingPair, WaitingStore } from '#lib/channel/waiting-store';
import { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { createDeliveryMetrics } from '#lib/delivery/delivery-metrics';
import type { Destination, SendResult } from '#lib/delivery/http-sender';
import { OpenPairs } from '#lib/delivery/pair';
import type { Target, TargetSettings } from '#lib/delivery/target';
import { createSeededRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import { createManualClock } from '#lib/time/manual-clock';
import type { ManualClock } from '#lib/time/manual-clock';
import { eventOf, policyOf, recordOf } from './event-path.ts';

export const TOPIC = 'broker/ns/b';

/** A request that waits for its answer. */
export interface OpenSend {
  readonly url: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  answer(status: number, body?: string, headers?: readonly string[]): void;
}

/** Destinations of a sender that answers when it is told. */
export class FakeSender {
  /** Everything that was ever sent, as `id@url`. */
  readonly log: string[] = [];
  readonly open: OpenSend[] = [];
  openMax = 0;

  destination(url: string): Destination {
    let isClosed = false;
    return {
      send: (message, _timeoutMs, done) => {
        if (isClosed) throw new Error(`a send to ${url} after it was closed`);
        this.#take(url, message.headers, done);
        return { abort: () => undefined };
      },
      close: () => {
        isClosed = true;
      },
    };
  }

  ids(): string[] {
    return this.open.map((send) => send.id);
  }

  /** Answers everything that is open now. */
  answerAll(status = 200): void {
    for (const send of [...this.open]) send.answer(status);
  }

  #take(url: string, flat: readonly string[], done: (result: SendResult) => void): void {
    const headers: Record<string, string> = {};
    for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
    const id = headers['ce-id'] ?? '';
    this.log.push(`${id}@${url}`);
    const send: OpenSend = {
      url,
      id,
      headers,
      answer: (status, body = '', rawHeaders = []) => {
        const at = this.open.indexOf(send);
        if (at < 0) throw new Error(`${id} was answered already`);
        this.open.splice(at, 1);
        const index = rawHeaders.findIndex((name) => name.toLowerCase() === 'content-type');
        done({
          kind: 'response',
          status,
          contentType: index < 0 ? null : (rawHeaders[index + 1] ?? null),
          rawHeaders,
          body: Buffer.from(body),
          bodyTruncated: false,
        });
      },
    };
    this.open.push(send);
    this.openMax = Math.max(this.openMax, this.open.length);
  }
}

export interface EngineOptions {
  readonly clock?: ManualClock;
  readonly driver?: ChannelDriver;
}

export class EngineFixture {
  readonly clock: ManualClock;
  readonly driver: ChannelDriver;
  readonly sender = new FakeSender();
  readonly metrics = createMetrics();
  readonly deliveryMetrics = createDeliveryMetrics(this.metrics);
  readonly engine: DeliveryEngine;
  readonly list = new OpenPairs();
  readonly overflows: string[] = [];
  readonly appended: EventRecord[] = [];
  /** Operations of the waiting store that fail, or `all`. */
  readonly failing = new Set<string>();
  /** What the append of a reply answers with; `null` takes it. */
  appendFault: 'CHANNEL_FULL' | 'CHANNEL_RECORD_TOO_LARGE' | null = null;

  constructor(options: EngineOptions = {}) {
    this.clock = options.clock ?? createManualClock();
    this.driver = options.driver ?? createMemoryDriver({ clock: this.clock });
    this.engine = new DeliveryEngine({
      clock: this.clock,
      random: createSeededRandom(1),
      logger: silentLogger,
      metrics: this.deliveryMetrics,
      waiting: this.#faulty(this.driver.waiting),
      append: async (topic, record) => {
        if (this.appendFault !== null) throw channelError(this.appendFault, 'Cannot append');
        const receipt = await this.driver.log.append(topic, record);
        this.appended.push(record);
        return receipt;
      },
      holder: 'fixture',
    });
    this.engine.onOverflow = (target) => this.overflows.push(target.settings.uid);
  }

  async start(): Promise<this> {
    await this.driver.admin.ensureTopic(TOPIC, { partitions: 2 });
    await this.engine.start();
    const readFrom = new Map([
      [0, 0],
      [1, 0],
    ]);
    await this.engine.loadTopic(TOPIC, readFrom);
    return this;
  }

  /** Another life over the same store; without {@link DeliveryEngine.close} before, after a death. */
  restart(): Promise<EngineFixture> {
    return new EngineFixture({ clock: this.clock, driver: this.driver }).start();
  }

  settings(uid: string, given: Partial<TargetSettings> = {}): TargetSettings {
    return {
      uid,
      key: `ns/${uid}`,
      namespace: 'ns',
      brokerKey: 'ns/b',
      topic: TOPIC,
      isOrdered: false,
      isPaused: false,
      concurrency: 100,
      inFlightBytesMax: 1_048_576,
      policy: policyOf({ backoffDelayMs: 1_000 }),
      nonEventReply: 'fail',
      subscriber: this.sender.destination('sub'),
      subscriberUrl: 'http://sub',
      deadLetter: null,
      deadLetterUrl: null,
      encoding: { format: 'binary', namespace: 'ns', prefersReply: true, extra: null },
      ...given,
    };
  }

  target(uid: string, given: Partial<TargetSettings> = {}): Target {
    return this.engine.putTarget(this.settings(uid, given));
  }

  offer(
    target: Target,
    offset: number,
    given: { key?: string; list?: OpenPairs; sizeBytes?: number; partition?: number } = {},
  ): void {
    const { key = null, list = this.list, sizeBytes = 100, partition = 0 } = given;
    const source = { topic: TOPIC, partition, offset, sizeBytes, mark: offset };
    this.engine.offer(target, source, recordOf(eventOf(`e${offset}`), { key }), list);
  }

  /** Lets what was asked for happen, without time going on. */
  turn(): Promise<void> {
    return this.clock.advance(0);
  }

  /** What a checkpoint does. */
  async persist(mark: number, list = this.list): Promise<void> {
    const done = this.engine.persistBelow(list, mark);
    await this.turn();
    await done;
  }

  rows(): Promise<readonly WaitingPair[]> {
    return this.driver.waiting.peek({ countMax: 10_000 });
  }

  #faulty(store: WaitingStore): WaitingStore {
    const guard = async <Result>(name: string, run: () => Promise<Result>): Promise<Result> => {
      if (this.failing.has(name) || this.failing.has('all')) {
        throw channelError('CHANNEL_NOT_CONNECTED', `Cannot ${name}`);
      }
      return run();
    };
    return {
      put: (pairs, holder) => guard('put', () => store.put(pairs, holder)),
      lease: (request) => guard('lease', () => store.lease(request)),
      settle: (ids) => guard('settle', () => store.settle(ids)),
      renew: (holder, ids) => guard('renew', () => store.renew(holder, ids)),
      recover: (holder) => guard('recover', () => store.recover(holder)),
      release: (holder) => guard('release', () => store.release(holder)),
      summary: (topic) => guard('summary', () => store.summary(topic)),
      keys: (topic, partition, from) => guard('keys', () => store.keys(topic, partition, from)),
      peek: (query) => guard('peek', () => store.peek(query)),
      redrive: (ids) => guard('redrive', () => store.redrive(ids)),
      retarget: (topic, from, to) => guard('retarget', () => store.retarget(topic, from, to)),
      drop: (topic, uid, options) => guard('drop', () => store.drop(topic, uid, options)),
    };
  }
}
