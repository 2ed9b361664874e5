/**
 * The records that wait for one flush of one partition, encoded as they arrive, directly into the
 * buffer that is written. Offsets, times and checksums are filled in by the flush itself, so that a
 * failed flush leaves no gap. Batches are pooled by the flusher.
 */
import type { AppendRecord } from '#lib/channel/event-record';
import type { MeshError } from '#lib/errors/mesh-error';
import { encodeRecordInto } from './record-codec.ts';
import type { RecordPlan } from './record-codec.ts';
import { allocateBlock, FRAME_HEADER_BYTES, frameBytes, sealFrame } from './segment-format.ts';
import type { Block } from './segment-format.ts';

/** Who waits for a record; `slot` is its place in a call with several. */
export interface AppendWaiter {
  stored(slot: number, partition: number, offset: number): void;
  failed(error: MeshError): void;
}

const FIRST_BYTES = 64 * 1024;
/** A batch takes no further record above this, so one flush stays short. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Larger buffers are not kept for the next batch. */
const POOLED_BYTES_MAX = 1024 * 1024;

export class LogBatch {
  block: Block = allocateBlock(FIRST_BYTES);
  usedBytes = 0;
  readonly starts: number[] = [];
  readonly payloadBytes: number[] = [];
  readonly kinds: number[] = [];
  readonly records: AppendRecord[] = [];
  readonly waiters: AppendWaiter[] = [];
  readonly slots: number[] = [];
  readonly reserved: boolean[] = [];

  get count(): number {
    return this.starts.length;
  }

  hasRoomFor(sizeBytes: number): boolean {
    return this.usedBytes === 0 || this.usedBytes + sizeBytes <= BATCH_BYTES_MAX;
  }

  add(
    record: AppendRecord,
    plan: RecordPlan,
    isReserved: boolean,
    waiter: AppendWaiter,
    slot: number,
  ): void {
    const start = this.#reserve(plan.sizeBytes);
    encodeRecordInto(record, plan, this.block.bytes, start + FRAME_HEADER_BYTES);
    this.#note(start, plan.sizeBytes, plan.kind, record, isReserved, waiter, slot);
  }

  /** Takes one record of another batch over, bytes and all. */
  addFrom(other: LogBatch, at: number): void {
    const payloadBytes = other.payloadBytes[at] ?? 0;
    const from = (other.starts[at] ?? 0) + FRAME_HEADER_BYTES;
    const record = other.records[at];
    const waiter = other.waiters[at];
    if (record === undefined || waiter === undefined) return;
    const start = this.#reserve(payloadBytes);
    const to = start + FRAME_HEADER_BYTES;
    other.block.bytes.copy(this.block.bytes, to, from, from + payloadBytes);
    const { kinds, reserved, slots } = other;
    this.#note(
      start,
      payloadBytes,
      kinds[at] ?? 0,
      record,
      reserved[at] ?? false,
      waiter,
      slots[at] ?? 0,
    );
  }

  #reserve(payloadBytes: number): number {
    const start = this.usedBytes;
    const end = start + frameBytes(payloadBytes);
    if (end > this.block.bytes.length) {
      const grown = allocateBlock(Math.max(end, this.block.bytes.length * 2));
      this.block.bytes.copy(grown.bytes, 0, 0, start);
      this.block = grown;
    }
    this.usedBytes = end;
    return start;
  }

  #note(
    start: number,
    payloadBytes: number,
    kind: number,
    record: AppendRecord,
    isReserved: boolean,
    waiter: AppendWaiter,
    slot: number,
  ): void {
    this.starts.push(start);
    this.payloadBytes.push(payloadBytes);
    this.kinds.push(kind);
    this.records.push(record);
    this.waiters.push(waiter);
    this.slots.push(slot);
    this.reserved.push(isReserved);
  }

  /** Gives every frame its offset, time and checksum; may be done again for another place. */
  seal(firstOffset: number, timeMs: number, seed: number): void {
    for (let at = 0; at < this.starts.length; at++) {
      const start = this.starts[at] ?? 0;
      const payloadBytes = this.payloadBytes[at] ?? 0;
      const kind = this.kinds[at] ?? 0;
      sealFrame(this.block, start, payloadBytes, kind, firstOffset + at, timeMs, at, seed);
    }
  }

  /** Ready for the next flush; answers false when it is too large to keep. */
  clear(): boolean {
    this.usedBytes = 0;
    this.starts.length = 0;
    this.payloadBytes.length = 0;
    this.kinds.length = 0;
    this.records.length = 0;
    this.waiters.length = 0;
    this.slots.length = 0;
    this.reserved.length = 0;
    return this.block.bytes.length <= POOLED_BYTES_MAX;
  }
}
