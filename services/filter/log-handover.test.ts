import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { channelError } from '#lib/channel/channel-errors';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { AppendRecord } from '#lib/channel/event-record';
import { deliveriesTopic } from '#lib/delivery/handover';
import { silentLogger } from '#lib/telemetry/log';
import { createManualClock } from '#lib/time/manual-clock';
import { eventOf, recordOf } from '#test/kit/event-path';
import { memoryDriver } from '#test/kit/memory-driver';
import { LogHandover } from './log-handover.ts';

const TOPIC = 'b';
const LOG = deliveriesTopic(TOPIC);
/** What an append does: all, nothing, or some and then an error, as a driver may. */
type Fate = 'all' | 'none' | 'some';

async function bench(fates: readonly Fate[] = []) {
  const clock = createManualClock();
  const driver: ChannelDriver = memoryDriver(clock);
  await driver.admin.ensureTopic(LOG, { partitions: 2 });
  const appendAll = driver.log.appendAll.bind(driver.log);
  const left = [...fates];
  const state = { isBroken: false };
  driver.log.appendAll = async (topic, records, options) => {
    const fate = state.isBroken ? 'none' : (left.shift() ?? 'all');
    if (fate === 'all') return appendAll(topic, records, options);
    if (fate === 'some' && records.length > 1) {
      await appendAll(topic, records.slice(0, Math.ceil(records.length / 2)), options);
    }
    throw channelError('CHANNEL_NOT_CONNECTED', 'Cannot append');
  };
  const handover = new LogHandover({ clock, logger: silentLogger, driver });
  const deliver = (offset: number, sizeBytes = 10, partition = 0): void => {
    const source = { topic: TOPIC, partition, offset, sizeBytes, mark: offset };
    handover.deliver(source, recordOf(eventOf(`e${offset}`)), ['u'], 1);
  };
  const written = async (partition = 0): Promise<AppendRecord[]> => {
    const ends = await driver.log.ends(LOG);
    const end = ends.find((each) => each.partition === partition)?.next ?? 0;
    if (end === 0) return [];
    const reader = await driver.log.read(LOG, partition, 0);
    const entries = await reader.next(100_000, Infinity);
    reader.close();
    return entries.flatMap(({ record }) => (record.kind === 'poison' ? [] : [record]));
  };
  return { clock, driver, handover, deliver, written, state };
}

function offsetOf(record: AppendRecord): number {
  return record.kind === 'event' ? -1 : record.source.offset;
}

test('whatever fails, the log holds a prefix: first appearances are in order, without a gap', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<Fate>('all', 'none', 'some'), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 }),
      async (fates, bursts) => {
        const { clock, handover, deliver, written } = await bench(fates);
        let next = 0;
        for (const count of bursts) {
          for (let n = 0; n < count; n++) deliver(next++);
          await clock.advance(50);
          const seen = [...new Set((await written()).map(offsetOf))];
          assert.deepEqual(
            seen,
            Array.from({ length: seen.length }, (_, offset) => offset),
          );
        }
        const durable = handover.checkpoint({ topic: TOPIC, partition: 0, offset: next });
        await clock.advance(10_000);
        await durable;
        assert.equal(new Set((await written()).map(offsetOf)).size, next);
      },
    ),
    { numRuns: 60 },
  );
});

test('a checkpoint ends when what was pushed before is written, and not while it is not', async () => {
  const { clock, handover, deliver, state } = await bench();
  state.isBroken = true;
  deliver(1);
  let isDurable = false;
  const durable = handover
    .checkpoint({ topic: TOPIC, partition: 0, offset: 2 })
    .then(() => (isDurable = true));
  await clock.advance(60_000);
  assert.equal(isDurable, false);
  state.isBroken = false;
  await clock.advance(1_000);
  await durable;
});

test('closed before everything is written: the position must not move', async () => {
  const { clock, handover, deliver, state } = await bench();
  state.isBroken = true;
  deliver(1);
  const durable = handover.checkpoint({ topic: TOPIC, partition: 0, offset: 2 });
  const failed = assert.rejects(durable, /closed/);
  await clock.advance(10);
  handover.close();
  await failed;
});

test('room: bounded in records and bytes, per partition', async () => {
  const { clock, handover, deliver, state } = await bench();
  state.isBroken = true;
  for (let offset = 0; offset < 2_047; offset++) deliver(offset);
  assert.equal(handover.room(TOPIC, 0), null);
  deliver(2_047);
  const room = handover.room(TOPIC, 0);
  assert.notEqual(room, null);
  assert.equal(handover.room(TOPIC, 1), null, 'another partition goes on');
  deliver(1, 16 * 1_048_576, 1);
  assert.notEqual(handover.room(TOPIC, 1), null);
  state.isBroken = false;
  await clock.advance(1_000);
  await room;
  assert.equal(handover.room(TOPIC, 0), null);
  assert.equal(handover.room(TOPIC, 1), null);
});

test('a change of reader keeps its place between the events', async () => {
  const { clock, handover, deliver, written } = await bench();
  deliver(1);
  handover.changeReader({ topic: TOPIC, partition: 0, offset: 2 }, 'u', 'own');
  deliver(2);
  await clock.advance(10);
  assert.deepEqual(
    (await written()).map((record) => record.kind),
    ['delivery', 'readerChange', 'delivery'],
  );
});
