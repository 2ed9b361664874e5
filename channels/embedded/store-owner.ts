/**
 * Who holds the data directory, for people: a small file with the process and its start. The lock
 * itself is SQLite's, and ends with the process; this file may outlive it and decides nothing.
 */
import path from 'node:path';
import type { Disk } from '#lib/disk/disk';
import { isMissingError } from '#lib/disk/disk';

const FILE_NAME = 'store.owner';
const BYTES_MAX = 512;

export interface StoreOwnerFile {
  readonly disk: Disk;
  readonly directory: string;
}

export async function writeOwner(file: StoreOwnerFile, startedMs: number): Promise<void> {
  await removeOwner(file);
  const text = `process ${process.pid}, started ${new Date(startedMs).toISOString()}`;
  const bytes = Buffer.from(text, 'utf8');
  const handle = await file.disk.open(path.join(file.directory, FILE_NAME), 'create');
  try {
    await handle.write(bytes, 0, bytes.length, 0);
  } finally {
    await handle.close();
  }
}

/** `process 1234, started …`, or that it is not known. */
export async function readOwner(file: StoreOwnerFile): Promise<string> {
  try {
    const handle = await file.disk.open(path.join(file.directory, FILE_NAME), 'read');
    try {
      const bytes = Buffer.alloc(BYTES_MAX);
      const length = await handle.read(bytes, 0, bytes.length, 0);
      return length === 0 ? UNKNOWN : bytes.toString('utf8', 0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissingError(error)) return UNKNOWN;
    throw error;
  }
}

export async function removeOwner({ disk, directory }: StoreOwnerFile): Promise<void> {
  try {
    await disk.removeFile(path.join(directory, FILE_NAME));
  } catch (error) {
    if (!isMissingError(error)) throw error;
  }
}

const UNKNOWN = 'another process';
