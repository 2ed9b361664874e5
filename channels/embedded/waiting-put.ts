/**
 * One pair of a `put` as the worker takes it from the cells (see `waiting-cells.ts`): names as
 * numbers, bytes as views of the request's. Used by `waiting-table.ts`.
 */
import { assert } from '#lib/assert/assert';
import type { StoreNames } from './store-names.ts';
import type { CellReader } from './store-request.ts';

export interface PutPair {
  /** 0 on a pair that was never stored. */
  readonly id: number;
  readonly topic: number;
  readonly partition: number;
  readonly offset: number;
  readonly target: number;
  readonly targetKey: number;
  readonly stage: number;
  readonly attempt: number;
  readonly deaths: number;
  readonly lane: string | null;
  readonly dueMs: number;
  readonly firstFailureMs: number;
  readonly lastFailureMs: number;
  readonly eventId: string;
  readonly record: Uint8Array;
  readonly failure: Uint8Array | null;
  readonly reply: Uint8Array | null;
  /** What the pair counts for against the bytes of a lease. */
  readonly sizeBytes: number;
}

export function readPutPair(
  cells: CellReader,
  bytes: Uint8Array | null,
  names: StoreNames,
): PutPair {
  const id = cells.number();
  const topic = names.idOf(cells.text());
  const partition = cells.number();
  const offset = cells.number();
  const target = names.idOf(cells.text());
  const targetKey = names.idOf(cells.text());
  const stage = cells.number();
  const attempt = cells.number();
  const deaths = cells.number();
  const lane = cells.textOrNull();
  const dueMs = cells.number();
  const firstFailureMs = cells.number();
  const lastFailureMs = cells.number();
  const eventId = cells.text();
  const record = cut(bytes, cells.number(), cells.number());
  const failure = cut(bytes, cells.number(), cells.number());
  const reply = cut(bytes, cells.number(), cells.number());
  assert(record !== null, 'a pair has a record', { id });
  return {
    id,
    topic,
    partition,
    offset,
    target,
    targetKey,
    stage,
    attempt,
    deaths,
    lane,
    dueMs,
    firstFailureMs,
    lastFailureMs,
    eventId,
    record,
    failure,
    reply,
    sizeBytes: record.length + (reply?.length ?? 0),
  };
}

/** Length 0 stands for none. */
function cut(bytes: Uint8Array | null, start: number, length: number): Uint8Array | null {
  if (length === 0) return null;
  assert(bytes !== null && start + length <= bytes.length, 'the cells lie in the bytes', { start });
  return bytes.subarray(start, start + length);
}
