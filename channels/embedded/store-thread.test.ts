/** The database's thread: its lock, its formats, a full file, failures, batches. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSystemClock } from '#lib/time/system-clock';
import { Ballast } from './ballast.ts';
import { CellReader } from './store-request.ts';
import { StoreThread, openStoreThread } from './store-thread.ts';
import type { StoreThreadOptions } from './store-thread.ts';
import { createWaitingStore } from './waiting-store.ts';
import { bulky, leaseOf, pair } from './store-samples.ts';

const clock = createSystemClock();
let directory: string;
let fatal: Error[];
let opened: StoreThread[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-thread-'));
  fatal = [];
  opened = [];
});

afterEach(async () => {
  for (const thread of opened) await thread.close();
  await rm(directory, { recursive: true });
});

function options(overrides: Partial<StoreThreadOptions> = {}): StoreThreadOptions {
  return {
    path: path.join(directory, 'store.db'),
    databaseBytesMax: 0,
    dueAheadMsMax: 3_600_000,
    waitMs: 0,
    describeOwner: async () => 'process 4711, started long ago',
    ...overrides,
  };
}

async function open(
  overrides: Partial<StoreThreadOptions> = {},
  ballast: Ballast | null = null,
): Promise<StoreThread> {
  const deps = { clock, ballast, onFatal: (error: Error) => void fatal.push(error) };
  const thread = await openStoreThread(deps, options(overrides));
  opened.push(thread);
  return thread;
}

function code(wanted: string): (error: unknown) => true {
  return (error) => {
    assert.ok(isMeshError(error, wanted), `wanted ${wanted}, got ${String(error)}`);
    return true;
  };
}

test('a second owner is refused with the name of the first', async () => {
  await open();
  await assert.rejects(open(), (error: unknown) => {
    assert.ok(isMeshError(error, 'STORE_LOCKED'));
    assert.match(error.message, /held by process 4711, started long ago, waited 0 ms/);
    return true;
  });
});

test('a second owner waits until the first has gone', async () => {
  const first = await open();
  const second = open({ waitMs: 10_000 });
  await first.close();
  const answer = await (await second).request({ op: 'status', cells: [], bytes: null });
  assert.equal(new CellReader(answer.cells).textOrNull(), null);
});

test('a database of another format is refused and left as it is', async () => {
  const file = path.join(directory, 'store.db');
  await (await open()).close();
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 99');
  database.close();
  await assert.rejects(open(), code('STORE_FORMAT_UNKNOWN'));
  const again = new DatabaseSync(file);
  assert.equal(again.prepare('PRAGMA user_version').get()?.['user_version'], 99);
  assert.ok(again.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get('waiting'));
  again.close();
});

test('a stranger is refused: a database of something else, and no database at all', async () => {
  const file = path.join(directory, 'store.db');
  const database = new DatabaseSync(file);
  database.exec('CREATE TABLE theirs (x)');
  database.close();
  const before = await readFile(file);
  await assert.rejects(open(), code('STORE_FORMAT_UNKNOWN'));
  assert.deepEqual(await readFile(file), before);
  const text = path.join(directory, 'text.db');
  await writeFile(text, 'this is a letter to my grandmother, and it is long enough'.repeat(20));
  await assert.rejects(open({ path: text }), code('STORE_FORMAT_UNKNOWN'));
});

test('a folder that is missing says so', async () => {
  const file = path.join(directory, 'nowhere', 'store.db');
  await assert.rejects(open({ path: file }), code('STORE_UNUSABLE'));
});

test('one bad request of a batch does not fail its neighbours', async () => {
  const thread = await open();
  const waiting = createWaitingStore({ transport: thread, clock });
  const results = await Promise.allSettled([
    waiting.put([pair('t', 'a', 1)], null),
    thread.request({ op: 'settle', cells: ['no number'], bytes: null }),
    waiting.put([pair('t', 'a', 2)], null),
    thread.request({ op: 'lease', cells: [], bytes: null }),
    waiting.put([pair('t', 'a', 3)], null),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
  );
  const bad = results[1];
  assert.ok(bad?.status === 'rejected' && code('STORE_REQUEST_INVALID')(bad.reason));
  assert.equal((await waiting.peek({ countMax: 10 })).length, 3);
  assert.equal((await waiting.summary('t'))[0]?.waiting, 3);
  assert.deepEqual(fatal, []);
});

test('a full file refuses new pairs, and goes on leasing, parking and settling', async () => {
  const disk = createMemoryDisk();
  await disk.makeDirectory('/data');
  const ballast = new Ballast({ disk, directory: '/data' });
  await ballast.open();
  const thread = await open({ databaseBytesMax: 1024 * 1024 }, ballast);
  const waiting = createWaitingStore({ transport: thread, clock });
  const ids: number[] = [];
  const fill = async (): Promise<void> => {
    for (let n = 0; n < 500; n++) {
      ids.push(...(await waiting.put([pair('t', 'a', n, { record: bulky(`${n}`, 8000) })], null)));
    }
  };
  await assert.rejects(fill(), code('CHANNEL_FULL'));
  assert.ok(ids.length > 50, `${ids.length} pairs fit`);
  assert.equal(ballast.isUsedUp, true);
  await assert.rejects(waiting.put([pair('t', 'a', 900)], null), code('CHANNEL_FULL'));
  const { pairs } = await waiting.lease(leaseOf('a', clock.wallMs(), { countMax: 10 }));
  assert.equal(pairs.length, 10);
  await waiting.settle(ids.slice(0, 20));
  assert.equal((await waiting.summary('t'))[0]?.waiting, ids.length - 20);

  assert.equal(await ballast.restore(), true);
  await waiting.put([pair('t', 'a', 901)], null);
  assert.deepEqual(fatal, []);
});

test('requests that shared a batch with one that does not fit are carried out', async () => {
  const thread = await open({ databaseBytesMax: 512 * 1024 });
  const waiting = createWaitingStore({ transport: thread, clock });
  const results = await Promise.allSettled([
    waiting.put([pair('t', 'a', 1)], null),
    waiting.put([pair('t', 'a', 2, { record: bulky('big', 2_000_000) })], null),
    waiting.put([pair('t', 'a', 3)], null),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const found = await waiting.peek({ countMax: 9 });
  assert.deepEqual(
    found.map(({ source }) => source.offset),
    [1, 3],
  );
});

test('a damaged file fails every call, and is told once', async () => {
  const thread = await open();
  const waiting = createWaitingStore({ transport: thread, clock });
  for (let n = 0; n < 30; n++) {
    await waiting.put([pair('t', 'a', n, { record: bulky(`${n}`, 400_000) })], null);
  }
  await thread.close();
  const again = await open();
  await truncate(path.join(directory, 'store.db'), 64 * 1024);
  const damaged = createWaitingStore({ transport: again, clock });
  const calls = [damaged.peek({ countMax: 100 }), damaged.put([pair('t', 'b', 1)], null)];
  for (const call of calls) await assert.rejects(call, code('CHANNEL_FAILED'));
  await assert.rejects(damaged.settle([1]), code('CHANNEL_FAILED'));
  assert.equal(fatal.length, 1);
  assert.ok(isMeshError(fatal[0], 'CHANNEL_FAILED'));
});

test('a worker that dies fails every call, and is told once', async () => {
  const deps = { clock, ballast: null, onFatal: (error: Error) => void fatal.push(error) };
  // Never opened, so that the first batch finds no database: an assertion ends the worker.
  const thread = new StoreThread(deps, options());
  opened.push(thread);
  const calls = [1, 2, 3].map(() => thread.request({ op: 'status', cells: [], bytes: null }));
  for (const call of calls) await assert.rejects(call, code('CHANNEL_FAILED'));
  const later = thread.request({ op: 'status', cells: [], bytes: null });
  await assert.rejects(later, code('CHANNEL_FAILED'));
  assert.equal(fatal.length, 1);
});

test('after a close there is no log left beside the database, and calls are refused', async () => {
  const thread = await open();
  const waiting = createWaitingStore({ transport: thread, clock });
  const put = waiting.put([pair('t', 'a', 1)], null);
  await thread.close();
  assert.equal((await put).length, 1);
  await assert.rejects(waiting.settle([1]), code('CHANNEL_CLOSED'));
  const database = new DatabaseSync(path.join(directory, 'store.db'));
  assert.equal(database.prepare('SELECT count(*) AS n FROM waiting').get()?.['n'], 1);
  database.close();
});
