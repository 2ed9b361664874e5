/** The segment log on a real disk: a full small file system, a killed process, a large store. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { isMeshError } from '#lib/errors/mesh-error';
import { createRealDisk } from '#lib/disk/real-disk';
import type { EmbeddedLog } from './embedded-log.ts';
import {
  eventually,
  eventRecord,
  idsOf,
  largeRecord,
  openLog,
  readAll,
  TOPIC,
} from './log-fixture.ts';

async function temporaryFolder(context: TestContext): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-log-'));
  context.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

interface SmallFileSystem {
  readonly root: string;
  readonly isReal: boolean;
  readonly release: () => Promise<void>;
}

/** A tmpfs of 16 MiB where that is allowed (root), else a log whose capacity is configured so. */
async function smallFileSystem(context: TestContext): Promise<SmallFileSystem> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-small-'));
  let isReal = true;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', root], { stdio: 'pipe' });
  } catch {
    // Not root, or no mounts in this sandbox: the configured capacity takes the same path.
    context.diagnostic('tmpfs cannot be mounted here: the capacity is configured instead');
    isReal = false;
  }
  const release = async (): Promise<void> => {
    if (isReal) execFileSync('umount', [root], { stdio: 'pipe' });
    await rm(root, { recursive: true, force: true });
  };
  return { root, isReal, release };
}

async function fillUntilRefused(log: EmbeddedLog, reserved: boolean): Promise<number> {
  for (let count = 0; ; count++) {
    try {
      await log.append(TOPIC, largeRecord(`x${count}`, 60_000), { reserved });
    } catch (error) {
      assert.ok(isMeshError(error, 'CHANNEL_FULL'), String(error));
      assert.equal(error.httpStatus, 503);
      return count;
    }
  }
}

test('16 MiB full: refused, reserved records go on, and 202s are back without a restart', async (context) => {
  const { root, isReal, release } = await smallFileSystem(context);
  const capacityBytes = isReal ? 0 : 16 * 1024 * 1024;
  let pin = 0;
  const { log, fatal } = await openLog(
    createRealDisk(),
    { capacityBytes },
    { directory: `${root}/log`, lowestPin: () => pin },
  );
  context.after(async () => {
    await log.close();
    await release();
  });
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const stored = await fillUntilRefused(log, false);
  assert.ok(stored > 200, `${stored} records before it was full`);
  // On the real one the rest is taken by somebody else, down to nothing.
  if (isReal)
    await writeFile(`${root}/other`, Buffer.alloc(16 * 1024 * 1024)).catch(() => undefined);
  const reserved = await fillUntilRefused(log, true);
  assert.ok(reserved > 0, 'reserved records found room');
  await assert.rejects(log.append(TOPIC, eventRecord('x')), { code: 'CHANNEL_FULL' });
  if (isReal) await rm(`${root}/other`);
  pin = Number.MAX_SAFE_INTEGER;
  const accepts = (): Promise<boolean> =>
    log.append(TOPIC, eventRecord('again')).then(
      () => true,
      () => false,
    );
  await eventually(accepts, 5_000);
  assert.deepEqual(fatal, []);
});

const WRITER = `
import { openLog, largeRecord, TOPIC } from '${path.join(import.meta.dirname, 'log-fixture.ts')}';
import { createRealDisk } from '#lib/disk/real-disk';
const { log } = await openLog(createRealDisk(), { segmentBytes: 262144 }, { directory: process.argv[1] });
await log.ensureTopic(TOPIC, { partitions: 1 });
let sent = 0;
const one = async () => {
  for (;;) {
    const id = process.pid + '-' + sent++;
    const { offset } = await log.append(TOPIC, largeRecord(id, 500 + (sent % 7) * 300));
    process.stdout.write(offset + ' ' + id + '\\n');
  }
};
for (let at = 0; at < 8; at++) void one();
`;

/** Runs a writer until it has acknowledged that many records, then kills it. */
function killWriter(directory: string, count: number): Promise<Map<number, string>> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ['--input-type=module-typescript', '-e', WRITER, directory],
      {
        cwd: import.meta.dirname,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.split('\n').length > count) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', () => {
      const lines = text.split('\n').slice(0, -1);
      const pairs = lines.map((line) => line.split(' '));
      resolve(new Map(pairs.map(([offset = '', id = '']) => [Number(offset), id])));
    });
  });
}

test('SIGKILL while writing: every acknowledged record is there, at its offset', async (context) => {
  const directory = `${await temporaryFolder(context)}/log`;
  const acknowledged = new Map<number, string>();
  for (const count of [50, 700, 300, 1500]) {
    for (const [offset, id] of await killWriter(directory, count)) acknowledged.set(offset, id);
    const { log, damaged } = await openLog(createRealDisk(), {}, { directory });
    const ids = idsOf(await readAll(log));
    assert.deepEqual(damaged, []);
    for (const [offset, id] of acknowledged) assert.equal(ids[offset], id);
    assert.equal(new Set(ids).size, ids.length);
    await log.close();
  }
  assert.ok(acknowledged.size > 2000);
});
