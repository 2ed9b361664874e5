/**
 * The files of a store with any damage: it opens, gives no event that was not written, none twice and
 * none at another place, goes on from there, and says the same after the next start. Input: which
 * store, then a plan of damage.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import {
  TOPIC,
  eventRecord,
  idsOf,
  largeRecord,
  openLog,
  readAll,
} from '#channels/embedded/log-fixture';
import type { LogEntry } from '#lib/channel/channel-driver';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import type { MemoryDisk } from '#lib/disk/memory-disk';
import { isMeshError } from '#lib/errors/mesh-error';
import { ByteReader } from '../byte-reader.ts';
import type { FuzzCheck, FuzzTarget } from '../fuzz-target.ts';

const SETTINGS = { segmentBytes: 16 * 1_024, tailCacheBytes: 0 };
const DISK_BYTES = 4 * 1_024 * 1_024;
const EVENT_COUNT = 60;
const OPERATIONS_MAX = 16;
const GROWTH_BYTES_MAX = 4_096;

/** A store as its process left it. */
interface Store {
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[];
  readonly written: ReadonlyMap<number, LogEntry>;
}

export const SEGMENT_RECOVERY: FuzzTarget = {
  name: 'segment-recovery',
  dictionary: ['MILLSEG\n', 'MILLEND\n', '\u0000\u0000\u0000\u0000', '\u00ff\u00ff\u00ff\u00ff'],
  inputBytesMax: 1_024,
  async open(): Promise<FuzzCheck> {
    const stores = [await makeStore('close'), await makeStore('kill')];
    return {
      check: (input) => holdRecovery(stores, new ByteReader(input)),
      close: async () => undefined,
    };
  },
};

async function makeStore(end: 'close' | 'kill'): Promise<Store> {
  const disk = createMemoryDisk();
  disk.limitBytes(DISK_BYTES);
  const { log } = await openLog(disk, SETTINGS);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let at = 0; at < EVENT_COUNT; at += 3) {
    const group = [at, at + 1, at + 2];
    await Promise.all(
      group.map((id) => log.append(TOPIC, largeRecord(`e${id}`, (id * 37) % 1_200))),
    );
  }
  const written = new Map((await readAll(log)).map((entry) => [entry.offset, entry]));
  assert.equal(written.size, EVENT_COUNT);
  if (end === 'kill') disk.kill();
  await log.close();
  return { files: disk.paths().map((name) => ({ name, bytes: disk.bytesOf(name) })), written };
}

async function holdRecovery(stores: readonly Store[], plan: ByteReader): Promise<void> {
  const store = stores[plan.byte() % stores.length];
  assert(store !== undefined);
  const disk = await diskOf(store);
  const touched = damage(disk, plan);
  const first = await recover(disk);
  if (first === null) {
    assert.ok(touched.size > 0, 'an undamaged store opens');
    return;
  }
  holdEntries(first.entries, store);
  holdReport(first, store, touched);
  const second = await recover(disk);
  assert.ok(second !== null, 'what was recovered opens again');
  assert.deepEqual(
    idsOf(second.entries),
    [...idsOf(first.entries), 'on'],
    'the same after a restart',
  );
}

async function diskOf(store: Store): Promise<MemoryDisk> {
  const disk = createMemoryDisk();
  disk.limitBytes(DISK_BYTES);
  for (const { name, bytes } of store.files) {
    await disk.makeDirectory(path.dirname(name));
    disk.create(name);
    disk.plant(name, bytes);
  }
  return disk;
}

/** Carries the plan out and answers the files that it changed. */
function damage(disk: MemoryDisk, plan: ByteReader): ReadonlySet<string> {
  const touched = new Set<string>();
  const files = disk.paths();
  for (let count = 0; count < OPERATIONS_MAX && !plan.isAtEnd; count += 1) {
    const name = files[plan.byte() % files.length] ?? '';
    const before = disk.bytesOf(name);
    const after = damaged(before, plan, () =>
      disk.bytesOf(files[plan.byte() % files.length] ?? name),
    );
    if (after.equals(before)) continue;
    disk.plant(name, after);
    touched.add(name);
  }
  return touched;
}

// Long because: one case per kind of damage, side by side.
function damaged(bytes: Buffer, plan: ByteReader, other: () => Buffer): Buffer {
  const at = bytes.length === 0 ? 0 : plan.word() % bytes.length;
  const changed = Buffer.from(bytes);
  switch (plan.byte() % 8) {
    case 0:
      changed[at] = (changed[at] ?? 0) ^ (1 << (plan.byte() % 8));
      return changed;
    case 1:
      plan.take(plan.byte()).copy(changed, at);
      return changed;
    case 2:
      return changed.subarray(0, at);
    case 3:
      return changed.fill(0, at, Math.min(at + plan.word(), changed.length));
    case 4:
      return Buffer.concat([changed, plan.take(plan.byte())]);
    case 5:
      return plan.rest();
    case 6: {
      const source = other();
      const from = plan.word() % Math.max(1, source.length);
      source.copy(changed, at, from, from + (plan.word() % GROWTH_BYTES_MAX));
      return changed;
    }
    default: {
      const length = plan.word() % GROWTH_BYTES_MAX;
      return Buffer.concat([changed.subarray(0, at), changed.subarray(at + length)]);
    }
  }
}

interface Recovery {
  readonly entries: readonly LogEntry[];
  readonly damaged: readonly string[];
}

/** Opens, reads all, appends one, closes. `null`: refused as of a version that is not known. */
async function recover(disk: MemoryDisk): Promise<Recovery | null> {
  let opened;
  try {
    opened = await openLog(disk, SETTINGS);
  } catch (error) {
    assert.ok(isMeshError(error) && error.code === 'EMBEDDED_FORMAT_UNKNOWN', String(error));
    return null;
  }
  const { log, damaged: reported, fatal } = opened;
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const entries = await readAll(log);
  const { offset } = await log.append(TOPIC, eventRecord('on'));
  assert.ok(offset > (entries.at(-1)?.offset ?? -1), 'no offset is given twice');
  await log.close();
  assert.deepEqual(fatal, []);
  return { entries, damaged: reported };
}

function holdEntries(entries: readonly LogEntry[], { written }: Store): void {
  let last = -1;
  for (const entry of entries) {
    assert.ok(entry.offset > last, 'offsets rise');
    last = entry.offset;
    if (entry.record.kind !== 'poison') assert.deepEqual(entry, written.get(entry.offset));
  }
  assert.ok(entries.length <= written.size, 'no more than was written');
}

/** Behind the last sealed segment a torn end is no damage; before it every loss is said. */
function holdReport(
  { entries, damaged: reported }: Recovery,
  store: Store,
  touched: ReadonlySet<string>,
): void {
  const intact = entries.filter(({ record }) => record.kind !== 'poison').length;
  if (intact === store.written.size) return;
  const last = store.files.findLast(({ name }) => name.endsWith('.seg'))?.name ?? '';
  if (!touched.has(last))
    assert.ok(reported.length > 0, `${store.written.size - intact} lost in silence`);
}
