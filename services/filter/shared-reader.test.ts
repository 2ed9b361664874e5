import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelError } from '#lib/channel/channel-errors';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { TriggerRoute } from '#lib/contract/routing';
import type { Handover } from '#lib/delivery/handover';
import { ensureTriggers, OWN_PREFIX, READER_PREFIX } from '#lib/delivery/trigger-cursors';
import { silentLogger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import { createManualClock } from '#lib/time/manual-clock';
import { BROKER, eventOf, recordOf, triggerOf } from '#test/kit/event-path';
import { memoryDriver } from '#test/kit/memory-driver';
import { createFilterMetrics } from './filter-metrics.ts';
import { SharedReader } from './shared-reader.ts';

const TOPIC = BROKER.topic;

/** One shared reader over the memory driver, with a hand-over that remembers. */
class Bench {
  readonly clock = createManualClock();
  readonly driver: ChannelDriver;
  readonly delivered: string[] = [];
  readonly changes: string[] = [];
  readonly wanted: string[] = [];
  readonly reader: SharedReader;
  /** Cursor writes fail while it is set. */
  isFailing = false;
  /** What the log's readers do next: fail once. */
  failsReading = false;

  constructor(capacityBytes = 64 * 1_048_576) {
    this.driver = memoryDriver(this.clock, capacityBytes);
    const { cursors, log } = this.driver;
    const commit = cursors.commit.bind(cursors);
    cursors.commit = async (topic, all) => {
      if (this.isFailing) throw channelError('CHANNEL_NOT_CONNECTED', 'Cannot commit');
      return commit(topic, all);
    };
    const read = log.read.bind(log);
    log.read = async (topic, partition, from) => {
      const reader = await read(topic, partition, from);
      const next = reader.next.bind(reader);
      reader.next = async (...given) => {
        const entries = await next(...given);
        if (!this.failsReading) return entries;
        this.failsReading = false;
        throw channelError('CHANNEL_NOT_CONNECTED', 'Cannot read');
      };
      return reader;
    };
    const handover: Handover = {
      deliver: (source, _record, targets) => {
        for (const uid of targets) this.delivered.push(`${source.offset} ${uid}`);
      },
      deliverDead: (source) => this.delivered.push(`${source.offset} dead`),
      changeReader: ({ offset }, uid, reader) => this.changes.push(`${uid} ${reader} ${offset}`),
      room: () => null,
      checkpoint: () => Promise.resolve(),
      advance: () => undefined,
      takeWanted: () => this.wanted.splice(0),
      onWanted: null,
    };
    this.reader = new SharedReader(
      {
        clock: this.clock,
        logger: silentLogger,
        metrics: createFilterMetrics(createMetrics()),
        driver: this.driver,
        handover,
        hasRemoteDispatcher: false,
        revision: () => 1,
        observer: () => null,
        frozenMsMax: 3_600_000,
      },
      () => BROKER,
      0,
    );
  }

  async start(...routes: readonly TriggerRoute[]): Promise<this> {
    await this.driver.admin.ensureTopic(TOPIC, { partitions: 1 });
    for (const route of routes) await this.put(route);
    this.reader.start();
    await this.clock.advance(10);
    return this;
  }

  async put(route: TriggerRoute): Promise<void> {
    await ensureTriggers(this.driver, TOPIC, [route]);
    this.reader.putTrigger(route);
  }

  async send(count: number, bytes = 10): Promise<void> {
    for (let n = 0; n < count; n++) {
      const event = eventOf(`e${n}`, { data: Buffer.alloc(bytes) });
      await this.driver.log.append(TOPIC, recordOf(event));
    }
    await this.clock.advance(10);
  }

  async cursor(name: string): Promise<number | undefined> {
    const all = await this.driver.cursors.load(TOPIC, name);
    return all.find((cursor) => cursor.name === name)?.offset;
  }
}

test('a store that fails on writes and reads makes nothing go twice, and nothing go missing', async () => {
  const trigger = triggerOf('t', 'http://sub', { uid: 'u' });
  const bench = await new Bench().start(trigger);
  await bench.send(3);
  bench.isFailing = true;
  bench.failsReading = true;
  await bench.send(2);
  await bench.put({ ...trigger, generation: 2 });
  await bench.clock.advance(60_000);
  bench.isFailing = false;
  await bench.clock.advance(2_000);
  await bench.send(2);
  assert.deepEqual(
    bench.delivered,
    [0, 1, 2, 3, 4, 5, 6].map((offset) => `${offset} u`),
  );
  await bench.clock.advance(1_000);
  assert.equal(await bench.cursor('shared'), 7);
});

test('nothing is read on before a change of reader is durable', async () => {
  const bench = await new Bench().start(triggerOf('t', 'http://sub', { uid: 'u' }));
  await bench.send(2);
  bench.changes.length = 0;
  bench.isFailing = true;
  bench.wanted.push('default/t');
  bench.reader.look();
  await bench.send(3);
  assert.deepEqual(bench.changes, []);
  bench.isFailing = false;
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.changes, ['u own 2'], 'the request was not lost with the failure');
  assert.deepEqual(bench.delivered, ['0 u', '1 u'], 'the own reader has the rest');
  assert.equal(await bench.cursor(`${OWN_PREFIX}default/t`), 2);
});

test('a successor with a higher epoch ends it', async () => {
  const bench = await new Bench().start(triggerOf('t', 'http://sub', { uid: 'u' }));
  await bench.driver.cursors.acquire(TOPIC, 0, 'filter');
  await bench.send(1);
  await bench.clock.advance(1_000);
  await bench.send(5);
  assert.ok(bench.delivered.length <= 1, `${bench.delivered.length}`);
});

test('a deleted Trigger is kept for its time, then its cursors go', async () => {
  const trigger = triggerOf('t', 'http://sub', { uid: 'u' });
  const bench = await new Bench().start(trigger);
  bench.reader.removeTrigger(trigger);
  await bench.send(1);
  await bench.clock.advance(3_590_000);
  assert.equal(await bench.cursor(`${OWN_PREFIX}default/t`), 0);
  await bench.clock.advance(60_000);
  assert.equal(await bench.cursor(`${OWN_PREFIX}default/t`), undefined);
  assert.equal(await bench.cursor(`${READER_PREFIX}default/t`), undefined);
  await bench.put({ ...trigger, uid: 'v' });
  await bench.clock.advance(10);
  await bench.send(1);
  assert.deepEqual(bench.delivered, ['1 v'], 'who comes later begins anew');
});

test('a deleted Trigger that pins more than a tenth of the store is given up', async () => {
  const trigger = triggerOf('t', 'http://sub', { uid: 'u' });
  const bench = await new Bench(1_000_000).start(trigger);
  bench.reader.removeTrigger(trigger);
  await bench.send(9, 10_000);
  await bench.clock.advance(20_000);
  assert.equal(await bench.cursor(`${OWN_PREFIX}default/t`), 0, 'just below');
  await bench.send(2, 10_000);
  await bench.clock.advance(20_000);
  assert.equal(await bench.cursor(`${OWN_PREFIX}default/t`), undefined);
});
