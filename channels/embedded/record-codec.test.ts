import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AppendRecord } from '#lib/channel/event-record';
import { isMeshError } from '#lib/errors/mesh-error';
import { eventRecord } from './log-fixture.ts';
import { decodeRecord, encodeRecordInto, planRecord } from './record-codec.ts';
import type { DecodedRecord } from './record-codec.ts';

function roundTrip(record: AppendRecord, before = 8): DecodedRecord {
  const plan = planRecord(record);
  const bytes = Buffer.alloc(before + plan.sizeBytes + 8, 0xee);
  assert.equal(encodeRecordInto(record, plan, bytes, before), before + plan.sizeBytes);
  return decodeRecord(plan.kind, bytes, before, before + plan.sizeBytes);
}

test('an event comes back as it went, whatever its texts', () => {
  fc.assert(
    fc.property(
      fc.option(fc.string({ unit: 'binary' }), { nil: null }),
      fc.array(fc.string({ unit: 'binary' }), { maxLength: 6 }),
      fc.nat({ max: 2 ** 32 - 1 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      (key, passThrough, ttl, arrivalMs) => {
        const record = eventRecord('é-1', { key, passThrough, ttl, arrivalMs });
        assert.deepEqual(roundTrip(record), record);
      },
    ),
    { numRuns: 50 },
  );
});

test('an event without data, key or headers', () => {
  const plain = eventRecord('1');
  const record = { ...plain, passThrough: [], event: { ...plain.event, data: null } };
  assert.deepEqual(roundTrip(record), record);
  assert.deepEqual(roundTrip({ ...record, key: '' }), { ...record, key: '' });
});

test('a delivery is stored without its event', () => {
  const source = { topic: 'a/b', partition: 3, offset: 2 ** 40 + 1 };
  const targets = ['uid-1', 'üid-2'];
  const revision = 123456789012;
  const record = eventRecord('x');
  assert.deepEqual(roundTrip({ kind: 'delivery', source, targets, revision, record }), {
    kind: 'storedDelivery',
    source,
    targets,
    revision,
  });
});

test('a change of readers', () => {
  const record: AppendRecord = {
    kind: 'readerChange',
    source: { topic: 'a/b', partition: 0, offset: 5 },
    triggers: [
      { uid: 'u1', reader: 'own' },
      { uid: 'u2', reader: 'shared' },
    ],
  };
  assert.deepEqual(roundTrip(record), record);
});

test('bytes that are no record are a fault, never a crash', () => {
  const isFault = (kind: number, bytes: Buffer): void => {
    try {
      decodeRecord(kind, bytes, 0, bytes.length);
    } catch (error) {
      assert.ok(isMeshError(error), String(error));
    }
  };
  fc.assert(
    fc.property(fc.nat({ max: 5 }), fc.uint8Array({ maxLength: 200 }), (kind, junk) => {
      isFault(kind, Buffer.from(junk));
      isFault(kind, Buffer.from([1, ...junk]));
    }),
  );
  const plan = planRecord(eventRecord('1'));
  const bytes = Buffer.alloc(plan.sizeBytes);
  encodeRecordInto(eventRecord('1'), plan, bytes, 0);
  for (let end = 0; end < bytes.length; end++) isFault(1, bytes.subarray(0, end));
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ 0x80;
    isFault(1, flipped);
  }
  assert.throws(() => decodeRecord(9, bytes, 0, bytes.length), { code: 'EMBEDDED_RECORD_INVALID' });
});
