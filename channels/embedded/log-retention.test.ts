import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import type { EmbeddedLog } from './embedded-log.ts';
import { eventRecord, idsOf, largeRecord, nowMs, openLog, readAll, TOPIC } from './log-fixture.ts';

const SMALL = { segmentBytes: 64 * 1024, tailCacheBytes: 0 };
const LATER_MS = 1_000 * 60 * 60 * 24 * 365;

async function fill(log: EmbeddedLog, count: number, from = 0): Promise<void> {
  for (let at = 0; at < count; at++) {
    await log.append(TOPIC, largeRecord(`${from + at}`, 5000), { reserved: true });
  }
}

async function firstOf(log: EmbeddedLog): Promise<number> {
  return (await log.ends(TOPIC))[0]?.first ?? -1;
}

test('retention by time removes whole old segments, and their files', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, { ...SMALL, retentionMs: 1000 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await fill(log, 60);
  const nowMs = (await readAll(log)).at(-1)?.timeMs ?? 0;
  await log.trim(nowMs);
  assert.equal(await firstOf(log), 0, 'nothing is old yet');
  const before = disk.paths().filter((path) => path.endsWith('.seg')).length;
  await log.trim(nowMs + 2000);
  assert.equal(await firstOf(log), 60, 'the active one was closed and went too');
  assert.deepEqual(await readAll(log), []);
  assert.ok(before > 3);
  assert.equal(disk.paths().filter((path) => path.endsWith('.seg')).length, 1);
  assert.equal((await log.append(TOPIC, eventRecord('on'))).offset, 60);
  await log.close();
  const { log: again } = await openLog(disk, SMALL);
  assert.deepEqual(await again.ends(TOPIC), [{ partition: 0, first: 60, next: 61 }]);
  await again.close();
});

test('an emptied partition keeps its place over a restart', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, { ...SMALL, retentionMs: 0 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await fill(log, 30);
  await log.trim(nowMs() + LATER_MS);
  assert.deepEqual(await log.ends(TOPIC), [{ partition: 0, first: 30, next: 30 }]);
  disk.kill();
  await log.close();
  const { log: again } = await openLog(disk, SMALL);
  assert.equal((await again.append(TOPIC, eventRecord('on'))).offset, 30);
  await again.close();
});

test('retention by bytes removes the oldest, down to the limit', async () => {
  const { log } = await openLog(createMemoryDisk(), { ...SMALL, retentionBytes: 200_000 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await fill(log, 100);
  await log.trim(nowMs());
  const { storedBytes } = log.usage();
  assert.ok(storedBytes <= 200_000 && storedBytes > 100_000, String(storedBytes));
  const ids = idsOf(await readAll(log));
  assert.equal(ids.at(-1), '99');
  assert.equal(ids[0], String(await firstOf(log)));
  await log.close();
});

test('no pin is ever passed, whatever the limits and the pressure', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 110 }),
      fc.constantFrom(0, 10_000, 2 ** 40),
      fc.constantFrom(0, LATER_MS * 2),
      fc.constantFrom(0, 700_000),
      async (pin, retentionBytes, retentionMs, capacityBytes) => {
        const settings = { ...SMALL, retentionBytes, retentionMs, capacityBytes };
        const disk = createMemoryDisk();
        disk.limitBytes(4 * 1024 * 1024);
        const { log } = await openLog(disk, settings, { lowestPin: () => pin });
        await log.ensureTopic(TOPIC, { partitions: 1 });
        await fill(log, 100);
        for (let turn = 0; turn < 3; turn++) await log.trim(nowMs() + LATER_MS);
        assert.ok((await firstOf(log)) <= pin);
        const ids = idsOf(await readAll(log));
        for (let at = pin; at < 100; at++) assert.ok(ids.includes(`${at}`), `${at} of ${pin}`);
        await log.close();
      },
    ),
    { numRuns: 30 },
  );
});

test('a stored delivery that is still to be read pins its event', async () => {
  const deliveries = 'deliveries';
  const disk = createMemoryDisk();
  let deliveredTo = 0;
  const lowestPin = (topic: string): number | null => (topic === TOPIC ? null : deliveredTo);
  const { log } = await openLog(disk, { ...SMALL, retentionMs: 0 }, { lowestPin });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await log.ensureTopic(deliveries, { partitions: 1 });
  for (let at = 0; at < 60; at++) {
    const record = largeRecord(`${at}`, 5000);
    const source = await log.append(TOPIC, record);
    const targets = ['t'];
    await log.append(deliveries, { kind: 'delivery', source, targets, revision: 1, record });
  }
  await log.trim(nowMs() + LATER_MS);
  assert.equal(await firstOf(log), 0);
  const reader = await log.read(deliveries, 0, 0);
  const kinds = (await reader.next(60, 1e9)).map(({ record }) => record.kind);
  assert.deepEqual(
    kinds,
    Array.from({ length: 60 }, () => 'delivery'),
  );
  deliveredTo = 60;
  await log.trim(nowMs() + LATER_MS);
  assert.equal(await firstOf(log), 60);
  await log.close();
});

test('a reader that retention overtakes goes on at the first entry that is left', async () => {
  const { log } = await openLog(createMemoryDisk(), { ...SMALL, retentionBytes: 100_000 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await fill(log, 60);
  const slow = await log.read(TOPIC, 0, 0);
  assert.equal((await slow.next(5, 1e9)).length, 5);
  const fresh = await log.read(TOPIC, 0, 2);
  await log.trim(nowMs());
  const first = await firstOf(log);
  assert.ok(first > 5);
  assert.equal((await fresh.next(1, 1))[0]?.offset, first);
  const rest = [];
  while (slow.position < 60) rest.push(...(await slow.next(100, 1e9)));
  assert.ok(rest.every(({ record }) => record.kind === 'event'));
  assert.equal(rest.at(-1)?.offset, 59);
  await log.close();
});

test('under pressure, room is made at once from what every reader has passed', async () => {
  const disk = createMemoryDisk();
  disk.limitBytes(1024 * 1024);
  let pin = 0;
  const { log } = await openLog(disk, SMALL, { lowestPin: () => pin });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  let count = 0;
  try {
    for (;;) {
      await log.append(TOPIC, largeRecord('x', 5000));
      count++;
    }
  } catch (error) {
    assert.match(String(error), /85 %/);
  }
  pin = count;
  await log.trim(nowMs());
  assert.ok(!log.usage().isFull);
  await log.append(TOPIC, eventRecord('room'));
  await log.close();
});
