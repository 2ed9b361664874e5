/** Records and pairs for the tests of this folder. */
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { EventRecord } from '#lib/channel/event-record';
import type { LeaseRequest, WaitingPair } from '#lib/channel/waiting-store';

export function bulky(id: string, bytes: number): EventRecord {
  return {
    kind: 'event',
    event: {
      specversion: '1.0',
      id,
      source: '/sample',
      type: 'sample',
      subject: null,
      time: null,
      datacontenttype: null,
      dataschema: null,
      extensions: NO_EXTENSIONS,
      data: bytes === 0 ? null : Buffer.alloc(bytes, id),
    },
    passThrough: [],
    ttl: 255,
    arrivalMs: 1_700_000_000_000,
    key: null,
  };
}

export function pair(
  topic: string,
  target: string,
  offset: number,
  fields: Partial<WaitingPair> = {},
): WaitingPair {
  return {
    id: 0,
    source: { topic, partition: 0, offset },
    target,
    targetKey: `ns/${target}`,
    stage: 'subscriber',
    attempt: 0,
    deaths: 0,
    lane: null,
    dueMs: 0,
    firstFailureMs: 0,
    lastFailureMs: 0,
    failure: null,
    record: bulky(`${topic}-${offset}`, 0),
    reply: null,
    ...fields,
  };
}

export function leaseOf(
  target: string,
  nowMs: number,
  fields: Partial<LeaseRequest> = {},
): LeaseRequest {
  return { target, holder: 'h', nowMs, countMax: 1000, bytesMax: 2 ** 26, ...fields };
}
