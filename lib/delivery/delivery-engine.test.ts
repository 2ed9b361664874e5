import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, policyOf, recordOf } from '#test/kit/event-path';
import { deadFailure } from './poison.ts';
import { OpenPairs } from './pair.ts';
import { QUEUED_COUNT_MAX } from './target.ts';

const RETRIES = policyOf({ retryCount: 3, backoffDelayMs: 1_000 });

test('the window is never exceeded, in items nor in bytes', async () => {
  const fixture = await new EngineFixture().start();
  const items = fixture.target('items', { concurrency: 3 });
  for (let offset = 0; offset < 50; offset++) fixture.offer(items, offset);
  assert.equal(fixture.sender.open.length, 3);
  while (fixture.sender.open.length > 0) fixture.sender.open[0]?.answer(200);
  assert.equal(fixture.sender.openMax, 3);
  assert.equal(fixture.sender.log.length, 50);

  const bytes = fixture.target('bytes', { inFlightBytesMax: 250 });
  for (let offset = 0; offset < 9; offset++) fixture.offer(bytes, offset, { sizeBytes: 100 });
  assert.equal(fixture.sender.open.length, 3); // the third begins below the limit
  fixture.offer(fixture.target('huge', { inFlightBytesMax: 10 }), 1, { sizeBytes: 1_000 });
  assert.equal(fixture.sender.open.length, 4, 'one that is larger than the window goes alone');
});

test('a retry raises the attempt durably before it is sent, and the row goes with the last', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { policy: RETRIES });
  fixture.offer(target, 7);
  fixture.sender.answerAll(503);
  await fixture.turn();
  assert.deepEqual(
    (await fixture.rows()).map(({ attempt, stage }) => [attempt, stage]),
    [[1, 'subscriber']],
  );
  assert.equal(target.waitingCount, 1);
  await fixture.clock.advance(1_200);
  assert.equal(fixture.sender.open.length, 1);
  assert.equal((await fixture.rows())[0]?.attempt, 2);
  fixture.sender.answerAll(200);
  await fixture.turn();
  assert.deepEqual(await fixture.rows(), []);
  assert.equal(target.waitingCount, 0);
  assert.deepEqual(fixture.sender.log, ['e7@sub', 'e7@sub']);
});

test('retry + 1 attempts, then parked without a sink, with the reason', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { policy: RETRIES });
  fixture.offer(target, 1);
  for (let attempt = 1; attempt <= 4; attempt++) {
    fixture.sender.answerAll(503);
    await fixture.clock.advance(10_000);
  }
  const [row] = await fixture.rows();
  assert.equal(row?.stage, 'parked');
  assert.equal(row.failure?.status, 503);
  assert.equal(fixture.sender.log.length, 4);
  assert.equal(target.parkedCount, 1);
  assert.equal(fixture.list.size, 0);
});

test('stages are durable: after a death the subscriber is not asked again', async () => {
  const first = await new EngineFixture().start();
  const given = {
    policy: RETRIES,
    deadLetter: first.sender.destination('dead'),
    deadLetterUrl: 'http://dead',
  };
  first.offer(first.target('t', given), 1);
  await first.persist(2);
  first.sender.answerAll(400);
  await first.turn();
  assert.deepEqual(first.sender.log, ['e1@sub', 'e1@dead']);
  const second = await first.restart();
  second.target('t', { ...given, deadLetter: second.sender.destination('dead') });
  await second.turn();
  assert.deepEqual(second.sender.log, ['e1@dead']);
  assert.equal(second.sender.open[0]?.headers['ce-knativeerrorcode'], '400');
});

const REPLY = ['ce-specversion', '1.0', 'ce-id', 'r', 'ce-source', '/s', 'ce-type', 'answer'];

test('a reply that the store refuses is tried until it is taken, and nothing else is', async () => {
  const fixture = await new EngineFixture().start();
  fixture.offer(fixture.target('t', { policy: RETRIES }), 1);
  fixture.appendFault = 'CHANNEL_FULL';
  fixture.sender.open[0]?.answer(200, 'x', [...REPLY, 'content-type', 'text/plain']);
  for (let minute = 0; minute < 10; minute++) await fixture.clock.advance(60_000);
  assert.equal((await fixture.rows())[0]?.stage, 'reply');
  fixture.appendFault = null;
  await fixture.clock.advance(120_000);
  assert.deepEqual(
    fixture.appended.map(({ event }) => event.id),
    ['r'],
  );
  assert.deepEqual(await fixture.rows(), []);
  assert.deepEqual(fixture.sender.log, ['e1@sub']);
});

test('a reply that never fits is given up as a failure, without asking the subscriber again', async () => {
  const fixture = await new EngineFixture().start();
  fixture.offer(fixture.target('t', { policy: RETRIES }), 1);
  fixture.appendFault = 'CHANNEL_RECORD_TOO_LARGE';
  fixture.sender.open[0]?.answer(200, 'x', [...REPLY, 'content-type', 'text/plain']);
  await fixture.turn();
  const [row] = await fixture.rows();
  assert.equal(row?.stage, 'parked');
  assert.equal(row.failure?.reason, 'ReplyTooLarge');
  assert.deepEqual(fixture.sender.log, ['e1@sub']);
});

test('the dead-letter sink has as many attempts as the subscriber, then the pair is parked', async () => {
  const fixture = await new EngineFixture().start();
  const deadLetter = fixture.sender.destination('dead');
  fixture.offer(fixture.target('t', { policy: RETRIES, deadLetter }), 1);
  for (let count = 0; count < 12; count++) {
    fixture.sender.answerAll(500);
    await fixture.clock.advance(20_000);
  }
  assert.equal(fixture.sender.log.filter((sent) => sent === 'e1@sub').length, 4);
  assert.equal(fixture.sender.log.filter((sent) => sent === 'e1@dead').length, 4);
  assert.equal((await fixture.rows())[0]?.stage, 'parked');
});

test('a sink that was edited away while a dead letter waits: the pair is parked', async () => {
  const fixture = await new EngineFixture().start();
  const deadLetter = fixture.sender.destination('dead');
  fixture.offer(fixture.target('t', { policy: RETRIES, deadLetter }), 1);
  fixture.sender.answerAll(400);
  fixture.sender.answerAll(503);
  await fixture.turn();
  assert.equal((await fixture.rows())[0]?.stage, 'deadLetter');
  fixture.target('t', { policy: RETRIES, deadLetter: null });
  await fixture.clock.advance(2_000);
  assert.equal((await fixture.rows())[0]?.stage, 'parked');
});

test('an edited subscriber gets the next attempt of what waits', async () => {
  const fixture = await new EngineFixture().start();
  fixture.offer(fixture.target('t', { policy: RETRIES }), 1);
  fixture.sender.answerAll(503);
  await fixture.turn();
  fixture.target('t', { policy: RETRIES, subscriber: fixture.sender.destination('new') });
  await fixture.clock.advance(2_000);
  assert.deepEqual(fixture.sender.log, ['e1@sub', 'e1@new']);
});

test('a redriven pair of a target without a subscriber goes to its sink', async () => {
  const fixture = await new EngineFixture().start();
  const dead = fixture.target('dead', { subscriber: null, policy: RETRIES });
  const source = { topic: TOPIC, partition: 0, offset: 1, sizeBytes: 10, mark: 1 };
  const record = recordOf(eventOf('e1'), { ttl: 0 });
  fixture.engine.offerFailed(dead, source, record, fixture.list, deadFailure('event'));
  await fixture.turn();
  const [row] = await fixture.rows();
  assert.equal(row?.stage, 'parked');
  fixture.target('dead', { subscriber: null, deadLetter: fixture.sender.destination('sink') });
  await fixture.driver.waiting.redrive([row.id]);
  await fixture.engine.reload(TOPIC);
  await fixture.turn();
  assert.deepEqual(fixture.sender.log, ['e1@sink']);
});

test('dead letters of a sink that hangs are bounded in memory as well', async () => {
  const fixture = await new EngineFixture().start();
  const deadLetter = fixture.sender.destination('sink');
  const target = fixture.target('dead', { subscriber: null, deadLetter, concurrency: 1 });
  for (let offset = 0; offset < 3 * QUEUED_COUNT_MAX; offset++) {
    const source = { topic: TOPIC, partition: 0, offset, sizeBytes: 10, mark: offset };
    fixture.engine.offerFailed(
      target,
      source,
      recordOf(eventOf(`e${offset}`)),
      fixture.list,
      deadFailure('event'),
    );
  }
  await fixture.turn();
  assert.ok(target.queuedCount <= 2 * QUEUED_COUNT_MAX + 1, `${target.queuedCount}`);
  assert.equal(target.queuedCount + target.waitingCount + 1, 3 * QUEUED_COUNT_MAX);
});

test('after an unclean end re-read events are pre-written, and what the store holds is left out', async () => {
  const first = await new EngineFixture().start();
  const target = first.target('t', { policy: RETRIES, concurrency: 2 });
  for (const offset of [1, 2, 3]) first.offer(target, offset);
  first.sender.open[0]?.answer(503); // e1 waits in the store; e2, e3 are in flight at the death
  await first.turn();
  const second = await first.restart();
  const again = second.target('t', { policy: RETRIES, concurrency: 1 });
  const list = second.engine.openList(1, 4, 4_000, false);
  for (const offset of [1, 2, 3, 4]) second.offer(again, offset, { list });
  assert.deepEqual(second.sender.log, [], 'nothing is sent before it is written');
  await second.turn();
  assert.deepEqual(second.sender.log, ['e2@sub']);
  const e2 = (await second.rows()).find((row) => row.source.offset === 2);
  assert.deepEqual([e2?.attempt, e2?.deaths], [1, 1]);
  for (let count = 0; count < 6; count++) {
    second.sender.answerAll(200);
    await second.clock.advance(1_000);
  }
  assert.deepEqual(second.sender.log.toSorted(), ['e1@sub', 'e2@sub', 'e3@sub', 'e4@sub']);
  assert.deepEqual(await second.rows(), []);
});

test('a frozen target sends nothing; its pairs wait for whoever inherits the name', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('old', { concurrency: 1, key: 'ns/name', policy: RETRIES });
  for (const offset of [1, 2, 3]) fixture.offer(target, offset);
  fixture.engine.freezeTarget('old');
  fixture.offer(target, 4);
  await fixture.turn();
  assert.deepEqual(
    (await fixture.rows()).map((row) => row.source.offset),
    [2, 3, 4],
  );
  await fixture.driver.waiting.retarget(TOPIC, 'old', 'new'); // as the control side does
  fixture.target('new', { key: 'ns/name', subscriber: fixture.sender.destination('new') });
  fixture.sender.answerAll(503); // e1 was in flight: its row is written after the retarget
  fixture.offer(target, 5); // filter had matched it for the old UID
  await fixture.turn();
  const inherited = fixture.engine.inherit(TOPIC, [0, 1], new Set(['new']));
  await fixture.clock.advance(3_000);
  await inherited;
  await fixture.clock.advance(3_000);
  assert.deepEqual(fixture.sender.ids().toSorted(), ['e1', 'e2', 'e3', 'e4', 'e5']);
  fixture.sender.answerAll(200);
  await fixture.turn();
  assert.deepEqual(await fixture.rows(), []);
});

test('pairs that are still being written when the name comes back are inherited too', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('old', { concurrency: 1, key: 'ns/name' });
  for (const offset of [1, 2]) fixture.offer(target, offset);
  fixture.failing.add('put');
  fixture.engine.freezeTarget('old'); // e2 cannot be written yet
  await fixture.turn();
  await fixture.driver.waiting.retarget(TOPIC, 'old', 'new');
  fixture.target('new', { key: 'ns/name' });
  const inherited = fixture.engine.inherit(TOPIC, [0], new Set(['new']));
  fixture.failing.clear();
  await fixture.clock.advance(1_000);
  await inherited;
  await fixture.clock.advance(1_000);
  assert.ok(fixture.sender.ids().includes('e2'));
});

test('ordered: what is inherited goes before what comes', async () => {
  const fixture = await new EngineFixture().start();
  const given = { isOrdered: true, key: 'ns/name', policy: RETRIES };
  const target = fixture.target('old', given);
  for (const offset of [1, 2]) fixture.offer(target, offset, { key: 'k' });
  fixture.sender.answerAll(503);
  await fixture.turn();
  fixture.engine.freezeTarget('old');
  const heir = fixture.target('new', given);
  heir.isLoading = true;
  fixture.offer(heir, 3, { key: 'k' });
  const inherited = fixture.engine.inherit(TOPIC, [0], new Set(['new']));
  await fixture.turn();
  await inherited;
  for (let count = 0; count < 5; count++) {
    await fixture.clock.advance(2_000);
    assert.ok(fixture.sender.open.length <= 1);
    fixture.sender.answerAll(200);
  }
  assert.deepEqual(fixture.sender.log, ['e1@sub', 'e1@sub', 'e2@sub', 'e3@sub']);
});

test('a name that begins anew drops and counts what was meant for its former life', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('old', { concurrency: 1, key: 'ns/name' });
  fixture.offer(target, 1);
  fixture.engine.freezeTarget('old');
  fixture.engine.putTarget(fixture.settings('new', { key: 'ns/name' }), false);
  fixture.offer(target, 2);
  fixture.sender.answerAll(503);
  await fixture.turn();
  assert.deepEqual(await fixture.rows(), []);
  assert.equal(fixture.list.size, 0);
  const dropped = fixture.metrics.snapshot().find((f) => f.name === 'millrace.delivery.dropped');
  assert.equal(dropped?.series[0]?.values[0], 2);
});

test('a target that is deleted while its pairs are leased gives them back, attempt and all', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { policy: RETRIES });
  fixture.offer(target, 1);
  fixture.sender.answerAll(503);
  await fixture.turn();
  await fixture.clock.advance(900);
  let release = (): void => undefined;
  const { lease } = fixture.driver.waiting;
  fixture.driver.waiting.lease = async (request) => {
    const found = await lease.call(fixture.driver.waiting, request);
    await new Promise<void>((resolve) => (release = resolve));
    return found;
  };
  await fixture.clock.advance(300);
  fixture.engine.freezeTarget('t');
  release();
  await fixture.clock.advance(100);
  const [row] = await fixture.rows();
  assert.equal(row?.attempt, 1, 'the attempt that was not begun does not count');
  fixture.driver.waiting.lease = lease.bind(fixture.driver.waiting);
  const leased = await fixture.driver.waiting.lease({
    target: 't',
    holder: 'somebody else',
    nowMs: fixture.clock.wallMs(),
    countMax: 9,
    bytesMax: 9_999,
  });
  assert.equal(leased.pairs.length, 1);
});

test('a clean end gives leases back without a death, and unbegun ones without an attempt', async () => {
  const fixture = await new EngineFixture().start();
  const given = { policy: RETRIES, concurrency: 2 };
  const target = fixture.target('t', given);
  for (const offset of [1, 2]) fixture.offer(target, offset);
  fixture.sender.answerAll(503);
  await fixture.turn();
  fixture.target('t', { ...given, concurrency: 2 });
  await fixture.clock.advance(1_200); // both are in flight again: second attempts
  fixture.offer(target, 3);
  await fixture.persist(4);
  const drained = fixture.engine.drain(50);
  await fixture.clock.advance(60);
  await drained;
  const closed = fixture.engine.close();
  await fixture.clock.advance(10);
  await closed;
  const rows = await fixture.rows();
  assert.deepEqual(
    rows.map(({ source, attempt, deaths }) => [source.offset, attempt, deaths]),
    [
      [1, 2, 0],
      [2, 2, 0],
      [3, 0, 0],
    ],
  );
  const second = await fixture.restart();
  second.target('t', given);
  await second.turn();
  assert.equal(second.sender.open.length, 2);
});

test('a drain ends at its deadline, or as soon as nothing is in flight', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { concurrency: 1 });
  for (const offset of [1, 2]) fixture.offer(target, offset);
  let isDone = false;
  const drained = fixture.engine.drain(5_000).then(() => (isDone = true));
  await fixture.clock.advance(4_000);
  assert.equal(isDone, false);
  fixture.sender.answerAll(200);
  await fixture.turn();
  assert.equal(isDone, true);
  await drained;
  assert.deepEqual(fixture.sender.log, ['e1@sub'], 'nothing new is sent');
});

test('a paused target takes nothing from the store and sends nothing, until it goes on', async () => {
  const fixture = await new EngineFixture().start();
  const given = { policy: RETRIES };
  const target = fixture.target('t', given);
  fixture.offer(target, 1);
  fixture.sender.answerAll(503);
  await fixture.turn();
  fixture.target('t', { ...given, isPaused: true });
  fixture.offer(target, 2);
  await fixture.clock.advance(60_000);
  assert.equal(fixture.sender.log.length, 1);
  fixture.target('t', given);
  await fixture.turn();
  assert.deepEqual(fixture.sender.ids().toSorted(), ['e1', 'e2']);
});

test('ordered: one in flight per lane, whatever fails, is stored, leased or floods', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', {
    isOrdered: true,
    policy: policyOf({ retryCount: 100, backoffDelayMs: 300 }),
  });
  const done = new Map<string, string[]>([
    ['a', []],
    ['b', []],
  ]);
  let offset = 0;
  for (let round = 0; round < 400; round++) {
    const key = round % 3 === 0 ? 'a' : 'b';
    fixture.offer(target, offset, { key });
    const lanes = fixture.sender.ids().map((id) => (Number(id.slice(1)) % 3 === 0 ? 'a' : 'b'));
    assert.equal(new Set(lanes).size, lanes.length, 'one in flight per lane');
    offset++;
    for (const send of [...fixture.sender.open]) {
      const lane = Number(send.id.slice(1)) % 3 === 0 ? 'a' : 'b';
      if ((round * 7) % 5 === 0) send.answer(503);
      else {
        done.get(lane)?.push(send.id);
        send.answer(200);
      }
    }
    if (round % 10 === 0) await fixture.persist(offset - 3);
    await fixture.clock.advance(round % 7 === 0 ? 700 : 20);
  }
  for (let count = 0; count < 2_000 && (await fixture.rows()).length > 0; count++) {
    for (const send of [...fixture.sender.open]) {
      const lane = Number(send.id.slice(1)) % 3 === 0 ? 'a' : 'b';
      done.get(lane)?.push(send.id);
      send.answer(200);
    }
    await fixture.clock.advance(50);
  }
  for (const [lane, ids] of done) {
    const expected = Array.from({ length: 400 }, (_, n) => n)
      .filter((n) => (n % 3 === 0) === (lane === 'a'))
      .map((n) => `e${n}`);
    assert.deepEqual(ids, expected, `lane ${lane}`);
  }
  assert.equal(fixture.list.size, 0);
});

test('ordered: a lane whose head is parked goes on at once', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { isOrdered: true, policy: policyOf({ retryCount: 1 }) });
  for (const offset of [1, 2, 3]) fixture.offer(target, offset, { key: 'k' });
  fixture.sender.answerAll(503);
  await fixture.clock.advance(400);
  fixture.sender.answerAll(503); // retries are used up
  await fixture.turn();
  assert.deepEqual(fixture.sender.ids(), ['e2']);
});

test('a store that fails for a minute costs time, and nothing else', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { policy: RETRIES, concurrency: 10 });
  for (let offset = 0; offset < 30; offset++) fixture.offer(target, offset);
  fixture.failing.add('all');
  fixture.sender.answerAll(503);
  await fixture.turn();
  let isDurable = false;
  const checkpoint = fixture.engine.persistBelow(fixture.list, 30).then(() => (isDurable = true));
  await fixture.clock.advance(60_000);
  assert.equal(isDurable, false, 'the position must not move');
  assert.ok(fixture.list.size > 0);
  fixture.failing.clear();
  await fixture.clock.advance(1_000);
  await checkpoint;
  for (let count = 0; count < 20; count++) {
    fixture.sender.answerAll(200);
    await fixture.clock.advance(1_000);
  }
  assert.deepEqual(await fixture.rows(), []);
  assert.equal(new Set(fixture.sender.log).size, 30);
  assert.equal(
    fixture.sender.log.length,
    40,
    'ten failed once; nothing went twice because of the store',
  );
});

test('leases that ran out while the process stood still are not taken a second time', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { policy: RETRIES });
  fixture.offer(target, 1);
  await fixture.persist(2);
  fixture.offer(target, 2);
  fixture.sender.open[1]?.answer(503);
  await fixture.turn();
  fixture.clock.stepWall(3_600_000); // as after a laptop's sleep: e1 is in flight, its lease is over
  await fixture.clock.advance(1_900);
  assert.deepEqual(fixture.sender.log.toSorted(), ['e1@sub', 'e2@sub', 'e2@sub']);
});

test('a wall clock that is set back delays what waits by no more than the longest back-off', async () => {
  const fixture = await new EngineFixture().start();
  fixture.offer(fixture.target('t', { policy: RETRIES }), 1);
  fixture.sender.answerAll(503);
  await fixture.turn();
  fixture.clock.stepWall(-30 * 24 * 3_600_000);
  await fixture.clock.advance(3_600_000 + 5_000);
  assert.equal(fixture.sender.log.length, 2);
});

test('a redrive under load counts nothing twice', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { concurrency: 50 });
  for (let offset = 0; offset < 50; offset++) fixture.offer(target, offset);
  await fixture.persist(50);
  await fixture.engine.reload(TOPIC);
  await fixture.turn();
  assert.equal(target.waitingCount, 0);
  fixture.sender.answerAll(200);
  await fixture.clock.advance(1_000);
  assert.equal(target.waitingCount, 0);
});

test('an overflow is announced, and again while nobody answers', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { concurrency: 1 });
  for (let offset = 0; offset <= QUEUED_COUNT_MAX + 1; offset++) fixture.offer(target, offset);
  assert.deepEqual(fixture.overflows, ['t']);
  await fixture.clock.advance(2_000);
  assert.deepEqual(fixture.overflows, ['t', 't']);
  for (let offset = 2_000; offset < 5_000; offset++) fixture.offer(target, offset);
  await fixture.turn();
  assert.ok(target.queuedCount <= 2 * QUEUED_COUNT_MAX + 1);
  for (let count = 0; count < 6_000 && fixture.sender.open.length > 0; count++) {
    fixture.sender.answerAll(200);
    if (count % 50 === 0) await fixture.turn();
  }
  await fixture.clock.advance(1_000);
  while (fixture.sender.open.length > 0) {
    fixture.sender.answerAll(200);
    await fixture.turn();
  }
  assert.equal(new Set(fixture.sender.log).size, QUEUED_COUNT_MAX + 2 + 3_000);
});

test('held pairs wait for their own reader, go to the store when the target is deleted', async () => {
  const fixture = await new EngineFixture().start();
  const target = fixture.target('t', { isOrdered: true });
  target.holdsShared.set(0, 0);
  const own = new OpenPairs(0, true);
  fixture.offer(target, 10, { key: 'k' });
  fixture.offer(target, 11, { key: 'j', partition: 1 });
  fixture.offer(target, 5, { key: 'k', list: own });
  assert.deepEqual(fixture.sender.ids(), ['e11', 'e5'], 'only its partition is held');
  target.holdsShared.delete(0);
  fixture.engine.releaseHeld(target);
  assert.deepEqual(fixture.sender.ids(), ['e11', 'e5'], 'it has its place in the lane');
  fixture.sender.open[1]?.answer(200);
  assert.deepEqual(fixture.sender.ids(), ['e11', 'e10']);
  target.holdsShared.set(0, 0);
  fixture.offer(target, 12, { key: 'k' });
  fixture.engine.freezeTarget('t');
  await fixture.turn();
  assert.deepEqual(
    (await fixture.rows()).map((row) => row.source.offset),
    [12],
  );
});
