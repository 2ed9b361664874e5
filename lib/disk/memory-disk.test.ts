import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSeededRandom } from '#lib/random/random';
import { createMemoryDisk } from './memory-disk.ts';
import type { MemoryDisk } from './memory-disk.ts';

async function fileWith(disk: MemoryDisk, path: string, text: string) {
  const file = await disk.open(path, 'create');
  await file.write(Buffer.from(text), 0, text.length, 0);
  return file;
}

test('open modes, names and folders', async () => {
  const disk = createMemoryDisk();
  await assert.rejects(disk.open('/a/f', 'create'), { code: 'ENOENT' });
  await disk.makeDirectory('/a/b');
  await assert.rejects(disk.open('/a/f', 'read'), { code: 'ENOENT' });
  const file = await fileWith(disk, '/a/f', 'hello');
  await assert.rejects(disk.open('/a/f', 'create'), { code: 'EEXIST' });
  assert.deepEqual([...(await disk.list('/a'))].sort(), ['b', 'f']);
  await disk.rename('/a/f', '/a/g');
  assert.ok(await file.isLinked());
  await assert.rejects(disk.removeDirectory('/a'), { code: 'ENOTEMPTY' });
  await disk.removeFile('/a/g');
  assert.ok(!(await file.isLinked()));
  await assert.rejects(disk.removeFile('/a/g'), { code: 'ENOENT' });
  await disk.rename('/a', '/c');
  assert.deepEqual(await disk.list('/c'), ['b']);
  await assert.rejects(disk.list('/a'), { code: 'ENOENT' });
});

test('holes read as zeros, cuts forget, sizes are kept', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/d');
  const file = await fileWith(disk, '/d/f', 'abcdef');
  await file.truncate(3);
  await file.truncate(8);
  const into = Buffer.alloc(10, 0xff);
  assert.equal(await file.read(into, 0, 10, 0), 8);
  assert.deepEqual(into.subarray(0, 8), Buffer.from('abc\0\0\0\0\0'));
  assert.equal(await file.read(into, 0, 10, 8), 0);
  assert.equal(await file.sizeBytes(), 8);
});

test('a limit gives a short write first, then ENOSPC; holes take no room', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/d');
  disk.limitBytes(10);
  const file = await disk.open('/d/f', 'create');
  await file.truncate(1000);
  assert.equal(await file.write(Buffer.alloc(8), 0, 8, 0), 8);
  assert.equal(await file.write(Buffer.alloc(8), 0, 8, 8), 2);
  await assert.rejects(file.write(Buffer.alloc(8), 0, 8, 10), { code: 'ENOSPC' });
  assert.equal(await file.write(Buffer.alloc(8), 0, 8, 0), 8, 'overwriting needs none');
  await file.truncate(4);
  assert.equal((await disk.space('/')).freeBytes, 6);
});

test('a crash keeps what was synced, and loses or tears the rest by chance', async () => {
  const synced = Buffer.alloc(4096, 1);
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const disk = createMemoryDisk();
    await disk.makeDirectory('/d');
    const file = await disk.open('/d/f', 'create');
    await file.write(synced, 0, synced.length, 0);
    await file.datasync();
    await disk.syncDirectory('/d');
    await file.write(Buffer.alloc(4096, 2), 0, 4096, 2048);
    await disk.open('/d/new', 'create');
    disk.crash(createSeededRandom(seed));
    await assert.rejects(file.datasync(), { code: 'EBADF' });
    const bytes = disk.bytesOf('/d/f');
    assert.deepEqual(bytes.subarray(0, 2048), synced.subarray(0, 2048));
    assert.ok(bytes.length === 4096 || bytes.length === 6144);
    assert.ok(bytes.subarray(2048, 4096).every((byte) => byte === 1 || byte === 2));
    const count = bytes.filter((byte) => byte === 2).length;
    outcomes.add(count === 0 ? 'lost' : count === 4096 ? 'kept' : 'torn');
    outcomes.add(disk.paths().includes('/d/new') ? 'name kept' : 'name lost');
  }
  assert.ok(outcomes.has('torn') && outcomes.has('name kept') && outcomes.has('name lost'));
});

test('a kill keeps everything and ends open files', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/d');
  const file = await fileWith(disk, '/d/f', 'written');
  disk.kill();
  assert.throws(() => file.writeNow(Buffer.alloc(1), 0, 1, 0), { code: 'EBADF' });
  assert.equal(disk.bytesOf('/d/f').toString(), 'written');
});
