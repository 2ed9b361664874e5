/** Durable appends of the bench's event to the embedded driver, without anything around them. */
import { openDriver } from '#channels/index';
import type { EventRecord } from '#lib/channel/event-record';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { createSystemClock } from '#lib/time/system-clock';
import { createTempDir } from '../../kit/temp-dir.ts';
import { DATA_BYTES } from '../bench-event.ts';

const TOPIC = 'bench';

/** `writers` loops of append, one after the other each. @returns how many were durable. */
export async function runAppends(
  options: { readonly writers: number; readonly durationMs: number; readonly dir: string },
  measure: (run: () => Promise<number>) => Promise<void>,
): Promise<void> {
  await using folder = await createTempDir('append', options.dir);
  const clock = createSystemClock();
  const onFatal = (error: Error): never => {
    throw error;
  };
  const deps = { clock, random: createSystemRandom(), logger: silentLogger, onFatal };
  const driver = await openDriver('embedded', deps, { dataDir: folder.path });
  try {
    await driver.admin.ensureTopic(TOPIC, { partitions: 1 });
    const write = async (endMs: number): Promise<number> => {
      let count = 0;
      for (; performance.now() < endMs; count++) await driver.log.append(TOPIC, record(count));
      return count;
    };
    await measure(async () => {
      const endMs = performance.now() + options.durationMs;
      const counts = await Promise.all(Array.from({ length: options.writers }, () => write(endMs)));
      return counts.reduce((sum, count) => sum + count, 0);
    });
  } finally {
    await driver.close();
  }
}

function record(index: number): EventRecord {
  const id = String(index);
  return {
    kind: 'event',
    event: {
      ...{ specversion: '1.0', id, source: '/bench/orders', type: 'order.7' },
      ...{ subject: 'order-4711', time: '2026-01-02T03:04:05.678901Z' },
      ...{ datacontenttype: 'application/json', dataschema: null, extensions: NO_EXTENSIONS },
      data: DATA,
    },
    passThrough: [],
    ttl: 255,
    arrivalMs: 1_767_323_045_000,
    key: null,
  };
}

const DATA = Buffer.alloc(DATA_BYTES, 'x');
