/**
 * Files in memory that behave as a disk does in a power cut: `crash` keeps what was synced and, of
 * everything else, a random part in a random order (bytes page by page, sizes, names). For unit tests
 * and for the seeded simulation. Also bounded in bytes on request, to be full.
 */
import type { Random } from '#lib/random/random';
import { createDiskError } from './disk.ts';
import type { Disk, DiskFile, DiskSpace, OpenMode } from './disk.ts';

/** Unsynced writes survive or vanish in units of this size, as pages do. */
const PAGE_BYTES = 512;
/** What a disk without a limit says is free: small, so that reserves made in proportion stay small. */
const FREE_WITHOUT_LIMIT_BYTES = 64 * 1024 * 1024;

export interface MemoryDisk extends Disk {
  /** Power is lost: open files are dead, unsynced writes and names survive by chance. */
  crash(random: Random): void;
  /** The process is killed, the machine lives: open files are dead, all that was written stays. */
  kill(): void;
  /** From now on at most this many bytes in all files together; `null` lifts the limit. */
  limitBytes(bytes: number | null): void;
  /** The present bytes of a file (a copy); fails the same way as `open` when it does not exist. */
  bytesOf(path: string): Buffer;
  /** Makes an empty file in an existing folder, synced with its name. */
  create(path: string): void;
  /** Replaces the bytes of a file, synced: for planting damage. */
  plant(path: string, bytes: Uint8Array): void;
  paths(): readonly string[];
}

interface Inode {
  /** What reads see. Capacity grows by doubling; bytes from `usedBytes` on are zero: a hole. */
  data: Buffer;
  usedBytes: number;
  sizeBytes: number;
  /** What survives a power cut. */
  durable: Buffer;
  durableSizeBytes: number;
  readonly dirtyPages: Set<number>;
}

type NameChange =
  | { readonly kind: 'link'; readonly path: string; readonly inode: Inode }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode };

interface DiskState {
  names: Map<string, Inode>;
  durableNames: Map<string, Inode>;
  pending: NameChange[];
  readonly directories: Set<string>;
  /** Raised by a crash or kill: files opened before it are dead. */
  life: number;
  limitBytes: number | null;
}

export function createMemoryDisk(): MemoryDisk {
  const state: DiskState = {
    names: new Map(),
    durableNames: new Map(),
    pending: [],
    directories: new Set(['/']),
    life: 0,
    limitBytes: null,
  };
  return {
    ...namesOf(state),
    open: async (path, mode) => openIn(state, path, mode),
    space: async () => spaceOf(state),
    crash: (random) => crashDisk(state, random),
    kill() {
      state.life++;
    },
    limitBytes(bytes) {
      state.limitBytes = bytes;
    },
    bytesOf(path) {
      const inode = inodeAt(state, path, 'open');
      const bytes = Buffer.alloc(inode.sizeBytes);
      inode.data.copy(bytes, 0, 0, inode.usedBytes);
      return bytes;
    },
    create(path) {
      openIn(state, path, 'create');
      state.durableNames.set(path, inodeAt(state, path, 'open'));
    },
    plant(path, bytes) {
      const inode = inodeAt(state, path, 'open');
      inode.data = Buffer.from(bytes);
      inode.usedBytes = bytes.length;
      inode.sizeBytes = bytes.length;
      inode.durable = Buffer.from(bytes);
      inode.durableSizeBytes = bytes.length;
      inode.dirtyPages.clear();
    },
    paths: () => [...state.names.keys()].sort(),
  };
}

type NameCalls = Omit<Disk, 'open' | 'space'>;

function namesOf(state: DiskState): NameCalls {
  return {
    async list(path) {
      if (!state.directories.has(path)) throw createDiskError('ENOENT', 'scandir', path);
      const prefix = path === '/' ? '/' : `${path}/`;
      const found = new Set<string>();
      for (const name of [...state.names.keys(), ...state.directories]) {
        if (!name.startsWith(prefix) || name === path) continue;
        const rest = name.slice(prefix.length);
        found.add(rest.split('/')[0] ?? rest);
      }
      return [...found];
    },
    async makeDirectory(path) {
      for (let part = path; part.length > 1; part = parentOf(part)) state.directories.add(part);
    },
    async rename(from, to) {
      if (state.directories.has(from)) {
        renameDirectory(state, from, to);
        return;
      }
      const inode = inodeAt(state, from, 'rename');
      state.names.delete(from);
      state.names.set(to, inode);
      state.pending.push({ kind: 'rename', from, to, inode });
    },
    async removeFile(path) {
      inodeAt(state, path, 'unlink');
      state.names.delete(path);
      state.pending.push({ kind: 'unlink', path });
    },
    async removeDirectory(path) {
      if (!state.directories.has(path)) throw createDiskError('ENOENT', 'rmdir', path);
      const isEmpty = ![...state.names.keys(), ...state.directories].some((name) =>
        name.startsWith(`${path}/`),
      );
      if (!isEmpty) throw createDiskError('ENOTEMPTY', 'rmdir', path);
      state.directories.delete(path);
    },
    async syncDirectory(path) {
      if (!state.directories.has(path)) throw createDiskError('ENOENT', 'open', path);
      const isHere = (change: NameChange): boolean =>
        parentOf(change.kind === 'rename' ? change.to : change.path) === path;
      for (const change of state.pending.filter(isHere)) applyName(state.durableNames, change);
      state.pending = state.pending.filter((change) => !isHere(change));
    },
  };
}

/** Folders and their renames are durable at once: the model is about files. */
function renameDirectory(state: DiskState, from: string, to: string): void {
  const moved = (path: string): string =>
    path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
  for (const path of [...state.directories]) {
    state.directories.delete(path);
    state.directories.add(moved(path));
  }
  const rename = (names: Map<string, Inode>): Map<string, Inode> =>
    new Map([...names].map(([path, inode]) => [moved(path), inode]));
  state.names = rename(state.names);
  state.durableNames = rename(state.durableNames);
  state.pending = state.pending.map((change) =>
    change.kind === 'rename'
      ? { ...change, from: moved(change.from), to: moved(change.to) }
      : { ...change, path: moved(change.path) },
  );
}

function applyName(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === 'link') names.set(change.path, change.inode);
  else if (change.kind === 'unlink') names.delete(change.path);
  else {
    names.delete(change.from);
    names.set(change.to, change.inode);
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

function inodeAt(state: DiskState, path: string, call: string): Inode {
  const inode = state.names.get(path);
  if (inode === undefined) throw createDiskError('ENOENT', call, path);
  return inode;
}

function openIn(state: DiskState, path: string, mode: OpenMode): DiskFile {
  if (mode !== 'create') return new MemoryFile(state, path, inodeAt(state, path, 'open'));
  if (state.names.has(path)) throw createDiskError('EEXIST', 'open', path);
  if (!state.directories.has(parentOf(path))) throw createDiskError('ENOENT', 'open', path);
  const inode: Inode = {
    data: Buffer.alloc(0),
    usedBytes: 0,
    sizeBytes: 0,
    durable: Buffer.alloc(0),
    durableSizeBytes: 0,
    dirtyPages: new Set(),
  };
  state.names.set(path, inode);
  state.pending.push({ kind: 'link', path, inode });
  return new MemoryFile(state, path, inode);
}

/** Bytes beyond the last one written are a hole and use nothing. */
function usedBytes(state: DiskState): number {
  let used = 0;
  for (const inode of new Set(state.names.values())) used += inode.usedBytes;
  return used;
}

function spaceOf(state: DiskState): DiskSpace {
  const used = usedBytes(state);
  const totalBytes = state.limitBytes ?? used + FREE_WITHOUT_LIMIT_BYTES;
  return { totalBytes, freeBytes: Math.max(0, totalBytes - used) };
}

/** Copies the dirty pages alone: a sync must not cost the whole file. */
function makeDurable(inode: Inode): void {
  if (inode.durable.length < inode.data.length) {
    const grown = Buffer.alloc(inode.data.length);
    inode.durable.copy(grown);
    inode.durable = grown;
  }
  for (const page of inode.dirtyPages) {
    const from = page * PAGE_BYTES;
    inode.data.copy(inode.durable, from, from, from + PAGE_BYTES);
  }
  inode.durableSizeBytes = inode.sizeBytes;
  inode.dirtyPages.clear();
}

function crashDisk(state: DiskState, random: Random): void {
  state.life++;
  const names = new Map(state.durableNames);
  // A journal keeps the order of names: a random prefix of the pending changes survives.
  const kept = random.below(state.pending.length + 1);
  for (const change of state.pending.slice(0, kept)) applyName(names, change);
  state.names = names;
  state.durableNames = new Map(names);
  state.pending = [];
  for (const inode of new Set(names.values())) crashInode(inode, random);
}

/** Each dirty page is kept, lost or torn on its own; a size is the old or the new one. */
function crashInode(inode: Inode, random: Random): void {
  const sizeBytes = random.below(2) === 0 ? inode.sizeBytes : inode.durableSizeBytes;
  const survivor = Buffer.alloc(Math.max(inode.durable.length, inode.data.length));
  inode.durable.copy(survivor);
  for (const page of inode.dirtyPages) {
    const fate = random.below(3);
    const from = page * PAGE_BYTES;
    const length = fate === 0 ? 0 : fate === 1 ? PAGE_BYTES : random.below(PAGE_BYTES);
    inode.data.copy(survivor, from, from, from + length);
  }
  survivor.fill(0, Math.min(survivor.length, sizeBytes));
  inode.data = survivor;
  inode.usedBytes = Math.min(survivor.length, sizeBytes);
  inode.sizeBytes = sizeBytes;
  inode.durable = Buffer.from(survivor);
  inode.durableSizeBytes = sizeBytes;
  inode.dirtyPages.clear();
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #state: DiskState;
  readonly #inode: Inode;
  readonly #life: number;
  #isOpen = true;

  constructor(state: DiskState, path: string, inode: Inode) {
    this.path = path;
    this.#state = state;
    this.#inode = inode;
    this.#life = state.life;
  }

  async write(bytes: Uint8Array, start: number, length: number, position: number): Promise<number> {
    return this.writeNow(bytes, start, length, position);
  }

  writeNow(bytes: Uint8Array, start: number, length: number, position: number): number {
    const inode = this.#live('write');
    const grown = Math.max(0, position + length - inode.usedBytes);
    const granted = length - Math.max(0, Math.min(length, grown - this.#roomBytes()));
    if (granted <= 0 && length > 0) throw createDiskError('ENOSPC', 'write', this.path);
    const end = position + granted;
    this.#reach(end);
    inode.data.set(bytes.subarray(start, start + granted), position);
    inode.sizeBytes = Math.max(inode.sizeBytes, end);
    this.#soil(position, end);
    return granted;
  }

  async read(into: Uint8Array, start: number, length: number, position: number): Promise<number> {
    const inode = this.#live('read');
    const end = Math.min(position + length, inode.sizeBytes);
    if (end <= position) return 0;
    into.fill(0, start, start + end - position);
    if (position < inode.usedBytes) {
      inode.data.copy(into, start, position, Math.min(end, inode.usedBytes));
    }
    return end - position;
  }

  async datasync(): Promise<void> {
    makeDurable(this.#live('fdatasync'));
  }

  async sync(): Promise<void> {
    makeDurable(this.#live('fsync'));
  }

  async truncate(sizeBytes: number): Promise<void> {
    const inode = this.#live('ftruncate');
    if (sizeBytes < inode.usedBytes) {
      this.#soil(sizeBytes, inode.usedBytes);
      inode.data.fill(0, sizeBytes, inode.usedBytes);
      inode.usedBytes = sizeBytes;
    }
    inode.sizeBytes = sizeBytes;
  }

  async sizeBytes(): Promise<number> {
    return this.#live('fstat').sizeBytes;
  }

  async isLinked(): Promise<boolean> {
    const inode = this.#live('fstat');
    return [...this.#state.names.values()].includes(inode);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #live(call: string): Inode {
    const isAlive = this.#isOpen && this.#life === this.#state.life;
    if (!isAlive) throw createDiskError('EBADF', call, this.path);
    return this.#inode;
  }

  #roomBytes(): number {
    return this.#state.limitBytes === null ? Infinity : spaceOf(this.#state).freeBytes;
  }

  #reach(end: number): void {
    const inode = this.#inode;
    if (end > inode.data.length) {
      const grown = Buffer.alloc(Math.max(end, inode.data.length * 2, PAGE_BYTES));
      inode.data.copy(grown, 0, 0, inode.usedBytes);
      inode.data = grown;
    }
    inode.usedBytes = Math.max(inode.usedBytes, end);
  }

  #soil(from: number, to: number): void {
    const last = Math.floor((to - 1) / PAGE_BYTES);
    for (let page = Math.floor(from / PAGE_BYTES); page <= last; page++) {
      this.#inode.dirtyPages.add(page);
    }
  }
}
