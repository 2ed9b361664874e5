/**
 * A running Millrace under load, with six Triggers that fail in their own ways, a producer, sinks, and the
 * ledger over all of it. For tests that kill what they want and let the ledger judge.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Random } from '#lib/random/random';
import { createSeededRandom } from '#lib/random/random';
import { eventually } from '../kit/eventually.ts';
import { hashOf, Ledger } from '../kit/ledger.ts';
import type { LedgerEvent } from '../kit/ledger.ts';
import { assertLedger, formatLedger } from '../kit/ledger-report.ts';
import type { LedgerBounds, LedgerReport } from '../kit/ledger-report.ts';
import { startMillrace } from '../kit/millrace-process.ts';
import type { MillraceOptions, MillraceProcess } from '../kit/millrace-process.ts';
import { Producer } from '../kit/producer.ts';
import type { ProducedEvent } from '../kit/producer.ts';
import { startSubscriber, status } from '../kit/subscriber.ts';
import type { SinkAnswer, SinkRequest, Subscriber } from '../kit/subscriber.ts';
import { manifestYaml } from '../kit/trigger-yaml.ts';
import type { TriggerSpec } from '../kit/trigger-yaml.ts';

/** Share of each type in the load; `other` matches no Trigger. */
const TYPES = [
  ...Array<string>(10).fill('order.created'),
  ...Array<string>(4).fill('order.keyed'),
  ...['order.flaky', 'order.flaky', 'order.dead', 'order.dead', 'order.parked', 'other'],
];

/** Retries of each Trigger, and so the most attempts of one event when nobody is killed. */
export const RETRIES = { exact: 5, prefix: 5, flaky: 12, dead: 1, parked: 1, ordered: 5 } as const;

export type TriggerName = keyof typeof RETRIES;

const MATCHES: Readonly<Record<TriggerName, (type: string) => boolean>> = {
  exact: (type) => type === 'order.created',
  prefix: (type) => type.startsWith('order.'),
  flaky: (type) => type === 'order.flaky',
  dead: (type) => type === 'order.dead',
  parked: (type) => type === 'order.parked',
  ordered: (type) => type === 'order.keyed',
};

const NAMES = Object.keys(RETRIES) as readonly TriggerName[];
const FLAKY_SHARE = 0.3;
const ORDERED_FLAKY_SHARE = 0.02;
const DATA_BYTES_MAX = 2_048;
const SOURCE = '/kill-scene';
const DRAIN_LIMIT_MS = 60_000;
const REPOSITORY = path.resolve(import.meta.dirname, '../..');

export interface SceneOptions {
  readonly roles: NonNullable<MillraceOptions['roles']>;
  readonly seed: number;
  readonly ratePerSecond?: number;
  readonly connectionCount?: number;
  /** True: an event with an unknown outcome is sent again, as a careful producer does. */
  readonly isRetrying?: boolean;
}

export class KillScene implements AsyncDisposable {
  readonly random: Random;
  readonly ledger: Ledger;
  readonly millrace: MillraceProcess;
  readonly producer: Producer;
  readonly #subscriber: Subscriber;
  readonly #seed: number;

  constructor(
    parts: {
      readonly random: Random;
      readonly ledger: Ledger;
      readonly millrace: MillraceProcess;
      readonly subscriber: Subscriber;
    },
    options: SceneOptions,
  ) {
    this.random = parts.random;
    this.ledger = parts.ledger;
    this.millrace = parts.millrace;
    this.#subscriber = parts.subscriber;
    this.#seed = options.seed;
    const { ratePerSecond = 400, connectionCount = 16 } = options;
    this.producer = new Producer({
      url: this.millrace.brokerUrl,
      ...{ ratePerSecond, connectionCount },
      retryCount: options.isRetrying === true ? 1_000 : 0,
      makeEvent: (index, slot) => this.#makeEvent(index, slot),
      onOutcome: (event: LedgerEvent, code) => this.ledger.sent(event, code),
    });
  }

  /** Resolves when `count` more events were accepted than now. */
  async accepted(count: number): Promise<void> {
    const wanted = this.ledger.acceptedCount + count;
    await eventually(`${count} more accepted events`, () => this.ledger.acceptedCount >= wanted, {
      limitMs: 20_000,
      describe: () => this.millrace.lastLines,
    });
  }

  /** Ends the load, waits until every accepted pair has its end, and lets the ledger judge. */
  async finish(bounds: LedgerBounds): Promise<LedgerReport> {
    await this.producer.stop();
    let lookMs = performance.now() + 2_000;
    const hasEnd = async (): Promise<boolean> => {
      if (this.ledger.openCount > 0 && performance.now() > lookMs) {
        await this.#readParked();
        lookMs = performance.now() + 2_000;
      }
      return this.ledger.openCount === 0;
    };
    // Whatever has no end at the limit is for the ledger to name.
    await eventually('an end of every pair', hasEnd, { limitMs: DRAIN_LIMIT_MS }).catch(
      () => undefined,
    );
    const report = this.ledger.check();
    const context = `seed ${this.#seed}, stray requests ${this.#subscriber.strayCount}\n${this.millrace.lastLines}`;
    assertLedger(report, bounds, context);
    if (this.#subscriber.strayCount > 0) throw new Error(`requests to no sink\n${context}`);
    return report;
  }

  describe(report: LedgerReport): string {
    return `seed ${this.#seed}\n${formatLedger(report)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.producer[Symbol.asyncDispose]();
    await this.millrace[Symbol.asyncDispose]();
    await this.#subscriber[Symbol.asyncDispose]();
  }

  #makeEvent(index: number, slot: number): ProducedEvent {
    const type = TYPES[this.random.below(TYPES.length)] ?? 'other';
    const data = Buffer.alloc(this.random.below(DATA_BYTES_MAX), `${index}-`);
    const key = type === 'order.keyed' ? `key-${slot}-${this.random.below(3)}` : null;
    return { source: SOURCE, id: String(index), type, data, key };
  }

  async #readParked(): Promise<void> {
    for (const { targetKey, eventId, eventSource } of await listParked(this.millrace)) {
      this.ledger.setAside(targetKey.replace('default/', ''), { id: eventId, source: eventSource });
    }
  }
}

export async function startKillScene(options: SceneOptions): Promise<KillScene> {
  const random = createSeededRandom(options.seed);
  const ledger = new Ledger(
    NAMES.map((name) => ({
      name,
      matches: ({ type }) => MATCHES[name](type),
      isOrdered: name === 'ordered',
    })),
  );
  const subscriber = await startSubscriber();
  try {
    const yaml = manifestYaml(triggerSpecs(ledger, subscriber, random));
    const millrace = await startMillrace({ yaml, roles: options.roles });
    const scene = new KillScene({ random, ledger, millrace, subscriber }, options);
    scene.producer.start();
    return scene;
  } catch (error) {
    await subscriber[Symbol.asyncDispose]();
    throw error;
  }
}

/** Also opens a sink for each Trigger, and one for the dead letters of `dead`. */
function triggerSpecs(
  ledger: Ledger,
  subscriber: Subscriber,
  random: Random,
): readonly TriggerSpec[] {
  const sinkUrl = (name: TriggerName, answer: () => SinkAnswer): string =>
    subscriber.sink(name, {
      isKeeping: false,
      script: answer,
      onRequest: (request, given) => ledger.arrived(name, arrivalOf(request), given.status),
    }).url;
  const deadLetterSink = subscriber.sink('dead-letters', {
    isKeeping: false,
    onRequest: (request) => {
      const { knativeerrordest, knativeerrorcode, knativeerrordata } = request.attributes;
      ledger.deadLettered('dead', arrivalOf(request), {
        dest: knativeerrordest ?? null,
        code: knativeerrorcode ?? null,
        data: knativeerrordata ?? null,
      });
    },
  }).url;
  const flaky = (share: number) => () => status(random.float() < share ? 503 : 200);
  const subscribers: Readonly<Record<TriggerName, string>> = {
    exact: sinkUrl('exact', () => status(200)),
    prefix: sinkUrl('prefix', () => status(202)),
    flaky: sinkUrl('flaky', flaky(FLAKY_SHARE)),
    dead: sinkUrl('dead', () => status(500)),
    parked: sinkUrl('parked', () => status(500)),
    ordered: sinkUrl('ordered', flaky(ORDERED_FLAKY_SHARE)),
  };
  const filters: Readonly<Record<TriggerName, Partial<TriggerSpec>>> = {
    exact: { attributes: { type: 'order.created' } },
    prefix: { filters: [{ prefix: { type: 'order.' } }] },
    flaky: { filters: [{ exact: { type: 'order.flaky' } }] },
    dead: { filters: [{ cesql: "type = 'order.dead'" }] },
    // No dead-letter sink: what fails for good is parked.
    parked: { filters: [{ suffix: { type: '.parked' } }] },
    ordered: {
      attributes: { type: 'order.keyed' },
      annotations: { 'millrace.dev/delivery-order': 'ordered' },
    },
  };
  return NAMES.map((name) => ({
    name,
    subscriber: subscribers[name],
    ...filters[name],
    delivery: {
      retry: RETRIES[name],
      backoffPolicy: 'linear',
      backoffDelay: 'PT0.2S',
      ...(name === 'dead' ? { deadLetterSink } : {}),
    },
  }));
}

function arrivalOf(request: SinkRequest): {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly hash: string;
} {
  const { source = '', id = '', type = '' } = request.attributes;
  return { source, id, type, hash: hashOf(request.data) };
}

interface ParkedEvent {
  readonly targetKey: string;
  readonly eventId: string;
  readonly eventSource: string;
}

/** As a user sees it: `millrace parked list -o json`. */
async function listParked(millrace: MillraceProcess): Promise<readonly ParkedEvent[]> {
  const program = path.join(REPOSITORY, 'bin/millrace');
  const args = [
    'parked',
    'list',
    '--data-dir',
    millrace.dataDir,
    '-o',
    'json',
    '--limit',
    '100000',
  ];
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as readonly ParkedEvent[];
}
