/** The round counter at its edges, and the reserved extensions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';
import { TTL_MAX, recordOf, ttlAfter } from './event-intake.ts';
import type { IntakeContext } from './event-intake.ts';

const CONTEXT: IntakeContext = {
  policy: { countsTtl: true, nonEventReply: 'fail' },
  passThrough: ['x-request-id', '1'],
  arrivalMs: 17,
};

function eventWith(extensions: Readonly<Record<string, AttributeValue>>): CloudEvent {
  const entries = Object.entries(extensions);
  return {
    specversion: '1.0',
    id: '1',
    source: '/s',
    type: 't',
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    extensions: entries.length === 0 ? NO_EXTENSIONS : new Map(entries),
    data: null,
  };
}

const TTLS: readonly [given: AttributeValue | undefined, left: number | null][] = [
  [undefined, TTL_MAX],
  ['abc', TTL_MAX],
  ['', TTL_MAX],
  ['1.5', TTL_MAX],
  ['1e2', TTL_MAX],
  [' 7', TTL_MAX],
  [true, TTL_MAX],
  ['2147483648', TTL_MAX],
  ['99999999999999', TTL_MAX],
  ['2147483647', 254],
  [256, 254],
  ['255', 254],
  ['254', 253],
  ['+7', 6],
  [2, 1],
  ['1', 0],
  ['0', 0],
  [0, 0],
  ['-0', 0],
  ['-1', null],
  [-1, null],
  ['-2147483648', null],
  ['-2147483649', TTL_MAX],
];
for (const [given, left] of TTLS) {
  test(`knativebrokerttl ${JSON.stringify(given)} leaves ${left ?? 'nothing: refused'}`, () => {
    assert.equal(ttlAfter(given), left);
    const record = recordOf(
      eventWith(given === undefined ? {} : { knativebrokerttl: given }),
      CONTEXT,
    );
    assert.equal(record?.ttl ?? null, left);
    if (record === null) return;
    assert.equal(record.event.extensions, NO_EXTENSIONS);
  });
}

test('arrival time and counter leave the extensions, others stay in their order', () => {
  const given = eventWith({
    a: 1,
    knativearrivaltime: 'x',
    knativeerrorcode: 500,
    knativebrokerttl: '3',
    partitionkey: 'k',
  });
  const record = recordOf(given, CONTEXT);
  assert.deepEqual(
    [...(record?.event.extensions ?? [])],
    [
      ['a', 1],
      ['knativeerrorcode', 500],
      ['partitionkey', 'k'],
    ],
  );
  assert.equal(record?.key, 'k');
  assert.equal(record?.arrivalMs, 17);
  assert.equal(record?.ttl, 2);
  assert.equal(given.extensions.size, 5);
});

test('an event without ours is stored as it came, not copied', () => {
  for (const given of [eventWith({}), eventWith({ partitionkey: '' })]) {
    const record = recordOf(given, CONTEXT);
    assert.equal(record?.event, given);
    assert.equal(record?.key, null);
    assert.equal(record?.passThrough, CONTEXT.passThrough);
  }
});

test('where rounds are not counted the extension is data like any other', () => {
  const context: IntakeContext = { ...CONTEXT, policy: { ...CONTEXT.policy, countsTtl: false } };
  const record = recordOf(eventWith({ knativebrokerttl: -1, knativearrivaltime: 'x' }), context);
  assert.equal(record?.ttl, TTL_MAX);
  assert.deepEqual([...(record?.event.extensions ?? [])], [['knativebrokerttl', -1]]);
});
