/**
 * The latest entries of all partitions in memory, as the very objects that were appended: readers that
 * keep up neither read nor decode. Bounded in bytes for the whole store, oldest flush out first.
 * Invariant: the entries of a partition are contiguous and end at its durable end.
 */
import type { LogEntry } from '#lib/channel/channel-driver';

/** Memory an entry takes beside its bytes: objects, strings, array slots. Rough. */
const ENTRY_OVERHEAD_BYTES = 512;
const COMPACT_AT = 1024;

/** The part of one partition. */
export class LogTail {
  #entries: LogEntry[] = [];
  /** Index of the first entry that still counts. */
  #head = 0;

  /** Offset of the first entry, or `null` when there is none. */
  get firstOffset(): number | null {
    return this.#entries[this.#head]?.offset ?? null;
  }

  push(entry: LogEntry): void {
    this.#entries.push(entry);
  }

  drop(count: number): void {
    this.#head += count;
    if (this.#head >= this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  get(offset: number): LogEntry | null {
    const first = this.firstOffset;
    if (first === null || offset < first) return null;
    return this.#entries[this.#head + offset - first] ?? null;
  }

  /** From `from` on within the credit, at least one; `null` when `from` is not here. */
  slice(from: number, countMax: number, bytesMax: number): LogEntry[] | null {
    const first = this.firstOffset;
    if (first === null || from < first) return null;
    const start = this.#head + from - first;
    const limit = Math.min(this.#entries.length, start + countMax);
    if (start >= limit) return null;
    let bytes = 0;
    let end = start;
    for (; end < limit; end++) {
      bytes += this.#entries[end]?.sizeBytes ?? 0;
      if (bytes > bytesMax && end > start) break;
    }
    return this.#entries.slice(start, end);
  }
}

interface Group {
  readonly tail: LogTail;
  readonly count: number;
  readonly bytes: number;
}

/** Keeps all tails together below their bound. */
export class LogTailBudget {
  readonly #bytesMax: number;
  #bytes = 0;
  #groups: Group[] = [];
  #head = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `count` entries of `sizeBytes` together were pushed to `tail`; the oldest leave when it is too much. */
  added(tail: LogTail, count: number, sizeBytes: number): void {
    const bytes = sizeBytes + count * ENTRY_OVERHEAD_BYTES;
    this.#groups.push({ tail, count, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#groups[this.#head];
      if (oldest === undefined) break;
      this.#head++;
      this.#bytes -= oldest.bytes;
      oldest.tail.drop(oldest.count);
    }
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#groups.length) {
      this.#groups = this.#groups.slice(this.#head);
      this.#head = 0;
    }
  }
}
