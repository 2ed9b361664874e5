import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TakenPairs } from './taken-pairs.ts';

test('a pair is taken once; a new target of a known event is taken', () => {
  const taken = new TakenPairs();
  assert.deepEqual(taken.add(1, ['a', 'b']), ['a', 'b']);
  assert.deepEqual(taken.add(2, ['a']), ['a']);
  assert.deepEqual(taken.add(1, ['a', 'b']), []);
  assert.deepEqual(taken.add(1, ['b', 'c']), ['c']);
  assert.deepEqual(taken.add(1, ['a', 'b', 'c']), []);
});

test('it remembers the latest 10,000 events and no more', () => {
  const taken = new TakenPairs();
  for (let offset = 0; offset <= 10_000; offset++) taken.add(offset, ['a']);
  assert.deepEqual(taken.add(1, ['a']), []);
  assert.deepEqual(taken.add(0, ['a']), ['a'], 'the oldest was forgotten');
});
