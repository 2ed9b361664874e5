/**
 * One segment file as readers and the partition know it: what it holds and a shared read handle.
 * Used by the owner and by read-only processes. Invariant: `nextOffset` and `endPosition` never go
 * beyond what is durable.
 */
import { assert } from '#lib/assert/assert';
import type { Disk, DiskFile } from '#lib/disk/disk';
import { crc32cBytes } from './log-crc32c.ts';
import { frameSeed, HEADER_BYTES } from './segment-format.ts';
import { readFully } from './segment-frames.ts';
import { SegmentIndex } from './segment-index.ts';
import { scanSegment } from './segment-scan.ts';

/** Where a sealed segment keeps its index. */
export interface StoredIndex {
  readonly position: number;
  readonly bytes: number;
  readonly crc: number;
}

export interface SegmentFacts {
  readonly path: string;
  readonly baseOffset: number;
  readonly salt: Uint8Array;
  readonly nextOffset: number;
  readonly endPosition: number;
  readonly timeMsMax: number;
  readonly isSealed: boolean;
  /** In memory, or where to read it; with neither it is rebuilt from the frames. */
  readonly index: SegmentIndex | null;
  readonly storedIndex: StoredIndex | null;
  /** Why the segment has been set aside, or `null`. */
  readonly damage: string | null;
}

export class Segment {
  readonly baseOffset: number;
  readonly salt: Uint8Array;
  /** What the checksums of its frames start from. */
  readonly seed: number;
  path: string;
  nextOffset: number;
  endPosition: number;
  timeMsMax: number;
  isSealed: boolean;
  damage: string | null;
  readonly #disk: Disk;
  #index: SegmentIndex | null;
  #storedIndex: StoredIndex | null;
  #file: Promise<DiskFile> | null = null;
  #users = 0;

  constructor(disk: Disk, facts: SegmentFacts) {
    this.#disk = disk;
    this.path = facts.path;
    this.baseOffset = facts.baseOffset;
    this.salt = facts.salt;
    this.seed = frameSeed(facts.salt);
    this.nextOffset = facts.nextOffset;
    this.endPosition = facts.endPosition;
    this.timeMsMax = facts.timeMsMax;
    this.isSealed = facts.isSealed;
    this.damage = facts.damage;
    this.#index = facts.index;
    this.#storedIndex = facts.storedIndex;
  }

  /** A read handle shared by all users of the segment; each calls {@link release} once. */
  async acquire(): Promise<DiskFile> {
    this.#users++;
    this.#file ??= this.#disk.open(this.path, 'read');
    try {
      return await this.#file;
    } catch (error) {
      this.#users--;
      this.#file = null;
      throw error;
    }
  }

  release(): void {
    assert(this.#users > 0, 'a segment is released once per acquire', { path: this.path });
    this.#users--;
    if (this.#users > 0 || this.#file === null) return;
    const file = this.#file;
    this.#file = null;
    // Nothing was written through this handle: a failing close loses nothing.
    void file.then((opened) => opened.close()).catch(() => undefined);
  }

  /**
   * The index, read or rebuilt at the first call. `onDamage` is told when the stored one was bad; the
   * frames are the truth, so nothing is lost by that.
   */
  async loadIndex(onDamage: (reason: string) => void): Promise<SegmentIndex> {
    if (this.#index !== null) return this.#index;
    const file = await this.acquire();
    try {
      const index = (await this.#readIndex(file, onDamage)) ?? (await this.#scanIndex(file));
      this.#index = index;
      return index;
    } finally {
      this.release();
    }
  }

  /** The index in memory, for the writer of an active segment. */
  get writableIndex(): SegmentIndex {
    assert(this.#index !== null, 'the writer has loaded the index', { path: this.path });
    return this.#index;
  }

  async #readIndex(file: DiskFile, onDamage: (why: string) => void): Promise<SegmentIndex | null> {
    const stored = this.#storedIndex;
    if (stored === null) return null;
    const bytes = Buffer.alloc(stored.bytes);
    const count = await readFully(file, bytes, stored.bytes, stored.position);
    if (count === stored.bytes && crc32cBytes(bytes, 0, bytes.length) === stored.crc) {
      return SegmentIndex.decode(bytes);
    }
    this.#storedIndex = null;
    onDamage('its index is damaged and was rebuilt from its records');
    return null;
  }

  async #scanIndex(file: DiskFile): Promise<SegmentIndex> {
    const { seed, baseOffset, endPosition, nextOffset } = this;
    return (await scanSegment(file, seed, baseOffset, endPosition, nextOffset)).index;
  }
}

/**
 * A file of which nothing can be told to be ours: not one byte of it is handed out, and readers get a
 * poison record for its offsets.
 */
export function lostSegment(
  disk: Disk,
  path: string,
  baseOffset: number,
  nextOffset: number,
  timeMsMax: number,
  damage: string,
): Segment {
  return new Segment(disk, {
    path,
    baseOffset,
    salt: new Uint8Array(16),
    nextOffset,
    endPosition: HEADER_BYTES,
    timeMsMax,
    isSealed: true,
    index: new SegmentIndex(),
    storedIndex: null,
    damage,
  });
}

/** Bytes a segment takes on disk, as far as they are more than a hole. */
export function segmentBytes(segment: Segment): number {
  return Math.max(HEADER_BYTES, segment.endPosition);
}
