/** A read-only reader beside the owner, on one disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import { createSeededRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import type { EmbeddedLog } from './embedded-log.ts';
import {
  eventRecord,
  idsOf,
  largeRecord,
  nowMs,
  openLog,
  readAll,
  ROOT,
  TOPIC,
} from './log-fixture.ts';
import { openLogReadOnly } from './log-read-only.ts';
import type { ReadOnlyLog } from './log-read-only.ts';

const SMALL = { segmentBytes: 64 * 1024 };

function follow(owner: EmbeddedLog, follower: ReadOnlyLog): void {
  owner.onDurable((ends) => {
    for (const { topic, partition, next } of ends) follower.announceEnd(topic, partition, next);
  });
}

function openFollower(disk: ReturnType<typeof createMemoryDisk>) {
  const damaged: string[] = [];
  const deps = { disk, logger: silentLogger };
  const onDamage = (path: string, reason: string): void => void damaged.push(`${path} ${reason}`);
  return { follower: openLogReadOnly(deps, { directory: ROOT, onDamage }), damaged };
}

test('it follows the owner over rolls, retention, a clean restart and a crash', async () => {
  const random = createSeededRandom(7);
  const disk = createMemoryDisk();
  const { follower, damaged } = openFollower(disk);
  const seen: string[] = [];
  let owner: EmbeddedLog | null = null;
  let sent = 0;
  for (let life = 0; life < 6; life++) {
    owner = (
      await openLog(disk, { ...SMALL, retentionBytes: 300_000 }, { lowestPin: () => seen.length })
    ).log;
    await owner.ensureTopic(TOPIC, { partitions: 1 });
    follow(owner, follower);
    for (const { partition, next } of await owner.ends(TOPIC)) {
      follower.announceEnd(TOPIC, partition, next);
    }
    const reader = await follower.read(TOPIC, 0, seen.length);
    for (let round = 0; round < 25; round++) {
      const count = 1 + random.below(8);
      const batch = Array.from({ length: count }, () =>
        largeRecord(`${sent++}`, random.below(6000)),
      );
      const reading = random.below(2) === 0 ? reader.next(1000, 1e9) : null;
      await owner.appendAll(TOPIC, batch);
      if (reading !== null) seen.push(...idsOf(await reading));
      if (round % 10 === 9) await owner.trim(nowMs());
    }
    while (seen.length < sent) seen.push(...idsOf(await reader.next(1 + random.below(30), 1e9)));
    reader.close();
    if (life % 2 === 0) await owner.close();
    else {
      disk.kill();
      await owner.close();
    }
  }
  assert.deepEqual(
    seen,
    Array.from({ length: sent }, (_, at) => `${at}`),
  );
  assert.deepEqual(damaged, []);
  assert.ok(
    disk.paths().filter((path) => path.includes('.seg')).length < 10,
    'segments were removed',
  );
  follower.close();
});

test('nothing beyond the announced end is read', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 2 });
  await log.appendAll(
    TOPIC,
    Array.from({ length: 20 }, (_, at) => eventRecord(`${at}`)),
    { partition: 1 },
  );
  const { follower } = openFollower(disk);
  const reader = await follower.read(TOPIC, 1, 0);
  const controller = new AbortController();
  const waiting = reader.next(100, 1e6, controller.signal);
  controller.abort();
  assert.deepEqual(await waiting, []);
  follower.announceEnd(TOPIC, 1, 5);
  assert.equal((await reader.next(100, 1e6)).length, 5);
  follower.announceEnd(TOPIC, 1, 3);
  follower.announceEnd(TOPIC, 1, 20);
  assert.equal((await reader.next(100, 1e6)).at(-1)?.offset, 19);
  assert.deepEqual(await follower.ends(TOPIC), [
    { partition: 0, first: 0, next: 0 },
    { partition: 1, first: 0, next: 20 },
  ]);
  await assert.rejects(follower.read('unknown', 0, 0), { code: 'CHANNEL_TOPIC_UNKNOWN' });
  await assert.rejects(follower.read(TOPIC, 2, 0), { code: 'CHANNEL_TOPIC_UNKNOWN' });
  const ended = reader.next(1, 1);
  follower.forgetTopic(TOPIC);
  assert.deepEqual(await ended, []);
  follower.close();
  await assert.rejects(follower.read(TOPIC, 0, 0), { code: 'CHANNEL_CLOSED' });
  await log.close();
});

test('deliveries are resolved, damage is a poison, time is found', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, { ...SMALL, tailCacheBytes: 0 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await log.ensureTopic('deliveries', { partitions: 1 });
  const { follower, damaged } = openFollower(disk);
  for (let at = 0; at < 120; at++) {
    const record = largeRecord(`${at}`, 1500);
    const source = await log.append(TOPIC, record);
    if (at % 4 > 0) continue;
    await log.append('deliveries', {
      kind: 'delivery',
      source,
      targets: ['t'],
      revision: at,
      record,
    });
  }
  follower.announceEnd('deliveries', 0, 30);
  const reader = await follower.read('deliveries', 0, 0);
  const entries = [];
  while (entries.length < 30) entries.push(...(await reader.next(7, 1e9)));
  assert.deepEqual(entries, await readAll(log, 'deliveries'));
  follower.announceEnd(TOPIC, 0, 120);
  const all = await readAll(log);
  for (const offset of [0, 50, 119]) {
    const timeMs = all[offset]?.timeMs ?? 0;
    const first = all.find((entry) => entry.timeMs >= timeMs)?.offset;
    assert.equal(await follower.seekTime(TOPIC, 0, timeMs), first);
  }
  const path = disk.paths().find((each) => each.includes('orders/0/0000')) ?? '';
  const bytes = disk.bytesOf(path);
  bytes[20_000] = (bytes[20_000] ?? 0) ^ 1;
  disk.plant(path, bytes);
  const damagedReader = await follower.read(TOPIC, 0, 0);
  const found = [];
  while (damagedReader.position < 120) found.push(...(await damagedReader.next(100, 1e9)));
  assert.equal(found.filter(({ record }) => record.kind === 'poison').length, 1);
  assert.equal(found.length, 120);
  assert.equal(damaged.length, 1);
  follower.close();
  await log.close();
});
