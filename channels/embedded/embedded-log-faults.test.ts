/** What the segment log does when the disk refuses, fails, or is full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '#lib/disk/disk';
import { withDiskFaults } from '#lib/disk/faulty-disk';
import type { DiskCall, DiskFault } from '#lib/disk/faulty-disk';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSeededRandom } from '#lib/random/random';
import { createManualClock } from '#lib/time/manual-clock';
import { silentLogger } from '#lib/telemetry/log';
import { openEmbeddedLog } from './embedded-log.ts';
import { EMBEDDED_LOG_DEFAULTS } from './embedded-log-settings.ts';
import { eventRecord, idsOf, largeRecord, openLog, readAll, ROOT, TOPIC } from './log-fixture.ts';
import type { OpenedLog } from './log-fixture.ts';

const SMALL = { segmentBytes: 64 * 1024 };

interface Outcome {
  readonly acknowledged: string[];
  readonly refused: Map<string, string>;
}

/** Appends in bursts of three; what is refused is not tried again. */
async function appendMany({ log }: OpenedLog, count: number, prefix = 'e'): Promise<Outcome> {
  const outcome: Outcome = { acknowledged: [], refused: new Map() };
  for (let at = 0; at < count; at += 3) {
    await Promise.all(
      [at, at + 1, at + 2].map(async (number) => {
        const id = `${prefix}${number}`;
        try {
          await log.append(TOPIC, largeRecord(id, 3000));
          outcome.acknowledged.push(id);
        } catch (error) {
          assert.ok(isMeshError(error), String(error));
          outcome.refused.set(id, error.code);
        }
      }),
    );
  }
  return outcome;
}

function failAt(number: number, name: DiskCall['name'], fault: DiskFault) {
  return (call: DiskCall): DiskFault | null =>
    call.name === name && call.numberOfName === number && call.path.endsWith('.seg') ? fault : null;
}

/** Only calls on segment files count. */
function countSegments(plan: (number: number) => DiskFault | null, name: DiskCall['name']) {
  let number = 0;
  return (call: DiskCall): DiskFault | null => {
    if (call.name !== name || !call.path.includes('.seg')) return null;
    number++;
    return plan(number);
  };
}

async function checkAfterRestart(disk: Disk, outcome: Outcome, all: number): Promise<void> {
  const { log, damaged } = await openLog(disk, SMALL);
  const entries = await readAll(log);
  const ids = idsOf(entries);
  const found = new Set(ids);
  assert.equal(found.size, ids.length, 'nothing twice');
  assert.ok(ids.length <= all);
  for (const id of outcome.acknowledged) assert.ok(found.has(id), `${id} was acknowledged`);
  entries.forEach((entry, at) => assert.equal(entry.offset, at));
  assert.deepEqual(damaged, []);
  await log.close();
}

for (const afterBytes of [0, 10, 5000]) {
  test(`no room at the Nth write, ${afterBytes} bytes in: refused, and going on`, async () => {
    for (let number = 1; number <= 60; number++) {
      const memory = createMemoryDisk();
      const fault: DiskFault = { kind: 'error', code: 'ENOSPC', afterBytes };
      const plan = countSegments((at) => (at === number ? fault : null), 'write');
      const opened = await openLog(withDiskFaults(memory, plan), SMALL);
      await opened.log.ensureTopic(TOPIC, { partitions: 1 });
      const outcome = await appendMany(opened, 60);
      for (const code of outcome.refused.values()) assert.equal(code, 'CHANNEL_FULL');
      // A footer that finds no room refuses nobody.
      if (number <= 3) assert.ok(outcome.refused.size > 0, `N = ${number}`);
      assert.deepEqual(opened.fatal, []);
      const ids = idsOf(await readAll(opened.log));
      assert.deepEqual(ids, outcome.acknowledged, `N = ${number}`);
      await opened.log.close();
      await checkAfterRestart(memory, outcome, 60);
    }
  });
}

test('a failed write of another kind stops the log, and nothing acknowledged is lost', async () => {
  for (let number = 1; number <= 12; number++) {
    const memory = createMemoryDisk();
    const plan = countSegments(
      (at) => (at === number ? { kind: 'error', code: 'EIO', afterBytes: 100 } : null),
      'write',
    );
    const opened = await openLog(withDiskFaults(memory, plan), SMALL);
    await opened.log.ensureTopic(TOPIC, { partitions: 1 });
    const outcome = await appendMany(opened, 45);
    assert.equal(opened.fatal.length, 1);
    assert.deepEqual([...new Set(outcome.refused.values())], ['CHANNEL_FAILED']);
    await opened.log.close();
    await checkAfterRestart(memory, outcome, 45);
  }
});

test('one failed sync stops the log for good: no receipt after it', async () => {
  for (const name of ['datasync', 'sync', 'syncDirectory'] as const) {
    for (let number = 1; number <= 6; number++) {
      const memory = createMemoryDisk();
      let isArmed = false;
      let count = 0;
      let hasFailed = false;
      const disk = withDiskFaults(memory, (call) => {
        if (!isArmed || call.name !== name || hasFailed) return null;
        count++;
        hasFailed = count === number;
        return hasFailed ? { kind: 'error', code: 'EIO' } : null;
      });
      const opened = await openLog(disk, SMALL);
      await opened.log.ensureTopic(TOPIC, { partitions: 1 });
      isArmed = true;
      const outcome = await appendMany(opened, 90);
      if (!hasFailed) continue;
      assert.equal(opened.fatal.length, 1, `${name} ${number}`);
      assert.equal(opened.fatal[0]?.code, 'CHANNEL_FAILED');
      await assert.rejects(opened.log.append(TOPIC, eventRecord('late')), {
        code: 'CHANNEL_FAILED',
      });
      await opened.log.close();
      memory.crash(createSeededRandom(number));
      await checkAfterRestart(memory, outcome, 90);
    }
  }
});

test('an environment that refuses gives 503s and gets better by itself', async () => {
  for (const code of ['EROFS', 'EMFILE', 'ENOENT']) {
    for (const name of ['write', 'open', 'truncate'] as const) {
      let isRefusing = false;
      const disk = withDiskFaults(createMemoryDisk(), (call) =>
        isRefusing && call.name === name && call.path.includes('.seg')
          ? { kind: 'error', code, afterBytes: 50 }
          : null,
      );
      const opened = await openLog(disk, SMALL);
      await opened.log.ensureTopic(TOPIC, { partitions: 1 });
      const before = await appendMany(opened, 3, 'before');
      isRefusing = true;
      const during = await appendMany(opened, 60, 'during');
      assert.ok(during.refused.size > 0);
      for (const refusal of during.refused.values()) assert.equal(refusal, 'CHANNEL_NOT_CONNECTED');
      isRefusing = false;
      const after = await appendMany(opened, 3, 'after');
      assert.equal(after.refused.size, 0, `${code} ${name}`);
      const all = [...before.acknowledged, ...during.acknowledged, ...after.acknowledged];
      assert.deepEqual(idsOf(await readAll(opened.log)), all);
      assert.deepEqual(opened.fatal, []);
      await opened.log.close();
    }
  }
});

test('after a full disk a failing roll back is tried again before the next write', async () => {
  const memory = createMemoryDisk();
  let phase = 0;
  const disk = withDiskFaults(memory, (call) => {
    if (!call.path.endsWith('.seg') || phase === 0) return null;
    if (call.name === 'write' && phase === 1) {
      return { kind: 'error', code: 'ENOSPC', afterBytes: 2000 };
    }
    return call.name === 'truncate' ? { kind: 'error', code: 'ENOSPC' } : null;
  });
  const opened = await openLog(disk);
  await opened.log.ensureTopic(TOPIC, { partitions: 1 });
  await opened.log.append(TOPIC, eventRecord('0'), { reserved: true });
  phase = 1;
  const refusal = { code: 'CHANNEL_FULL' };
  await assert.rejects(opened.log.append(TOPIC, largeRecord('a', 2500)), refusal);
  phase = 2;
  const reserved = { reserved: true };
  await assert.rejects(opened.log.append(TOPIC, eventRecord('b'), reserved), refusal);
  phase = 0;
  assert.equal((await opened.log.append(TOPIC, eventRecord('c'), reserved)).offset, 1);
  await opened.log.close();
  const { log } = await openLog(memory);
  assert.deepEqual(idsOf(await readAll(log)), ['0', 'c']);
  await log.close();
});

test('a full disk: producers out, reserved on the ballast, back when there is room', async () => {
  const memory = createMemoryDisk();
  const clock = createManualClock();
  memory.limitBytes(2 * 1024 * 1024);
  const backlog = { topic: TOPIC, cursor: 'slow-trigger', bytes: 1234 };
  const fatal: Error[] = [];
  let pin = 0;
  const log = await openEmbeddedLog(
    { disk: memory, clock, random: createSeededRandom(1), logger: silentLogger },
    {
      directory: ROOT,
      settings: { ...EMBEDDED_LOG_DEFAULTS, ...SMALL },
      lowestPin: () => pin,
      largestBacklog: () => backlog,
      onFatal: (error) => fatal.push(error),
    },
  );
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const append = async (id: string, reserved: boolean): Promise<string> => {
    const done = log.append(TOPIC, largeRecord(id, 20_000), { reserved }).then(
      () => 'ok',
      (error: unknown) => (isMeshError(error) ? `${error.code} ${error.message}` : String(error)),
    );
    await clock.advance(10);
    return done;
  };
  let count = 0;
  let answer = 'ok';
  for (; answer === 'ok'; count++) answer = await append(`p${count}`, false);
  assert.match(answer, /^CHANNEL_FULL .*85 %.*1234 bytes of "slow-trigger" in "default\/orders"/);
  const used = log.usage();
  assert.ok(used.isFull && used.storedBytes > 0.8 * (used.capacityBytes ?? 0));
  assert.deepEqual(used.largestBacklog, backlog);
  // The rest of the disk goes to somebody else: reserved records then live on the ballast.
  await memory.makeDirectory('/other');
  const other = await memory.open('/other/file', 'create');
  const { freeBytes } = await memory.space('/');
  await other.write(Buffer.alloc(freeBytes), 0, freeBytes, 0);
  assert.equal(await append('r0', true), 'ok');
  assert.match(await append('late', false), /^CHANNEL_FULL/);
  let reserved = 1;
  for (answer = 'ok'; answer === 'ok'; reserved++) answer = await append(`r${reserved}`, true);
  assert.match(answer, /^CHANNEL_FULL/);
  assert.ok(reserved >= 3, `${reserved} reserved records found room`);
  // Room: the other file goes, readers pass everything, and retention makes the rest.
  await memory.removeFile('/other/file');
  pin = Infinity;
  await clock.advance(5_000);
  assert.equal(await append('again', false), 'ok');
  assert.ok(!log.usage().isFull);
  assert.ok(memory.paths().includes(`${ROOT}/ballast`), 'the ballast is back');
  assert.deepEqual(fatal, []);
  const closing = log.close();
  await clock.advance(100);
  await closing;
});

test('a configured capacity: 85 % for producers, all of it for reserved records', async () => {
  const { log } = await openLog(
    createMemoryDisk(),
    { capacityBytes: 1024 * 1024, ...SMALL },
    { lowestPin: () => 0, otherBytes: () => 100_000 },
  );
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const fill = async (reserved: boolean): Promise<number> => {
    for (;;) {
      try {
        await log.append(TOPIC, largeRecord('x', 8000), { reserved });
      } catch (error) {
        assert.ok(isMeshError(error, 'CHANNEL_FULL'), String(error));
        return log.usage().storedBytes / (1024 * 1024);
      }
    }
  };
  const forProducers = await fill(false);
  assert.ok(forProducers >= 0.85 && forProducers < 0.9, String(forProducers));
  const forAll = await fill(true);
  assert.ok(forAll >= 1 && forAll < 1.05, String(forAll));
  await log.close();
});

test('memory for what waits is bounded', async () => {
  const { log } = await openLog(createMemoryDisk(), { pendingBytesMax: 1024 * 1024 });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const appends = Array.from({ length: 30 }, () => log.append(TOPIC, largeRecord('x', 100_000)));
  const results = await Promise.allSettled(appends);
  const refused = results.filter(({ status }) => status === 'rejected').length;
  assert.ok(refused >= 19 && refused <= 21, `${refused} refused`);
  await log.append(TOPIC, eventRecord('room again'));
  await log.close();
});

test('files removed under us stop the log', async () => {
  const memory = createMemoryDisk();
  const clock = createManualClock();
  const fatal: Error[] = [];
  const log = await openEmbeddedLog(
    { disk: memory, clock, random: createSeededRandom(1), logger: silentLogger },
    {
      directory: ROOT,
      settings: EMBEDDED_LOG_DEFAULTS,
      lowestPin: () => null,
      largestBacklog: () => null,
      onFatal: (error) => fatal.push(error),
    },
  );
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const append = log.append(TOPIC, eventRecord('0'));
  await clock.advance(1_500);
  await append;
  assert.equal(fatal.length, 0);
  const again = log.append(TOPIC, eventRecord('1'));
  await clock.advance(1);
  await again;
  for (const path of memory.paths()) if (path.endsWith('.seg')) await memory.removeFile(path);
  await clock.advance(1_500);
  assert.equal(fatal.length, 1);
  await assert.rejects(log.append(TOPIC, eventRecord('2')), { code: 'CHANNEL_FAILED' });
  await log.close();
});

test('a disk that fails while it opens gives its error and leaves nothing running', async () => {
  const disk = withDiskFaults(
    createMemoryDisk(),
    failAt(1, 'list', { kind: 'error', code: 'EIO' }),
  );
  await (await openLog(disk)).log.close();
  const broken = withDiskFaults(createMemoryDisk(), (call) =>
    call.name === 'list' ? { kind: 'error', code: 'EIO' } : null,
  );
  await assert.rejects(openLog(broken), { code: 'EIO' });
});
