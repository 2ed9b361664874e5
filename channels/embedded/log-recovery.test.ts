/** What recovery keeps, cuts off, sets aside and refuses: torn ends, damage in every place, crashes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry } from '#lib/channel/channel-driver';
import fc from 'fast-check';
import { withDiskFaults } from '#lib/disk/faulty-disk';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import type { MemoryDisk } from '#lib/disk/memory-disk';
import { createSeededRandom } from '#lib/random/random';
import type { Random } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import type { EmbeddedLog } from './embedded-log.ts';
import { crc32cBytes } from './log-crc32c.ts';
import {
  eventRecord,
  idsOf,
  largeRecord,
  nextTurn,
  openLog,
  readAll,
  ROOT,
  TOPIC,
} from './log-fixture.ts';
import { openLogReadOnly } from './log-read-only.ts';
import { HEADER_BYTES, TRAILER_BYTES } from './segment-format.ts';

const FOLDER = '/data/log/default%2Forders/0';
const FIRST = `${FOLDER}/00000000000000000000.seg`;
const SMALL = { segmentBytes: 64 * 1024, tailCacheBytes: 0 };

/** A killed process: nothing is closed, everything written stays. */
async function writeAndKill(disk: MemoryDisk, ids: readonly string[], bytes = 20): Promise<void> {
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (const id of ids) await log.append(TOPIC, largeRecord(id, bytes));
  disk.kill();
}

/** Where the frames of a killed process' segment end: behind the last byte that is not zero. */
function endOfFrames(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return (end + 7) & ~7;
}

async function idsAfterRestart(disk: MemoryDisk): Promise<string[]> {
  const { log, damaged } = await openLog(disk, SMALL);
  assert.deepEqual(damaged, []);
  const ids = idsOf(await readAll(log));
  const { offset } = await log.append(TOPIC, eventRecord('next'));
  assert.equal(offset, ids.length);
  assert.deepEqual(idsOf(await readAll(log)), [...ids, 'next']);
  await log.close();
  return ids;
}

test('a record torn at any byte is dropped, and nothing before it', async () => {
  const disk = createMemoryDisk();
  disk.limitBytes(2 * 1024 * 1024);
  await writeAndKill(disk, ['a', 'b']);
  const short = endOfFrames(disk.bytesOf(FIRST));
  await writeAndKill(disk, ['c']);
  const whole = disk.bytesOf(FIRST);
  const end = endOfFrames(whole);
  for (let cut = short; cut < end; cut++) {
    // The last bytes of a frame may be padding: zeros are then what was to be written.
    const hasLoss = whole.subarray(cut, end).some((byte) => byte !== 0);
    for (const fill of ['cut', 'zero', 'junk']) {
      const bytes = fill === 'cut' ? Buffer.from(whole.subarray(0, cut)) : Buffer.from(whole);
      if (fill === 'zero') bytes.fill(0, cut);
      if (fill === 'junk') bytes.fill(0xd7, cut, end);
      const expected = hasLoss || fill !== 'zero' ? ['a', 'b'] : ['a', 'b', 'c'];
      disk.plant(FIRST, bytes);
      assert.deepEqual(await idsAfterRestart(disk), expected, `${fill} at ${cut}`);
    }
  }
});

test('a stale tail, of another file or of this one with other records, is no record', async () => {
  const disk = createMemoryDisk();
  await writeAndKill(disk, ['a', 'b']);
  const end = endOfFrames(disk.bytesOf(FIRST));
  const other = createMemoryDisk();
  await writeAndKill(other, ['a', 'b', 'stale-1', 'stale-2']);
  const reused = other.bytesOf(FIRST);
  disk.bytesOf(FIRST).copy(reused, 0, 0, end);
  disk.plant(FIRST, reused);
  assert.deepEqual(await idsAfterRestart(disk), ['a', 'b']);
});

test('a torn flush of several records, in which a later one survived, was not acknowledged', async () => {
  const disk = createMemoryDisk();
  await writeAndKill(disk, ['a']);
  const start = endOfFrames(disk.bytesOf(FIRST));
  const { log } = await openLog(disk, SMALL);
  await Promise.all(['b', 'c', 'd'].map((id) => log.append(TOPIC, largeRecord(id, 20))));
  disk.kill();
  const bytes = disk.bytesOf(FIRST);
  bytes.fill(0, start, start + 40);
  disk.plant(FIRST, bytes);
  assert.deepEqual(await idsAfterRestart(disk), ['a']);
});

test('damage in the last segment before later flushes is reported, and never cut off', async () => {
  const disk = createMemoryDisk();
  await writeAndKill(disk, ['a']);
  const start = endOfFrames(disk.bytesOf(FIRST));
  await writeAndKill(disk, ['b', 'c', 'd']);
  const bytes = disk.bytesOf(FIRST);
  bytes[start + 50] = (bytes[start + 50] ?? 0) ^ 1;
  disk.plant(FIRST, bytes);
  const { log, damaged } = await openLog(disk, SMALL);
  assert.equal(damaged.length, 1);
  assert.match(damaged[0] ?? '', /unreadable: offsets 1 to 1/);
  assert.deepEqual(idsOf(await readAll(log)), ['a', 'poison', 'c', 'd']);
  assert.equal((await log.append(TOPIC, eventRecord('e'))).offset, 4);
  assert.deepEqual(idsOf(await readAll(log)), ['a', 'poison', 'c', 'd', 'e']);
  assert.ok(disk.paths().includes(`${FIRST}.damaged`));
  await log.close();
});

interface ClosedStore {
  readonly disk: MemoryDisk;
  readonly entries: readonly LogEntry[];
  readonly paths: readonly string[];
}

/** Three segments, the first two sealed. */
async function closedStore(): Promise<ClosedStore> {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  for (let at = 0; at < 100; at++) await log.append(TOPIC, largeRecord(`e${at}`, 1200));
  const entries = await readAll(log);
  await log.close();
  const paths = disk.paths().filter((path) => path.endsWith('.seg'));
  assert.equal(paths.length, 3);
  return { disk, entries, paths };
}

test('a bit flipped anywhere in a closed segment is found, set aside, and never delivered', async () => {
  const { disk, entries, paths } = await closedStore();
  const [path = ''] = paths;
  const whole = disk.bytesOf(path);
  const footer = whole.length - TRAILER_BYTES - 24;
  const frame = HEADER_BYTES + 3 * (entries[0]?.sizeBytes ?? 0);
  const places: Readonly<Record<string, readonly [number, number]>> = {
    'header, first copy': [9, 0],
    'header, second copy': [HEADER_BYTES / 2 + 33, 0],
    checksum: [frame, 1],
    length: [frame + 4, 1],
    'length, high byte': [frame + 7, 1],
    offset: [frame + 8, 1],
    time: [frame + 17, 1],
    'index in flush': [frame + 24, 1],
    kind: [frame + 28, 1],
    spare: [frame + 30, 1],
    payload: [frame + 300, 1],
    'the last frame': [footer - 100, 1],
    index: [footer + 3, 0],
    trailer: [whole.length - 50, 0],
  };
  for (const [place, [at, lost]] of Object.entries(places)) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    const copy = createMemoryDisk();
    await openAndClose(copy);
    for (const each of paths) plantNew(copy, each, each === path ? bytes : disk.bytesOf(each));
    const { log, damaged } = await openLog(copy, SMALL);
    const found = await readAll(log);
    const reader = await log.read(TOPIC, 0, 30);
    assert.equal((await reader.next(1, 1))[0]?.offset, 30, place);
    reader.close();
    assert.equal(damaged.length, 1, `${place}: ${damaged.join()}`);
    assert.equal(log.usage().quarantined.length, 1, place);
    assert.equal(found.filter(({ record }) => record.kind === 'poison').length, lost, place);
    const intact = new Map(entries.map((entry) => [entry.offset, entry]));
    for (const entry of found) {
      if (entry.record.kind !== 'poison') assert.deepEqual(entry, intact.get(entry.offset), place);
    }
    assert.equal(found.length, entries.length, `${place}: all others are served`);
    assert.equal((await log.append(TOPIC, eventRecord('on'))).offset, 100);
    await log.close();
    assert.ok(copy.paths().includes(`${path}.damaged`), place);
    const again = await openLog(copy, SMALL);
    assert.equal(again.log.usage().quarantined.length, 1, `${place}: still said after a restart`);
    assert.equal((await readAll(again.log)).length, 101);
    await again.log.close();
  }
});

async function openAndClose(disk: MemoryDisk): Promise<void> {
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  await log.append(TOPIC, eventRecord('placeholder'));
  await log.close();
}

/** Replaces the file, or makes it by way of the disk's own calls. */
function plantNew(disk: MemoryDisk, path: string, bytes: Buffer): void {
  if (!disk.paths().includes(path)) disk.create(path);
  disk.plant(path, bytes);
}

test('a segment that is gone or of another topic is reported, and its offsets are a poison', async () => {
  for (const kind of ['gone', 'foreign', 'headless']) {
    const { disk, entries, paths } = await closedStore();
    const [, second = ''] = paths;
    const bytes = disk.bytesOf(second);
    if (kind === 'gone') await disk.removeFile(second);
    if (kind === 'foreign') {
      for (const at of [0, HEADER_BYTES / 2]) {
        bytes.writeUInt32LE(7, at + 48);
        const copy = bytes.subarray(at, at + HEADER_BYTES / 2);
        copy.writeUInt32LE(crc32cBytes(copy, 12, copy.length), 8);
      }
      disk.plant(second, bytes);
    }
    if (kind === 'headless') {
      bytes.fill(1, 0, HEADER_BYTES);
      bytes.fill(1, bytes.length - TRAILER_BYTES);
      disk.plant(second, bytes);
    }
    const { log, damaged } = await openLog(disk, SMALL);
    assert.ok(damaged.length >= 1, kind);
    const found = await readAll(log);
    const poison = found.filter(({ record }) => record.kind === 'poison');
    assert.equal(poison.length, 1, kind);
    const lost = entries.length - (found.length - 1);
    assert.ok(lost > 30 && lost < 60, `${kind}: ${lost}`);
    assert.equal((await log.append(TOPIC, eventRecord('on'))).offset, 100);
    await log.close();
  }
});

test('a last segment without a readable header gives none of its offsets out again', async () => {
  const disk = createMemoryDisk();
  await writeAndKill(disk, ['a', 'b', 'c']);
  const bytes = disk.bytesOf(FIRST);
  bytes.fill(3, 0, HEADER_BYTES);
  disk.plant(FIRST, bytes);
  const { log, damaged } = await openLog(disk, SMALL);
  assert.equal(damaged.length, 1);
  assert.ok((await log.append(TOPIC, eventRecord('d'))).offset >= 3);
  assert.deepEqual(idsOf(await readAll(log)), ['poison', 'd']);
  await log.close();
});

/** The header is gone, and there never was a footer. */
function makeUnreadable(disk: MemoryDisk, path: string): void {
  const bytes = disk.bytesOf(path).subarray(0, HEADER_BYTES + 400);
  disk.plant(path, Buffer.from(bytes).fill(3, 0, HEADER_BYTES));
}

test('an unreadable last segment holds no reader up, on a full disk neither', async () => {
  for (const isFull of [false, true]) {
    for (const count of [1, 3]) {
      const { disk, paths } = await closedStore();
      for (const path of paths.slice(count)) await disk.removeFile(path);
      const last = paths[count - 1] ?? '';
      makeUnreadable(disk, last);
      const refusing = withDiskFaults(disk, (call) =>
        isFull && call.name === 'write' ? { kind: 'error', code: 'ENOSPC' } : null,
      );
      const { log, damaged } = await openLog(refusing, SMALL);
      assert.match(damaged.join(), /its header is damaged/);
      const base = Number(last.slice(-24, -4));
      const entries = await readAll(log);
      assert.deepEqual(entries.at(-1)?.record.kind, 'poison');
      assert.equal(entries.at(-1)?.offset, base);
      assert.equal(entries.length, base + 1, 'everything before it is served');
      const [{ next = 0 } = {}] = await log.ends(TOPIC);
      const late = await log.read(TOPIC, 0, base + 5);
      assert.deepEqual(idsOf(await late.next(9, 1e6)), ['poison']);
      assert.equal(late.position, next);
      late.close();
      await log.close();
      const again = await openLog(disk, SMALL);
      assert.equal((await again.log.append(TOPIC, eventRecord('on'))).offset, next);
      assert.deepEqual(idsOf(await readAll(again.log)).slice(base), ['poison', 'on']);
      await again.log.close();
    }
  }
});

test('a damaged, empty segment behind a gap holds no reader up', async () => {
  for (const isFirst of [false, true]) {
    const { disk, paths } = await closedStore();
    for (const path of paths.slice(isFirst ? 0 : 1)) await disk.removeFile(path);
    const base = 70;
    const empty = `${FOLDER}/${String(base).padStart(20, '0')}.seg`;
    plantNew(disk, empty, Buffer.alloc(HEADER_BYTES, 3));
    const { log, damaged } = await openLog(disk, SMALL);
    assert.match(damaged.join(), /its header is damaged/);
    const reader = await log.read(TOPIC, 0, 60);
    const append = log.append(TOPIC, eventRecord('on'));
    const ids: string[] = [];
    while (ids.at(-1) !== 'on') ids.push(...idsOf(await reader.next(9, 1e6)));
    // What lies before the first segment may have been removed by retention.
    assert.deepEqual(ids, isFirst ? ['on'] : ['poison', 'on']);
    assert.equal((await append).offset, base);
    reader.close();
    await log.close();
    const again = await openLog(disk, SMALL);
    assert.equal((await again.log.append(TOPIC, eventRecord('more'))).offset, base + 1);
    await again.log.close();
  }
});

test('a version that is not ours is refused, and no byte is changed', async () => {
  for (const kind of ['segment', 'topic']) {
    const { disk, paths } = await closedStore();
    const path = kind === 'segment' ? (paths[1] ?? '') : '/data/log/default%2Forders/topic.json';
    const bytes = disk.bytesOf(path);
    if (kind === 'segment') {
      for (const at of [0, HEADER_BYTES / 2]) {
        bytes.writeUInt32LE(2, at + 12);
        const copy = bytes.subarray(at, at + HEADER_BYTES / 2);
        copy.writeUInt32LE(crc32cBytes(copy, 12, copy.length), 8);
      }
      disk.plant(path, bytes);
    } else {
      disk.plant(path, Buffer.from('{"format":2,"name":"from the future"}'));
    }
    const before = disk.paths().map((each) => [each, disk.bytesOf(each)] as const);
    await assert.rejects(openLog(disk, SMALL), {
      code: 'EMBEDDED_FORMAT_UNKNOWN',
      message: /version 2, known is 1/,
    });
    for (const [each, content] of before) assert.deepEqual(disk.bytesOf(each), content, each);
  }
});

test('a damaged or missing topic.json is rebuilt from the segments', async () => {
  for (const kind of ['damaged', 'missing']) {
    const { disk, entries } = await closedStore();
    const path = '/data/log/default%2Forders/topic.json';
    if (kind === 'damaged') disk.plant(path, Buffer.from('{"format":1,"topic":'));
    else await disk.removeFile(path);
    const { log, damaged } = await openLog(disk, SMALL);
    assert.equal(damaged.length, 1);
    assert.deepEqual(idsOf(await readAll(log)), idsOf(entries));
    await log.close();
  }
});

test('a topic.json with another name or number than its folders is rebuilt, once', async () => {
  for (const text of ['{"format":1,"topic":"default/ordert","partitions":1}', 'partitions']) {
    const { disk, entries } = await closedStore();
    const path = '/data/log/default%2Forders/topic.json';
    for (const partitions of text === 'partitions' ? [2, 9e15] : [1]) {
      const meta = { format: 1, topic: TOPIC, partitions };
      disk.plant(path, Buffer.from(text === 'partitions' ? JSON.stringify(meta) : text));
      const { log, damaged } = await openLog(disk, SMALL);
      assert.equal(damaged.length, 1, damaged.join());
      assert.deepEqual(log.topics(), [TOPIC]);
      assert.deepEqual(idsOf(await readAll(log)), idsOf(entries));
      await log.close();
      const again = await openLog(disk, SMALL);
      assert.deepEqual(again.damaged, [], 'it was written again');
      assert.deepEqual(idsOf(await readAll(again.log)), idsOf(entries));
      await again.log.close();
    }
  }
});

test('a topic.json with too few partitions hides none that has events', async () => {
  const disk = createMemoryDisk();
  const { log } = await openLog(disk, SMALL);
  await log.ensureTopic(TOPIC, { partitions: 3 });
  for (let at = 0; at < 12; at++)
    await log.append(TOPIC, eventRecord(`${at}`, { key: `key-${at}` }));
  const counts = (await log.ends(TOPIC)).map(({ next }) => next);
  assert.ok(
    counts.every((count) => count > 0),
    counts.join(),
  );
  await log.close();
  const path = '/data/log/default%2Forders/topic.json';
  disk.plant(path, Buffer.from(JSON.stringify({ format: 1, topic: TOPIC, partitions: 1 })));
  const { log: opened, damaged } = await openLog(disk, SMALL);
  assert.equal(damaged.length, 1);
  assert.deepEqual(
    (await opened.ends(TOPIC)).map(({ next }) => next),
    counts,
  );
  await opened.close();
});

/** One life of a process that is cut off at a random moment; fills in what it was told. */
async function liveAndDie(
  disk: MemoryDisk,
  random: Random,
  life: number,
  acknowledged: Map<number, string>,
  sent: Set<string>,
  seen: Map<number, string>,
): Promise<void> {
  const { log, damaged } = await openLog(disk, { segmentBytes: 64 * 1024 });
  assert.deepEqual(damaged, []);
  await log.ensureTopic(TOPIC, { partitions: 1 });
  const reader = await log.read(TOPIC, 0, random.below(2) === 0 ? 0 : seen.size);
  const reading = (async () => {
    for (;;) {
      const entries = await reader.next(50, 1e6);
      if (entries.length === 0) return;
      for (const [at, id] of idsOf(entries).entries()) seen.set(entries[at]?.offset ?? -1, id);
    }
  })().catch(() => undefined);
  const appends: Promise<void>[] = [];
  const turns = random.below(40);
  for (let turn = 0; turn < turns; turn++) {
    for (let at = random.below(6); at > 0; at--) {
      const id = `${life}-${appends.length}`;
      sent.add(id);
      const append = log.append(TOPIC, largeRecord(id, random.below(9000)));
      const note = append.then(({ offset }) => void acknowledged.set(offset, id));
      appends.push(note.catch(() => undefined));
    }
    await nextTurn();
  }
  const isClean = random.below(8) === 0;
  if (isClean) await log.close();
  if (random.below(4) === 0) disk.kill();
  else disk.crash(random);
  await log.close();
  await Promise.all([...appends, reading]);
}

test('crashes at random moments: what was acknowledged or read stays, and nothing else appears', async () => {
  const seeds = 30;
  for (let seed = 1; seed <= seeds; seed++) {
    const random = createSeededRandom(seed);
    const disk = createMemoryDisk();
    disk.limitBytes(8 * 1024 * 1024);
    const acknowledged = new Map<number, string>();
    const seen = new Map<number, string>();
    const sent = new Set<string>();
    for (let life = 0; life < 8; life++) {
      await liveAndDie(disk, random, life, acknowledged, sent, seen);
      const { log, damaged } = await openLog(disk);
      const label = `seed ${seed} life ${life}`;
      assert.deepEqual(damaged, [], label);
      const entries = log.topics().length === 0 ? [] : await readAll(log);
      const ids = idsOf(entries);
      entries.forEach(({ offset }, at) => assert.equal(offset, at, label));
      for (const [offset, id] of acknowledged) assert.equal(ids[offset], id, `${label} told`);
      for (const [offset, id] of seen) assert.equal(ids[offset], id, `${label} read`);
      for (const id of ids) assert.ok(sent.has(id), `${label} never sent ${id}`);
      disk.crash(random);
      await log.close();
    }
  }
});

test('closed segments are not read at start, and the last one only once', async () => {
  const { disk, paths } = await closedStore();
  const { log } = await openLog(disk, SMALL);
  for (let at = 0; at < 20; at++) await log.append(TOPIC, largeRecord(`${at}`, 1000));
  disk.kill();
  const readBytes = new Map<string, number>();
  const counting = withDiskFaults(disk, (call) => {
    if (call.name === 'read') {
      readBytes.set(call.path, (readBytes.get(call.path) ?? 0) + call.length);
    }
    return null;
  });
  const again = await openLog(counting, SMALL);
  for (const path of paths.slice(0, -1)) {
    assert.equal(readBytes.get(path), HEADER_BYTES + TRAILER_BYTES);
  }
  const last = readBytes.get(paths.at(-1) ?? '') ?? 0;
  assert.ok(last < 200_000, `${last} bytes of the last one`);
  await again.log.close();
});

interface Change {
  readonly file: number;
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly isCut: boolean;
}

function applyChange(disk: MemoryDisk, path: string, { at, bytes, isCut }: Change): void {
  const changed = disk.bytesOf(path);
  if (isCut) {
    disk.plant(path, changed.subarray(0, at));
    return;
  }
  const place = Math.min(at, changed.length);
  changed.set(bytes.subarray(0, changed.length - place), place);
  disk.plant(path, changed);
}

/** Every event is one that was stored, and a poison stands before everything that is left out. */
function checkEntries(
  found: readonly LogEntry[],
  originals: ReadonlyMap<number, LogEntry>,
): number {
  let next = 0;
  let mayJump = false;
  for (const entry of found) {
    assert.ok(mayJump ? entry.offset >= next : entry.offset === next, `${entry.offset}: ${next}`);
    next = entry.offset + 1;
    mayJump = entry.record.kind === 'poison';
    if (!mayJump) assert.deepEqual(entry, originals.get(entry.offset));
  }
  return next;
}

/** What a read-only process beside the owner reads. */
async function readBeside(disk: MemoryDisk, owner: EmbeddedLog): Promise<LogEntry[]> {
  const [{ first = 0, next = 0 } = {}] = await owner.ends(TOPIC);
  const beside = openLogReadOnly({ disk, logger: silentLogger }, { directory: ROOT });
  beside.announceEnd(TOPIC, 0, next);
  const reader = await beside.read(TOPIC, 0, first);
  const found: LogEntry[] = [];
  while (reader.position < next) found.push(...(await reader.next(100, 1e6)));
  beside.close();
  return found;
}

test('any bytes in place of a segment: recovery goes on, and every event read is a true one', async () => {
  const { disk, entries, paths } = await closedStore();
  const originals = new Map(entries.map((entry) => [entry.offset, entry]));
  const change: fc.Arbitrary<Change> = fc.record({
    file: fc.nat({ max: paths.length - 1 }),
    at: fc.oneof(fc.nat({ max: 70_000 }), fc.nat({ max: HEADER_BYTES + 50 })),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 3000 }),
    isCut: fc.boolean(),
  });
  const headless: readonly Change[] = [
    { file: 2, at: 4097, bytes: Uint8Array.of(0), isCut: true },
    { file: 2, at: 2046, bytes: Uint8Array.of(0, 1, 0), isCut: false },
  ];
  const still = { wallMs: () => 1_800_000_000_000 };
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const copy = createMemoryDisk();
      copy.limitBytes(4 * 1024 * 1024);
      await openAndClose(copy);
      for (const path of paths) plantNew(copy, path, disk.bytesOf(path));
      for (const each of changes) applyChange(copy, paths[each.file] ?? '', each);
      const { log } = await openLog(copy, SMALL, still);
      const found = await readAll(log);
      const next = checkEntries(found, originals);
      checkEntries(await readBeside(copy, log), originals);
      const on = await log.append(TOPIC, eventRecord('on'));
      assert.ok(on.offset >= next);
      await log.close();
      const again = await openLog(copy, SMALL, still);
      const later = await readAll(again.log);
      assert.deepEqual(later.slice(0, -1), found);
      assert.equal(later.at(-1)?.offset, on.offset);
      await again.log.close();
    }),
    { numRuns: 60, examples: [[[...headless]]] },
  );
});
