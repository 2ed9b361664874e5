import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, recordOf } from '#test/kit/event-path';
import { createPair } from './pair.ts';
import type { Pair } from './pair.ts';
import { RecoveredPairs } from './recovered-pairs.ts';
import { Target } from './target.ts';

/** A store with e1 parked, e2 and e3 waiting in a lane, e4 waiting without one. */
async function stored(): Promise<EngineFixture> {
  const fixture = await new EngineFixture().start();
  const plain = fixture.target('t');
  fixture.offer(plain, 1);
  fixture.sender.answerAll(400);
  fixture.offer(plain, 4);
  fixture.sender.answerAll(503);
  const ordered = fixture.target('o', { isOrdered: true });
  for (const offset of [2, 3]) fixture.offer(ordered, offset, { key: 'k' });
  fixture.sender.answerAll(503);
  await fixture.turn();
  return fixture;
}

function pairOf(target: Target, offset: number): Pair {
  const source = { topic: TOPIC, partition: 0, offset, sizeBytes: 1, mark: offset };
  return createPair(target, source, recordOf(eventOf(`e${offset}`), { key: 'k' }));
}

test('a target that appears gets its counts and its lanes, once', async () => {
  const fixture = await stored();
  const recovered = new RecoveredPairs(fixture.driver.waiting);
  await recovered.load(TOPIC, new Map([[0, 0]]));
  const plain = new Target(fixture.settings('t'));
  recovered.adopt(plain);
  assert.deepEqual([plain.waitingCount, plain.parkedCount], [1, 1]);
  assert.ok(plain.nextDueMs < Infinity);
  const ordered = new Target(fixture.settings('o', { isOrdered: true }));
  recovered.adopt(ordered);
  assert.equal(ordered.push(pairOf(ordered, 9)), false, 'its lane waits in the store');
  const again = new Target(fixture.settings('t'));
  recovered.adopt(again);
  assert.equal(again.waitingCount, 0);
  assert.equal(again.nextDueMs, Infinity);
});

test('after an unclean end: what the store holds is not offered again, the rest is pre-written', async () => {
  const fixture = await stored();
  const recovered = new RecoveredPairs(fixture.driver.waiting);
  recovered.wasUnclean = true;
  await recovered.load(TOPIC, new Map([[0, 4]]));
  const target = new Target(fixture.settings('t'));
  assert.equal(recovered.admit(pairOf(target, 4)), false);
  assert.equal(recovered.admit(pairOf(target, 4)), true, 'once: a replay is another matter');
  const fresh = pairOf(target, 5);
  assert.equal(recovered.admit(fresh), true);
  assert.equal(fresh.needsPrewrite, true);
  const below = pairOf(target, 1); // below every reader's position: nobody reads it again by itself
  assert.equal(recovered.admit(below), true);
});
