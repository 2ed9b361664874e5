/** The contract of `WaitingStore` as a table: put, settle, look, move. Leasing is in `lease-cases.ts`. */
import assert from 'node:assert/strict';
import type { WaitingPair } from '#lib/channel/waiting-store';
import type { ContractCase } from './contract-case.ts';
import { assertSameRecord, bulky, event, leaseOf, offsetsOf, pair, record } from './samples.ts';
import { richRecord } from './samples.ts';

const FAILURE = {
  destination: 'http://subscriber.example/ü',
  status: 503,
  body: Buffer.from([0, 255, 10, 13, 200]),
  reason: 'StatusCode',
} as const;

export const WAITING_CASES: readonly ContractCase[] = [
  {
    name: 'a pair comes back as it was put, with its failure, its reply and an id',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = pair(name, target, 2 ** 40, {
        stage: 'reply',
        attempt: 3,
        deaths: 2,
        dueMs: 1_700_000_000_123,
        firstFailureMs: 1_600_000_000_001,
        lastFailureMs: 1_600_000_000_999,
        failure: FAILURE,
        record: richRecord('waiting'),
        reply: richRecord('reply'),
      });
      const [id] = await driver.waiting.put([put], null);
      const [found] = await driver.waiting.peek({ target, countMax: 10 });
      assert.ok(found !== undefined && id !== undefined && id > 0);
      assert.deepEqual(found, { ...put, id });
      assertSameRecord(found.record, put.record);
      const bare = pair(name, target, 1, {
        failure: { ...FAILURE, destination: null, status: null },
      });
      await driver.waiting.put([bare], null);
      const [, second] = await driver.waiting.peek({ target, countMax: 10 });
      assert.deepEqual(second?.failure, bare.failure);
    },
  },
  {
    name: 'ids come in the order of the pairs, and are never used twice',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, target] = [await topic(), unique('uid')];
      const offsets = [5, 1, 9, 3];
      const ids = await driver.waiting.put(
        offsets.map((offset) => pair(name, target, offset)),
        null,
      );
      const found = await driver.waiting.peek({ target, countMax: 10 });
      const byId = new Map(found.map((each) => [each.id, each.source.offset]));
      assert.deepEqual(
        ids.map((id) => byId.get(id)),
        offsets,
      );
      await driver.waiting.settle(ids);
      const later = await driver.waiting.put([pair(name, target, 1)], null);
      assert.ok(!ids.includes(later[0] ?? 0));
      assert.deepEqual(await driver.waiting.put([], null), []);
    },
  },
  {
    name: 'putting a pair again replaces it and keeps its id',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, target] = [await topic(), unique('uid')];
      const [id] = await driver.waiting.put([pair(name, target, 1)], null);
      const again = pair(name, target, 1, { stage: 'parked', attempt: 4, failure: FAILURE });
      assert.deepEqual(await driver.waiting.put([again], null), [id]);
      assert.deepEqual(await driver.waiting.put([{ ...again, id: id ?? 0 }], null), [id]);
      const found = await driver.waiting.peek({ target, countMax: 10 });
      assert.deepEqual(found, [{ ...again, id }]);
      const twice = [pair(name, target, 2), pair(name, target, 2, { attempt: 9 })];
      const ids = await driver.waiting.put(twice, null);
      assert.equal(ids[0], ids[1]);
      const [, second] = await driver.waiting.peek({ target, countMax: 10 });
      assert.equal(second?.attempt, 9);
    },
  },
  {
    name: 'a body is kept once for many targets, until the last has settled',
    needs: [],
    async run({ open }) {
      const { driver, clock } = await open();
      await driver.admin.ensureTopic('t', { partitions: 1 });
      const body = bulky('shared', 200_000);
      const targets = Array.from({ length: 40 }, (_, n) => `uid-${n}`);
      const before = (await driver.admin.usage()).storedBytes;
      const ids = await driver.waiting.put(
        targets.map((target) => pair('t', target, 1, { record: body })),
        null,
      );
      const after = (await driver.admin.usage()).storedBytes;
      assert.ok(after - before < 2_000_000, `${after - before} bytes for 40 targets`);
      for (const target of targets) {
        const { pairs } = await driver.waiting.lease(leaseOf(target, clock.wallMs()));
        assert.equal(pairs.length, 1);
        assertSameRecord(pairs[0]?.record ?? record('none'), body);
        assert.ok(ids.includes(pairs[0]?.id ?? 0));
      }
      await driver.waiting.settle(ids.slice(0, 39));
      const [last] = await driver.waiting.peek({ target: 'uid-39', countMax: 1 });
      assertSameRecord(last?.record ?? record('none'), body);
    },
  },
  {
    name: 'settling removes pairs; again, or unknown ids, are no error',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const ids = await driver.waiting.put(
        [1, 2, 3].map((n) => pair(name, target, n)),
        'h',
      );
      await driver.waiting.settle([ids[0] ?? 0, ids[2] ?? 0]);
      await driver.waiting.settle([ids[0] ?? 0, 987_654_321]);
      await driver.waiting.settle([]);
      const left = await driver.waiting.peek({ target, countMax: 10 });
      assert.deepEqual(offsetsOf(left), [2]);
      await driver.waiting.settle(ids);
      assert.deepEqual(await driver.waiting.peek({ target, countMax: 10 }), []);
      const { pairs } = await driver.waiting.lease(leaseOf(target, clock.wallMs() + 60_000));
      assert.deepEqual(pairs, []);
    },
  },
  {
    name: 'the summary counts waiting, leased and parked pairs per target',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, a, b] = [await topic(), unique('a'), unique('b')];
      const dueMs = clock.wallMs() + 5000;
      await driver.waiting.put(
        [pair(name, a, 1, { dueMs }), pair(name, a, 2, { dueMs: 7e12 })],
        null,
      );
      await driver.waiting.put([pair(name, a, 3), pair(name, a, 4)], 'h');
      await driver.waiting.put([pair(name, a, 5, { stage: 'parked' })], null);
      await driver.waiting.put([pair(name, b, 6, { stage: 'parked' })], null);
      assert.deepEqual(await driver.waiting.summary(name), [
        { target: a, targetKey: `ns/${a}`, waiting: 4, parked: 1, nextDueMs: dueMs },
        { target: b, targetKey: `ns/${b}`, waiting: 0, parked: 1, nextDueMs: null },
      ]);
      assert.deepEqual(await driver.waiting.summary(unique('nothing')), []);
    },
  },
  {
    name: 'a look pages by id and filters by everything that it can be asked for',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, other, a, b] = [await topic(), await topic(), unique('a'), unique('b')];
      await driver.waiting.put(
        [1, 2, 3, 4, 5].map((n) => pair(name, a, n)),
        null,
      );
      await driver.waiting.put([pair(name, b, 1, { stage: 'parked' }), pair(other, a, 1)], null);
      const seen: WaitingPair[] = [];
      for (let pages = 0; pages < 10; pages++) {
        const afterId = seen.at(-1)?.id ?? 0;
        const page = await driver.waiting.peek({ topic: name, countMax: 2, afterId });
        assert.ok(page.length <= 2);
        seen.push(...page);
        if (page.length === 0) break;
      }
      assert.deepEqual(offsetsOf(seen), [1, 2, 3, 4, 5, 1]);
      const count = async (query: object): Promise<number> =>
        (await driver.waiting.peek({ countMax: 100, ...query })).length;
      assert.equal(await count({ target: a }), 6);
      assert.equal(await count({ target: a, topic: name }), 5);
      assert.equal(await count({ targetKey: `ns/${b}` }), 1);
      assert.equal(await count({ topic: name, stage: 'parked' }), 1);
      assert.equal(await count({ topic: name, eventId: `${name}-1` }), 2);
      assert.equal(await count({ topic: name, eventId: `${name}-1`, target: a }), 1);
      assert.equal(await count({ topic: unique('nothing') }), 0);
    },
  },
  {
    name: 'the keys of a partition come without bodies, from an offset on',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, a, b] = [await topic(2), unique('a'), unique('b')];
      const elsewhere = { source: { topic: name, partition: 1, offset: 12 } };
      const ids = await driver.waiting.put(
        [
          pair(name, a, 10),
          pair(name, b, 12, { lane: 'k' }),
          pair(name, a, 11, { stage: 'parked' }),
          pair(name, a, 12, elsewhere),
          pair(name, a, 9),
        ],
        'h',
      );
      assert.deepEqual(await driver.waiting.keys(name, 0, 10), [
        { id: ids[0], target: a, offset: 10, lane: null, stage: 'subscriber' },
        { id: ids[2], target: a, offset: 11, lane: null, stage: 'parked' },
        { id: ids[1], target: b, offset: 12, lane: 'k', stage: 'subscriber' },
      ]);
      assert.equal((await driver.waiting.keys(name, 1, 0)).length, 1);
      assert.deepEqual(await driver.waiting.keys(name, 0, 13), []);
    },
  },
  {
    name: 'parked pairs are not leased until they are redriven, and then begin anew',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const parked = pair(name, target, 1, {
        stage: 'parked',
        attempt: 5,
        deaths: 5,
        failure: FAILURE,
        firstFailureMs: 1,
        lastFailureMs: 2,
      });
      const ids = await driver.waiting.put([parked, pair(name, target, 2, { dueMs: 8e12 })], null);
      const none = await driver.waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(none.pairs, []);
      assert.equal(await driver.waiting.redrive([...ids, 987_654_321]), 1);
      assert.equal(await driver.waiting.redrive(ids), 0);
      const { pairs } = await driver.waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(pairs, [pair(name, target, 1, { id: ids[0] ?? 0, attempt: 1 })]);
    },
  },
  {
    name: 'pairs pass to a new UID, due at once, and keep their ids',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, other] = [await topic(), await topic()];
      const [from, to] = [unique('from'), unique('to')];
      const dueMs = clock.wallMs() + 60_000;
      const ids = await driver.waiting.put(
        [pair(name, from, 1, { dueMs }), pair(name, from, 2, { stage: 'parked' })],
        null,
      );
      await driver.waiting.put([pair(other, from, 1)], null);
      assert.equal(await driver.waiting.retarget(name, from, to), 2);
      assert.equal(await driver.waiting.retarget(name, from, to), 0);
      const { pairs } = await driver.waiting.lease(leaseOf(to, clock.wallMs()));
      assert.deepEqual(
        pairs.map(({ id, target }) => [id, target]),
        [[ids[0], to]],
      );
      assert.equal((await driver.waiting.peek({ target: from, countMax: 9 })).length, 1);
    },
  },
  {
    name: 'a pair that passed to a new UID under way is settled or put back by its id',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, from, to] = [await topic(), unique('from'), unique('to')];
      await driver.waiting.put([pair(name, from, 1), pair(name, from, 2)], null);
      const { pairs } = await driver.waiting.lease(leaseOf(from, clock.wallMs()));
      assert.equal(await driver.waiting.retarget(name, from, to), 2);
      const [one, two] = pairs;
      assert.ok(one !== undefined && two !== undefined);
      await driver.waiting.settle([one.id]);
      await driver.waiting.put([{ ...two, dueMs: 0 }], null);
      const found = await driver.waiting.peek({ topic: name, countMax: 10 });
      assert.deepEqual(
        found.map(({ id, target, attempt }) => [id, target, attempt]),
        [[two.id, to, 1]],
      );
    },
  },
  {
    name: 'a pair that the new UID has already is not kept twice',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, from, to] = [await topic(), unique('from'), unique('to')];
      const [kept] = await driver.waiting.put([pair(name, to, 1)], null);
      await driver.waiting.put([pair(name, from, 1), pair(name, from, 2)], null);
      assert.equal(await driver.waiting.retarget(name, from, to), 1);
      const found = await driver.waiting.peek({ topic: name, countMax: 10 });
      assert.deepEqual(offsetsOf(found), [1, 2]);
      assert.equal(found[0]?.id, kept);
    },
  },
  {
    name: 'a target is dropped, with its parked pairs only when asked',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, other, a, b] = [await topic(), await topic(), unique('a'), unique('b')];
      await driver.waiting.put([pair(name, a, 1), pair(name, a, 2, { stage: 'parked' })], null);
      await driver.waiting.put([pair(name, a, 3)], 'h');
      await driver.waiting.put([pair(name, b, 1), pair(other, a, 1)], null);
      assert.equal(await driver.waiting.drop(name, a, { parked: false }), 2);
      const left = await driver.waiting.peek({ topic: name, target: a, countMax: 9 });
      assert.deepEqual(offsetsOf(left), [2]);
      assert.equal(await driver.waiting.drop(name, a, { parked: true }), 1);
      assert.equal(await driver.waiting.drop(name, a, { parked: true }), 0);
      assert.equal((await driver.waiting.peek({ target: b, countMax: 9 })).length, 1);
      assert.equal((await driver.waiting.peek({ topic: other, countMax: 9 })).length, 1);
    },
  },
  {
    name: 'events without data and of old versions wait as well as any',
    needs: [],
    async run({ driver, unique, topic }) {
      const [name, target] = [await topic(), unique('uid')];
      const records = [
        record('none'),
        record('empty', { event: event('empty', { data: Buffer.alloc(0) }) }),
        record('old', { event: event('old', { specversion: '0.3' }) }),
        bulky('large', 400_000),
      ];
      await driver.waiting.put(
        records.map((each, n) => pair(name, target, n, { record: each, reply: each })),
        null,
      );
      const found = await driver.waiting.peek({ target, countMax: 10 });
      assert.deepEqual(
        found.map((each) => [each.record, each.reply]),
        records.map((each) => [each, each]),
      );
    },
  },
];
