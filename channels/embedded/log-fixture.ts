/** What the tests of the segment log share: events, a log on any disk, and reading it all. */
import type { LogEntry } from '#lib/channel/channel-driver';
import type { EventRecord } from '#lib/channel/event-record';
import type { Disk } from '#lib/disk/disk';
import type { MeshError } from '#lib/errors/mesh-error';
import { createSeededRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { openEmbeddedLog } from './embedded-log.ts';
import type { EmbeddedLog, EmbeddedLogOptions } from './embedded-log.ts';
import { EMBEDDED_LOG_DEFAULTS } from './embedded-log-settings.ts';
import type { EmbeddedLogSettings } from './embedded-log-settings.ts';

export const ROOT = '/data/log';
export const TOPIC = 'default/orders';

export function eventRecord(id: string, options: Partial<EventRecord> = {}): EventRecord {
  return {
    kind: 'event',
    event: {
      specversion: '1.0',
      id,
      source: '/tests/log',
      type: 'com.example.tested',
      subject: null,
      time: '2026-02-03T04:05:06.789+01:00',
      datacontenttype: 'text/plain',
      dataschema: null,
      extensions: new Map<string, string | number | boolean>([['count', 7]]),
      data: Buffer.from(`data of ${id}`),
    },
    passThrough: ['traceparent', '00-11111111111111111111111111111111-2222222222222222-01'],
    ttl: 255,
    arrivalMs: 1_800_000_000_000,
    key: null,
    ...options,
  };
}

/** An event whose record is at least that long. */
export function largeRecord(id: string, dataBytes: number): EventRecord {
  const record = eventRecord(id);
  return { ...record, event: { ...record.event, data: Buffer.alloc(dataBytes, id) } };
}

const clock = createSystemClock({ unref: true });

export function nowMs(): number {
  return clock.wallMs();
}

/** One turn of the event loop, I/O included. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => clock.soon(resolve));
}

/** Waits for a condition; answers how long that took. */
export async function eventually(
  check: () => Promise<boolean>,
  deadlineMs: number,
): Promise<number> {
  const startMs = clock.monotonicMs();
  while (!(await check())) {
    if (clock.monotonicMs() - startMs > deadlineMs) throw new Error(`not within ${deadlineMs} ms`);
    await sleep(createSystemClock(), 20);
  }
  return clock.monotonicMs() - startMs;
}

export interface OpenedLog {
  readonly log: EmbeddedLog;
  readonly fatal: MeshError[];
  readonly damaged: string[];
}

export async function openLog(
  disk: Disk,
  settings: Partial<EmbeddedLogSettings> = {},
  options: Partial<EmbeddedLogOptions> & { readonly wallMs?: () => number } = {},
): Promise<OpenedLog> {
  const fatal: MeshError[] = [];
  const damaged: string[] = [];
  const { wallMs = clock.wallMs, ...rest } = options;
  const random = createSeededRandom(saltSeed++);
  const deps = { disk, clock: { ...clock, wallMs }, random, logger: silentLogger };
  const log = await openEmbeddedLog(deps, {
    directory: ROOT,
    settings: { ...EMBEDDED_LOG_DEFAULTS, ...settings },
    lowestPin: () => null,
    largestBacklog: () => null,
    onFatal: (error) => fatal.push(error),
    onDamage: (path, reason) => damaged.push(`${path}: ${reason}`),
    ...rest,
  });
  return { log, fatal, damaged };
}

let saltSeed = 1;

/** Everything that is durable in the partition, in order. */
export async function readAll(log: EmbeddedLog, topic = TOPIC, partition = 0): Promise<LogEntry[]> {
  const { first = 0, next: end = 0 } = (await log.ends(topic))[partition] ?? {};
  const reader = await log.read(topic, partition, first);
  const entries: LogEntry[] = [];
  while (reader.position < end) entries.push(...(await reader.next(100, 1024 * 1024)));
  reader.close();
  return entries;
}

/** Ids of events, and the kind of anything else. */
export function idsOf(entries: readonly LogEntry[]): string[] {
  return entries.map(({ record }) => (record.kind === 'event' ? record.event.id : record.kind));
}
