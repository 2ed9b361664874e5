/**
 * The sparse index of one segment: about every 64 KiB, where which offset lies and how late the frames
 * before the next entry were written. Built while appending or scanning, stored in the footer.
 * Invariant: entries rise in offset and position; it says where to begin reading, never what is there.
 */

/** One entry per this many bytes of frames. */
const STEP_BYTES = 64 * 1024;
const ENTRY_BYTES = 24;

export interface IndexEntry {
  readonly offset: number;
  readonly position: number;
}

export class SegmentIndex {
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  /** Latest time of the frames from this entry to the next: clocks may step back. */
  readonly #timesMs: number[] = [];

  get entryCount(): number {
    return this.#offsets.length;
  }

  /** Called for every frame in order. */
  add(offset: number, position: number, timeMs: number): void {
    const last = this.#positions.length - 1;
    const lastPosition = this.#positions[last];
    if (lastPosition === undefined || position - lastPosition >= STEP_BYTES) {
      this.#offsets.push(offset);
      this.#positions.push(position);
      this.#timesMs.push(timeMs);
    } else if (timeMs > (this.#timesMs[last] ?? 0)) {
      this.#timesMs[last] = timeMs;
    }
  }

  /** The last entry at or before `offset`, or `null` when there is none. */
  entryBefore(offset: number): IndexEntry | null {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const found = this.#offsets[low - 1];
    const position = this.#positions[low - 1];
    return found === undefined || position === undefined ? null : { offset: found, position };
  }

  /** The first offset of the first stretch with a frame at or after that time; `null`: there is none. */
  offsetNearTime(timeMs: number): number | null {
    const found = this.#timesMs.findIndex((latest) => latest >= timeMs);
    return found === -1 ? null : (this.#offsets[found] ?? null);
  }

  encode(): Buffer {
    const bytes = Buffer.alloc(this.#offsets.length * ENTRY_BYTES);
    for (let at = 0; at < this.#offsets.length; at++) {
      bytes.writeDoubleLE(this.#offsets[at] ?? 0, at * ENTRY_BYTES);
      bytes.writeDoubleLE(this.#positions[at] ?? 0, at * ENTRY_BYTES + 8);
      bytes.writeDoubleLE(this.#timesMs[at] ?? 0, at * ENTRY_BYTES + 16);
    }
    return bytes;
  }

  /** Bytes whose checksum has been verified. */
  static decode(bytes: Buffer): SegmentIndex {
    const index = new SegmentIndex();
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      index.#offsets.push(bytes.readDoubleLE(at));
      index.#positions.push(bytes.readDoubleLE(at + 8));
      index.#timesMs.push(bytes.readDoubleLE(at + 16));
    }
    return index;
  }
}
