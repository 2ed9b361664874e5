/**
 * One partition of a topic in the process that owns the store: what waits to be written, what is
 * durable, its latest entries and its readers. Used by the log and its flusher. Invariant: readers see
 * an entry only after the flush that it belongs to has been committed.
 */
import { assert } from '#lib/assert/assert';
import type { LogEntry } from '#lib/channel/channel-driver';
import type { AppendRecord } from '#lib/channel/event-record';
import { messageOf } from '#lib/errors/mesh-error';
import { LogBatch } from './log-batch.ts';
import type { AppendWaiter } from './log-batch.ts';
import type { ReadablePartition } from './log-reader.ts';
import { LogTail } from './log-tail.ts';
import type { LogTailBudget } from './log-tail.ts';
import type { RecordPlan } from './record-codec.ts';
import { segmentBytes } from './segment-file.ts';
import type { Segment } from './segment-file.ts';
import { frameBytes } from './segment-format.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { WriteOutcome, WriterDeps, WriterPlace } from './segment-writer.ts';

export interface PartitionDeps extends WriterDeps {
  readonly tailBudget: LogTailBudget;
  /** A segment was found damaged and set aside. */
  readonly onDamage: (path: string, reason: string) => void;
}

export class LogPartition implements ReadablePartition {
  readonly topic: string;
  readonly partition: number;
  readonly tail = new LogTail();
  readonly #deps: PartitionDeps;
  readonly #place: WriterPlace;
  readonly #writer: SegmentWriter;
  #nextOffset: number;
  #queue: LogBatch[] = [];
  #waiting: (() => void)[] = [];
  #isClosed = false;
  /** Written to since the last look at whether its file still has a name. */
  #isTouched = false;

  constructor(deps: PartitionDeps, place: WriterPlace, segments: Segment[], nextOffset: number) {
    this.#deps = deps;
    this.#place = place;
    this.topic = place.topic;
    this.partition = place.partition;
    this.#nextOffset = nextOffset;
    this.#writer = new SegmentWriter(deps, place, segments, nextOffset);
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get firstOffset(): number {
    return this.#writer.segments[0]?.baseOffset ?? this.#nextOffset;
  }

  /** By base offset. */
  get segments(): readonly Segment[] {
    return this.#writer.segments;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get storedBytes(): number {
    let bytes = 0;
    for (const segment of this.#writer.segments) bytes += segmentBytes(segment);
    return bytes;
  }

  /** See {@link SegmentWriter.settleTail}; once, after recovery. */
  settleTail(): Promise<void> {
    return this.#writer.settleTail();
  }

  /** Encodes the record into the batch of the next flush. Answers the bytes it takes there. */
  append(
    record: AppendRecord,
    plan: RecordPlan,
    isReserved: boolean,
    waiter: AppendWaiter,
    slot: number,
    pool: LogBatch[],
  ): number {
    const sizeBytes = frameBytes(plan.sizeBytes);
    let batch = this.#queue.at(-1);
    if (batch?.hasRoomFor(sizeBytes) !== true) {
      batch = pool.pop() ?? new LogBatch();
      this.#queue.push(batch);
    }
    batch.add(record, plan, isReserved, waiter, slot);
    return sizeBytes;
  }

  get hasPending(): boolean {
    return this.#queue.length > 0;
  }

  takeBatch(): LogBatch | null {
    return this.#queue.shift() ?? null;
  }

  takeAll(): LogBatch[] {
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  write(batch: LogBatch): Promise<WriteOutcome> {
    this.#isTouched = true;
    return this.#writer.write(batch);
  }

  roll(): Promise<WriteOutcome['kind']> {
    return this.#writer.roll();
  }

  /** Makes a stored batch visible: into the tail, and the durable end behind it. */
  commit(batch: LogBatch, firstOffset: number, timeMs: number): void {
    let bytes = 0;
    for (let at = 0; at < batch.count; at++) {
      const record = batch.records[at];
      if (record === undefined) continue;
      const sizeBytes = frameBytes(batch.payloadBytes[at] ?? 0);
      bytes += sizeBytes;
      const entry: LogEntry = { offset: firstOffset + at, timeMs, sizeBytes, record };
      this.tail.push(entry);
    }
    this.#nextOffset = firstOffset + batch.count;
    this.#deps.tailBudget.added(this.tail, batch.count, bytes);
  }

  waitForMore(wake: () => void): void {
    this.#waiting.push(wake);
  }

  stopWaiting(wake: () => void): void {
    const at = this.#waiting.indexOf(wake);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  wakeReaders(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  segmentAt(offset: number): Segment | null {
    const { segments } = this.#writer;
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((segments[middle]?.nextOffset ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return segments[low] ?? null;
  }

  hasSegmentBefore(segment: Segment): boolean {
    return this.#writer.segments.indexOf(segment) > 0;
  }

  async refresh(): Promise<void> {
    // The owner makes all changes itself.
  }

  /** Marks the segment and gives its file another name, so that an operator sees it too. */
  reportDamage(segment: Segment, reason: string): void {
    if (segment.damage !== null) return;
    segment.damage = reason;
    this.#deps.onDamage(segment.path, reason);
    void this.setAside(segment);
  }

  /** Renames a damaged segment; it is served on, as far as it goes. Never throws. */
  async setAside(segment: Segment): Promise<void> {
    const from = segment.path;
    if (from.endsWith('.damaged')) return;
    const to = `${from}.damaged`;
    try {
      await this.#deps.disk.rename(from, to);
      segment.path = to;
      await this.#deps.disk.syncDirectory(this.#place.directory);
    } catch (error) {
      this.#deps.logger.warn('A damaged segment could not be renamed', {
        file: from,
        error: messageOf(error),
      });
    }
  }

  /** Takes the oldest segments out of sight, then removes their files. Never the last segment. */
  async dropSegments(count: number): Promise<void> {
    const dropped = this.#writer.segments.splice(0, Math.min(count, this.segments.length - 1));
    if (dropped.length === 0) return;
    try {
      for (const segment of dropped) await this.#deps.disk.removeFile(segment.path);
      await this.#deps.disk.syncDirectory(this.#place.directory);
    } catch (error) {
      // The file comes back at the next start, and retention tries again then.
      this.#deps.logger.warn('An old segment could not be removed', {
        topic: this.topic,
        error: messageOf(error),
      });
    }
  }

  /** False when the active file was removed from its folder since the last call. */
  async isIntact(): Promise<boolean> {
    if (!this.#isTouched) return true;
    this.#isTouched = false;
    return this.#writer.isLinked();
  }

  /** Ends the readers; the file is closed, cleanly when nothing failed. Nothing may wait any more. */
  async close(): Promise<void> {
    assert(!this.hasPending, 'a partition closes with nothing waiting', { topic: this.topic });
    this.#isClosed = true;
    this.wakeReaders();
    await this.#writer.close();
  }
}
