/**
 * The port for files on the operating system. Raw descriptors and callbacks instead of FileHandle:
 * one promise per call and nothing for the garbage collector to close. Used by every real process.
 */
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import type { Disk, DiskFile, DiskSpace, OpenMode } from './disk.ts';

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
};

/** Files are created readable by their owner alone: they hold event data. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export function createRealDisk(): Disk {
  return {
    open: openFile,
    list: (path) => fsPromises.readdir(path),
    async makeDirectory(path) {
      await fsPromises.mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
    },
    rename: (from, to) => fsPromises.rename(from, to),
    removeFile: (path) => fsPromises.unlink(path),
    removeDirectory: (path) => fsPromises.rmdir(path),
    syncDirectory,
    space,
  };
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await fsPromises.open(path, fs.constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function space(path: string): Promise<DiskSpace> {
  const stat = await fsPromises.statfs(path);
  return { freeBytes: stat.bavail * stat.bsize, totalBytes: stat.blocks * stat.bsize };
}

function openFile(path: string, mode: OpenMode): Promise<DiskFile> {
  return new Promise((resolve, reject) => {
    fs.open(path, FLAGS[mode], FILE_MODE, (error, fd) => {
      if (error === null) resolve(new RealFile(path, fd));
      else reject(error);
    });
  });
}

class RealFile implements DiskFile {
  readonly path: string;
  #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(this.#fd, bytes, start, length, position, (error, written) => {
        if (error === null) resolve(written);
        else reject(error);
      });
    });
  }

  writeNow(bytes: Uint8Array, start: number, length: number, position: number): number {
    return fs.writeSync(this.#fd, bytes, start, length, position);
  }

  read(into: Uint8Array, start: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#fd, into, start, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fsync(this.#fd, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, sizeBytes, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  sizeBytes(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => {
        if (error === null) resolve(stats.size);
        else reject(error);
      });
    });
  }

  isLinked(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => {
        if (error === null) resolve(stats.nlink > 0);
        else reject(error);
      });
    });
  }

  close(): Promise<void> {
    const fd = this.#fd;
    if (fd < 0) return Promise.resolve();
    this.#fd = -1;
    return new Promise((resolve, reject) => {
      fs.close(fd, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}
