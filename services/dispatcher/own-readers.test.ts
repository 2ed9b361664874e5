import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelError } from '#lib/channel/channel-errors';
import { OWN_DONE, OWN_READY } from '#lib/delivery/own-reader';
import type { ReaderSchedule } from '#lib/delivery/reader-schedule';
import { SharedPositions } from '#lib/delivery/shared-positions';
import type { Target, TargetSettings } from '#lib/delivery/target';
import { OWN_PREFIX, ownCursor, readerCursor, WANT_PREFIX } from '#lib/delivery/trigger-cursors';
import { silentLogger } from '#lib/telemetry/log';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, recordOf } from '#test/kit/event-path';
import { OwnReaders } from './own-readers.ts';

const KEY = 'ns/t';
const CONTROL = { role: 'control', epoch: 0 } as const;

class Bench {
  readonly fixture = new EngineFixture();
  readonly positions = new SharedPositions();
  readonly readers: OwnReaders;
  isFailing = false;

  constructor() {
    const { fixture, positions } = this;
    const { cursors } = fixture.driver;
    const commit = cursors.commit.bind(cursors);
    cursors.commit = async (topic, all) => {
      if (this.isFailing) throw channelError('CHANNEL_NOT_CONNECTED', 'Cannot commit');
      return commit(topic, all);
    };
    this.readers = new OwnReaders({
      clock: fixture.clock,
      logger: silentLogger,
      driver: fixture.driver,
      engine: fixture.engine,
      positions,
      metrics: fixture.deliveryMetrics,
      epoch: () => 1,
      endAtStart: () => 0,
      predicate: () => () => true,
    });
  }

  /** A target with `count` events in the log, of which its own reader begins with the first. */
  async start(count: number, given: Partial<TargetSettings> = {}): Promise<Target> {
    const { fixture } = this;
    await fixture.start();
    for (let n = 0; n < count; n++) {
      const record = recordOf(eventOf(`e${n}`), { key: 'k' });
      await fixture.driver.log.append(TOPIC, record, { partition: 0 });
    }
    const target = fixture.target('t', { key: KEY, ...given });
    await fixture.driver.cursors.commit(TOPIC, [ownCursor(KEY, 0, 0, CONTROL)]);
    await this.schedule([{ at: 0, reader: 'own' }]);
    this.positions.set(TOPIC, 0, count);
    return target;
  }

  async schedule(schedule: ReaderSchedule): Promise<void> {
    const state = { uid: 't', schedule, frozenMs: null, formerUids: [] };
    await this.fixture.driver.cursors.commit(TOPIC, [readerCursor(KEY, 0, state, CONTROL)]);
  }

  change(at: number, reader: 'shared' | 'own'): void {
    this.readers.changed({ topic: TOPIC, partition: 0, offset: at }, 't', reader);
  }

  async answerAll(rounds = 30): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      this.fixture.sender.answerAll(200);
      await this.fixture.clock.advance(50);
    }
  }

  async own(): Promise<{ offset: number; metadata: string } | undefined> {
    const cursors = await this.fixture.driver.cursors.load(TOPIC, OWN_PREFIX + KEY);
    return cursors[0];
  }
}

test('it reads at the pace of the window, never ahead of the shared reader, and says when it is near', async () => {
  const bench = new Bench();
  const target = await bench.start(900, { concurrency: 2 });
  bench.positions.forget(TOPIC, 0);
  bench.positions.set(TOPIC, 0, 700);
  bench.change(0, 'own');
  await bench.fixture.clock.advance(2_000);
  assert.ok(target.aheadCount <= 256, `${target.aheadCount}`);
  await bench.answerAll(600);
  assert.equal(bench.fixture.sender.log.length, 700);
  assert.deepEqual((await bench.own())?.offset, 700);
  assert.equal((await bench.own())?.metadata, OWN_READY);
});

test('it ends exactly where the schedule gives the Trigger back', async () => {
  const bench = new Bench();
  await bench.start(100);
  bench.change(0, 'own');
  await bench.fixture.clock.advance(10);
  await bench.schedule([
    { at: 0, reader: 'own' },
    { at: 60, reader: 'shared' },
  ]);
  bench.change(60, 'shared');
  await bench.answerAll();
  // What it had offered above before it heard of the change cannot be: filter decides at its position.
  assert.equal((await bench.own())?.metadata, OWN_DONE);
  assert.equal(bench.readers.size, 0);
});

test('a change that comes while it ends makes it go on', async () => {
  const bench = new Bench();
  await bench.start(100);
  await bench.schedule([
    { at: 0, reader: 'own' },
    { at: 50, reader: 'shared' },
  ]);
  bench.isFailing = true; // its last position cannot be written yet
  bench.change(0, 'own');
  await bench.answerAll(10);
  assert.equal(bench.readers.size, 1);
  bench.isFailing = false;
  await bench.schedule([
    { at: 0, reader: 'own' },
    { at: 50, reader: 'shared' },
    { at: 80, reader: 'own' },
  ]);
  bench.change(80, 'own');
  await bench.answerAll(60);
  assert.equal(bench.readers.size, 1, 'nobody else would read it');
  const ids = new Set(bench.fixture.sender.log);
  assert.ok(ids.has('e99@sub') && ids.has('e80@sub') && !ids.has('e60@sub'));
  await bench.readers.close();
});

test('ordered: what the shared reader brought is held, does not stall the own one, and follows it', async () => {
  const bench = new Bench();
  const target = await bench.start(400, { isOrdered: true, concurrency: 10 });
  bench.change(0, 'own');
  await bench.fixture.clock.advance(20);
  await bench.schedule([
    { at: 0, reader: 'own' },
    { at: 400, reader: 'shared' },
  ]);
  bench.change(400, 'shared');
  for (let offset = 400; offset < 900; offset++) bench.fixture.offer(target, offset, { key: 'k' });
  await bench.answerAll(1_000);
  const expected = Array.from({ length: 900 }, (_, offset) => `e${offset}@sub`);
  assert.deepEqual(bench.fixture.sender.log, expected);
  assert.equal(target.holdsShared.size, 0);
});

test('a replay sets the reader back; one that fails leaves it running', async () => {
  const bench = new Bench();
  await bench.start(50);
  bench.change(0, 'own');
  await bench.answerAll();
  assert.equal(bench.fixture.sender.log.length, 50);
  bench.isFailing = true;
  await assert.rejects(bench.readers.replay(TOPIC, 't', KEY, { at: 'event', id: 'e40' }));
  assert.equal(bench.readers.size, 1, 'it goes on');
  bench.isFailing = false;
  await bench.readers.replay(TOPIC, 't', KEY, { at: 'event', id: 'e40' });
  assert.equal(bench.readers.size, 0, 'until filter says so');
  assert.equal((await bench.own())?.offset, 40);
  const wants = await bench.fixture.driver.cursors.load(TOPIC, WANT_PREFIX + KEY);
  assert.deepEqual(
    wants
      .filter(({ partition }) => partition === 0)
      .map(({ offset, metadata }) => [offset, metadata]),
    [[40, 'replay']],
  );
  bench.change(40, 'own');
  await bench.answerAll();
  assert.equal(bench.fixture.sender.log.length, 60);
  await bench.readers.close();
});

test('past its quota it drops what is told, counts it, and goes on behind', async () => {
  const bench = new Bench();
  await bench.start(50, { isPaused: true });
  bench.change(0, 'own');
  await bench.fixture.clock.advance(100);
  bench.readers.dropTo('t', 0, 30);
  await bench.fixture.clock.advance(1_000);
  const dropped = bench.fixture.metrics
    .snapshot()
    .find((family) => family.name === 'millrace.delivery.dropped');
  assert.equal(dropped?.series[0]?.values[0], 30);
  assert.equal((await bench.own())?.offset, 30);
  bench.fixture.target('t', { key: KEY });
  await bench.answerAll();
  assert.equal(bench.fixture.sender.log.length, 20);
  assert.equal(bench.fixture.sender.log[0], 'e30@sub');
  await bench.readers.close();
});

test('idle at its limit it keeps nothing per look', async () => {
  const bench = new Bench();
  await bench.start(1);
  bench.change(0, 'own');
  await bench.answerAll();
  let woken = 0;
  bench.positions.onMove(() => woken++);
  await bench.fixture.clock.advance(60_000);
  bench.positions.set(TOPIC, 0, 1); // no movement
  assert.equal(woken, 0);
  assert.equal(bench.readers.position('t', 0), 1);
  assert.equal(bench.readers.behindSinceMs('t', 0), null);
});
