/** What the memory driver does beyond the contract: determinism, trimming, leases under a stepped clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { EventRecord } from '#lib/channel/event-record';
import { createManualClock } from '#lib/time/manual-clock';
import { createMemoryDriver } from './memory-driver.ts';

function eventRecord(id: string, dataBytes: number): EventRecord {
  return {
    kind: 'event',
    event: {
      specversion: '1.0',
      id,
      source: '/test',
      type: 'test',
      subject: null,
      time: null,
      datacontenttype: null,
      dataschema: null,
      extensions: NO_EXTENSIONS,
      data: Buffer.alloc(dataBytes),
    },
    passThrough: [],
    ttl: 255,
    arrivalMs: 0,
    key: null,
  };
}

test('trims what no cursor pins, and nothing that one does', async () => {
  const clock = createManualClock();
  const driver = createMemoryDriver({ clock }, { retainedBytes: 10_000 });
  await driver.admin.ensureTopic('t', { partitions: 1 });
  const cursor = { name: 'c', partition: 0, role: 'control', epoch: 0, metadata: '' } as const;
  await driver.cursors.create('t', [{ ...cursor, offset: 5, pins: true }]);
  for (let n = 0; n < 30; n++) await driver.log.append('t', eventRecord(`${n}`, 1000));
  assert.deepEqual(await driver.log.ends('t'), [{ partition: 0, first: 5, next: 30 }]);

  await driver.cursors.commit('t', [{ ...cursor, offset: 29, pins: true }]);
  await driver.log.append('t', eventRecord('30', 1000));
  const [end] = await driver.log.ends('t');
  assert.ok(end !== undefined && end.first > 5 && end.first <= 29, `first is ${end?.first}`);
  await driver.close();
});

test('names the cursor that pins most', async () => {
  const driver = createMemoryDriver({ clock: createManualClock() });
  await driver.admin.ensureTopic('t', { partitions: 1 });
  const cursor = { partition: 0, role: 'control', epoch: 0, metadata: '', pins: true } as const;
  for (let n = 0; n < 4; n++) await driver.log.append('t', eventRecord(`${n}`, 100));
  await driver.cursors.create('t', [
    { ...cursor, name: 'near', offset: 3 },
    { ...cursor, name: 'far', offset: 1 },
  ]);
  const { largestBacklog } = await driver.admin.usage();
  assert.equal(largestBacklog?.cursor, 'far');
  await driver.close();
});
