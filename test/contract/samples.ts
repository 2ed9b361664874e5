/** Records, pairs and readings that the contract's cases are written with. */
import assert from 'node:assert/strict';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { isMeshError } from '#lib/errors/mesh-error';
import type { ChannelDriver, LogEntry } from '#lib/channel/channel-driver';
import type { Cursor } from '#lib/channel/cursor-store';
import type { EventRecord, StoredRecord } from '#lib/channel/event-record';
import type { LeaseRequest, WaitingPair } from '#lib/channel/waiting-store';

export const MIB = 1024 * 1024;

/** A plain event of that id. */
export function event(id: string, fields: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: '/contract',
    type: 'contract.sample',
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    extensions: NO_EXTENSIONS,
    data: null,
    ...fields,
  };
}

/** A plain record of that event id. */
export function record(id: string, fields: Partial<EventRecord> = {}): EventRecord {
  return {
    kind: 'event',
    event: event(id),
    passThrough: [],
    ttl: 255,
    arrivalMs: 1_700_000_000_000,
    key: null,
    ...fields,
  };
}

/** A record with `bytes` of data. */
export function bulky(id: string, bytes: number): EventRecord {
  return record(id, { event: event(id, { data: Buffer.alloc(bytes, id) }) });
}

/** Every field used, text beyond ASCII, all 256 byte values. */
export function richRecord(id: string): EventRecord {
  return record(id, {
    event: event(id, {
      source: 'https://example.com/å?x=1#frag',
      subject: 'sübject ✓ 𝄞',
      time: '2018-04-05T17:31:00.123456789+02:00',
      datacontenttype: 'application/octet-stream; charset="x"',
      dataschema: 'urn:schema:1',
      extensions: new Map<string, string | number | boolean>([
        ['zeta', 'last letter first'],
        ['count', -2_147_483_648],
        ['flag', true],
        ['unflag', false],
        ['text', '42'],
        ['empty', ''],
      ]),
      data: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    }),
    passThrough: ['x-request-id', 'r-1', 'kn-α', 'β', 'x-request-id', 'r-2'],
    ttl: 7,
    arrivalMs: 1_712_345_678_901,
    key: 'a key, ключ',
  });
}

/** A pair of that target at an offset of partition 0. */
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
    record: record(`${topic}-${offset}`),
    reply: null,
    ...fields,
  };
}

/** Everything that is due of a target, by default for holder `h`. */
export function leaseOf(
  target: string,
  nowMs: number,
  fields: Partial<LeaseRequest> = {},
): LeaseRequest {
  return { target, holder: 'h', nowMs, countMax: 1000, bytesMax: 64 * MIB, ...fields };
}

export function cursor(name: string, offset: number, fields: Partial<Cursor> = {}): Cursor {
  return {
    name,
    partition: 0,
    offset,
    role: 'control',
    epoch: 0,
    pins: true,
    metadata: '',
    ...fields,
  };
}

/** Reads a partition from an offset to its present end. */
export async function readAll(
  driver: ChannelDriver,
  topic: string,
  partition = 0,
  from = 0,
): Promise<readonly LogEntry[]> {
  const ends = await driver.log.ends(topic);
  const end = ends.find((candidate) => candidate.partition === partition);
  assert.ok(end !== undefined, `partition ${partition} has ends`);
  const reader = await driver.log.read(topic, partition, from);
  const entries: LogEntry[] = [];
  while (reader.position < end.next) entries.push(...(await reader.next(256, 64 * MIB)));
  reader.close();
  return entries;
}

/** The ids of events among these records, in order. */
export function idsOf(entries: readonly LogEntry[]): readonly string[] {
  return entries.map(({ record: stored }) => eventIdOf(stored));
}

export function eventIdOf(stored: StoredRecord): string {
  return stored.kind === 'event' ? stored.event.id : `(${stored.kind})`;
}

/** Offsets of pairs, in order. */
export function offsetsOf(pairs: readonly WaitingPair[]): readonly number[] {
  return pairs.map(({ source }) => source.offset);
}

/** The call must be refused with that code. */
export async function assertFails(call: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(isMeshError(error, code), `wanted ${code}, got ${String(error)}`);
    return true;
  });
}

/** Record equality that also minds the order of extensions. */
export function assertSameRecord(actual: StoredRecord, expected: StoredRecord): void {
  assert.deepEqual(actual, expected);
  if (actual.kind !== 'event' || expected.kind !== 'event') return;
  assert.deepEqual([...actual.event.extensions], [...expected.event.extensions]);
}
