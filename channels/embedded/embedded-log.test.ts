import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReceipt } from '#lib/channel/receipt';
import { partitionOfKey } from '#lib/channel/partitioner';
import type { Disk, DiskFile } from '#lib/disk/disk';
import type { DiskCall, DiskFault } from '#lib/disk/faulty-disk';
import { withDiskFaults } from '#lib/disk/faulty-disk';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import { EMBEDDED_RECORD_BYTES_MAX } from './embedded-log.ts';
import {
  eventRecord,
  idsOf,
  largeRecord,
  nextTurn,
  openLog,
  readAll,
  TOPIC,
} from './log-fixture.ts';

const SMALL = { segmentBytes: 64 * 1024 };

test('what was appended is read back, from memory and from the files', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const records = Array.from({ length: 500 }, (_, at) => largeRecord(`e${at}`, at * 2));
  const receipts = await Promise.all(records.map((record) => log.append(TOPIC, record)));
  receipts.forEach((receipt, at) => {
    assert.ok(isReceipt(receipt));
    assert.deepEqual(receipt, { topic: TOPIC, partition: 0, offset: at });
  });
  const fromMemory = await readAll(log);
  assert.deepEqual(
    fromMemory.map(({ record }) => record),
    records,
  );
  assert.equal(fromMemory[7]?.record, records[7], 'the very object that was appended');
  await log.close();
  const { log: again, damaged } = await openLog(disk, { ...SMALL, tailCacheBytes: 0 });
  assert.deepEqual(await readAll(again), fromMemory);
  assert.deepEqual(await again.ends(TOPIC), [{ partition: 0, first: 0, next: 500 }]);
  const next = await again.append(TOPIC, eventRecord('after'));
  assert.equal(next.offset, 500);
  assert.equal(idsOf(await readAll(again)).at(-1), 'after');
  assert.deepEqual(damaged, []);
  await again.close();
});

test('a reader starts anywhere, in any segment', async () => {
  const { log } = await openLog(createMemoryDisk(), { ...SMALL, tailCacheBytes: 0 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let round = 0; round < 10; round++) {
    const batch = Array.from({ length: 40 }, (_, at) => largeRecord(`${round * 40 + at}`, 900));
    await log.appendAll(TOPIC, batch);
  }
  for (let from = 0; from < 400; from += 13) {
    const reader = await log.read(TOPIC, 0, from);
    const [entry] = await reader.next(1, 1);
    assert.equal(entry?.offset, from);
    assert.equal(reader.position, from + 1);
    reader.close();
  }
  await log.close();
});

test('appends that wait together share one sync', async () => {
  let syncs = 0;
  const disk = withDiskFaults(createMemoryDisk(), (call) => {
    if (call.name === 'datasync' && call.path.endsWith('.seg')) syncs++;
    return null;
  });
  const { log } = await openLog(disk);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await log.append(TOPIC, eventRecord('first'));
  syncs = 0;
  await Promise.all(
    Array.from({ length: 200 }, (_, at) => log.append(TOPIC, eventRecord(`${at}`))),
  );
  assert.ok(syncs <= 2, `${syncs} syncs`);
  await log.close();
});

test('no receipt and no entry before the sync has returned', async () => {
  const memory = createMemoryDisk();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let isHolding = false;
  const hold = (file: DiskFile): DiskFile => ({
    path: file.path,
    write: (...call) => file.write(...call),
    writeNow: (...call) => file.writeNow(...call),
    read: (...call) => file.read(...call),
    sync: () => file.sync(),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sizeBytes: () => file.sizeBytes(),
    isLinked: () => file.isLinked(),
    close: () => file.close(),
    datasync: async () => {
      if (isHolding) await held;
      await file.datasync();
    },
  });
  const disk: Disk = {
    ...memory,
    open: async (path, mode) => hold(await memory.open(path, mode)),
  };
  const { log } = await openLog(disk);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await log.append(TOPIC, eventRecord('0'));
  isHolding = true;
  let isDone = false;
  const append = log.append(TOPIC, eventRecord('1')).then(() => (isDone = true));
  const reader = await log.read(TOPIC, 0, 1);
  let isRead = false;
  const read = reader.next(1, 1).then(() => (isRead = true));
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  assert.ok(!isDone && !isRead);
  assert.equal((await log.ends(TOPIC))[0]?.next, 1);
  release();
  await Promise.all([append, read]);
  await log.close();
});

test('short writes and interrupts are made good', async () => {
  const memory = createMemoryDisk();
  const plan = (call: DiskCall): DiskFault | null => {
    if (call.name !== 'write') return null;
    if (call.numberOfName % 3 === 0) return { kind: 'error', code: 'EINTR' };
    return { kind: 'short', bytes: Math.max(1, Math.floor(call.length / 3)) };
  };
  const { log } = await openLog(withDiskFaults(memory, plan), SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const records = Array.from({ length: 30 }, (_, at) => largeRecord(`${at}`, 5000));
  for (const record of records) await log.append(TOPIC, record);
  await log.close();
  const { log: again } = await openLog(memory);
  assert.deepEqual(
    (await readAll(again)).map(({ record }) => record),
    records,
  );
  await again.close();
});

test('credit: counts and bytes are kept, the first entry always comes', async () => {
  for (const tailCacheBytes of [0, 1024 * 1024]) {
    const { log } = await openLog(createMemoryDisk(), { tailCacheBytes });
    await log.ensureTopic(TOPIC, { partitions: 1 });
    await log.appendAll(
      TOPIC,
      Array.from({ length: 10 }, (_, at) => largeRecord(`${at}`, 1000)),
    );
    const reader = await log.read(TOPIC, 0, 0);
    assert.equal((await reader.next(3, 1e6)).length, 3);
    assert.equal((await reader.next(10, 1)).length, 1);
    const two = await reader.next(10, 3000);
    assert.equal(two.length, 2);
    assert.ok(two.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= 3000);
    assert.equal((await reader.next(10, 1e6)).length, 4);
    await log.close();
  }
});

test('a waiting reader is woken by an append, a close and an abort', async () => {
  const { log } = await openLog(createMemoryDisk());
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const reader = await log.read(TOPIC, 0, 0);
  const waiting = reader.next(10, 1e6);
  await log.append(TOPIC, eventRecord('a'));
  assert.deepEqual(idsOf(await waiting), ['a']);
  const controller = new AbortController();
  const aborted = reader.next(10, 1e6, controller.signal);
  controller.abort();
  assert.deepEqual(await aborted, []);
  const closed = reader.next(10, 1e6);
  reader.close();
  assert.deepEqual(await closed, []);
  const other = (await log.read(TOPIC, 0, 1)).next(1, 1);
  await log.close();
  assert.deepEqual(await other, []);
});

test('keys choose the partition as Kafka does; without one a flush sticks to one', async () => {
  const { log } = await openLog(createMemoryDisk());
  await log.ensureTopic(TOPIC, { partitions: 5 });
  for (const key of ['a', 'order-17', 'ключ', '']) {
    const receipt = await log.append(TOPIC, eventRecord(key, { key }));
    assert.equal(receipt.partition, partitionOfKey(key, 5));
  }
  const used = new Set<number>();
  for (let round = 0; round < 10; round++) {
    const batch = Array.from({ length: 20 }, (_, at) => eventRecord(`${at}`));
    const receipts = await Promise.all(batch.map((record) => log.append(TOPIC, record)));
    const partitions = new Set(receipts.map(({ partition }) => partition));
    assert.equal(partitions.size, 1);
    for (const partition of partitions) used.add(partition);
  }
  assert.equal(used.size, 5);
  assert.equal((await log.append(TOPIC, eventRecord('x'), { partition: 3 })).partition, 3);
  await log.close();
});

test('a batch over several partitions gives its receipts in order', async () => {
  const { log } = await openLog(createMemoryDisk());
  await log.ensureTopic(TOPIC, { partitions: 4 });
  const records = Array.from({ length: 50 }, (_, at) => eventRecord(`${at}`, { key: `k${at}` }));
  const receipts = await log.appendAll(TOPIC, records);
  for (const [at, receipt] of receipts.entries()) {
    assert.equal(receipt.partition, partitionOfKey(`k${at}`, 4));
    const reader = await log.read(TOPIC, receipt.partition, receipt.offset);
    assert.deepEqual(idsOf(await reader.next(1, 1)), [`${at}`]);
    reader.close();
  }
  assert.deepEqual(await log.appendAll(TOPIC, []), []);
  await log.close();
});

test('refusals: unknown topic or partition, too large, closed', async () => {
  const { log } = await openLog(createMemoryDisk());
  await assert.rejects(log.append(TOPIC, eventRecord('x')), { code: 'CHANNEL_TOPIC_UNKNOWN' });
  await assert.rejects(log.ends(TOPIC), { code: 'CHANNEL_TOPIC_UNKNOWN' });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await assert.rejects(log.append(TOPIC, eventRecord('x'), { partition: 1 }), {
    code: 'CHANNEL_TOPIC_UNKNOWN',
  });
  await assert.rejects(log.append(TOPIC, largeRecord('x', EMBEDDED_RECORD_BYTES_MAX + 1)), {
    code: 'CHANNEL_RECORD_TOO_LARGE',
    retry: 'never',
  });
  const last = log.append(TOPIC, eventRecord('in time'));
  const closing = log.close();
  await assert.rejects(log.append(TOPIC, eventRecord('late')), { code: 'CHANNEL_CLOSED' });
  assert.equal((await last).offset, 0);
  await closing;
  await log.close();
});

test('topics: any name, more partitions later, removal with all it held', async () => {
  const disk = createMemoryDisk();
  const names = ['a/b', 'A/B', '../x', '.', 'ns/öäü', `n/${'long'.repeat(100)}`, 'a%2fb', ''];
  const { log } = await openLog(disk);
  for (const name of names) {
    await log.ensureTopic(name, { partitions: 2 });
    await log.append(name, eventRecord(name), { partition: 1 });
  }
  assert.ok(disk.paths().every((path) => path.startsWith('/data/log/') && !path.includes('..')));
  await log.ensureTopic('a/b', { partitions: 1 });
  await log.ensureTopic('a/b', { partitions: 3 });
  await log.append('a/b', eventRecord('third'), { partition: 2 });
  const reader = await log.read('A/B', 1, 0);
  assert.equal((await reader.next(10, 1000)).length, 1);
  const ended = reader.next(1, 1);
  await log.removeTopic('A/B');
  assert.deepEqual(await ended, []);
  await log.removeTopic('A/B');
  await assert.rejects(log.append('A/B', eventRecord('x')), { code: 'CHANNEL_TOPIC_UNKNOWN' });
  await log.ensureTopic('A/B', { partitions: 1 });
  assert.equal((await log.append('A/B', eventRecord('new'))).offset, 0);
  await log.close();
  const { log: again } = await openLog(disk);
  assert.deepEqual([...again.topics()].sort(), [...names].sort());
  for (const name of names.filter((each) => each !== 'A/B')) {
    assert.deepEqual(idsOf(await readAll(again, name, 1)), [name]);
  }
  assert.equal((await again.ends('a/b')).length, 3);
  assert.deepEqual(idsOf(await readAll(again, 'A/B')), ['new']);
  await again.close();
});

test('a delivery is resolved through memory and through the files; without its event it is poison', async () => {
  const deliveries = 'deliveries/default/orders';
  const disk = createMemoryDisk();
  const { log } = await openLog(disk);
  await log.ensureTopic(TOPIC, { partitions: 2 });
  await log.ensureTopic(deliveries, { partitions: 2 });
  for (let at = 0; at < 300; at++) {
    const record = eventRecord(`${at}`, { key: `k${at % 7}` });
    const source = await log.append(TOPIC, record);
    if (at % 3 === 0) {
      const targets = [`t${at}`, 'other'];
      const delivery = { kind: 'delivery', source, targets, revision: at, record } as const;
      assert.equal((await log.append(deliveries, delivery)).partition, source.partition);
    }
  }
  const live = [...(await readAll(log, deliveries, 0)), ...(await readAll(log, deliveries, 1))];
  await log.close();
  const { log: again } = await openLog(disk, { tailCacheBytes: 0 });
  const stored = [
    ...(await readAll(again, deliveries, 0)),
    ...(await readAll(again, deliveries, 1)),
  ];
  assert.equal(stored.length, 100);
  assert.deepEqual(
    stored.map(({ record }) => record),
    live.map(({ record }) => record),
  );
  await again.removeTopic(TOPIC);
  const orphan = (await readAll(again, deliveries, 0))[0]?.record;
  assert.equal(orphan?.kind, 'poison');
  assert.match(orphan.kind === 'poison' ? orphan.reason : '', /default\/orders\/0 at 0 is gone/);
  await again.close();
});

test('durable ends are announced once per flush', async () => {
  const { log } = await openLog(createMemoryDisk());
  await log.ensureTopic(TOPIC, { partitions: 2 });
  const seen: string[] = [];
  const stop = log.onDurable((ends) =>
    seen.push(ends.map(({ partition, next }) => `${partition}:${next}`).join(' ')),
  );
  await Promise.all(
    [0, 1, 0].map((partition) => log.append(TOPIC, eventRecord('x'), { partition })),
  );
  assert.deepEqual(seen, ['0:2 1:1']);
  stop();
  await log.append(TOPIC, eventRecord('x'));
  assert.equal(seen.length, 1);
  await log.close();
});

test('seek by time finds the first entry of that time or later', async () => {
  // A clock that stands, runs, and steps back.
  const steps = [5, 0, 0, 7, 1, -20, 3, 9];
  let wallMs = 1_000_000;
  const { log } = await openLog(createMemoryDisk(), SMALL, { wallMs: () => wallMs });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let at = 0; at < 80; at++) {
    await log.append(TOPIC, largeRecord(`${at}`, 4000));
    wallMs += steps[at % steps.length] ?? 0;
  }
  const entries = await readAll(log);
  for (const entry of entries) {
    const first = entries.find(({ timeMs }) => timeMs >= entry.timeMs)?.offset;
    assert.equal(await log.seekTime(TOPIC, 0, entry.timeMs), first);
  }
  assert.equal(await log.seekTime(TOPIC, 0, 0), 0);
  const latestMs = Math.max(...entries.map(({ timeMs }) => timeMs));
  assert.equal(await log.seekTime(TOPIC, 0, latestMs + 1), 80);
  await log.close();
});

test('memory for the tail is bounded, and what leaves it comes from the files', async () => {
  const { log } = await openLog(createMemoryDisk(), { tailCacheBytes: 50_000 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let at = 0; at < 200; at++) await log.append(TOPIC, largeRecord(`${at}`, 1000));
  const reader = await log.read(TOPIC, 0, 0);
  const seen: string[] = [];
  while (seen.length < 200) seen.push(...idsOf(await reader.next(7, 1e6)));
  assert.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, at) => `${at}`),
  );
  await log.close();
});

test('backlog bytes', async () => {
  const { log } = await openLog(createMemoryDisk(), SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let at = 0; at < 100; at++) await log.append(TOPIC, largeRecord(`${at}`, 2000));
  const all = log.backlogBytes(TOPIC, 0, 0);
  assert.ok(all > 200_000 && all < 250_000, String(all));
  const half = log.backlogBytes(TOPIC, 0, 50);
  assert.ok(half > all * 0.4 && half < all * 0.6);
  assert.equal(log.backlogBytes(TOPIC, 0, 100), 0);
  assert.equal(log.backlogBytes('none', 0, 0), 0);
  await log.close();
});

test('a record larger than a segment, a batch and a chunk', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, { ...SMALL, tailCacheBytes: 0 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const records = [largeRecord('s', 10), largeRecord('large', 5_000_000), largeRecord('t', 10)];
  await Promise.all(records.map((record) => log.append(TOPIC, record)));
  const read = (await readAll(log)).map(({ record }) => record);
  assert.deepEqual(idsOf(await readAll(log)), ['s', 'large', 't']);
  assert.deepEqual(read, records);
  await log.close();
});

test('a topic that cannot be created says why', async () => {
  for (const [code, fault] of [
    ['ENOSPC', 'CHANNEL_FULL'],
    ['EROFS', 'CHANNEL_NOT_CONNECTED'],
  ] as const) {
    const disk = withDiskFaults(createMemoryDisk(), (call) =>
      call.path.endsWith('topic.json.new') ? { kind: 'error', code } : null,
    );
    const { log } = await openLog(disk);
    await assert.rejects(log.ensureTopic(TOPIC, { partitions: 1 }), { code: fault });
    assert.deepEqual(log.topics(), []);
    await log.close();
  }
});
