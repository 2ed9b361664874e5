import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StartPosition } from '#lib/contract/routing';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, recordOf } from '#test/kit/event-path';
import {
  decodeReaderState,
  dropFrozen,
  encodeReaderState,
  ensureTriggers,
  OWN_PREFIX,
  READER_PREFIX,
  START_PREFIX,
  startOffsets,
  withFormer,
} from './trigger-cursors.ts';

const KEY = 'ns/t';

async function started(): Promise<EngineFixture> {
  const fixture = await new EngineFixture().start();
  for (let n = 0; n < 4; n++) {
    const options = { partition: n % 2 };
    await fixture.driver.log.append(TOPIC, recordOf(eventOf(`e${n}`)), options);
    await fixture.clock.advance(1_000);
  }
  return fixture;
}

async function offsets(
  fixture: EngineFixture,
  name: string,
): Promise<(readonly [number, number])[]> {
  const cursors = await fixture.driver.cursors.load(TOPIC, name);
  return cursors
    .filter((cursor) => cursor.name === name)
    .map(({ partition, offset }) => [partition, offset] as const)
    .toSorted();
}

test('a state comes back as it was written; one of an older version has no former UIDs', () => {
  const state = {
    uid: 'u',
    schedule: [
      { at: 3, reader: 'own' as const },
      { at: 9, reader: 'shared' as const },
    ],
    frozenMs: 17,
    formerUids: ['a', 'b'],
  };
  assert.deepEqual(decodeReaderState(encodeReaderState(state)), state);
  const old = '{"uid":"u","changes":[[3,"o"]],"frozenMs":null}';
  assert.deepEqual(decodeReaderState(old).formerUids, []);
});

test('a name remembers a bounded number of former UIDs, each once', () => {
  let former: readonly string[] = [];
  for (let n = 0; n < 50; n++) former = withFormer(former, `u${n}`);
  assert.deepEqual(former.slice(-2), ['u48', 'u49']);
  assert.equal(former.length, 8);
  assert.deepEqual(withFormer(['a', 'b'], 'a'), ['b', 'a']);
});

test('new Triggers begin at the ends, in every partition; a second time changes nothing', async () => {
  const fixture = await started();
  const trigger = { uid: 'u', key: KEY, start: null };
  await ensureTriggers(fixture.driver, TOPIC, [trigger]);
  assert.deepEqual(await offsets(fixture, OWN_PREFIX + KEY), [
    [0, 2],
    [1, 2],
  ]);
  await fixture.driver.log.append(TOPIC, recordOf(eventOf('later')), { partition: 0 });
  await ensureTriggers(fixture.driver, TOPIC, [trigger]);
  assert.deepEqual(await offsets(fixture, OWN_PREFIX + KEY), [
    [0, 2],
    [1, 2],
  ]);
});

test('start positions: latest, earliest, a time, an event in one partition', async () => {
  const fixture = await started();
  const ends = await fixture.driver.log.ends(TOPIC);
  const at = async (start: StartPosition): Promise<(number | undefined)[]> => {
    const found = await startOffsets(fixture.driver, TOPIC, ends, start);
    return [found.get(0), found.get(1)];
  };
  assert.deepEqual(await at({ at: 'latest' }), [2, 2]);
  assert.deepEqual(await at({ at: 'earliest' }), [0, 0]);
  const timeMs = fixture.clock.wallMs() - 2_500;
  assert.deepEqual(await at({ at: 'time', timeMs }), [1, 1]);
  assert.deepEqual(await at({ at: 'time', timeMs: fixture.clock.wallMs() + 1 }), [2, 2]);
  assert.deepEqual(await at({ at: 'event', id: 'e3' }), [2, 1]);
  assert.deepEqual(await at({ at: 'event', id: 'nobody' }), [2, 2]);
});

test('a name that comes back inherits the pairs of every former UID; its schedule is not touched', async () => {
  const fixture = await started();
  await ensureTriggers(fixture.driver, TOPIC, [{ uid: 'old', key: KEY, start: null }]);
  const before = await fixture.driver.cursors.load(TOPIC, READER_PREFIX);
  fixture.offer(fixture.target('old', { key: KEY }), 1);
  fixture.offer(fixture.target('between', { key: KEY }), 2);
  fixture.sender.answerAll(503);
  await fixture.turn();
  const dropped = await ensureTriggers(fixture.driver, TOPIC, [
    { uid: 'new', key: KEY, start: null },
  ]);
  assert.deepEqual(dropped, []);
  assert.deepEqual(
    (await fixture.rows()).map((row) => row.target),
    ['new', 'new'],
  );
  assert.deepEqual(await fixture.driver.cursors.load(TOPIC, READER_PREFIX), before);
});

test('with a start position it begins anew: pairs are dropped and counted, once', async () => {
  const fixture = await started();
  await ensureTriggers(fixture.driver, TOPIC, [{ uid: 'old', key: KEY, start: null }]);
  fixture.offer(fixture.target('old', { key: KEY }), 1);
  fixture.sender.answerAll(503);
  await fixture.turn();
  const again = { uid: 'new', key: KEY, start: { at: 'earliest' } } as const;
  assert.deepEqual(await ensureTriggers(fixture.driver, TOPIC, [again]), [{ key: KEY, pairs: 1 }]);
  assert.deepEqual(await fixture.rows(), []);
  assert.deepEqual(await offsets(fixture, START_PREFIX + KEY), [
    [0, 0],
    [1, 0],
  ]);
  assert.deepEqual(await ensureTriggers(fixture.driver, TOPIC, [again]), []);
});

test('what nobody inherits is dropped, but for what an operator may look at', async () => {
  const fixture = await started();
  await ensureTriggers(fixture.driver, TOPIC, [{ uid: 'u', key: KEY, start: null }]);
  const target = fixture.target('u', { key: KEY });
  fixture.offer(target, 1);
  fixture.offer(target, 2);
  fixture.sender.open[0]?.answer(400); // parked
  fixture.sender.answerAll(503); // waits
  await fixture.turn();
  assert.equal(await dropFrozen(fixture.driver, TOPIC, { key: KEY, uid: 'u' }), 1);
  assert.deepEqual(
    (await fixture.rows()).map((row) => row.stage),
    ['parked'],
  );
  assert.deepEqual(await fixture.driver.cursors.load(TOPIC), []);
});
