/** The reserve: made, released in two steps, made again, found again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDiskFaults } from '#lib/disk/faulty-disk';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import type { MemoryDisk } from '#lib/disk/memory-disk';
import { Ballast } from './ballast.ts';

const MIB = 1024 * 1024;
const FILE = '/data/ballast';

async function makeDisk(limitBytes: number | null): Promise<MemoryDisk> {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/data');
  disk.limitBytes(limitBytes);
  return disk;
}

test('is an eighth of a small disk, and released in two steps', async () => {
  const disk = await makeDisk(8 * MIB);
  const ballast = new Ballast({ disk, directory: '/data' });
  await ballast.open();
  assert.equal(disk.bytesOf(FILE).length, MIB);
  assert.equal(ballast.isUsedUp, false);

  assert.equal(await ballast.release(), true);
  assert.equal(disk.bytesOf(FILE).length, MIB / 2);
  assert.equal(ballast.isUsedUp, false);
  assert.equal(await ballast.release(), true);
  assert.deepEqual(disk.paths(), []);
  assert.equal(ballast.isUsedUp, true);
  assert.equal(await ballast.release(), false);

  assert.equal(await ballast.restore(), true);
  assert.equal(disk.bytesOf(FILE).length, MIB);
  assert.equal(ballast.isUsedUp, false);
});

test('is eight mebibytes at most, and no zeros that a file system could pack', async () => {
  const disk = await makeDisk(5000 * MIB);
  const ballast = new Ballast({ disk, directory: '/data' });
  await ballast.open();
  const bytes = disk.bytesOf(FILE);
  assert.equal(bytes.length, 8 * MIB);
  assert.notDeepEqual(bytes.subarray(0, 64), Buffer.alloc(64));
});

test('is not made on a disk without room, and made when there is room again', async () => {
  const disk = await makeDisk(8 * MIB);
  const fill = await disk.open('/data/other', 'create');
  await fill.write(Buffer.alloc(7 * MIB), 0, 7 * MIB, 0);
  const ballast = new Ballast({ disk, directory: '/data' });
  await ballast.open();
  assert.equal(ballast.isUsedUp, true);
  assert.equal(await ballast.restore(), false);
  await fill.truncate(0);
  assert.equal(await ballast.restore(), true);
  assert.equal(ballast.isUsedUp, false);
});

test('is found again after a restart, and completed when it had been released', async () => {
  const disk = await makeDisk(8 * MIB);
  const first = new Ballast({ disk, directory: '/data' });
  await first.open();
  await first.release();
  const second = new Ballast({ disk, directory: '/data' });
  await second.open();
  assert.equal(disk.bytesOf(FILE).length, MIB);
  const before = disk.bytesOf(FILE);
  const third = new Ballast({ disk, directory: '/data' });
  await third.open();
  assert.deepEqual(disk.bytesOf(FILE), before);
});

test('short writes are continued', async () => {
  const disk = await makeDisk(8 * MIB);
  const short = withDiskFaults(disk, ({ name, numberOfName }) =>
    name === 'write' && numberOfName === 1 ? { kind: 'short', bytes: 1000 } : null,
  );
  await new Ballast({ disk: short, directory: '/data' }).open();
  assert.equal(disk.bytesOf(FILE).length, MIB);
});
