/** The contract of leases: order, limits, due times, lanes, holders that go and come back. */
import assert from 'node:assert/strict';
import type { WaitingStore } from '#lib/channel/waiting-store';
import type { ContractCase } from './contract-case.ts';
import { bulky, leaseOf, offsetsOf, pair } from './samples.ts';

const LEASE_MS = 10_000;
const HOUR_MS = 3_600_000;

export const LEASE_CASES: readonly ContractCase[] = [
  {
    name: 'a lease comes in order of position, with the attempt raised durably',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = [3, 1, 2].map((n) => pair(name, target, n, { attempt: n }));
      await waiting.put(put, null);
      const { pairs, nextDueMs } = await waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(
        pairs.map(({ source, attempt }) => [source.offset, attempt]),
        [
          [1, 2],
          [2, 3],
          [3, 4],
        ],
      );
      assert.equal(nextDueMs, null);
      const stored = await waiting.peek({ target, countMax: 9 });
      assert.deepEqual(
        stored.map(({ source, attempt }) => [source.offset, attempt]),
        [
          [3, 4],
          [1, 2],
          [2, 3],
        ],
      );
    },
  },
  {
    name: 'a lease has limits of count and bytes, and gives at least one pair',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = [1, 2, 3, 4, 5, 6].map((n) =>
        pair(name, target, n, { record: bulky(`${n}`, 9000) }),
      );
      await waiting.put(put, null);
      const take = async (limits: object): Promise<readonly number[]> =>
        offsetsOf((await waiting.lease(leaseOf(target, clock.wallMs(), limits))).pairs);
      const two = await waiting.lease(leaseOf(target, clock.wallMs(), { countMax: 2 }));
      assert.deepEqual(offsetsOf(two.pairs), [1, 2]);
      assert.equal(two.nextDueMs, 0);
      assert.deepEqual(await take({ bytesMax: 100 }), [3]);
      assert.deepEqual(await take({ bytesMax: 20_000 }), [4, 5]);
      assert.deepEqual(await take({}), [6]);
      assert.deepEqual(await take({}), []);
    },
  },
  {
    name: 'nothing is leased before it is due, and the next due time is told',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const nowMs = clock.wallMs();
      const dueTimes = [nowMs + 2000, nowMs + 1000, 0];
      await waiting.put(
        dueTimes.map((dueMs, n) => pair(name, target, n, { dueMs })),
        null,
      );
      const at = async (timeMs: number): Promise<readonly [readonly number[], number | null]> => {
        const { pairs, nextDueMs } = await waiting.lease(leaseOf(target, timeMs));
        return [offsetsOf(pairs), nextDueMs];
      };
      assert.deepEqual(await at(nowMs), [[2], nowMs + 1000]);
      assert.deepEqual(await at(nowMs + 999), [[], nowMs + 1000]);
      assert.deepEqual(await at(nowMs + 1000), [[1], nowMs + 2000]);
      assert.deepEqual(await at(nowMs + 5000), [[0], null]);
    },
  },
  {
    name: 'what is due first goes first, so that nothing starves',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = [1, 2, 3, 4].map((n) => pair(name, target, n, { dueMs: 100 - n }));
      await waiting.put(put, null);
      const { pairs } = await waiting.lease(leaseOf(target, clock.wallMs(), { countMax: 2 }));
      assert.deepEqual(offsetsOf(pairs), [3, 4]);
    },
  },
  {
    name: 'a clock set back delays a pair by no more than an hour',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const nowMs = clock.wallMs();
      await waiting.put([pair(name, target, 1, { dueMs: nowMs + 50 * HOUR_MS })], null);
      const { pairs, nextDueMs } = await waiting.lease(leaseOf(target, nowMs));
      assert.deepEqual(pairs, []);
      assert.equal(nextDueMs, nowMs + HOUR_MS);
      const later = await waiting.lease(leaseOf(target, nowMs + HOUR_MS));
      assert.deepEqual(offsetsOf(later.pairs), [1]);
    },
  },
  {
    name: 'of a lane only the head is leased, and none while it is out; other lanes go on',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const lanes = [
        [5, 'a'],
        [2, 'a'],
        [9, 'b'],
        [1, 'a'],
        [4, 'b'],
      ] as const;
      const ids = await waiting.put(
        lanes.map(([offset, lane]) => pair(name, target, offset, { lane })),
        null,
      );
      const take = async (): Promise<readonly number[]> =>
        offsetsOf((await waiting.lease(leaseOf(target, clock.wallMs()))).pairs);
      assert.deepEqual(await take(), [1, 4]);
      assert.deepEqual(await take(), []);
      await waiting.settle([ids[3] ?? 0]);
      assert.deepEqual(await take(), [2]);
      await waiting.settle([ids[1] ?? 0, ids[4] ?? 0]);
      assert.deepEqual(await take(), [5, 9]);
    },
  },
  {
    name: 'a lane waits behind a head that is not yet due',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const nowMs = clock.wallMs();
      const ids = await waiting.put(
        [
          pair(name, target, 1, { lane: 'a', dueMs: nowMs + 700 }),
          pair(name, target, 2, { lane: 'a' }),
        ],
        null,
      );
      const first = await waiting.lease(leaseOf(target, nowMs));
      assert.deepEqual([offsetsOf(first.pairs), first.nextDueMs], [[], nowMs + 700]);
      const second = await waiting.lease(leaseOf(target, nowMs + 700));
      assert.deepEqual([offsetsOf(second.pairs), second.nextDueMs], [[1], null]);
      const retry = pair(name, target, 1, { lane: 'a', attempt: 1, dueMs: nowMs + 9000 });
      await waiting.put([{ ...retry, id: ids[0] ?? 0 }], null);
      const third = await waiting.lease(leaseOf(target, nowMs + 800));
      assert.deepEqual([offsetsOf(third.pairs), third.nextDueMs], [[], nowMs + 9000]);
    },
  },
  {
    name: 'a lane goes on when its head has left stage subscriber, or the head is dropped or parked',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = [1, 2, 3].map((n) => pair(name, target, n, { lane: 'a' }));
      await waiting.put(put, null);
      const take = async (): Promise<readonly number[]> =>
        offsetsOf((await waiting.lease(leaseOf(target, clock.wallMs()))).pairs);
      assert.deepEqual(await take(), [1]);
      const reply = { stage: 'reply', lane: null, dueMs: 9e12 } as const;
      await waiting.put([pair(name, target, 1, reply)], null);
      assert.deepEqual(await take(), [2]);
      await waiting.put([pair(name, target, 2, { stage: 'parked', lane: null })], null);
      assert.deepEqual(await take(), [3]);
    },
  },
  {
    name: 'a pair that arrives below the head of a lane becomes its head',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const nowMs = clock.wallMs();
      await waiting.put([pair(name, target, 5, { lane: 'a' })], null);
      await waiting.put([pair(name, target, 3, { lane: 'a', dueMs: nowMs + 5 })], null);
      const first = await waiting.lease(leaseOf(target, nowMs));
      assert.deepEqual([offsetsOf(first.pairs), first.nextDueMs], [[], nowMs + 5]);
      const second = await waiting.lease(leaseOf(target, nowMs + 5));
      assert.deepEqual(offsetsOf(second.pairs), [3]);
      await waiting.settle(second.pairs.map(({ id }) => id));
      const third = await waiting.lease(leaseOf(target, nowMs + 5));
      assert.deepEqual(offsetsOf(third.pairs), [5]);
    },
  },
  {
    name: 'a head that was put back goes again, also when those behind it are under lease',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      const put = [1, 2, 3].map((n) => pair(name, target, n, { lane: 'a' }));
      await waiting.put(put, 'h');
      await waiting.put(put.slice(0, 1), null);
      const { pairs } = await waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(offsetsOf(pairs), [1]);
      await waiting.settle(pairs.map(({ id }) => id));
      await waiting.release('h');
      const rest = await waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(offsetsOf(rest.pairs), [2]);
    },
  },
  {
    name: 'lanes follow a target to its new UID, and a dropped topic or target leaves none behind',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, from, to] = [await topic(), unique('from'), unique('to')];
      await waiting.put([pair(name, to, 4, { lane: 'a' })], null);
      await waiting.put(
        [2, 6, 7].map((n) => pair(name, from, n, { lane: 'a' })),
        null,
      );
      assert.equal(await waiting.retarget(name, from, to), 3);
      const taken: number[] = [];
      for (let rounds = 0; rounds < 4; rounds++) {
        const { pairs } = await waiting.lease(leaseOf(to, clock.wallMs()));
        taken.push(...offsetsOf(pairs));
        await waiting.settle(pairs.map(({ id }) => id));
      }
      assert.deepEqual(taken, [2, 4, 6, 7]);
      await waiting.put([pair(name, to, 1, { lane: 'a' }), pair(name, to, 2, { lane: 'a' })], null);
      assert.equal(await waiting.drop(name, to, { parked: false }), 2);
      await waiting.put([pair(name, to, 9, { lane: 'a' })], null);
      const { pairs } = await waiting.lease(leaseOf(to, clock.wallMs()));
      assert.deepEqual(offsetsOf(pairs), [9]);
    },
  },
  {
    name: 'a lease given before the clock was set back far does not hold a pair for ever',
    needs: [],
    async run({ open }) {
      const { driver, clock } = await open();
      await driver.admin.ensureTopic('t', { partitions: 1 });
      await driver.waiting.lease(leaseOf('uid', clock.wallMs()));
      await driver.waiting.put([pair('t', 'uid', 1)], 'a');
      clock.step(-HOUR_MS);
      const request = leaseOf('uid', clock.wallMs(), { holder: 'b' });
      const { pairs } = await driver.waiting.lease(request);
      assert.deepEqual(offsetsOf(pairs), [1]);
    },
  },
  {
    name: 'lanes of different targets and partitions do not hold each other up',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, a, b] = [await topic(2), unique('a'), unique('b')];
      const there = { source: { topic: name, partition: 1, offset: 7 }, lane: 'x' };
      await waiting.put(
        [
          pair(name, a, 1, { lane: 'x', dueMs: 9e12 }),
          pair(name, b, 2, { lane: 'x' }),
          pair(name, a, 7, there),
        ],
        null,
      );
      const take = async (target: string): Promise<readonly number[]> =>
        offsetsOf((await waiting.lease(leaseOf(target, clock.wallMs()))).pairs);
      assert.deepEqual(await take(a), [7]);
      assert.deepEqual(await take(b), [2]);
    },
  },
  {
    name: 'two holders never lease the same pair, however they race',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target] = [await topic(), unique('uid')];
      await waiting.put(
        Array.from({ length: 300 }, (_, n) => pair(name, target, n)),
        null,
      );
      const holders = Array.from({ length: 8 }, (_, n) => unique(`holder-${n}`));
      const nowMs = clock.wallMs();
      const runs = holders.map(async (holder) => {
        const taken: number[] = [];
        for (let rounds = 0; rounds < 10; rounds++) {
          const { pairs } = await waiting.lease(leaseOf(target, nowMs, { holder, countMax: 7 }));
          taken.push(...pairs.map(({ id }) => id));
        }
        return taken;
      });
      const taken = (await Promise.all(runs)).flat();
      assert.equal(taken.length, 300);
      assert.equal(new Set(taken).size, 300);
    },
  },
  {
    name: 'what is put for a holder is under its lease, and comes free ten seconds later',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target, a, b] = [await topic(), unique('uid'), unique('a'), unique('b')];
      const putMs = clock.wallMs();
      await waiting.put([pair(name, target, 1)], a);
      const early = await waiting.lease(leaseOf(target, putMs + LEASE_MS - 1, { holder: b }));
      assert.deepEqual(early.pairs, []);
      assertNear(early.nextDueMs, putMs + LEASE_MS);
      const lateMs = clock.wallMs() + LEASE_MS;
      const late = await waiting.lease(leaseOf(target, lateMs, { holder: b }));
      assert.deepEqual(offsetsOf(late.pairs), [1]);
    },
  },
  {
    name: 'a lease lasts ten seconds from its last renewal, by its own holder only',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target, a, b] = [await topic(), unique('uid'), unique('a'), unique('b')];
      await waiting.put([pair(name, target, 1)], null);
      const { pairs } = await waiting.lease(leaseOf(target, clock.wallMs(), { holder: a }));
      const ids = pairs.map(({ id }) => id);
      clock.step(8000);
      await waiting.renew(a, [...ids, 987_654_321]);
      clock.step(8000);
      assert.equal(await count(waiting, target, b, clock.wallMs()), 0);
      await waiting.renew(b, ids);
      clock.step(2001);
      assert.equal(await count(waiting, target, b, clock.wallMs()), 1);
      await waiting.renew(a, ids);
      clock.step(LEASE_MS);
      assert.equal(await count(waiting, target, a, clock.wallMs()), 1);
    },
  },
  {
    name: 'a holder that comes back voids its leases at once; only open attempts count a death',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target, a, b] = [await topic(), unique('uid'), unique('a'), unique('b')];
      assert.deepEqual(await waiting.recover(a), { unclean: false });
      await waiting.put([pair(name, target, 1), pair(name, target, 2, { attempt: 2 })], a);
      await waiting.put([pair(name, target, 3, { attempt: 1 })], b);
      await waiting.put([pair(name, target, 4, { attempt: 1 })], null);
      assert.deepEqual(await waiting.recover(a), { unclean: true });
      const deaths = (await waiting.peek({ target, countMax: 9 })).map((each) => each.deaths);
      assert.deepEqual(deaths, [0, 1, 0, 0]);
      const { pairs } = await waiting.lease(leaseOf(target, clock.wallMs(), { holder: a }));
      assert.deepEqual(offsetsOf(pairs), [1, 2, 4]);
      assert.deepEqual(await waiting.recover(a), { unclean: true });
      const again = (await waiting.peek({ target, countMax: 9 })).map((each) => each.deaths);
      assert.deepEqual(again, [1, 2, 0, 1]);
    },
  },
  {
    name: 'a clean end gives leases back as they are, without a death',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target, a, b] = [await topic(), unique('uid'), unique('a'), unique('b')];
      await waiting.recover(a);
      await waiting.put([pair(name, target, 1)], null);
      await waiting.lease(leaseOf(target, clock.wallMs(), { holder: a }));
      await waiting.release(a);
      const { pairs } = await waiting.lease(leaseOf(target, clock.wallMs(), { holder: b }));
      assert.deepEqual(
        pairs.map(({ attempt, deaths }) => [attempt, deaths]),
        [[2, 0]],
      );
      assert.deepEqual(await waiting.recover(a), { unclean: false });
      assert.deepEqual(await waiting.recover(a), { unclean: true });
      assert.equal(await count(waiting, target, a, clock.wallMs()), 0);
    },
  },
  {
    name: 'putting a pair back without a holder ends its lease',
    needs: [],
    async run({ driver: { waiting }, unique, topic, clock }) {
      const [name, target, a, b] = [await topic(), unique('uid'), unique('a'), unique('b')];
      await waiting.put([pair(name, target, 1)], null);
      const first = await waiting.lease(leaseOf(target, clock.wallMs(), { holder: a }));
      await waiting.put(first.pairs, null);
      const second = await waiting.lease(leaseOf(target, clock.wallMs(), { holder: b }));
      assert.deepEqual(
        second.pairs.map(({ attempt }) => attempt),
        [2],
      );
    },
  },
];

async function count(
  waiting: WaitingStore,
  target: string,
  holder: string,
  nowMs: number,
): Promise<number> {
  return (await waiting.lease(leaseOf(target, nowMs, { holder }))).pairs.length;
}

/** Within the time that the test itself may take. */
function assertNear(actualMs: number | null, wantedMs: number): void {
  assert.ok(actualMs !== null, 'a time');
  assert.ok(actualMs >= wantedMs && actualMs < wantedMs + 5000, `${actualMs} for ${wantedMs}`);
}
