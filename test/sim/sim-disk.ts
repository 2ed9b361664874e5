/**
 * The disk of the simulation as one process sees it: the memory disk behind time, faults and a gate.
 * Calls take time and may be short, refused or fail; those of a dead process never come back. What a
 * crash keeps of unsynced writes is the memory disk's business.
 */
import type { Disk, DiskFile } from '#lib/disk/disk';
import { withDiskFaults } from '#lib/disk/faulty-disk';
import type { DiskFaultPlan } from '#lib/disk/faulty-disk';
import type { MemoryDisk } from '#lib/disk/memory-disk';
import type { Random } from '#lib/random/random';
import type { Life } from './life.ts';

export interface SimDiskDeps {
  readonly disk: MemoryDisk;
  readonly life: Life;
  readonly random: Random;
  /** Milliseconds of a sync; other calls take a tenth. */
  readonly syncMs: number;
  readonly faults: DiskFaultPlan;
}

export function createSimDisk(deps: SimDiskDeps): Disk {
  const { life, random } = deps;
  const slowly = <Value>(work: () => Promise<Value>, share: number): Promise<Value> =>
    new Promise((resolve, reject) => {
      const delayMs = share * deps.syncMs * (0.2 + random.float() * 1.6);
      // Carried out somewhere in the middle: a crash before it means that nothing was done.
      life.later(delayMs * random.float(), () => {
        life.answer(work(), () => delayMs * random.float()).then(resolve, reject);
      });
    });
  const inner = withDiskFaults(deps.disk, deps.faults);
  const quick = <Value>(work: () => Promise<Value>): Promise<Value> => slowly(work, 0.1);
  const file = (opened: DiskFile): DiskFile => ({
    path: opened.path,
    write: (bytes, start, length, position) =>
      quick(() => opened.write(bytes, start, length, position)),
    writeNow: (bytes, start, length, position) => opened.writeNow(bytes, start, length, position),
    read: (into, start, length, position) =>
      quick(() => opened.read(into, start, length, position)),
    datasync: () => slowly(() => opened.datasync(), 1),
    sync: () => slowly(() => opened.sync(), 1),
    truncate: (sizeBytes) => quick(() => opened.truncate(sizeBytes)),
    sizeBytes: () => quick(() => opened.sizeBytes()),
    isLinked: () => quick(() => opened.isLinked()),
    close: () => quick(() => opened.close()),
  });
  return {
    open: (path, mode) => quick(async () => file(await inner.open(path, mode))),
    list: (path) => quick(() => inner.list(path)),
    makeDirectory: (path) => quick(() => inner.makeDirectory(path)),
    rename: (from, to) => quick(() => inner.rename(from, to)),
    removeFile: (path) => quick(() => inner.removeFile(path)),
    removeDirectory: (path) => quick(() => inner.removeDirectory(path)),
    syncDirectory: (path) => slowly(() => inner.syncDirectory(path), 1),
    space: (path) => quick(() => inner.space(path)),
  };
}
