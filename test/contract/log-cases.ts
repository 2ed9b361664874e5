/** The contract of `EventLog`: appending, receipts, fidelity, limits. Reading is in `reader-cases.ts`. */
import assert from 'node:assert/strict';
import { isReceipt } from '#lib/channel/receipt';
import type { DeliveryRecord, ReaderChangeRecord } from '#lib/channel/event-record';
import type { ContractCase } from './contract-case.ts';
import { MIB, assertFails, assertSameRecord, bulky, event, idsOf } from './samples.ts';
import { cursor, readAll, record, richRecord } from './samples.ts';

export const LOG_CASES: readonly ContractCase[] = [
  {
    name: 'a receipt is real and names where the record is',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const receipt = await driver.log.append(name, record('a'));
      assert.ok(isReceipt(receipt));
      assert.equal(isReceipt({ ...receipt }), false);
      assert.deepEqual([receipt.topic, receipt.partition], [name, 0]);
      const [entry] = await readAll(driver, name, 0, receipt.offset);
      assert.equal(entry?.offset, receipt.offset);
      assert.equal(entry.record.kind === 'event' && entry.record.event.id, 'a');
    },
  },
  {
    name: 'records of one key stay in one partition, in the order of their appends',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(3);
      const expected = new Map<string, string[]>();
      for (let n = 0; n < 60; n++) {
        const key = `key-${n % 7}`;
        await driver.log.append(name, record(`${key}/${n}`, { key }));
        expected.set(key, [...(expected.get(key) ?? []), `${key}/${n}`]);
      }
      const homes = new Map<string, Set<number>>();
      const found = new Map<string, string[]>();
      for (const partition of [0, 1, 2]) {
        for (const id of idsOf(await readAll(driver, name, partition))) {
          const key = id.split('/')[0] ?? '';
          homes.set(key, (homes.get(key) ?? new Set()).add(partition));
          found.set(key, [...(found.get(key) ?? []), id]);
        }
      }
      assert.deepEqual(found, expected);
      for (const [key, partitions] of homes) assert.equal(partitions.size, 1, key);
    },
  },
  {
    name: 'a batch gets one receipt per record, in order, and keyless ones share a partition',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(2);
      const records = Array.from({ length: 50 }, (_, n) => record(`${n}`));
      const receipts = await driver.log.appendAll(name, records);
      assert.equal(receipts.length, 50);
      assert.ok(receipts.every(isReceipt));
      assert.equal(new Set(receipts.map(({ partition }) => partition)).size, 1);
      const offsets = receipts.map(({ offset }) => offset);
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(offsets).size, 50);
      const entries = await readAll(driver, name, receipts[0]?.partition);
      assert.deepEqual(
        idsOf(entries),
        records.map(({ event: { id } }) => id),
      );
      assert.deepEqual(
        entries.map(({ offset }) => offset),
        offsets,
      );
    },
  },
  {
    name: 'a batch of nothing gives no receipts',
    needs: [],
    async run({ driver, topic }) {
      assert.deepEqual(await driver.log.appendAll(await topic(), []), []);
    },
  },
  {
    name: 'the named partition overrides the key',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic(3);
      for (const partition of [2, 0, 1]) {
        const receipt = await driver.log.append(name, record('x', { key: 'k' }), { partition });
        assert.equal(receipt.partition, partition);
      }
    },
  },
  {
    name: 'concurrent appends get distinct rising offsets and are all there',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const ids = Array.from({ length: 500 }, (_, n) => `e${n}`);
      const receipts = await Promise.all(ids.map((id) => driver.log.append(name, record(id))));
      assert.equal(new Set(receipts.map(({ offset }) => offset)).size, 500);
      const entries = await readAll(driver, name);
      const offsets = entries.map(({ offset }) => offset);
      assert.ok(offsets.every((offset, n) => n === 0 || offset > (offsets[n - 1] ?? 0)));
      assert.deepEqual(idsOf(entries).toSorted(), ids.toSorted());
      for (const [n, { offset }] of receipts.entries()) {
        const entry = entries.find((candidate) => candidate.offset === offset);
        assert.equal(entry?.record.kind === 'event' && entry.record.event.id, ids[n]);
      }
    },
  },
  {
    name: 'an event comes back as it was: attributes, typed extensions, headers, key, bytes',
    needs: [],
    async run({ driver, topic }) {
      const name = await topic();
      const records = [
        richRecord('rich'),
        record('plain'),
        record('no data', { event: event('no data', { data: null }) }),
        record('empty data', { event: event('empty data', { data: Buffer.alloc(0) }) }),
        record('old', { event: event('old', { specversion: '0.3', dataschema: 'urn:s' }) }),
        record('ttl 0', { ttl: 0, arrivalMs: 0, key: '' }),
        bulky('bulky', 300_000),
      ];
      for (const each of records) await driver.log.append(name, each);
      const entries = await readAll(driver, name);
      assert.equal(entries.length, records.length);
      for (const [n, expected] of records.entries()) {
        const entry = entries[n];
        assert.ok(entry !== undefined);
        assertSameRecord(entry.record, expected);
      }
    },
  },
  {
    name: 'a delivery and a change of readers come back as they were',
    needs: [],
    async run({ driver, topic }) {
      const [source, deliveries] = [await topic(), await topic()];
      const rich = richRecord('matched');
      const { offset } = await driver.log.append(source, rich);
      const position = { topic: source, partition: 0, offset };
      const delivery: DeliveryRecord = {
        kind: 'delivery',
        source: position,
        targets: ['uid-1', 'uid-2'],
        revision: 1234,
        record: rich,
      };
      const change: ReaderChangeRecord = {
        kind: 'readerChange',
        source: position,
        triggers: [
          { uid: 'uid-1', reader: 'own' },
          { uid: 'uid-2', reader: 'shared' },
        ],
      };
      await driver.log.append(deliveries, delivery, { partition: 0, reserved: true });
      await driver.log.append(deliveries, change, { partition: 0, reserved: true });
      const entries = await readAll(driver, deliveries);
      assert.deepEqual(
        entries.map((entry) => entry.record),
        [delivery, change],
      );
    },
  },
  {
    name: 'an entry carries its time and size',
    needs: [],
    async run({ driver, clock, topic }) {
      const name = await topic();
      const beforeMs = clock.wallMs();
      await driver.log.append(name, bulky('a', 5000));
      const [entry] = await readAll(driver, name);
      assert.ok(entry !== undefined);
      assert.ok(entry.timeMs >= beforeMs && entry.timeMs <= clock.wallMs(), `${entry.timeMs}`);
      assert.ok(entry.sizeBytes >= 5000 && entry.sizeBytes < 8000, `${entry.sizeBytes}`);
    },
  },
  {
    name: 'a record above the limit is refused for good, one below is taken',
    needs: ['recordLimit'],
    async run({ driver, topic }) {
      const name = await topic();
      const limitBytes = driver.capabilities.recordBytesMax ?? 0;
      const tooLarge = bulky('large', limitBytes + 1);
      await assertFails(driver.log.append(name, tooLarge), 'CHANNEL_RECORD_TOO_LARGE');
      await assertFails(
        driver.log.appendAll(name, [record('small'), tooLarge]),
        'CHANNEL_RECORD_TOO_LARGE',
      );
      await driver.log.append(name, bulky('fits', limitBytes - 2048));
      assert.equal(idsOf(await readAll(driver, name)).at(-1), 'fits');
    },
  },
  {
    name: 'producers are refused before the store is full, reserved appends go on',
    needs: [],
    async run({ open }) {
      const { driver } = await open({ capacityBytes: 8 * MIB });
      await driver.admin.ensureTopic('full', { partitions: 1 });
      await driver.cursors.create('full', [cursor('pin', 0)]);
      const fill = async (): Promise<void> => {
        for (let n = 0; n < 4096; n++) await driver.log.append('full', bulky(`${n}`, 64 * 1024));
      };
      await assertFails(fill(), 'CHANNEL_FULL');
      const usage = await driver.admin.usage();
      assert.equal(usage.isFull, true);
      assert.equal(usage.largestBacklog?.cursor, 'pin');
      const kept = await driver.log.append('full', bulky('reserved', 64 * 1024), {
        reserved: true,
      });
      assert.ok(isReceipt(kept));
      const ids = idsOf(await readAll(driver, 'full'));
      assert.equal(ids[0], '0');
      assert.equal(ids.at(-1), 'reserved');
    },
  },
  {
    name: 'an unknown topic or partition is refused, and can be tried again',
    needs: [],
    async run({ driver, topic, unique }) {
      const missing = unique('missing');
      await assertFails(driver.log.append(missing, record('a')), 'CHANNEL_TOPIC_UNKNOWN');
      await assertFails(driver.log.appendAll(missing, [record('a')]), 'CHANNEL_TOPIC_UNKNOWN');
      await assertFails(driver.log.read(missing, 0, 0), 'CHANNEL_TOPIC_UNKNOWN');
      await assertFails(driver.log.ends(missing), 'CHANNEL_TOPIC_UNKNOWN');
      const name = await topic(2);
      await assertFails(
        driver.log.append(name, record('a'), { partition: 2 }),
        'CHANNEL_TOPIC_UNKNOWN',
      );
      await assertFails(driver.log.read(name, 2, 0), 'CHANNEL_TOPIC_UNKNOWN');
      await driver.admin.ensureTopic(missing, { partitions: 1 });
      assert.ok(isReceipt(await driver.log.append(missing, record('a'))));
    },
  },
];
