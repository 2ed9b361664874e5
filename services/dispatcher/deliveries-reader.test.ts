import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppendRecord, StoredRecord } from '#lib/channel/event-record';
import { createRoutingTable } from '#lib/contract/routing-table-store';
import { deadTargetUid, deliveriesTopic } from '#lib/delivery/handover';
import { SharedPositions } from '#lib/delivery/shared-positions';
import { readerCursor } from '#lib/delivery/trigger-cursors';
import { silentLogger } from '#lib/telemetry/log';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { BROKER, eventOf, recordOf } from '#test/kit/event-path';
import { DeliveriesReader, DISPATCH_CURSOR } from './deliveries-reader.ts';
import { OwnReaders } from './own-readers.ts';
import { Targets } from './targets.ts';

const LOG = deliveriesTopic(TOPIC);

class Bench {
  readonly fixture = new EngineFixture();
  readonly ownReaders: OwnReaders;
  readonly reader: DeliveriesReader;

  constructor() {
    const { clock, driver, engine, deliveryMetrics } = this.fixture;
    const routing = createRoutingTable({ clock });
    routing.apply([{ op: 'putBroker', broker: { ...BROKER, topic: TOPIC } }]);
    const shared = { clock, logger: silentLogger, driver, engine, routing };
    const positions = new SharedPositions();
    this.ownReaders = new OwnReaders({
      ...shared,
      positions,
      metrics: deliveryMetrics,
      epoch: () => 1,
      endAtStart: () => 0,
      predicate: () => () => true,
    });
    const sender = {
      open: (endpoint: { url: string }) => this.fixture.sender.destination(endpoint.url),
      close: () => Promise.resolve(),
    };
    const targets = new Targets({ engine, sender });
    this.reader = new DeliveriesReader(
      { ...shared, positions, targets, ownReaders: this.ownReaders },
      { topic: TOPIC, partition: 0, brokerKey: BROKER.key },
    );
  }

  async start(): Promise<this> {
    await this.fixture.start();
    await this.fixture.driver.admin.ensureTopic(LOG, { partitions: 1 });
    return this;
  }

  async append(offset: number, ...targets: readonly string[]): Promise<void> {
    await this.add({
      kind: 'delivery',
      source: { topic: TOPIC, partition: 0, offset },
      targets,
      revision: 1,
      record: recordOf(eventOf(`e${offset}`)),
    });
  }

  async add(record: AppendRecord): Promise<void> {
    await this.fixture.driver.log.append(LOG, record, { partition: 0 });
  }

  async begin(): Promise<void> {
    await this.reader.open();
    this.reader.start();
    await this.fixture.clock.advance(10);
  }

  async close(): Promise<void> {
    const closed = this.reader.close(true);
    await this.fixture.clock.advance(100);
    await closed;
  }

  async position(): Promise<number | undefined> {
    const cursors = await this.fixture.driver.cursors.load(LOG, DISPATCH_CURSOR);
    return cursors[0]?.offset;
  }

  /** Filter's record of a name: its UID, and those before. */
  async name(key: string, uid: string, ...formerUids: readonly string[]): Promise<void> {
    const state = { uid, schedule: [{ at: 0, reader: 'shared' as const }], frozenMs: null };
    const writer = { role: 'control', epoch: 0 } as const;
    const cursor = readerCursor(key, 0, { ...state, formerUids }, writer);
    await this.fixture.driver.cursors.commit(TOPIC, [cursor]);
  }
}

test('one delivery per target; the position moves when they are settled or stored', async () => {
  const bench = await new Bench().start();
  bench.fixture.target('a');
  bench.fixture.target('b', { subscriber: bench.fixture.sender.destination('b') });
  await bench.append(5, 'a', 'b');
  await bench.append(9, 'b');
  await bench.begin();
  assert.deepEqual(bench.fixture.sender.log, ['e5@sub', 'e5@b', 'e9@b']);
  await bench.fixture.clock.advance(1_000);
  assert.equal(await bench.position(), 2, 'it never waits for a subscriber');
  const rows = await bench.fixture.rows();
  assert.deepEqual(
    rows.map(({ source, target }) => [source.offset, target]),
    [
      [5, 'a'],
      [5, 'b'],
      [9, 'b'],
    ],
  );
  bench.fixture.sender.answerAll(200);
  await bench.fixture.clock.advance(10);
  assert.deepEqual(await bench.fixture.rows(), []);
  await bench.close();
});

test('a target that is known a little later is waited for', async () => {
  const bench = await new Bench().start();
  await bench.append(1, 'late');
  await bench.begin();
  await bench.fixture.clock.advance(2_000);
  assert.deepEqual(bench.fixture.sender.log, []);
  bench.fixture.target('late');
  await bench.fixture.clock.advance(100);
  assert.deepEqual(bench.fixture.sender.log, ['e1@sub']);
  await bench.close();
});

test('a target that does not come has its events stored under its name, for whoever inherits', async () => {
  const bench = await new Bench().start();
  await bench.name('ns/t', 'gone');
  await bench.append(1, 'gone');
  await bench.append(2, 'gone');
  await bench.begin();
  await bench.fixture.clock.advance(10_000);
  const rows = await bench.fixture.rows();
  assert.deepEqual(
    rows.map(({ target, targetKey }) => [target, targetKey]),
    [
      ['gone', 'ns/t'],
      ['gone', 'ns/t'],
    ],
  );
  assert.equal(await bench.position(), 2);
  bench.fixture.target('new', { key: 'ns/t' });
  const inherited = bench.fixture.engine.inherit(TOPIC, [0], new Set(['new']));
  await bench.fixture.clock.advance(1_000);
  await inherited;
  assert.deepEqual(bench.fixture.sender.ids().toSorted(), ['e1', 'e2']);
  await bench.close();
});

test('what was matched for a former UID goes to who has the name now', async () => {
  const bench = await new Bench().start();
  await bench.name('ns/t', 'new', 'older', 'old');
  bench.fixture.target('new', { key: 'ns/t' });
  await bench.append(1, 'older');
  await bench.append(2, 'old');
  await bench.begin();
  assert.deepEqual(bench.fixture.sender.log, ['e1@sub', 'e2@sub']);
  await bench.close();
});

test('an event for the Broker’s own dead letters, and bytes that nobody can read', async () => {
  const bench = await new Bench().start();
  const uid = deadTargetUid(BROKER.uid);
  bench.fixture.target(uid, { subscriber: null });
  await bench.append(1, uid);
  const { log } = bench.fixture.driver;
  const read = log.read.bind(log);
  log.read = async (topic, partition, from) => {
    const reader = await read(topic, partition, from);
    const next = reader.next.bind(reader);
    reader.next = async (...given) => {
      const poison: StoredRecord = { kind: 'poison', raw: Buffer.from('?'), reason: 'bad' };
      const entries = await next(...given);
      return entries.map((entry) => (entry.offset === 1 ? { ...entry, record: poison } : entry));
    };
    return reader;
  };
  await bench.append(2, 'a');
  await bench.begin();
  await bench.fixture.clock.advance(100);
  const parked = await bench.fixture.rows();
  assert.deepEqual(
    parked.map(({ stage, failure }) => [stage, failure?.reason]),
    [
      ['parked', 'TtlExhausted'],
      ['parked', 'Undecodable'],
    ],
  );
  await bench.close();
});

test('a change of reader reaches the own readers', async () => {
  const bench = await new Bench().start();
  bench.fixture.target('a');
  await bench.add({
    kind: 'readerChange',
    source: { topic: TOPIC, partition: 0, offset: 3 },
    triggers: [{ uid: 'a', reader: 'own' }],
  });
  await bench.begin();
  assert.equal(bench.fixture.engine.target('a')?.wantsOwn, false, 'it had no cursor: it is done');
  assert.equal(bench.ownReaders.size, 0);
  await bench.close();
});

test('a process that matches for itself drains what it finds, to the end at its start', async () => {
  const bench = await new Bench().start();
  bench.fixture.target('a');
  for (let offset = 0; offset < 600; offset++) await bench.append(offset, 'a');
  await bench.reader.open();
  const drained = bench.reader.drainToEnd();
  await bench.fixture.clock.advance(100);
  await drained;
  await bench.reader.close(false);
  let count = 0;
  while (bench.fixture.sender.open.length > 0 && count++ < 1_000) {
    bench.fixture.sender.answerAll(200);
    await bench.fixture.turn();
  }
  assert.equal(new Set(bench.fixture.sender.log).size, 600);
});

test('what filter writes a second time is offered once, but for targets that are new', async () => {
  const bench = await new Bench().start();
  for (const uid of ['a', 'b']) {
    bench.fixture.target(uid, { subscriber: bench.fixture.sender.destination(uid) });
  }
  await bench.append(1, 'a');
  await bench.append(2, 'a');
  await bench.append(1, 'a', 'b');
  await bench.append(3, 'a');
  await bench.begin();
  assert.deepEqual(bench.fixture.sender.log, ['e1@a', 'e2@a', 'e1@b', 'e3@a']);
  await bench.close();
});
