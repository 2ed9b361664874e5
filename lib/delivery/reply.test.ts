import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { EventRecord } from '#lib/channel/event-record';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';
import { makeReply } from './reply.ts';

function eventWith(extensions: Record<string, AttributeValue>): CloudEvent {
  return {
    specversion: '1.0',
    id: 'r',
    source: '/r',
    type: 'reply',
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    extensions: new Map(Object.entries(extensions)),
    data: null,
  };
}

function original(ttl: number, passThrough: readonly string[] = []): EventRecord {
  return { kind: 'event', event: eventWith({}), passThrough, ttl, arrivalMs: 1, key: 'old' };
}

function ttlOf(originalTtl: number, own?: AttributeValue): number {
  const event = eventWith(own === undefined ? {} : { knativebrokerttl: own });
  return makeReply(original(originalTtl), { event, rawHeaders: [] }, 5).ttl;
}

test('a reply has one round less, and never more than its own TTL asks for', () => {
  assert.equal(ttlOf(255), 254);
  assert.equal(ttlOf(1), 0);
  assert.equal(ttlOf(0), 0);
  assert.equal(ttlOf(255, 3), 3);
  assert.equal(ttlOf(255, '3'), 3);
  assert.equal(ttlOf(255, 2_147_483_647), 254);
  assert.equal(ttlOf(255, '99999999999'), 254);
  assert.equal(ttlOf(255, -5), 0);
  assert.equal(ttlOf(255, 'many'), 254);
  assert.equal(ttlOf(255, true), 254);
});

test('every chain of replies ends', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 255 }),
      fc.oneof(fc.integer(), fc.string(), fc.boolean()),
      (ttl, own) => {
        const next = ttlOf(ttl, own);
        assert.ok(Number.isInteger(next) && next >= 0 && next <= Math.max(0, ttl - 1));
      },
    ),
  );
});

test('own names leave the event, everything else stays, and the key is read anew', () => {
  const event = eventWith({
    knativebrokerttl: 3,
    knativearrivaltime: 'x',
    partitionkey: 'k',
    a: true,
  });
  const record = makeReply(original(10), { event, rawHeaders: [] }, 77);
  assert.deepEqual(
    [...record.event.extensions],
    [
      ['partitionkey', 'k'],
      ['a', true],
    ],
  );
  assert.equal(record.key, 'k');
  assert.equal(record.arrivalMs, 77);
  assert.equal(makeReply(original(10), { event: eventWith({}), rawHeaders: [] }, 1).key, null);
});

test('the headers of the response travel by the allow list', () => {
  const rawHeaders = ['Date', 'x', 'X-Request-ID', 'r1', 'Set-Cookie', 's', 'Knative-A', 'b'];
  const record = makeReply(original(10), { event: eventWith({}), rawHeaders }, 1);
  assert.deepEqual(record.passThrough, ['x-request-id', 'r1', 'knative-a', 'b']);
});

test('a reply belongs to the trace of its event, unless it names one itself', () => {
  const trace = ['traceparent', 'p', 'tracestate', 's', 'x-request-id', 'q'];
  const inherit = makeReply(original(10, trace), { event: eventWith({}), rawHeaders: [] }, 1);
  assert.deepEqual(inherit.passThrough, ['traceparent', 'p', 'tracestate', 's']);
  const own = makeReply(
    original(10, trace),
    { event: eventWith({}), rawHeaders: ['TraceParent', 'mine'] },
    1,
  );
  assert.deepEqual(own.passThrough, ['traceparent', 'mine']);
});
