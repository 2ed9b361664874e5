/**
 * A file of the size of a reserve, so that a full disk still leaves room to settle, lease and park: it
 * is shrunk when the database finds no space, and made again when space is back. Used by the store's
 * thread. Two steps: the first lets everything go on; with the second, new pairs are refused and what
 * is left serves those operations that make room.
 */
import { randomFillSync } from 'node:crypto';
import path from 'node:path';
import type { Disk } from '#lib/disk/disk';
import { isMissingError } from '#lib/disk/disk';

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
/**
 * The write-ahead log has to be carried into the database before it can be used again, and on a full
 * disk that takes new space: so both steps are larger than the log ever is (1 MiB and one batch). With
 * 1 % of a small disk the cursors could not be committed any more (tried on a tmpfs of 24 MiB).
 */
const BALLAST_BYTES_MAX = 8 * MIB;
const SHARE_OF_DISK_MAX = 1 / 8;
/** What stays after the first release, for what makes room. */
const LAST_SHARE = 0.5;

export interface BallastDeps {
  readonly disk: Disk;
  readonly directory: string;
}

export class Ballast {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #path: string;
  /** Bytes in the file now; 0 when it is gone. */
  #heldBytes = 0;
  #fullBytes = 0;

  constructor(deps: BallastDeps) {
    this.#disk = deps.disk;
    this.#directory = deps.directory;
    this.#path = path.join(deps.directory, 'ballast');
  }

  /** True when nothing is left to release: new pairs have to be refused. */
  get isUsedUp(): boolean {
    return this.#fullBytes > 0 && this.#heldBytes === 0;
  }

  get isWhole(): boolean {
    return this.#heldBytes === this.#fullBytes;
  }

  /** Finds the file of a former life, or makes it when there is room. Without room it starts empty. */
  async open(): Promise<void> {
    const { totalBytes } = await this.#disk.space(this.#directory);
    this.#fullBytes = Math.min(BALLAST_BYTES_MAX, Math.floor(totalBytes * SHARE_OF_DISK_MAX));
    this.#heldBytes = Math.min(this.#fullBytes, await this.#presentBytes());
    await this.restore();
  }

  /** Frees a part of the reserve. False when there was nothing left to free. */
  async release(): Promise<boolean> {
    if (this.#heldBytes === 0) return false;
    const lastBytes = Math.floor(this.#fullBytes * LAST_SHARE);
    const isFirst = this.#heldBytes > lastBytes;
    this.#heldBytes = isFirst ? lastBytes : 0;
    if (!isFirst) {
      await this.#disk.removeFile(this.#path);
      return true;
    }
    const file = await this.#disk.open(this.#path, 'write');
    try {
      await file.truncate(lastBytes);
    } finally {
      await file.close();
    }
    return true;
  }

  /** Makes the file whole again when there is room for it twice over. True when it is whole. */
  async restore(): Promise<boolean> {
    if (this.isWhole) return true;
    const { freeBytes } = await this.#disk.space(this.#directory);
    if (freeBytes < 2 * this.#fullBytes) return false;
    await this.#write();
    this.#heldBytes = this.#fullBytes;
    return true;
  }

  async #write(): Promise<void> {
    await this.#remove();
    const file = await this.#disk.open(this.#path, 'create');
    try {
      // Not zeros: a file system that compresses would keep nothing free for them.
      const chunk = randomFillSync(Buffer.alloc(CHUNK_BYTES));
      for (let at = 0; at < this.#fullBytes; ) {
        const length = Math.min(chunk.length, this.#fullBytes - at);
        at += await file.write(chunk, 0, length, at);
      }
      await file.datasync();
    } finally {
      await file.close();
    }
    await this.#disk.syncDirectory(this.#directory);
  }

  async #remove(): Promise<void> {
    try {
      await this.#disk.removeFile(this.#path);
    } catch (error) {
      if (!isMissingError(error)) throw error;
    }
  }

  async #presentBytes(): Promise<number> {
    try {
      const file = await this.#disk.open(this.#path, 'read');
      try {
        return await file.sizeBytes();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isMissingError(error)) return 0;
      throw error;
    }
  }
}
