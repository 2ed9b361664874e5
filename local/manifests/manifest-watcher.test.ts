/** A change is told once it keeps still; what did not change is not told. */
import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createSystemClock } from '#lib/time/system-clock';
import { ManifestWatcher } from './manifest-watcher.ts';

const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-watch-'));
after(() => rm(root, { recursive: true }));

test('new, replaced and removed files are told', async () => {
  const file = path.join(root, 'a.yaml');
  await writeFile(file, 'a: 1');
  let tellCount = 0;
  let wake = (): void => undefined;
  const onChange = (): void => {
    tellCount += 1;
    wake();
  };
  const watcher = new ManifestWatcher({ clock: createSystemClock(), onChange }, [root, file]);
  await watcher.start();
  const changes: readonly (() => Promise<void>)[] = [
    () => writeFile(path.join(root, 'b.yaml'), 'b: 1'),
    async () => {
      await writeFile(`${file}.new`, 'a: 2');
      await rename(`${file}.new`, file);
    },
    () => rm(path.join(root, 'b.yaml')),
  ];
  for (const change of changes) {
    const told = new Promise<void>((resolve) => {
      wake = resolve;
    });
    await change();
    await told;
  }
  watcher.close();
  assert.ok(tellCount >= changes.length);
});
