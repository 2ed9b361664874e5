/** The contract of `CursorStore`: create, commit, load, remove, and the epochs of roles. */
import assert from 'node:assert/strict';
import type { Cursor } from '#lib/channel/cursor-store';
import type { ContractCase } from './contract-case.ts';
import { assertFails, cursor } from './samples.ts';

export const CURSOR_CASES: readonly ContractCase[] = [
  {
    name: 'a cursor comes back as it was committed, by prefix and for all partitions',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      const written = [
        cursor('trigger/a', 3, { metadata: 'ünï {"x":1}' }),
        cursor('trigger/a', 9, { partition: 1, pins: false }),
        cursor('filter/shared', 2 ** 40, { role: 'filter', epoch: 5 }),
      ];
      await driver.cursors.commit(name, written);
      assert.deepEqual(sorted(await driver.cursors.load(name)), sorted(written));
      const some = await driver.cursors.load(name, 'trigger/');
      assert.deepEqual(sorted(some), sorted(written.slice(0, 2)));
      assert.deepEqual(await driver.cursors.load(name, 'trigger/a%'), []);
    },
  },
  {
    name: 'a commit replaces, a create leaves what is there',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      await driver.cursors.create(name, [cursor('a', 1)]);
      await driver.cursors.create(name, [cursor('a', 7), cursor('b', 7)]);
      assert.deepEqual(offsets(await driver.cursors.load(name)), { a: 1, b: 7 });
      await driver.cursors.commit(name, [cursor('a', 9), cursor('c', 2)]);
      assert.deepEqual(offsets(await driver.cursors.load(name)), { a: 9, b: 7, c: 2 });
      await driver.cursors.commit(name, [cursor('a', 4)]);
      assert.equal(offsets(await driver.cursors.load(name))['a'], 4);
    },
  },
  {
    name: 'cursors are removed by name, in all partitions; unknown names are no error',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      await driver.cursors.create(name, [
        cursor('a', 1),
        cursor('a', 1, { partition: 1 }),
        cursor('b', 1),
      ]);
      await driver.cursors.remove(name, ['a', 'nobody']);
      await driver.cursors.remove(name, ['nobody']);
      assert.deepEqual(offsets(await driver.cursors.load(name)), { b: 1 });
    },
  },
  {
    name: 'cursors are removed in one partition when it is named',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      await driver.cursors.create(name, [
        cursor('a', 1),
        cursor('a', 2, { partition: 1 }),
        cursor('b', 3, { partition: 1 }),
      ]);
      await driver.cursors.remove(name, ['a'], 1);
      await driver.cursors.remove(name, ['b'], 0);
      const left = await driver.cursors.load(name);
      assert.deepEqual(
        sorted(left).map((each) => [each.name, each.partition]),
        [
          ['a', 0],
          ['b', 1],
        ],
      );
    },
  },
  {
    name: 'taking a role over raises its epoch and shuts the former owner out',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const first = await driver.cursors.acquire(name, 0, 'filter');
      const byFilter = (epoch: number, offset: number): Promise<void> =>
        driver.cursors.commit(name, [cursor('f', offset, { role: 'filter', epoch })]);
      await byFilter(first, 1);
      const second = await driver.cursors.acquire(name, 0, 'filter');
      assert.ok(second > first);
      await assertFails(byFilter(first, 2), 'CHANNEL_EPOCH_STALE');
      await byFilter(second, 3);
      assert.equal(offsets(await driver.cursors.load(name))['f'], 3);
    },
  },
  {
    name: 'each role and partition has epochs of its own; control is never refused',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      await driver.cursors.acquire(name, 0, 'filter');
      const filter = await driver.cursors.acquire(name, 0, 'filter');
      const dispatcher = await driver.cursors.acquire(name, 0, 'dispatcher');
      assert.ok(dispatcher < filter);
      await driver.cursors.commit(name, [
        cursor('d', 1, { role: 'dispatcher', epoch: dispatcher }),
        cursor('other', 1, { role: 'filter', epoch: 0, partition: 1 }),
        cursor('c', 1, { role: 'control', epoch: 0 }),
      ]);
      assert.equal((await driver.cursors.load(name)).length, 3);
    },
  },
  {
    name: 'a commit with one stale cursor writes none',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const epoch = await driver.cursors.acquire(name, 0, 'dispatcher');
      await assertFails(
        driver.cursors.commit(name, [
          cursor('good', 1, { role: 'dispatcher', epoch }),
          cursor('stale', 1, { role: 'dispatcher', epoch: epoch - 1 }),
        ]),
        'CHANNEL_EPOCH_STALE',
      );
      assert.deepEqual(await driver.cursors.load(name), []);
    },
  },
  {
    name: 'a refused commit does not disturb its neighbours in time',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const epoch = await driver.cursors.acquire(name, 0, 'filter');
      const commit = (id: string, own: number): Promise<void> =>
        driver.cursors.commit(name, [cursor(id, 1, { role: 'filter', epoch: own })]);
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => commit(`c${n}`, n % 3 === 1 ? epoch - 1 : epoch)),
      );
      assert.deepEqual(
        results.map(({ status }) => status === 'fulfilled'),
        Array.from({ length: 20 }, (_, n) => n % 3 !== 1),
      );
      assert.equal((await driver.cursors.load(name)).length, 13);
    },
  },
  {
    name: 'concurrent takeovers get distinct epochs',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const epochs = await Promise.all(
        Array.from({ length: 20 }, () => driver.cursors.acquire(name, 0, 'dispatcher')),
      );
      assert.equal(new Set(epochs).size, 20);
    },
  },
];

function sorted(cursors: readonly Cursor[]): readonly Cursor[] {
  const key = ({ name, partition }: Cursor): string => `${name}/${partition}`;
  return cursors.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function offsets(cursors: readonly Cursor[]): Record<string, number> {
  return Object.fromEntries(cursors.map(({ name, offset }) => [name, offset]));
}
