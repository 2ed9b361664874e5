/** The contract of coming back: what was acknowledged is there after a crash and after a clean end. */
import assert from 'node:assert/strict';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { ContractCase, OpenedDriver } from './contract-case.ts';
import {
  assertFails,
  assertSameRecord,
  bulky,
  cursor,
  idsOf,
  leaseOf,
  offsetsOf,
} from './samples.ts';
import { pair, readAll, record, richRecord } from './samples.ts';

export const CRASH_CASES: readonly ContractCase[] = [
  {
    name: 'a crash loses nothing that was acknowledged in the log',
    needs: ['reopen'],
    async run({ open }) {
      const opened = await open();
      const { driver } = opened;
      await driver.admin.ensureTopic('t', { partitions: 2 });
      const ids = Array.from({ length: 300 }, (_, n) => `e${n}`);
      await Promise.all(
        ids.map((id, n) => driver.log.append('t', bulky(id, n), { partition: n % 2 })),
      );
      await driver.log.append('t', richRecord('rich'), { partition: 0 });
      const before = await driver.log.ends('t');
      const again = await opened.crash();
      assert.deepEqual(await again.log.ends('t'), before);
      const entries = [...(await readAll(again, 't', 0)), ...(await readAll(again, 't', 1))];
      assert.deepEqual(idsOf(entries).toSorted(), [...ids, 'rich'].toSorted());
      const rich = entries.find(({ record: each }) => each.kind === 'event' && each.key !== null);
      assertSameRecord(rich?.record ?? record('none'), richRecord('rich'));
      const receipt = await again.log.append('t', record('after'), { partition: 0 });
      assert.equal(receipt.offset, before[0]?.next);
      assert.equal(idsOf(await readAll(again, 't', 0)).at(-1), 'after');
    },
  },
  {
    name: 'a crash loses no cursor and no epoch',
    needs: ['reopen'],
    async run({ open }) {
      const opened = await open();
      await opened.driver.admin.ensureTopic('t', { partitions: 1 });
      const epoch = await opened.driver.cursors.acquire('t', 0, 'filter');
      const written = cursor('f', 42, { role: 'filter', epoch, metadata: 'm' });
      await opened.driver.cursors.commit('t', [written]);
      const again = await opened.crash();
      assert.deepEqual(await again.cursors.load('t'), [written]);
      const next = await again.cursors.acquire('t', 0, 'filter');
      assert.ok(next > epoch);
      await assertFails(again.cursors.commit('t', [written]), 'CHANNEL_EPOCH_STALE');
    },
  },
  {
    name: 'a crash keeps waiting pairs, attempts and leases; the holder finds out and ids go on',
    needs: ['reopen'],
    async run({ open }) {
      const opened = await open();
      const { before, ids } = await fill(opened);
      const again = await opened.crash();
      assert.deepEqual(await again.waiting.peek({ countMax: 100 }), before);
      const nowMs = opened.clock.wallMs();
      assert.deepEqual(
        (await again.waiting.lease(leaseOf('uid', nowMs, { holder: 'b' }))).pairs,
        [],
      );
      assert.deepEqual(await again.waiting.recover('a'), { unclean: true });
      const { pairs } = await again.waiting.lease(leaseOf('uid', nowMs, { holder: 'a' }));
      assert.deepEqual(
        pairs.map(({ attempt, deaths }) => [attempt, deaths]),
        [
          [2, 1],
          [2, 1],
        ],
      );
      await assertIdsGoOn(again, ids);
    },
  },
  {
    name: 'a clean end keeps everything too, and the holder knows that it was clean',
    needs: ['reopen'],
    async run({ open }) {
      const opened = await open();
      const { before, ids } = await fill(opened);
      await opened.driver.log.append('t', record('kept'));
      await opened.driver.waiting.release('a');
      const again = await opened.reopen();
      assert.deepEqual(idsOf(await readAll(again, 't')), ['kept']);
      assert.deepEqual(await again.waiting.peek({ countMax: 100 }), before);
      assert.deepEqual(await again.waiting.recover('a'), { unclean: false });
      await assertIdsGoOn(again, ids);
    },
  },
  {
    name: 'topics are there again, removed ones are not',
    needs: ['reopen'],
    async run({ open }) {
      const opened = await open();
      for (const name of ['a', 'b', 'c']) {
        await opened.driver.admin.ensureTopic(name, { partitions: 1 });
        await opened.driver.log.append(name, record(name));
      }
      await opened.driver.admin.removeTopic('b');
      const again = await opened.crash();
      assert.deepEqual((await again.admin.topics()).toSorted(), ['a', 'c']);
      assert.deepEqual(idsOf(await readAll(again, 'c')), ['c']);
      await assertFails(again.log.ends('b'), 'CHANNEL_TOPIC_UNKNOWN');
    },
  },
];

/** Two pairs under lease of `a`, one parked. The settled one's id must never come again. */
async function fill(opened: OpenedDriver): Promise<{
  readonly before: readonly object[];
  readonly ids: readonly number[];
}> {
  const { driver, clock } = opened;
  await driver.admin.ensureTopic('t', { partitions: 1 });
  await driver.waiting.recover('a');
  const ids = await driver.waiting.put(
    [
      pair('t', 'uid', 1, { record: richRecord('1') }),
      pair('t', 'uid', 2),
      pair('t', 'uid', 3, { stage: 'parked' }),
      pair('t', 'uid', 4),
    ],
    null,
  );
  await driver.waiting.settle(ids.slice(3));
  const { pairs } = await driver.waiting.lease(leaseOf('uid', clock.wallMs(), { holder: 'a' }));
  assert.deepEqual(offsetsOf(pairs), [1, 2]);
  return { before: await driver.waiting.peek({ countMax: 100 }), ids };
}

async function assertIdsGoOn(driver: ChannelDriver, ids: readonly number[]): Promise<void> {
  const [later] = await driver.waiting.put([pair('t', 'uid', 9)], null);
  assert.ok((later ?? 0) > Math.max(...ids), `${later} after ${ids.join()}`);
}
