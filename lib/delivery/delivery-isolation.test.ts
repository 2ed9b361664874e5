/** When processes die with a pair in flight: who is sent alone, who is parked, and who is innocent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineFixture } from '#test/kit/engine-fixture';
import { policyOf } from '#test/kit/event-path';

test('a pair in flight at the third death is sent alone, at the fifth it is parked', async () => {
  let life = await new EngineFixture().start();
  const begin = (): void => {
    const target = life.target('t', { policy: policyOf({ retryCount: 50 }) });
    const list = life.engine.openList(0, 2, 4_000, false);
    for (const offset of [0, 1]) life.offer(target, offset, { list });
  };
  for (const offset of [0, 1]) life.offer(life.target('t'), offset);
  assert.equal(life.sender.open.length, 2);
  for (const deaths of [1, 2, 3, 4]) {
    life = await life.restart();
    begin();
    await life.turn();
    assert.equal(life.sender.open.length, deaths < 3 ? 2 : 1, `after ${deaths} deaths`);
  }
  const [guilty] = life.sender.ids();
  for (let death = 0; death < 3; death++) {
    life = await life.restart();
    begin();
    await life.clock.advance(6_000); // what waited for its isolation is due again
  }
  const parked = (await life.rows()).filter(({ stage }) => stage === 'parked');
  assert.deepEqual(
    parked.map(({ record, failure }) => [record.event.id, failure?.reason]),
    [[guilty, 'ProcessDied']],
    'only what was in flight counts deaths',
  );
  assert.equal(life.sender.open.length, 1, 'the other is alone now');
  life.sender.answerAll(200);
  await life.turn();
  assert.deepEqual(
    (await life.rows()).map(({ stage }) => stage),
    ['parked'],
  );
});

test('isolated pairs keep their place in the window: the store is not drained into memory', async () => {
  let life = await new EngineFixture().start();
  const given = { concurrency: 4, policy: policyOf({ retryCount: 50 }) };
  for (let offset = 0; offset < 40; offset++) life.offer(life.target('t', given), offset);
  await life.persist(40);
  for (const row of await life.rows()) {
    await life.driver.waiting.put([{ ...row, deaths: 3, attempt: 1 }], null);
  }
  life = await life.restart();
  const target = life.target('t', given);
  await life.turn();
  assert.equal(life.sender.open.length, 1);
  assert.equal(target.inFlightCount, 4);
  assert.equal(target.waitingCount, 36);
  for (let count = 0; count < 40; count++) {
    life.sender.answerAll(200);
    await life.turn();
  }
  assert.equal(life.sender.openMax, 1);
  assert.equal(life.sender.log.length, 40);
});
