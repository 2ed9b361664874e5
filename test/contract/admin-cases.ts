/** The contract of `ChannelAdmin` and of closing: topics, durability, usage, handles. */
import assert from 'node:assert/strict';
import { isReceipt } from '#lib/channel/receipt';
import type { ContractCase } from './contract-case.ts';
import { MIB, assertFails, bulky, cursor, idsOf, leaseOf, pair } from './samples.ts';
import { readAll, record } from './samples.ts';

export const ADMIN_CASES: readonly ContractCase[] = [
  {
    name: 'a topic is made once, grows, and is never shrunk or cleared',
    needs: [],
    async run({ driver, unique }) {
      const name = unique('topic');
      await driver.admin.ensureTopic(name, { partitions: 2 });
      await driver.log.append(name, record('kept'), { partition: 1 });
      await driver.admin.ensureTopic(name, { partitions: 2 });
      await driver.admin.ensureTopic(name, { partitions: 1 });
      assert.equal((await driver.log.ends(name)).length, 2);
      await driver.admin.ensureTopic(name, { partitions: 3 });
      assert.equal((await driver.log.ends(name)).length, 3);
      assert.deepEqual(idsOf(await readAll(driver, name, 1)), ['kept']);
      assert.ok((await driver.admin.topics()).includes(name));
    },
  },
  {
    name: 'topics made at the same time are all made',
    needs: [],
    async run({ driver, unique }) {
      const names = Array.from({ length: 5 }, (_, n) => unique(`t${n}`));
      await Promise.all(
        [...names, ...names].map((name) => driver.admin.ensureTopic(name, { partitions: 1 })),
      );
      const topics = await driver.admin.topics();
      for (const name of names) {
        assert.equal(topics.filter((topic) => topic === name).length, 1);
        assert.ok(isReceipt(await driver.log.append(name, record('a'))));
      }
    },
  },
  {
    name: 'names of topics may hold what names of Brokers hold',
    needs: [],
    async run({ driver, unique }) {
      const name = unique('knative-broker-my.ns-ä/b:c_D');
      await driver.admin.ensureTopic(name, { partitions: 1 });
      await driver.log.append(name, record('a'));
      assert.deepEqual(idsOf(await readAll(driver, name)), ['a']);
      assert.ok((await driver.admin.topics()).includes(name));
    },
  },
  {
    name: 'removing a topic removes its log, cursors and pairs, and ends its readers',
    needs: [],
    async run({ driver, unique, topic, clock }) {
      const [name, kept, target] = [await topic(), await topic(), unique('uid')];
      await driver.log.append(name, record('a'));
      await driver.cursors.create(name, [cursor('c', 0)]);
      await driver.cursors.create(kept, [cursor('c', 0)]);
      await driver.waiting.put([pair(name, target, 1), pair(kept, target, 2)], null);
      const [end] = await driver.log.ends(name);
      const reader = await driver.log.read(name, 0, end?.next ?? 0);
      const next = reader.next(1, MIB);
      await driver.admin.removeTopic(name);
      await driver.admin.removeTopic(name);
      assert.deepEqual(await next, []);
      reader.close();
      assert.ok(!(await driver.admin.topics()).includes(name));
      await assertFails(driver.log.append(name, record('b')), 'CHANNEL_TOPIC_UNKNOWN');
      assert.deepEqual(await driver.cursors.load(name), []);
      assert.equal((await driver.cursors.load(kept)).length, 1);
      const { pairs } = await driver.waiting.lease(leaseOf(target, clock.wallMs()));
      assert.deepEqual(
        pairs.map(({ source }) => source.topic),
        [kept],
      );
    },
  },
  {
    name: 'a topic made again is empty, and the former owner cannot write its cursors',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      await driver.log.append(name, record('old'));
      const epoch = await driver.cursors.acquire(name, 0, 'filter');
      await driver.admin.removeTopic(name);
      await driver.admin.ensureTopic(name, { partitions: 1 });
      assert.deepEqual(await driver.cursors.load(name), []);
      const late = cursor('f', 1, { role: 'filter', epoch });
      await assertFails(driver.cursors.commit(name, [late]), 'CHANNEL_EPOCH_STALE');
      await driver.log.append(name, record('new'));
      const [end] = await driver.log.ends(name);
      assert.deepEqual(idsOf(await readAll(driver, name, 0, end?.first)), ['new']);
    },
  },
  {
    name: 'the live durability is the advertised one',
    needs: [],
    async run({ driver }) {
      assert.deepEqual(await driver.admin.verify(), {
        level: driver.capabilities.durability,
        reason: null,
      });
    },
  },
  {
    name: 'usage tells what is stored and which cursor pins most',
    needs: [],
    async run({ open }) {
      const { driver } = await open();
      await driver.admin.ensureTopic('t', { partitions: 1 });
      const before = await driver.admin.usage();
      assert.equal(before.isFull, false);
      assert.equal(before.largestBacklog, null);
      assert.deepEqual(before.quarantined, []);
      const offsets: number[] = [];
      for (let n = 0; n < 20; n++) {
        offsets.push((await driver.log.append('t', bulky(`${n}`, 50_000))).offset);
      }
      await driver.cursors.create('t', [
        cursor('near', offsets[18] ?? 0),
        cursor('far', offsets[2] ?? 0),
        cursor('free', 0, { pins: false }),
      ]);
      const after = await driver.admin.usage();
      const grownBytes = after.storedBytes - before.storedBytes;
      assert.ok(grownBytes >= 1_000_000 && grownBytes < 3_000_000, `${grownBytes}`);
      assert.equal(after.largestBacklog?.topic, 't');
      assert.equal(after.largestBacklog.cursor, 'far');
      const pinnedBytes = after.largestBacklog.bytes;
      assert.ok(pinnedBytes >= 800_000 && pinnedBytes <= 1_200_000, `${pinnedBytes}`);
    },
  },
  {
    name: 'closing finishes open appends, ends readers, and refuses what comes later',
    needs: [],
    async run({ open }) {
      const { driver, clock } = await open();
      await driver.admin.ensureTopic('t', { partitions: 1 });
      const reader = await driver.log.read('t', 0, 5_000_000);
      const next = reader.next(1, MIB);
      const appends = Array.from({ length: 50 }, (_, n) => driver.log.append('t', record(`${n}`)));
      const put = driver.waiting.put([pair('t', 'uid', 1)], null);
      const closed = driver.close();
      assert.ok((await Promise.all(appends)).every(isReceipt));
      assert.equal((await put).length, 1);
      await closed;
      await driver.close();
      assert.deepEqual(await next, []);
      await assertFails(driver.log.append('t', record('late')), 'CHANNEL_CLOSED');
      await assertFails(driver.cursors.load('t'), 'CHANNEL_CLOSED');
      await assertFails(driver.waiting.settle([1]), 'CHANNEL_CLOSED');
      await assertFails(driver.waiting.lease(leaseOf('uid', clock.wallMs())), 'CHANNEL_CLOSED');
    },
  },
  {
    name: 'an opened and closed driver leaves no timer, socket, thread or file behind',
    needs: [],
    async run({ open }) {
      const before = await handles();
      const opened = await open();
      await opened.driver.admin.ensureTopic('t', { partitions: 1 });
      await opened.driver.log.append('t', record('a'));
      await opened.driver.waiting.put([pair('t', 'uid', 1)], null);
      await opened.dispose();
      const after = await handles();
      for (const [kind, count] of after) {
        assert.ok(count <= (before.get(kind) ?? 0), `${kind}: ${before.get(kind) ?? 0} → ${count}`);
      }
    },
  },
];

/** What keeps the process alive, by kind, after closed things have had their turn to go. */
async function handles(): Promise<ReadonlyMap<string, number>> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind !== 'Immediate') counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}
