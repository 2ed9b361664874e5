/**
 * `WaitingStore` over a transport: pairs to cells and back, records to bytes and back. Used by the
 * embedded driver (transport: the worker) and by its client in other processes (transport: the
 * socket), so that bodies are encoded once, by whoever has the pair. Times come from the clock here.
 */
import { assert } from '#lib/assert/assert';
import type { EventRecord } from '#lib/channel/event-record';
import type {
  DeliveryFailure,
  Lease,
  LeaseRequest,
  PairQuery,
  TargetWaiting,
  WaitingKey,
  WaitingPair,
  WaitingStore,
} from '#lib/channel/waiting-store';
import type { Clock } from '#lib/time/clock';
import { KIND_EVENT, decodeRecord, encodeRecordInto, planRecord } from './record-codec.ts';
import type { RecordPlan } from './record-codec.ts';
import { CellReader } from './store-request.ts';
import type { Cell, StoreReply, StoreRequest, StoreTransport } from './store-request.ts';
import { decodeFailure, encodeFailure } from './waiting-failure.ts';
import { STAGES } from './waiting-cells.ts';

export interface WaitingStoreDeps {
  readonly transport: StoreTransport;
  readonly clock: Clock;
}

export function createWaitingStore({ transport, clock }: WaitingStoreDeps): WaitingStore {
  const ask = async (
    op: StoreRequest['op'],
    cells: readonly Cell[],
    bytes: StoreRequest['bytes'] = null,
  ): Promise<StoreReply> => transport.request({ op, cells, bytes });
  const count = async (op: StoreRequest['op'], cells: readonly Cell[]): Promise<number> =>
    new CellReader((await ask(op, cells)).cells).number();
  return {
    async put(pairs, holder) {
      const ids: number[] = [];
      for (const part of partsOf(pairs)) {
        const { cells, bytes } = encodePairs(part, [holder, clock.wallMs()]);
        ids.push(...new CellReader((await ask('put', cells, bytes)).cells).numbers());
      }
      return ids;
    },
    async lease(request) {
      assert(request.countMax >= 1, 'a lease has room for at least one pair', { ...request });
      return decodeLease(await ask('lease', leaseCells(request)));
    },
    async settle(ids) {
      if (ids.length > 0) await ask('settle', ids);
    },
    async renew(holder, ids) {
      if (ids.length > 0) await ask('renew', [holder, clock.wallMs(), ...ids]);
    },
    async recover(holder) {
      return { unclean: (await count('recover', [holder])) === 1 };
    },
    async release(holder) {
      await ask('release', [holder]);
    },
    async summary(topic) {
      return decodeSummary(await ask('summary', [topic, clock.wallMs()]));
    },
    async keys(topic, partition, fromOffset) {
      return decodeKeys(await ask('keys', [topic, partition, fromOffset]));
    },
    async peek(query) {
      const answer = await ask('peek', peekCells(query));
      return decodePairs(new CellReader(answer.cells), answer.bytes);
    },
    async redrive(ids) {
      return ids.length === 0 ? 0 : count('redrive', ids);
    },
    retarget: (topic, fromUid, toUid) => count('retarget', [topic, fromUid, toUid]),
    drop: (topic, target, { parked }) => count('drop', [topic, target, parked ? 1 : 0]),
  };
}

/** Puts of more bytes go in parts: one transaction and one frame stay of a bearable size. */
function* partsOf(pairs: readonly WaitingPair[]): Generator<readonly WaitingPair[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, { record, reply }] of pairs.entries()) {
    const own = (record.event.data?.length ?? 0) + (reply?.event.data?.length ?? 0);
    if (index > start && (bytes + own > PART_BYTES_MAX || index - start >= PART_COUNT_MAX)) {
      yield pairs.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += own;
  }
  if (start < pairs.length) yield start === 0 ? pairs : pairs.slice(start);
}

const PART_BYTES_MAX = 1024 * 1024;
const PART_COUNT_MAX = 1024;
/** One lease never carries more than this, whatever window its caller has. */
const LEASE_BYTES_MAX = 64 * 1024 * 1024;

/** An encoding that several pairs of one call can share. */
interface Placed {
  readonly record: EventRecord;
  readonly plan: RecordPlan;
  readonly start: number;
}

/** Plans everything first, so that all bytes lie in one buffer that is made once. */
function encodePairs(
  pairs: readonly WaitingPair[],
  head: readonly Cell[],
): { readonly cells: readonly Cell[]; readonly bytes: Uint8Array<ArrayBuffer> } {
  const cells: Cell[] = [...head];
  const placed = new Map<EventRecord, Placed>();
  const failures: { readonly bytes: Uint8Array; readonly start: number }[] = [];
  let sizeBytes = 0;
  const place = (record: EventRecord): Placed => {
    const known = placed.get(record);
    if (known !== undefined) return known;
    const plan = planRecord(record);
    const fresh = { record, plan, start: sizeBytes };
    placed.set(record, fresh);
    sizeBytes += plan.sizeBytes;
    return fresh;
  };
  for (const pair of pairs) {
    pushPair(cells, pair);
    pushPlace(cells, place(pair.record));
    const failure = pair.failure === null ? null : encodeFailure(pair.failure);
    cells.push(sizeBytes, failure?.length ?? 0);
    if (failure !== null) {
      failures.push({ bytes: failure, start: sizeBytes });
      sizeBytes += failure.length;
    }
    if (pair.reply === null) cells.push(0, 0);
    else pushPlace(cells, place(pair.reply));
  }
  const bytes = new Uint8Array(sizeBytes);
  const target = Buffer.from(bytes.buffer);
  for (const { record, plan, start } of placed.values()) {
    encodeRecordInto(record, plan, target, start);
  }
  for (const failure of failures) bytes.set(failure.bytes, failure.start);
  return { cells, bytes };
}

/** All fields but the bytes, in the order of `waiting-cells.ts`. */
function pushPair(cells: Cell[], pair: WaitingPair): void {
  const { source } = pair;
  cells.push(
    pair.id,
    source.topic,
    source.partition,
    source.offset,
    pair.target,
    pair.targetKey,
    STAGES.indexOf(pair.stage),
    pair.attempt,
    pair.deaths,
    pair.lane,
    Math.min(pair.dueMs, Number.MAX_SAFE_INTEGER),
    pair.firstFailureMs,
    pair.lastFailureMs,
    pair.record.event.id,
  );
}

function pushPlace(cells: Cell[], { start, plan }: Placed): void {
  cells.push(start, plan.sizeBytes);
}

function leaseCells(request: LeaseRequest): readonly Cell[] {
  const { target, holder, nowMs, countMax, bytesMax } = request;
  return [target, holder, nowMs, countMax, Math.min(bytesMax, LEASE_BYTES_MAX)];
}

function peekCells(query: PairQuery): readonly Cell[] {
  return [
    query.topic ?? null,
    query.target ?? null,
    query.targetKey ?? null,
    query.stage === undefined ? null : STAGES.indexOf(query.stage),
    query.eventId ?? null,
    query.countMax,
    query.afterId ?? 0,
  ];
}

function decodeLease({ cells, bytes }: StoreReply): Lease {
  const reader = new CellReader(cells);
  const nextDueMs = reader.numberOrNull();
  return { nextDueMs, pairs: decodePairs(reader, bytes) };
}

function decodePairs(cells: CellReader, packed: Uint8Array | null): readonly WaitingPair[] {
  const bytes =
    packed === null ? EMPTY : Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  const pairs: WaitingPair[] = [];
  let at = 0;
  while (cells.hasMore) {
    const id = cells.number();
    const source = { topic: cells.text(), partition: cells.number(), offset: cells.number() };
    const target = cells.text();
    const targetKey = cells.text();
    const stage = stageOf(cells.number());
    const attempt = cells.number();
    const deaths = cells.number();
    const lane = cells.textOrNull();
    const dueMs = cells.number();
    const firstFailureMs = cells.number();
    const lastFailureMs = cells.number();
    const recordEnd = at + cells.number();
    const failureEnd = recordEnd + cells.number();
    const replyEnd = failureEnd + cells.number();
    pairs.push({
      id,
      source,
      target,
      targetKey,
      stage,
      attempt,
      deaths,
      lane,
      dueMs,
      firstFailureMs,
      lastFailureMs,
      failure: failureBetween(bytes, recordEnd, failureEnd),
      record: eventBetween(bytes, at, recordEnd),
      reply: failureEnd === replyEnd ? null : eventBetween(bytes, failureEnd, replyEnd),
    });
    at = replyEnd;
  }
  return pairs;
}

const EMPTY = Buffer.alloc(0);

function eventBetween(bytes: Buffer, start: number, end: number): EventRecord {
  const record = decodeRecord(KIND_EVENT, bytes, start, end);
  assert(record.kind === 'event', 'a waiting pair holds an event');
  return record;
}

function failureBetween(bytes: Buffer, start: number, end: number): DeliveryFailure | null {
  return start === end ? null : decodeFailure(bytes.subarray(start, end));
}

function stageOf(number: number): WaitingPair['stage'] {
  const stage = STAGES[number];
  assert(stage !== undefined, 'the stage is known', { number });
  return stage;
}

function decodeSummary({ cells }: StoreReply): readonly TargetWaiting[] {
  const reader = new CellReader(cells);
  const targets: TargetWaiting[] = [];
  while (reader.hasMore) {
    targets.push({
      target: reader.text(),
      targetKey: reader.text(),
      waiting: reader.number(),
      parked: reader.number(),
      nextDueMs: reader.numberOrNull(),
    });
  }
  return targets.sort((a, b) => (a.target < b.target ? -1 : 1));
}

function decodeKeys({ cells }: StoreReply): readonly WaitingKey[] {
  const reader = new CellReader(cells);
  const keys: WaitingKey[] = [];
  while (reader.hasMore) {
    keys.push({
      id: reader.number(),
      target: reader.text(),
      offset: reader.number(),
      lane: reader.textOrNull(),
      stage: stageOf(reader.number()),
    });
  }
  return keys;
}
