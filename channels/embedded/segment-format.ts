/**
 * The bytes of a segment file: header, frames, footer. Used by everything that reads or writes one.
 *
 *   0     header copy A, 2048 bytes ┐ either one is enough
 *   2048  header copy B, 2048 bytes ┘
 *   4096  frames, each aligned to 8 bytes:
 *           0 u32 crc32c of the rest, seeded with the file's salt   4 u32 payload bytes
 *           8 u64 offset   16 u64 timeMs   24 u32 index in its flush   28 u8 kind, 3 spare bytes
 *           32 payload, then zeros up to a multiple of 8
 *   …     zeros (a preallocated hole) while active; once sealed the footer, where the file ends:
 *           sparse index: f64 offset · f64 position · f64 timeMs each; then the trailer, 96 bytes
 *
 * A salt is random per file, so the bytes of another file, or of this one's former life, never pass
 * for frames. The index in its flush tells a torn flush from damage: flushes follow one another, so a
 * good frame of a later flush behind a bad one proves that the bad one had been acknowledged.
 * The first 64 bytes of a header copy keep their meaning in every future version. Little endian.
 */
import { crc32cBytes, crc32cWords } from './log-crc32c.ts';

export const FORMAT_VERSION = 1;
export const HEADER_BYTES = 4096;
export const FRAME_HEADER_BYTES = 32;
export const TRAILER_BYTES = 96;
/** Longest payload of a frame: a length above it is damage, so that nobody allocates by a bad length. */
export const PAYLOAD_BYTES_MAX = 128 * 1024 * 1024;
export const TOPIC_BYTES_MAX = 1024;

const COPY_BYTES = HEADER_BYTES / 2;
const HEADER_MAGIC = 'MILLSEG\n';
const TRAILER_MAGIC = 'MILLEND\n';
const SALT_BYTES = 16;
const TWO_32 = 2 ** 32;

export interface SegmentHeader {
  readonly topic: string;
  readonly partition: number;
  /** The offset of the first frame. */
  readonly baseOffset: number;
  readonly createdMs: number;
  readonly salt: Uint8Array;
}

export type ParsedHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader; readonly isWhole: boolean }
  | { readonly kind: 'unknownVersion'; readonly version: number }
  /** Nothing but zeros: the file was created and never written. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'damaged' };

export function encodeHeader(header: SegmentHeader): Buffer {
  const topic = Buffer.from(header.topic, 'utf8');
  const copy = Buffer.alloc(COPY_BYTES);
  copy.write(HEADER_MAGIC, 0, 'latin1');
  copy.writeUInt32LE(FORMAT_VERSION, 12);
  copy.writeDoubleLE(header.baseOffset, 16);
  copy.writeDoubleLE(header.createdMs, 24);
  copy.set(header.salt, 32);
  copy.writeUInt32LE(header.partition, 48);
  copy.writeUInt32LE(topic.length, 52);
  topic.copy(copy, 64);
  copy.writeUInt32LE(crc32cBytes(copy, 12, COPY_BYTES), 8);
  return Buffer.concat([copy, copy]);
}

export function parseHeader(bytes: Buffer): ParsedHeader {
  if (bytes.every((byte) => byte === 0)) return { kind: 'blank' };
  const first = parseCopy(bytes.subarray(0, COPY_BYTES));
  const second = parseCopy(bytes.subarray(COPY_BYTES, HEADER_BYTES));
  const found = first ?? second;
  if (found === null) return { kind: 'damaged' };
  if (typeof found === 'number') return { kind: 'unknownVersion', version: found };
  return { kind: 'header', header: found, isWhole: first !== null && second !== null };
}

/** The header, the version when it is not ours, or `null` when the checksum is wrong. */
function parseCopy(copy: Buffer): SegmentHeader | number | null {
  if (copy.length < COPY_BYTES || copy.toString('latin1', 0, 8) !== HEADER_MAGIC) return null;
  if (copy.readUInt32LE(8) !== crc32cBytes(copy, 12, COPY_BYTES)) return null;
  const version = copy.readUInt32LE(12);
  if (version !== FORMAT_VERSION) return version;
  const topicBytes = Math.min(copy.readUInt32LE(52), TOPIC_BYTES_MAX);
  return {
    topic: copy.toString('utf8', 64, 64 + topicBytes),
    partition: copy.readUInt32LE(48),
    baseOffset: copy.readDoubleLE(16),
    createdMs: copy.readDoubleLE(24),
    salt: Uint8Array.from(copy.subarray(32, 32 + SALT_BYTES)),
  };
}

/** What every checksum of a file's frames starts from. */
export function frameSeed(salt: Uint8Array): number {
  return crc32cBytes(salt, 0, SALT_BYTES);
}

/** Bytes of a frame with that payload, padding included. */
export function frameBytes(payloadBytes: number): number {
  return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
}

/** A buffer with its words; both are views of the same memory, which begins at a multiple of 8. */
export interface Block {
  readonly bytes: Buffer;
  readonly words: Int32Array;
}

/** Not zeroed. `sizeBytes` is rounded up to a multiple of 8. */
export function allocateBlock(sizeBytes: number): Block {
  const rounded = (sizeBytes + 7) & ~7;
  const bytes = Buffer.allocUnsafeSlow(rounded);
  return { bytes, words: new Int32Array(bytes.buffer, bytes.byteOffset, rounded / 4) };
}

/**
 * Completes a frame whose payload already stands in `block` behind 32 bytes of room: pads it with
 * zeros, writes the head, and the checksum last. `start` is a multiple of 8.
 */
export function sealFrame(
  block: Block,
  start: number,
  payloadBytes: number,
  kind: number,
  offset: number,
  timeMs: number,
  indexInFlush: number,
  seed: number,
): void {
  const { bytes, words } = block;
  const size = frameBytes(payloadBytes);
  for (let at = start + FRAME_HEADER_BYTES + payloadBytes; at < start + size; at++) bytes[at] = 0;
  const word = start >>> 2;
  words[word + 1] = payloadBytes;
  words[word + 2] = (offset % TWO_32) | 0;
  words[word + 3] = (offset / TWO_32) | 0;
  words[word + 4] = (timeMs % TWO_32) | 0;
  words[word + 5] = (timeMs / TWO_32) | 0;
  words[word + 6] = indexInFlush;
  words[word + 7] = kind;
  words[word] = crc32cWords(words, word + 1, word + (size >>> 2), seed);
}

/** The payload's length if a frame may begin here and lies before `end`; -1 otherwise. No checksum yet. */
export function peekPayloadBytes(words: Int32Array, start: number, end: number): number {
  if (start + FRAME_HEADER_BYTES > end) return -1;
  const length = words[(start >>> 2) + 1] ?? -1;
  return length <= 0 || length > PAYLOAD_BYTES_MAX ? -1 : length;
}

export function isFrameIntact(
  words: Int32Array,
  start: number,
  payloadBytes: number,
  seed: number,
): boolean {
  const word = start >>> 2;
  const end = word + (frameBytes(payloadBytes) >>> 2);
  return crc32cWords(words, word + 1, end, seed) === (words[word] ?? 0) >>> 0;
}

export function frameOffset(words: Int32Array, start: number): number {
  const word = start >>> 2;
  return ((words[word + 3] ?? 0) >>> 0) * TWO_32 + ((words[word + 2] ?? 0) >>> 0);
}

export function frameTimeMs(words: Int32Array, start: number): number {
  const word = start >>> 2;
  return ((words[word + 5] ?? 0) >>> 0) * TWO_32 + ((words[word + 4] ?? 0) >>> 0);
}

export function frameIndexInFlush(words: Int32Array, start: number): number {
  return (words[(start >>> 2) + 6] ?? 0) >>> 0;
}

export function frameKind(words: Int32Array, start: number): number {
  return (words[(start >>> 2) + 7] ?? 0) & 0xff;
}

/** What a sealed segment says about itself at its end. */
export interface Trailer {
  readonly baseOffset: number;
  /** Behind its last frame: the base of the next segment, unless something was lost. */
  readonly nextOffset: number;
  /** Where the frames end and the index begins. */
  readonly endPosition: number;
  readonly timeMsMax: number;
  readonly salt: Uint8Array;
  readonly indexBytes: number;
  readonly indexCrc: number;
}

export function encodeFooter(
  trailer: Omit<Trailer, 'indexBytes' | 'indexCrc'>,
  index: Buffer,
): Buffer {
  const tail = Buffer.alloc(TRAILER_BYTES);
  tail.write(TRAILER_MAGIC, 0, 'latin1');
  tail.writeUInt32LE(FORMAT_VERSION, 12);
  tail.writeDoubleLE(trailer.baseOffset, 16);
  tail.writeDoubleLE(trailer.nextOffset, 24);
  tail.writeDoubleLE(trailer.endPosition, 32);
  tail.writeDoubleLE(trailer.timeMsMax, 40);
  tail.set(trailer.salt, 48);
  tail.writeUInt32LE(index.length, 64);
  tail.writeUInt32LE(crc32cBytes(index, 0, index.length), 68);
  tail.writeUInt32LE(crc32cBytes(tail, 12, TRAILER_BYTES), 8);
  return Buffer.concat([index, tail]);
}

/** `null` when these are not the last bytes of a sealed segment of that size. */
export function parseTrailer(tail: Buffer, fileBytes: number): Trailer | null {
  if (tail.length !== TRAILER_BYTES || tail.toString('latin1', 0, 8) !== TRAILER_MAGIC) return null;
  if (tail.readUInt32LE(8) !== crc32cBytes(tail, 12, TRAILER_BYTES)) return null;
  const trailer: Trailer = {
    baseOffset: tail.readDoubleLE(16),
    nextOffset: tail.readDoubleLE(24),
    endPosition: tail.readDoubleLE(32),
    timeMsMax: tail.readDoubleLE(40),
    salt: Uint8Array.from(tail.subarray(48, 64)),
    indexBytes: tail.readUInt32LE(64),
    indexCrc: tail.readUInt32LE(68),
  };
  const isWhole = trailer.endPosition + trailer.indexBytes + TRAILER_BYTES === fileBytes;
  return isWhole ? trailer : null;
}

const NAME_PATTERN = /^(\d{20})\.seg(\.damaged)?$/;

export function segmentName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.seg`;
}

/** What a file's name says, or `null` when it is no segment's. */
export function parseSegmentName(
  name: string,
): { readonly baseOffset: number; readonly isDamaged: boolean } | null {
  const match = NAME_PATTERN.exec(name);
  if (match === null) return null;
  return { baseOffset: Number(match[1]), isDamaged: match[2] !== undefined };
}
