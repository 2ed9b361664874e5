/**
 * Wraps a disk with planned faults: an error or a short write at chosen calls. Used by tests and the
 * seeded simulation; the plan sees every call in order and decides. Nothing is written by a call that
 * is made to fail, except the part that `afterBytes` names.
 */
import { createDiskError } from './disk.ts';
import type { Disk, DiskFile } from './disk.ts';

export type DiskCallName =
  | 'open'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'removeFile'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'space'
  | 'write'
  | 'read'
  | 'datasync'
  | 'sync'
  | 'truncate'
  | 'sizeBytes';

export interface DiskCall {
  readonly name: DiskCallName;
  readonly path: string;
  /** 1 for the first call of any name through this wrapper. */
  readonly number: number;
  /** 1 for the first call of this name. */
  readonly numberOfName: number;
  /** Bytes asked for by a write or read, else 0. */
  readonly length: number;
}

export type DiskFault =
  /** The call fails; a write leaves its first `afterBytes` bytes behind (default 0). */
  | { readonly kind: 'error'; readonly code: string; readonly afterBytes?: number }
  /** A write that takes only its first `bytes` bytes, without an error. */
  | { readonly kind: 'short'; readonly bytes: number };

/** Asked before every call; `null` lets it pass. */
export type DiskFaultPlan = (call: DiskCall) => DiskFault | null;

export function withDiskFaults(disk: Disk, plan: DiskFaultPlan): Disk {
  const counts = new Map<DiskCallName, number>();
  let total = 0;
  const ask = (name: DiskCallName, path: string, length = 0): DiskFault | null => {
    const numberOfName = (counts.get(name) ?? 0) + 1;
    counts.set(name, numberOfName);
    total++;
    return plan({ name, path, number: total, numberOfName, length });
  };
  const check = (name: DiskCallName, path: string): void => {
    const fault = ask(name, path);
    if (fault?.kind === 'error') throw createDiskError(fault.code, name, path);
  };
  return {
    async open(path, mode) {
      check('open', path);
      return new FaultyFile(await disk.open(path, mode), ask);
    },
    async list(path) {
      check('list', path);
      return disk.list(path);
    },
    async makeDirectory(path) {
      check('makeDirectory', path);
      await disk.makeDirectory(path);
    },
    async rename(from, to) {
      check('rename', from);
      await disk.rename(from, to);
    },
    async removeFile(path) {
      check('removeFile', path);
      await disk.removeFile(path);
    },
    async removeDirectory(path) {
      check('removeDirectory', path);
      await disk.removeDirectory(path);
    },
    async syncDirectory(path) {
      check('syncDirectory', path);
      await disk.syncDirectory(path);
    },
    async space(path) {
      check('space', path);
      return disk.space(path);
    },
  };
}

type Ask = (name: DiskCallName, path: string, length?: number) => DiskFault | null;

class FaultyFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #ask: Ask;

  constructor(file: DiskFile, ask: Ask) {
    this.path = file.path;
    this.#file = file;
    this.#ask = ask;
  }

  async write(bytes: Uint8Array, start: number, length: number, position: number): Promise<number> {
    return this.writeNow(bytes, start, length, position);
  }

  writeNow(bytes: Uint8Array, start: number, length: number, position: number): number {
    const fault = this.#ask('write', this.path, length);
    if (fault === null) return this.#file.writeNow(bytes, start, length, position);
    const part = Math.min(length, fault.kind === 'short' ? fault.bytes : (fault.afterBytes ?? 0));
    if (part > 0) this.#file.writeNow(bytes, start, part, position);
    if (fault.kind === 'error') throw createDiskError(fault.code, 'write', this.path);
    return part;
  }

  async read(into: Uint8Array, start: number, length: number, position: number): Promise<number> {
    this.#check('read', length);
    return this.#file.read(into, start, length, position);
  }

  async datasync(): Promise<void> {
    this.#check('datasync');
    await this.#file.datasync();
  }

  async sync(): Promise<void> {
    this.#check('sync');
    await this.#file.sync();
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#check('truncate');
    await this.#file.truncate(sizeBytes);
  }

  async sizeBytes(): Promise<number> {
    this.#check('sizeBytes');
    return this.#file.sizeBytes();
  }

  isLinked(): Promise<boolean> {
    return this.#file.isLinked();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #check(name: DiskCallName, length = 0): void {
    const fault = this.#ask(name, this.path, length);
    if (fault?.kind === 'error') throw createDiskError(fault.code, name, this.path);
  }
}
