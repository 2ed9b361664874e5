/** The composition: lock and owner file, what a failed start leaves, verify, usage, the janitor. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createRealDisk } from '#lib/disk/real-disk';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import type { Clock, Timer } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { createEmbeddedDriver } from './embedded-driver.ts';
import type { EmbeddedDriver } from './embedded-driver.ts';
import { embeddedSettings } from './embedded-settings.ts';
import type { EmbeddedSettings } from './embedded-settings.ts';
import { bulky, pair } from './store-samples.ts';

const MIB = 1024 * 1024;
let dataDir: string;
let opened: EmbeddedDriver[];

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'millrace-driver-'));
  opened = [];
});

afterEach(async () => {
  for (const driver of opened) await driver.close();
  await rm(dataDir, { recursive: true });
});

async function open(
  settings: Partial<EmbeddedSettings> = {},
  clock: Clock = createSystemClock(),
): Promise<EmbeddedDriver> {
  const driver = await createEmbeddedDriver(
    {
      clock,
      random: createSystemRandom(),
      disk: createRealDisk(),
      logger: silentLogger,
      onFatal: (error) => assert.fail(error),
    },
    { dataDir, settings: embeddedSettings({ lockWaitMs: 0, ...settings }) },
  );
  opened.push(driver);
  return driver;
}

/** Periodic work is run by hand. */
function createHandClock(): Clock & { tick(periodMs: number): void } {
  const clock = createSystemClock();
  const runs: { readonly periodMs: number; readonly run: () => void }[] = [];
  return {
    ...clock,
    every(periodMs, run): Timer {
      const entry = { periodMs, run };
      runs.push(entry);
      return { cancel: () => void runs.splice(runs.indexOf(entry), 1) };
    },
    tick(periodMs) {
      for (const entry of runs) if (entry.periodMs === periodMs) entry.run();
    },
  };
}

test('a second owner is told who the first is, and the file goes with a clean end', async () => {
  const first = await open();
  await assert.rejects(open(), (error: unknown) => {
    assert.ok(isMeshError(error, 'STORE_LOCKED'));
    assert.match(error.message, new RegExp(`process ${process.pid}, started \\d{4}-`));
    return true;
  });
  await first.close();
  assert.ok(!(await readdir(dataDir)).includes('store.owner'));
  await open();
});

test('a start that fails lets the lock go', async () => {
  await writeFile(path.join(dataDir, 'log'), 'in the way');
  await assert.rejects(open());
  await rm(path.join(dataDir, 'log'));
  await open();
});

test('the live durability is read back from the database', async () => {
  const driver = await open();
  assert.deepEqual(await driver.admin.verify(), { level: 'D2', reason: null });
  await driver.close();
  const { level, reason } = await driver.admin.verify();
  assert.equal(level, 'D0');
  assert.match(reason ?? '', /closed/);
});

test('usage counts the log and the database', async () => {
  const driver = await open({ capacityBytes: 64 * MIB });
  await driver.admin.ensureTopic('t', { partitions: 1 });
  const before = await driver.admin.usage();
  assert.equal(before.capacityBytes, 64 * MIB);
  await driver.waiting.put([pair('t', 'uid', 1, { record: bulky('w', 3 * MIB) })], null);
  const after = await driver.admin.usage();
  const grown = after.storedBytes - before.storedBytes;
  assert.ok(grown >= 3 * MIB && grown < 4 * MIB, `${grown}`);
});

test('the janitor trims what no cursor pins any more', async () => {
  const clock = createHandClock();
  const driver = await open(
    { capacityBytes: 64 * MIB, segmentBytes: MIB, retentionBytes: 2 * MIB, retentionMs: 0 },
    clock,
  );
  await driver.admin.ensureTopic('t', { partitions: 1 });
  const cursor = { name: 'c', partition: 0, role: 'control', epoch: 0, metadata: '' } as const;
  await driver.cursors.create('t', [{ ...cursor, offset: 5, pins: true }]);
  for (let n = 0; n < 80; n++) await driver.log.append('t', bulky(`${n}`, 64 * 1024));
  const first = async (): Promise<number> => (await driver.log.ends('t'))[0]?.first ?? -1;

  clock.tick(30_000);
  await driver.log.trim(clock.wallMs());
  assert.ok((await first()) <= 5, `${await first()} with a pin at 5`);
  await driver.cursors.commit('t', [{ ...cursor, offset: 80, pins: true }]);
  const endMs = clock.monotonicMs() + 10_000;
  while ((await first()) <= 5) {
    assert.ok(clock.monotonicMs() < endMs, 'trimmed in ten seconds');
    // One that comes while the last is under way is left out.
    clock.tick(30_000);
    await sleep(clock, 5);
  }
  assert.ok((await first()) <= 80);
});

test('the reserve lies beside the store', async () => {
  const driver = await open();
  const ballast = await readFile(path.join(dataDir, 'ballast'));
  assert.ok(ballast.length > 0 && ballast.length <= 8 * MIB);
  await driver.close();
});
