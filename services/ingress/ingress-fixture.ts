/**
 * For tests: an ingress on a free port of loopback over the memory driver, with one Broker `ns/b`,
 * and ways to see what it stored and counted.
 */
import type { ChannelDriver, EventLog } from '#lib/channel/channel-driver';
import type { EventRecord } from '#lib/channel/event-record';
import { openDriver } from '#channels/index';
import type { BrokerRoute } from '#lib/contract/routing';
import { createRoutingTable } from '#lib/contract/routing-table-store';
import type { RoutingTableWriter } from '#lib/contract/routing-table';
import { createSeededRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import type { Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { createIngress } from './ingress.ts';
import type { Ingress, IngressDeps } from './ingress.ts';
import type { IngressSettings } from './ingress-settings.ts';

export const TOPIC = 'topic-b';

export function brokerRoute(name: string, countsTtl = true): BrokerRoute {
  return {
    key: `ns/${name}`,
    namespace: 'ns',
    name,
    uid: `uid-${name}`,
    topic: `topic-${name}`,
    partitions: 1,
    policy: { countsTtl, nonEventReply: 'fail' },
    deadLetter: null,
    delivery: {
      retryCount: 0,
      backoff: 'linear',
      backoffDelayMs: 0,
      timeoutMs: 1_000,
      retryAfterMsMax: 0,
      format: 'binary',
    },
  };
}

export interface FixtureOptions {
  readonly settings?: Partial<IngressSettings>;
  /** Puts something between ingress and the log of the driver. */
  readonly wrapLog?: (log: EventLog) => IngressDeps['log'];
  readonly isSynced?: boolean;
  readonly clock?: Clock;
  readonly readMemory?: () => number;
  readonly observer?: IngressDeps['observer'];
}

export interface IngressFixture extends AsyncDisposable {
  readonly port: number;
  readonly ingress: Ingress;
  readonly driver: ChannelDriver;
  readonly routing: RoutingTableWriter;
  readonly metrics: Metrics;
  /** What was given to `onBug`. */
  readonly bugs: unknown[];
  /** Every event of the topic, from the start. */
  stored(topic?: string): Promise<readonly EventRecord[]>;
  /** A counter or gauge by name, of one label value; 0 when there is no such series. */
  metric(name: string, labelValue?: string): number;
}

export async function startIngress(options: FixtureOptions = {}): Promise<IngressFixture> {
  const clock = options.clock ?? createSystemClock();
  const driver = await openDriver(
    'memory',
    { clock, random: createSeededRandom(1), logger: silentLogger, onFatal: () => undefined },
    { dataDir: '' },
  );
  await driver.admin.ensureTopic(TOPIC, { partitions: 1 });
  const routing = createRoutingTable({ clock });
  routing.apply([{ op: 'putBroker', broker: brokerRoute('b') }]);
  if (options.isSynced !== false) routing.markSynced();
  const metrics = createMetrics();
  const bugs: unknown[] = [];
  const ingress = createIngress(
    {
      ...{ routing, clock, metrics },
      log: options.wrapLog?.(driver.log) ?? driver.log,
      random: createSeededRandom(1),
      logger: silentLogger,
      readMemory: options.readMemory ?? (() => 0),
      onBug: (error) => bugs.push(error),
      ...(options.observer === undefined ? {} : { observer: options.observer }),
    },
    { host: '127.0.0.1', port: 0, settings: { loopDelayMsMax: 60_000, ...options.settings } },
  );
  const { port } = await ingress.start();
  return {
    ...{ port, ingress, driver, routing, metrics, bugs },
    stored: (topic = TOPIC) => readAll(driver, topic),
    metric: (name, labelValue) => readMetric(metrics, name, labelValue),
    async [Symbol.asyncDispose]() {
      await ingress.close();
      await driver.close();
    },
  };
}

async function readAll(driver: ChannelDriver, topic: string): Promise<readonly EventRecord[]> {
  const [ends] = await driver.log.ends(topic);
  if (ends === undefined || ends.next === ends.first) return [];
  const reader = await driver.log.read(topic, 0, ends.first);
  const records: EventRecord[] = [];
  while (records.length < ends.next - ends.first) {
    for (const { record } of await reader.next(1_000, Number.MAX_SAFE_INTEGER)) {
      if (record.kind === 'event') records.push(record);
    }
  }
  reader.close();
  return records;
}

function readMetric(metrics: Metrics, name: string, labelValue?: string): number {
  const family = metrics.snapshot().find((each) => each.name === name);
  let sum = 0;
  for (const series of family?.series ?? []) {
    if (labelValue === undefined || series.labelValues.includes(labelValue)) {
      sum += series.values[0] ?? 0;
    }
  }
  return sum;
}

/** Waits until the condition holds; fails the test when it does not within five seconds. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  const clock = createSystemClock();
  const deadlineMs = clock.monotonicMs() + 5_000;
  while (!(await condition())) {
    if (clock.monotonicMs() > deadlineMs) throw new Error(`not within five seconds: ${what}`);
    await new Promise<void>((resolve) => clock.after(5, resolve));
  }
}
