/**
 * The port for files. Stores that must survive a power cut use it instead of node:fs, so that a
 * simulation can tear, lose and refuse writes. `real-disk.ts` is the operating system,
 * `memory-disk.ts` keeps files in memory and forgets what was not synced, `faulty-disk.ts` wraps
 * either with planned faults. Failures are the system's own errors: branch on {@link diskErrorCode}.
 */

/** `read`: must exist. `write`: must exist, read and write. `create`: must not exist, read and write. */
export type OpenMode = 'read' | 'write' | 'create';

export interface DiskFile {
  readonly path: string;
  /**
   * Writes `length` bytes of `bytes` from `start` on at `position`. May write fewer: the caller loops.
   * Nothing is durable before {@link datasync} or {@link sync} has returned.
   */
  write(bytes: Uint8Array, start: number, length: number, position: number): Promise<number>;
  /** The same on the calling thread: cheaper for small writes, and it blocks. May write fewer too. */
  writeNow(bytes: Uint8Array, start: number, length: number, position: number): number;
  /** Reads up to `length` bytes at `position` into `into` from `start` on; 0 at the end of the file. */
  read(into: Uint8Array, start: number, length: number, position: number): Promise<number>;
  /** Makes data and size durable. After a rejection nothing that was unsynced can be trusted. */
  datasync(): Promise<void>;
  /** {@link datasync} and all metadata; for truncations and other rare paths. */
  sync(): Promise<void>;
  /** Cuts or extends with zeros (a hole, where the file system has them). */
  truncate(sizeBytes: number): Promise<void>;
  sizeBytes(): Promise<number>;
  /** False when the last name of the file has been removed: what is written to it is lost. */
  isLinked(): Promise<boolean>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface DiskSpace {
  /** Bytes an ordinary process may still allocate. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in a folder, unsorted; ENOENT when there is no such folder. */
  list(path: string): Promise<readonly string[]>;
  /** With all missing parents. Existing is no error. Not durable before the parent is synced. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` when it is a file. Durable when the folder has been synced. */
  rename(from: string, to: string): Promise<void>;
  removeFile(path: string): Promise<void>;
  /** An empty folder. */
  removeDirectory(path: string): Promise<void>;
  /** Makes creations, renames and removals in this folder durable. */
  syncDirectory(path: string): Promise<void>;
  space(path: string): Promise<DiskSpace>;
}

/** The system's word for the failure (`ENOSPC`, `EIO`, …), or `null` when it is none of the disk's. */
export function diskErrorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** No room left: ENOSPC, or a quota that is used up. */
export function isSpaceError(error: unknown): boolean {
  const code = diskErrorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The call may simply be made again. */
export function isInterruptError(error: unknown): boolean {
  const code = diskErrorCode(error);
  return code === 'EINTR' || code === 'EAGAIN';
}

/** There is no such file or folder. */
export function isMissingError(error: unknown): boolean {
  return diskErrorCode(error) === 'ENOENT';
}

/** An error as the system would give it, for the fakes. */
export function createDiskError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code, path });
}
