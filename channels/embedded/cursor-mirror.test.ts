/** The mirror of pins: what was written through it, and what was there before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelError } from '#lib/channel/channel-errors';
import type { Cursor } from '#lib/channel/cursor-store';
import { CursorMirror } from './cursor-mirror.ts';
import { createCursorStore } from './cursor-store.ts';
import type { Cell, StoreTransport } from './store-request.ts';
import { reply } from './store-request.ts';

function transport(stored: readonly Cell[] = []): StoreTransport & { refuses: boolean } {
  return {
    refuses: false,
    async request({ op }) {
      if (this.refuses) throw channelError('CHANNEL_EPOCH_STALE', 'refused');
      return reply(op === 'cursorMarks' ? stored : []);
    },
  };
}

function cursor(name: string, offset: number, fields: Partial<Cursor> = {}): Cursor {
  const base = { partition: 0, role: 'control', epoch: 0, pins: true, metadata: '' } as const;
  return { name, offset, ...base, ...fields };
}

test('starts with what is stored', async () => {
  const mirror = new CursorMirror(transport(['t', 'a', 0, 7, 1, 't', 'b', 0, 3, 0]));
  await mirror.load();
  assert.equal(mirror.lowestPin('t', 0), 7);
  assert.equal(mirror.lowestPin('t', 1), null);
  assert.equal(mirror.lowestPin('u', 0), null);
});

test('follows commits, creations and removals, per partition', async () => {
  const mirror = new CursorMirror(transport());
  const cursors = createCursorStore(mirror);
  await cursors.commit('t', [cursor('a', 10), cursor('a', 4, { partition: 1 }), cursor('b', 6)]);
  assert.deepEqual([mirror.lowestPin('t', 0), mirror.lowestPin('t', 1)], [6, 4]);
  await cursors.commit('t', [cursor('b', 20)]);
  assert.equal(mirror.lowestPin('t', 0), 10);
  await cursors.create('t', [cursor('a', 1), cursor('c', 5)]);
  assert.equal(mirror.lowestPin('t', 0), 5);
  await cursors.commit('t', [cursor('c', 5, { pins: false })]);
  assert.equal(mirror.lowestPin('t', 0), 10);
  await cursors.create('t', [cursor('c', 2)]);
  assert.equal(mirror.lowestPin('t', 0), 10);
  await cursors.remove('t', ['b'], 1);
  await cursors.remove('t', ['a'], 1);
  assert.deepEqual([mirror.lowestPin('t', 0), mirror.lowestPin('t', 1)], [10, null]);
  await cursors.remove('t', ['a']);
  assert.deepEqual([mirror.lowestPin('t', 0), mirror.lowestPin('t', 1)], [20, null]);
  assert.deepEqual(
    [...mirror.pins()].map(({ name, offset }) => [name, offset]),
    [['b', 20]],
  );
  await mirror.request({ op: 'topicRemove', cells: ['t'], bytes: null });
  assert.equal(mirror.lowestPin('t', 0), null);
});

test('a refused write changes nothing', async () => {
  const inner = transport();
  const mirror = new CursorMirror(inner);
  const cursors = createCursorStore(mirror);
  await cursors.commit('t', [cursor('a', 3)]);
  inner.refuses = true;
  await assert.rejects(cursors.commit('t', [cursor('a', 9)]));
  assert.equal(mirror.lowestPin('t', 0), 3);
});
