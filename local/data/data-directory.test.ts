/** Where the data are, whose they are, and that one process holds them. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createSystemClock } from '#lib/time/system-clock';
import { dataDirectoryAt, prepareDataDirectory } from './data-directory.ts';
import { readOwner, takeDataLock } from './data-lock.ts';

const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-data-'));
after(() => rm(root, { recursive: true }));
const clock = createSystemClock();

test('the default follows XDG, then the home directory', () => {
  const at = (given: string | null, environment: Readonly<Record<string, string>>): string =>
    dataDirectoryAt(given, environment, '/here').root;
  assert.equal(at(null, { XDG_STATE_HOME: '/x', HOME: '/h' }), '/x/millrace');
  assert.equal(at(null, { XDG_STATE_HOME: 'relative', HOME: '/h' }), '/h/.local/state/millrace');
  assert.equal(at(null, { HOME: '/h' }), '/h/.local/state/millrace');
  assert.equal(at('data', { HOME: '/h' }), '/here/data');
  assert.equal(at('/data', {}), '/data');
  assert.throws(() => at(null, { HOME: '' }), { code: 'LOCAL_DATA_UNUSABLE' });
});

test('it is made for its user alone; one that others can enter is refused', async () => {
  const directory = dataDirectoryAt(path.join(root, 'deep', 'one'), {}, '/');
  await prepareDataDirectory(directory);
  await prepareDataDirectory(directory);
  for (const folder of [directory.root, directory.stateDir, directory.storeDir]) {
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
  }
  for (const mode of [0o701, 0o710, 0o740, 0o777]) {
    await chmod(directory.root, mode);
    await assert.rejects(prepareDataDirectory(directory), { code: 'LOCAL_DATA_OPEN_TO_OTHERS' });
  }
});

test('a file in its place, and a path too long for a socket, are refused', async () => {
  const file = path.join(root, 'file');
  await writeFile(file, '');
  await assert.rejects(prepareDataDirectory(dataDirectoryAt(file, {}, '/')), {
    code: 'LOCAL_DATA_UNUSABLE',
  });
  const long = path.join(root, 'x'.repeat(100));
  await assert.rejects(
    prepareDataDirectory(dataDirectoryAt(long, {}, '/')),
    /control socket is longer/,
  );
});

test('one holds it at a time, and the other is told who', async () => {
  const directory = dataDirectoryAt(path.join(root, 'locked'), {}, '/');
  await mkdir(directory.root);
  const first = await takeDataLock(directory, clock, 0);
  await assert.rejects(takeDataLock(directory, clock, 0), /another process holds it, waited 0 s/);
  const owner = { pid: 7, startedMs: 0, eventsUrl: 'http://e', adminUrl: null };
  await first.describe(owner);
  assert.deepEqual(await readOwner(directory), owner);
  await assert.rejects(
    takeDataLock(directory, clock, 0),
    /process 7 holds it since 1970-01-01T00:00:00\.000Z, it takes events at http:\/\/e, waited 0 s \(--data-dir\)/,
  );
  const waiting = takeDataLock(directory, clock, 5_000);
  await first.release();
  await first.release();
  const second = await waiting;
  await second.release();
  assert.equal(await readOwner(directory), null);
});
