/** The contract of `LogReader`, `ends` and `seekTime`: credit, waiting, positions. */
import assert from 'node:assert/strict';
import type { ContractCase } from './contract-case.ts';
import { MIB, bulky, cursor, idsOf, readAll, record } from './samples.ts';

export const READER_CASES: readonly ContractCase[] = [
  {
    name: 'a reader takes no more entries than it has credit for',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      await driver.log.appendAll(
        name,
        Array.from({ length: 10 }, (_, n) => record(`${n}`)),
      );
      const reader = await driver.log.read(name, 0, 0);
      const ids: string[] = [];
      while (ids.length < 10) {
        const entries = await reader.next(3, MIB);
        assert.ok(entries.length >= 1 && entries.length <= 3, `${entries.length}`);
        ids.push(...idsOf(entries));
        assert.ok(reader.position > (entries.at(-1)?.offset ?? 0));
      }
      assert.deepEqual(
        ids,
        Array.from({ length: 10 }, (_, n) => `${n}`),
      );
      reader.close();
    },
  },
  {
    name: 'a reader takes no more bytes than it has credit for, but always one entry',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      for (const id of ['a', 'b', 'c', 'd']) await driver.log.append(name, bulky(id, 10_000));
      const reader = await driver.log.read(name, 0, 0);
      assert.deepEqual(idsOf(await reader.next(10, 100)), ['a']);
      const two = await reader.next(10, 25_000);
      assert.ok(two.length <= 2 && two.length >= 1);
      const rest = two.length === 2 ? ['d'] : ['c'];
      assert.deepEqual(idsOf(await reader.next(1, MIB)), rest);
      reader.close();
    },
  },
  {
    name: 'a reader waits for the next append',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const reader = await driver.log.read(name, 0, 0);
      let isDone = false;
      const next = reader.next(10, MIB).then((entries) => {
        isDone = true;
        return entries;
      });
      await driver.log.ends(name);
      assert.equal(isDone, false);
      await driver.log.append(name, record('late'));
      assert.deepEqual(idsOf(await next), ['late']);
      reader.close();
    },
  },
  {
    name: 'a waiting reader ends with nothing when it is aborted, and can go on',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const reader = await driver.log.read(name, 0, 0);
      const stop = new AbortController();
      const next = reader.next(10, MIB, stop.signal);
      stop.abort();
      assert.deepEqual(await next, []);
      assert.deepEqual(await reader.next(10, MIB, stop.signal), []);
      await driver.log.append(name, record('a'));
      assert.deepEqual(idsOf(await reader.next(10, MIB)), ['a']);
      reader.close();
    },
  },
  {
    name: 'a waiting reader ends with nothing when it is closed',
    needs: [],
    async run({ driver, topic }) {
      const reader = await driver.log.read(await topic(), 0, 0);
      const next = reader.next(10, MIB);
      reader.close();
      reader.close();
      assert.deepEqual(await next, []);
      assert.deepEqual(await reader.next(10, MIB), []);
    },
  },
  {
    name: 'many readers of a partition each see everything',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const readers = await Promise.all([0, 0, 0].map((from) => driver.log.read(name, 0, from)));
      const ids = Array.from({ length: 20 }, (_, n) => `${n}`);
      const reads = readers.map(async (reader) => {
        const seen: string[] = [];
        while (seen.length < 20) seen.push(...idsOf(await reader.next(7, MIB)));
        reader.close();
        return seen;
      });
      for (const id of ids) await driver.log.append(name, record(id));
      for (const seen of await Promise.all(reads)) assert.deepEqual(seen, ids);
    },
  },
  {
    name: 'reading starts at any offset, also one that is still to come',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const receipts = await driver.log.appendAll(
        name,
        ['a', 'b', 'c'].map((id) => record(id)),
      );
      const second = receipts[1]?.offset ?? 0;
      assert.deepEqual(idsOf(await readAll(driver, name, 0, second)), ['b', 'c']);
      const [end] = await driver.log.ends(name);
      const reader = await driver.log.read(name, 0, end?.next ?? 0);
      const next = reader.next(10, MIB);
      await driver.log.append(name, record('d'));
      assert.deepEqual(idsOf(await next), ['d']);
      reader.close();
    },
  },
  {
    name: 'a log of many entries is read whole, in order, in small steps',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const ids = Array.from({ length: 3000 }, (_, n) => `${n}`);
      for (let start = 0; start < ids.length; start += 500) {
        await driver.log.appendAll(
          name,
          ids.slice(start, start + 500).map((id) => bulky(id, Number(id) % 700)),
        );
      }
      const reader = await driver.log.read(name, 0, 0);
      const seen: string[] = [];
      while (seen.length < ids.length) seen.push(...idsOf(await reader.next(64, 16_384)));
      assert.deepEqual(seen, ids);
      reader.close();
    },
  },
  {
    name: 'the ends are the first kept and the next free offset of each partition',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      const empty = await driver.log.ends(name);
      assert.deepEqual(
        empty.map(({ partition, first, next }) => [partition, next - first]),
        [
          [0, 0],
          [1, 0],
        ],
      );
      const receipt = await driver.log.append(name, record('a'), { partition: 1 });
      const [zero, one] = await driver.log.ends(name);
      assert.deepEqual(zero, empty[0]);
      assert.equal(one?.first, receipt.offset);
      assert.ok((one?.next ?? 0) > receipt.offset);
    },
  },
  {
    name: 'a time is sought: the first entry at or after it, else the end',
    needs: ['seek'],
    async run({ driver, clock, topic }) {
      const name = await topic();
      const startMs = clock.wallMs();
      const offsets: number[] = [];
      for (const id of ['a', 'b', 'c']) {
        offsets.push((await driver.log.append(name, record(id))).offset);
        clock.step(60_000);
      }
      const [end] = await driver.log.ends(name);
      const seek = (timeMs: number): Promise<number> => driver.log.seekTime(name, 0, timeMs);
      assert.equal(await seek(0), offsets[0]);
      assert.equal(await seek(startMs), offsets[0]);
      assert.equal(await seek(startMs + 50_000), offsets[1]);
      assert.equal(await seek(startMs + 110_000), offsets[2]);
      assert.equal(await seek(startMs + 170_000), end?.next);
    },
  },
  {
    name: 'what a cursor pins is never trimmed, and a reader below the start begins there',
    needs: [],
    async run({ open }) {
      const { driver } = await open({ capacityBytes: 16 * MIB });
      await driver.admin.ensureTopic('pinned', { partitions: 1 });
      const add = async (from: number, count: number): Promise<readonly number[]> => {
        const offsets: number[] = [];
        for (let n = from; n < from + count; n++) {
          offsets.push((await driver.log.append('pinned', bulky(`${n}`, 64 * 1024))).offset);
        }
        return offsets;
      };
      const offsets = await add(0, 150);
      const pinned = offsets[100] ?? 0;
      await driver.cursors.create('pinned', [cursor('pin', pinned)]);
      await add(150, 50).catch(() => 'the store may be full: the cursor pins');
      const [end] = await driver.log.ends('pinned');
      assert.ok(end !== undefined && end.first <= pinned, `${end?.first} of ${pinned}`);
      const reader = await driver.log.read('pinned', 0, 0);
      const [first] = await reader.next(1, MIB);
      assert.equal(first?.offset, end.first);
      reader.close();
      assert.equal(idsOf(await readAll(driver, 'pinned', 0, pinned))[0], '100');
    },
  },
];
