/**
 * A reader of one partition of the memory log: takes what credit allows, waits when there is nothing.
 * Made by `memory-log.ts`, which wakes it after an append. Invariant: every `next` ends, at the latest
 * with an empty list when the reader, the topic or the driver is closed or the signal aborts.
 */
import { assert } from '#lib/assert/assert';
import type { LogEntry, LogReader } from '#lib/channel/channel-driver';

/** One partition's entries, contiguous by offset from `first` to `next` (exclusive). */
export interface Partition {
  readonly entries: LogEntry[];
  first: number;
  next: number;
  bytes: number;
  readonly readers: Set<MemoryReader>;
}

export class MemoryReader implements LogReader {
  readonly #partition: Partition;
  #position: number;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(partition: Partition, from: number) {
    this.#partition = partition;
    this.#position = Math.max(from, partition.first);
    partition.readers.add(this);
  }

  get position(): number {
    return this.#position;
  }

  // async: misuse is a rejection, never a throw.
  async next(
    countMax: number,
    bytesMax: number,
    signal?: AbortSignal,
  ): Promise<readonly LogEntry[]> {
    assert(this.#wake === null, 'one read of a reader is open at a time');
    assert(countMax >= 1, 'a read has credit for at least one entry', { countMax });
    while (!this.#closed && signal?.aborted !== true) {
      const entries = this.#take(countMax, bytesMax);
      if (entries.length > 0) return entries;
      await this.#waitForWake(signal);
    }
    return [];
  }

  /** Called by the log after an append, and by an abort. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#partition.readers.delete(this);
    this.wake();
  }

  #waitForWake(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const onAbort = (): void => this.wake();
      this.#wake = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #take(countMax: number, bytesMax: number): readonly LogEntry[] {
    const { entries, first } = this.#partition;
    const start = Math.max(this.#position, first) - first;
    let end = start;
    let bytes = 0;
    for (; end < entries.length && end - start < countMax; end++) {
      bytes += entries[end]?.sizeBytes ?? 0;
      if (bytes > bytesMax && end > start) break;
    }
    if (end === start) return [];
    this.#position = first + end;
    return entries.slice(start, end);
  }
}
