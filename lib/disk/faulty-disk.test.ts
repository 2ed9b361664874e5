import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInterruptError, isMissingError, isSpaceError } from './disk.ts';
import { withDiskFaults } from './faulty-disk.ts';
import type { DiskCall } from './faulty-disk.ts';
import { createMemoryDisk } from './memory-disk.ts';
import { writeWhole } from './whole-write.ts';

test('the plan sees every call in order and makes the chosen ones fail', async () => {
  const seen: string[] = [];
  const memory = createMemoryDisk();
  const disk = withDiskFaults(memory, (call: DiskCall) => {
    seen.push(`${call.number} ${call.name} ${call.numberOfName}`);
    if (call.name === 'datasync') return { kind: 'error', code: 'EIO' };
    if (call.name === 'write' && call.numberOfName === 1) return { kind: 'short', bytes: 2 };
    if (call.name === 'write' && call.numberOfName === 2) {
      return { kind: 'error', code: 'ENOSPC', afterBytes: 1 };
    }
    return null;
  });
  await disk.makeDirectory('/d');
  const file = await disk.open('/d/f', 'create');
  assert.equal(await file.write(Buffer.from('abcd'), 0, 4, 0), 2);
  await assert.rejects(file.write(Buffer.from('cd'), 0, 2, 2), isSpaceError);
  await assert.rejects(file.datasync(), { code: 'EIO' });
  assert.equal(memory.bytesOf('/d/f').toString(), 'abc');
  assert.deepEqual(seen, [
    '1 makeDirectory 1',
    '2 open 1',
    '3 write 1',
    '4 write 2',
    '5 datasync 1',
  ]);
});

test('a whole write loops on short writes and interrupts, and gives up on a disk that takes nothing', async () => {
  const memory = createMemoryDisk();
  await memory.makeDirectory('/d');
  let isStuck = false;
  const disk = withDiskFaults(memory, (call) => {
    if (call.name !== 'write') return null;
    if (isStuck) return { kind: 'short', bytes: 0 };
    return call.numberOfName % 2 === 0
      ? { kind: 'error', code: 'EINTR' }
      : { kind: 'short', bytes: 3 };
  });
  const file = await disk.open('/d/f', 'create');
  await writeWhole(file, Buffer.from('0123456789'), 10, 0);
  assert.equal(memory.bytesOf('/d/f').toString(), '0123456789');
  isStuck = true;
  await assert.rejects(writeWhole(file, Buffer.from('x'), 1, 0), { code: 'EIO' });
});

test('errors are told apart by their word', async () => {
  const missing = await createMemoryDisk()
    .open('/none', 'read')
    .catch((error: unknown) => error);
  assert.ok(isMissingError(missing) && !isSpaceError(missing) && !isInterruptError(missing));
  assert.ok(!isSpaceError(new Error('plain')) && !isSpaceError('text'));
});
