/**
 * A reader of one partition: from memory while it keeps up, from the files while it does not, and
 * waiting at the durable end. Made by the owner's log and by the read-only one. Invariant: `position`
 * moves only with entries that were handed out, or over what retention has removed.
 */
import { assert } from '#lib/assert/assert';
import { channelError } from '#lib/channel/channel-errors';
import type { LogEntry, LogReader } from '#lib/channel/channel-driver';
import type { DeliveryRecord, EventRecord, SourcePosition } from '#lib/channel/event-record';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import { isComplete, LogCursor } from './log-cursor.ts';
import type { DeliveryEntry, PartitionFiles } from './log-cursor.ts';
import type { LogTail } from './log-tail.ts';

/** A partition as its readers see it. */
export interface ReadablePartition extends PartitionFiles {
  /** The latest entries in memory; `null` where there are none (read-only processes). */
  readonly tail: LogTail | null;
  /** Calls `wake` once, when the durable end moves or the log closes. */
  waitForMore(wake: () => void): void;
  stopWaiting(wake: () => void): void;
  readonly isClosed: boolean;
}

/**
 * Finds the partition that a delivery points into; `null` when there is no such topic any more. The
 * stored delivery proves that its source is durable.
 */
export type FindPartition = (source: SourcePosition) => ReadablePartition | null;

const NO_ENTRIES: readonly LogEntry[] = [];
/** Cursors into other partitions that a reader of deliveries keeps open. */
const SOURCE_CURSORS_MAX = 8;

export class PartitionReader implements LogReader {
  readonly #partition: ReadablePartition;
  readonly #findPartition: FindPartition;
  readonly #onClose: (reader: PartitionReader) => void;
  readonly #cursor: LogCursor;
  readonly #sources = new Map<string, LogCursor>();
  #position: number;
  #isClosed = false;
  #isReading = false;
  #wake: (() => void) | null = null;

  constructor(
    partition: ReadablePartition,
    from: number,
    findPartition: FindPartition,
    onClose: (reader: PartitionReader) => void,
  ) {
    this.#partition = partition;
    this.#position = from;
    this.#findPartition = findPartition;
    this.#onClose = onClose;
    this.#cursor = new LogCursor(partition);
  }

  get position(): number {
    return this.#position;
  }

  async next(
    countMax: number,
    bytesMax: number,
    signal?: AbortSignal,
  ): Promise<readonly LogEntry[]> {
    assert(!this.#isReading, 'one call of next at a time', { position: this.#position });
    this.#isReading = true;
    try {
      while (!this.#hasEnded(signal)) {
        if (this.#position >= this.#partition.nextOffset) {
          await this.#waitForMore(signal);
          continue;
        }
        const tail = this.#partition.tail?.slice(this.#position, countMax, bytesMax) ?? null;
        const entries = tail ?? (await this.#readFiles(countMax, bytesMax));
        const last = entries.at(-1);
        if (last === undefined) continue;
        if (tail !== null) {
          this.#cursor.close();
          this.#position = last.offset + 1;
        }
        return entries;
      }
      return NO_ENTRIES;
    } finally {
      this.#isReading = false;
      if (this.#isClosed) this.#release();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#wake?.();
    if (!this.#isReading) this.#release();
    this.#onClose(this);
  }

  #release(): void {
    this.#cursor.close();
    for (const cursor of this.#sources.values()) cursor.close();
    this.#sources.clear();
  }

  #hasEnded(signal: AbortSignal | undefined): boolean {
    return this.#isClosed || this.#partition.isClosed || signal?.aborted === true;
  }

  async #readFiles(countMax: number, bytesMax: number): Promise<readonly LogEntry[]> {
    const before = this.#position;
    try {
      const raw = await this.#cursor.read(before, countMax, bytesMax);
      const entries: LogEntry[] = [];
      for (const entry of raw) {
        entries.push(isComplete(entry) ? entry : await this.#complete(entry));
      }
      this.#position = this.#cursor.position;
      if (entries.length > 0 || this.#position > before) return entries;
    } catch (error) {
      this.#cursor.close();
      if (isMeshError(error)) throw error;
      throw this.#cannotRead(messageOf(error), error);
    }
    throw this.#cannotRead('its file cannot be found', undefined);
  }

  #cannotRead(why: string, cause: unknown): Error {
    const { topic, partition } = this.#partition;
    const message = `Cannot read "${topic}" partition ${partition} at ${this.#position}: ${why}`;
    return channelError('CHANNEL_NOT_CONNECTED', message, { cause });
  }

  /** Fetches the event of a delivery from its source position. */
  async #complete(entry: DeliveryEntry): Promise<LogEntry> {
    const { offset, timeMs, sizeBytes } = entry;
    const { source, targets, revision } = entry.record;
    const record = await this.#fetch(source);
    if (record === null) {
      const at = `${source.topic}/${source.partition} at ${source.offset}`;
      const raw = Buffer.from(JSON.stringify({ source, targets, revision }));
      const reason = `Cannot deliver: the event of ${at} is gone or unreadable`;
      return { offset, timeMs, sizeBytes, record: { kind: 'poison', raw, reason } };
    }
    const delivery: DeliveryRecord = { kind: 'delivery', source, targets, revision, record };
    const dataBytes = record.event.data?.length ?? 0;
    return { offset, timeMs, sizeBytes: sizeBytes + dataBytes, record: delivery };
  }

  async #fetch(source: SourcePosition): Promise<EventRecord | null> {
    const partition = this.#findPartition(source);
    if (partition === null) return null;
    const cached = partition.tail?.get(source.offset) ?? null;
    if (cached !== null) return cached.record.kind === 'event' ? cached.record : null;
    const cursor = this.#sourceCursor(partition);
    const [found] = await cursor.read(source.offset, 1, 0);
    if (found?.offset !== source.offset || found.record.kind !== 'event') return null;
    return found.record;
  }

  /** Deliveries follow their source in order, so an open cursor mostly stands at the right place. */
  #sourceCursor(partition: ReadablePartition): LogCursor {
    const name = `${partition.topic}/${partition.partition}`;
    const open = this.#sources.get(name);
    if (open !== undefined) return open;
    if (this.#sources.size >= SOURCE_CURSORS_MAX) {
      for (const cursor of this.#sources.values()) cursor.close();
      this.#sources.clear();
    }
    const cursor = new LogCursor(partition);
    this.#sources.set(name, cursor);
    return cursor;
  }

  #waitForMore(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = null;
        this.#partition.stopWaiting(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#wake = wake;
      this.#partition.waitForMore(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

/** The first offset at or after `from` whose entry was appended at or after `timeMs`; else the end. */
export async function seekInFiles(
  partition: PartitionFiles,
  from: number,
  timeMs: number,
): Promise<number> {
  const cursor = new LogCursor(partition);
  try {
    let offset = from;
    while (offset < partition.nextOffset) {
      const entries = await cursor.read(offset, 256, 1024 * 1024);
      for (const entry of entries) if (entry.timeMs >= timeMs) return entry.offset;
      if (cursor.position === offset) break;
      offset = cursor.position;
    }
    return partition.nextOffset;
  } finally {
    cursor.close();
  }
}
