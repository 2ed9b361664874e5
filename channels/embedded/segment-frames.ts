/**
 * Walks over the frames of one segment file, chunk by chunk, verifying every checksum; and finds the
 * next good frame behind a bad place. Used by recovery, readers and the seek by time. Chunks are never
 * reused: decoded events keep views of them.
 */
import { assert } from '#lib/assert/assert';
import { diskErrorCode } from '#lib/disk/disk';
import type { DiskFile } from '#lib/disk/disk';
import {
  allocateBlock,
  FRAME_HEADER_BYTES,
  frameBytes,
  frameIndexInFlush,
  frameKind,
  frameOffset,
  frameTimeMs,
  isFrameIntact,
  peekPayloadBytes,
} from './segment-format.ts';
import type { Block } from './segment-format.ts';

/** Read at once. An event held by a slow subscriber keeps its whole chunk in memory. */
const CHUNK_BYTES = 128 * 1024;
const CHUNK_BYTES_MIN = 4 * 1024;

/**
 * `frame`: the fields describe it. `more`: call {@link FrameWalker.fill} and step again. `end`: nothing
 * more before the limit. `bad`: what stands here is no frame.
 */
export type FrameStep = 'frame' | 'more' | 'end' | 'bad';

const EMPTY: Block = allocateBlock(0);

export class FrameWalker {
  readonly #file: DiskFile;
  readonly #seed: number;
  #limit: number;
  #chunk: Block = EMPTY;
  #chunkPosition = 0;
  #chunkBytes = 0;
  #position: number;
  #next: number;
  /** Bytes that the next fill must bring at least. */
  #wanted = FRAME_HEADER_BYTES;
  /** Where the present frame begins in {@link bytes}. */
  #start = 0;
  #payloadBytes = 0;

  /** @param limit  Bytes of the file that may be read; frames end there at the latest. */
  constructor(file: DiskFile, seed: number, position: number, limit: number) {
    assert(position % 8 === 0, 'frames are aligned', { position });
    this.#file = file;
    this.#seed = seed;
    this.#position = position;
    this.#next = position;
    this.#limit = limit;
  }

  /** File position of the present frame, or of what follows the last good one. */
  get position(): number {
    return this.#position;
  }

  /** File position behind the present frame. */
  get nextPosition(): number {
    return this.#next;
  }

  get bytes(): Buffer {
    return this.#chunk.bytes;
  }

  get payloadStart(): number {
    return this.#start + FRAME_HEADER_BYTES;
  }

  get payloadEnd(): number {
    return this.#start + FRAME_HEADER_BYTES + this.#payloadBytes;
  }

  get frameBytes(): number {
    return this.#next - this.#position;
  }

  get offset(): number {
    return frameOffset(this.#chunk.words, this.#start);
  }

  get timeMs(): number {
    return frameTimeMs(this.#chunk.words, this.#start);
  }

  get kind(): number {
    return frameKind(this.#chunk.words, this.#start);
  }

  get indexInFlush(): number {
    return frameIndexInFlush(this.#chunk.words, this.#start);
  }

  /** The file has grown. */
  raiseLimit(limit: number): void {
    if (limit > this.#limit) this.#limit = limit;
  }

  /** Goes on at another place; with what has been read already thrown away when `fresh` is wanted. */
  moveTo(position: number, options: { readonly fresh: boolean }): void {
    this.#position = position;
    this.#next = position;
    if (options.fresh) this.#chunkBytes = 0;
  }

  step(): FrameStep {
    this.#position = this.#next;
    const left = this.#limit - this.#position;
    if (left === 0) return 'end';
    if (left < FRAME_HEADER_BYTES) return 'bad';
    const start = this.#position - this.#chunkPosition;
    const end = start < 0 ? 0 : this.#chunkBytes;
    if (start < 0 || start + FRAME_HEADER_BYTES > end) return this.#more(FRAME_HEADER_BYTES);
    const payloadBytes = peekPayloadBytes(this.#chunk.words, start, end);
    if (payloadBytes < 0) return 'bad';
    const size = frameBytes(payloadBytes);
    if (size > left) return 'bad';
    if (start + size > end) return this.#more(size);
    if (!isFrameIntact(this.#chunk.words, start, payloadBytes, this.#seed)) return 'bad';
    this.#start = start;
    this.#payloadBytes = payloadBytes;
    this.#next = this.#position + size;
    return 'frame';
  }

  #more(bytes: number): FrameStep {
    this.#wanted = bytes;
    return 'more';
  }

  /**
   * Reads what the last step lacked. A part that the disk cannot give is left as zeros.
   * @param estimateBytes  What the caller thinks it needs; more than a chunk is never read for it.
   */
  async fill(estimateBytes = CHUNK_BYTES): Promise<void> {
    const left = this.#limit - this.#position;
    const enough = Math.min(CHUNK_BYTES, Math.max(CHUNK_BYTES_MIN, estimateBytes));
    const size = Math.min(left, Math.max(this.#wanted, enough));
    const chunk = allocateBlock(size);
    const count = await readFully(this.#file, chunk.bytes, size, this.#position);
    chunk.bytes.fill(0, count);
    this.#chunk = chunk;
    this.#chunkPosition = this.#position;
    this.#chunkBytes = size;
  }
}

/** Reads until `length` bytes, the end of the file, or a place that the disk cannot read (EIO). */
export async function readFully(
  file: DiskFile,
  into: Buffer,
  length: number,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < length) {
    let count: number;
    try {
      count = await file.read(into, done, length - done, position + done);
    } catch (error) {
      // A bad sector is damage like any other: the checksum finds it, the segment is set aside.
      if (diskErrorCode(error) === 'EIO') return done;
      throw error;
    }
    if (count === 0) return done;
    done += count;
  }
  return done;
}

export interface FoundFrame {
  readonly position: number;
  readonly offset: number;
  readonly indexInFlush: number;
}

const SEARCH_BYTES = 1024 * 1024;

/**
 * The first intact frame at or behind `from` whose offset is from `offsetMin` to `offsetMax`. Every
 * 8 bytes may be one; the salted checksum decides.
 */
export async function findFrame(
  file: DiskFile,
  seed: number,
  from: number,
  limit: number,
  offsetMin: number,
  offsetMax: number,
): Promise<FoundFrame | null> {
  for (let base = from; base < limit; base += SEARCH_BYTES) {
    const size = Math.min(SEARCH_BYTES + FRAME_HEADER_BYTES, limit - base);
    const block = allocateBlock(size);
    block.bytes.fill(0, await readFully(file, block.bytes, size, base));
    const last = Math.min(SEARCH_BYTES, size - FRAME_HEADER_BYTES + 1);
    for (let at = 0; at < last; at += 8) {
      if (!isPlausible(block.words, at, limit - base, offsetMin, offsetMax)) continue;
      const walker = new FrameWalker(file, seed, base + at, limit);
      let step = walker.step();
      if (step === 'more') {
        await walker.fill();
        step = walker.step();
        if (step === 'more') {
          await walker.fill();
          step = walker.step();
        }
      }
      if (step === 'frame') {
        return { position: base + at, offset: walker.offset, indexInFlush: walker.indexInFlush };
      }
    }
  }
  return null;
}

function isPlausible(
  words: Int32Array,
  at: number,
  left: number,
  offsetMin: number,
  offsetMax: number,
): boolean {
  const offset = frameOffset(words, at);
  if (offset < offsetMin || offset > offsetMax) return false;
  const payloadBytes = words[(at >>> 2) + 1] ?? -1;
  return payloadBytes > 0 && at + frameBytes(payloadBytes) <= left;
}
