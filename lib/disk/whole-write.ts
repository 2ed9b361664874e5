/** Writing all of it: loops on short writes and interrupts, which a disk may always give. */
import { assert } from '#lib/assert/assert';
import { createDiskError, isInterruptError } from './disk.ts';
import type { DiskFile } from './disk.ts';

/**
 * Up to here a write is done on the calling thread: 20 to 25 µs of CPU less than by the thread pool,
 * of 100 to 130 that a write with its datasync costs (1 to 144 KiB, ext4, Node 24.21).
 */
const WRITE_NOW_BYTES_MAX = 256 * 1024;
const INTERRUPTS_MAX = 100;

/** Writes the first `length` bytes at `position`. @throws the disk's error; a part may be written. */
export async function writeWhole(
  file: DiskFile,
  bytes: Uint8Array,
  length: number,
  position: number,
): Promise<void> {
  assert(length <= bytes.length, 'there is that much to write', { length });
  let done = 0;
  let interrupts = 0;
  while (done < length) {
    const left = length - done;
    let count = 0;
    try {
      count =
        left <= WRITE_NOW_BYTES_MAX
          ? file.writeNow(bytes, done, left, position + done)
          : await file.write(bytes, done, left, position + done);
    } catch (error) {
      if (!isInterruptError(error)) throw error;
    }
    done += count;
    interrupts = count > 0 ? 0 : interrupts + 1;
    // A disk that takes nothing and gives no reason is as good as broken.
    if (interrupts > INTERRUPTS_MAX) throw createDiskError('EIO', 'write', file.path);
  }
}
