/** What a start finds of the last run: whole, damaged, of the future, or of older rules. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createCountingIds } from '#lib/ids/ids';
import { silentLogger } from '#lib/telemetry/log';
import { planObjects } from './object-plan.ts';
import { ObjectStateFile } from './object-state.ts';

const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-state-'));
after(() => rm(root, { recursive: true }));
const rules = { checkUrl: (text: string) => ({ ok: true, url: new URL(text) }) as const };
const file = path.join(root, 'objects.json');
const state = new ObjectStateFile(root, silentLogger);

test('it comes back as it was', async () => {
  assert.equal(await state.load(rules), null);
  const { next } = planObjects(new Map(), null, createCountingIds());
  await state.save(next);
  const loaded = await state.load(rules);
  assert.deepEqual(loaded, next);
  assert.deepEqual(await readdir(root), ['objects.json']);
});

test('an object that the rules refuse now is left out, the others are there', async () => {
  const saved = JSON.parse(await readFile(file, 'utf8')) as { objects: object[] };
  const bad = { uid: 'u', generation: 1, origin: null, raw: { kind: 'Broker' } };
  await writeFile(file, JSON.stringify({ format: 1, objects: [bad, 'x', ...saved.objects] }));
  assert.deepEqual(
    [...((await state.load(rules)) ?? new Map()).keys()],
    ['Broker default/default'],
  );
});

test('a format of the future is refused, and kept', async () => {
  await writeFile(file, '{"format":2}');
  await assert.rejects(state.load(rules), { code: 'LOCAL_STATE_UNKNOWN' });
  assert.equal(await readFile(file, 'utf8'), '{"format":2}');
});

for (const damaged of ['', '{', '[]', '{"format":"1"}', '{"format":1}']) {
  test(`a damaged file is put aside: ${damaged === '' ? '(empty)' : damaged}`, async () => {
    await writeFile(file, damaged);
    assert.equal(await state.load(rules), null);
    assert.deepEqual(await readdir(root), ['objects.json.damaged']);
  });
}
