/** The stored form: size, every field, and damage of every kind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '#lib/errors/mesh-error';
import type { AttributeValue, CloudEvent } from './cloud-event.ts';
import {
  decodeEvent,
  encodeEvent,
  encodeEventInto,
  encodedEventSize,
  planEvent,
} from './event-codec.ts';
import { SMALLEST_EVENT as SMALL } from './event-fixture.ts';

const FULL: CloudEvent = {
  specversion: '0.3',
  id: 'é€😀',
  source: `/${'s'.repeat(300)}`,
  type: 't'.repeat(20_000),
  subject: '',
  time: '2026-01-31T12:00:00.123456789+01:00',
  datacontenttype: 'image/png',
  dataschema: 'urn:x',
  extensions: new Map<string, AttributeValue>([
    ['text', 'a'],
    ['empty', ''],
    ['low', -2147483648],
    ['high', 2147483647],
    ['on', true],
    ['off', false],
  ]),
  data: Buffer.from([0, 255, 1]),
};

test('every field survives, with its type', () => {
  for (const event of [SMALL, FULL, { ...SMALL, data: Buffer.alloc(0) }, { ...FULL, id: 'x' }]) {
    const bytes = encodeEvent(event);
    assert.equal(bytes.length, encodedEventSize(event));
    assert.deepEqual(decodeEvent(bytes), event);
  }
});

test('the format of version 1 stays readable', () => {
  const extensions = new Map<string, AttributeValue>([
    ['n', 1],
    ['b', true],
  ]);
  const event = { ...SMALL, subject: 'é', extensions, data: Buffer.from('D') };
  const hex = '01620801020101020101010000000103692f7374c3a96e620100000044';
  assert.equal(encodeEvent(event).toString('hex'), hex);
  assert.deepEqual(decodeEvent(Buffer.from(hex, 'hex')), event);
});

test('lengths at the steps of the varint', () => {
  for (const length of [127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const event = { ...SMALL, id: 'x'.repeat(length) };
    const bytes = encodeEvent(event);
    assert.equal(bytes.length, encodedEventSize(event));
    assert.equal(decodeEvent(bytes).id.length, length);
  }
});

test('writes inside a larger buffer and reads from there, data as a view', () => {
  const target = Buffer.alloc(encodedEventSize(FULL) + 20, 0xaa);
  const end = encodeEventInto(FULL, target, 10, planEvent(FULL));
  assert.equal(end, target.length - 10);
  assert.equal(target[9], 0xaa);
  assert.equal(target[end], 0xaa);
  const event = decodeEvent(target, 10, end);
  assert.deepEqual(event, FULL);
  assert.equal(event.data?.buffer, target.buffer);
  assert.throws(() => decodeEvent(target, 10, end + 1), { code: 'CLOUDEVENTS_RECORD_INVALID' });
  assert.throws(() => decodeEvent(target, 10, target.length + 1), {
    code: 'CLOUDEVENTS_RECORD_INVALID',
  });
});

test('a target without room and an integer of more than 32 bits are bugs', () => {
  const room = encodedEventSize(SMALL);
  assert.throws(() => encodeEventInto(SMALL, Buffer.alloc(room), 1), { name: 'AssertionFailure' });
  for (const value of [1.5, 2 ** 31, Number.NaN]) {
    const event = { ...SMALL, extensions: new Map([['n', value]]) };
    assert.throws(() => encodeEvent(event), { name: 'AssertionFailure' });
  }
});

test('another version is named', () => {
  const bytes = encodeEvent(SMALL);
  bytes[0] = 2;
  assert.throws(() => decodeEvent(bytes), {
    code: 'CLOUDEVENTS_RECORD_VERSION_UNKNOWN',
    message: 'Cannot read a stored event: its format is 2, known is 1',
  });
});

test('a shortened event never decodes', () => {
  const bytes = encodeEvent({ ...FULL, type: 't' });
  for (let length = 0; length < bytes.length; length += 1) {
    assert.throws(() => decodeEvent(bytes, 0, length), { code: 'CLOUDEVENTS_RECORD_INVALID' });
    assert.throws(() => decodeEvent(bytes.subarray(0, length)), {
      code: 'CLOUDEVENTS_RECORD_INVALID',
    });
  }
});

test('a changed byte gives an event or a MeshError, nothing else', () => {
  const good = encodeEvent({ ...FULL, type: 't', source: '/s' });
  for (let at = 0; at < good.length; at += 1) {
    for (const value of [0, 1, 2, 4, 127, 128, 255]) {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      try {
        assert.equal(typeof decodeEvent(bytes).id, 'string');
      } catch (error) {
        assert(isMeshError(error), String(error));
      }
    }
  }
});

test('each kind of damage is refused', () => {
  const head = [1, 0, 4, 1, 2, 1];
  const rows: readonly [string, number[]][] = [
    ['flags', [1, 128]],
    ['varint', [1, 0, 0x84, 0x80, 0x80, 0x80, 0]],
    ['extension kind', [...head, 1, 1, 4]],
    ['lengths', [1, 0, 5, 1, 2, 1, 0, ...Buffer.from('i/stx')]],
    ['lengths', [...head, 1, 1, 2, ...Buffer.from('i/st')]],
    ['lengths', [1, 0, 6, 1, 2, 1, 2, 1, 2, 1, 2, ...Buffer.from('i/stxx')]],
    ['text', [1, 64, 4, 1, 2, 1, 0, 0x69, 0xff, 0x73, 0x74]],
    ['end', [...head, 0, ...Buffer.from('i/st'), 0]],
    ['length', [1, 32, 4, 1, 2, 1, 0, ...Buffer.from('i/st'), 2, 0, 0, 0, 9]],
  ];
  for (const [what, bytes] of rows) {
    assert.throws(
      () => decodeEvent(Buffer.from(bytes)),
      (error) => isMeshError(error, 'CLOUDEVENTS_RECORD_INVALID') && error.details['what'] === what,
      what,
    );
  }
  assert.equal(decodeEvent(Buffer.from([...head, 0, ...Buffer.from('i/st')])).type, 't');
});
