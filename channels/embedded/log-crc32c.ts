/**
 * CRC-32C (Castagnoli), the checksum of every stored record. Used by the segment log alone.
 * Slicing by 16 over 32-bit words: 0.46 µs for 1,152 bytes, against 0.57 by 8 words, 0.65 by 8 bytes,
 * and 0.30 for zlib's CRC-32, which is the weaker polynomial (Node 24.21, 2-core machine).
 * Words are read in the machine's order, so stores are little endian, and so must the machine be.
 */
import { assert } from '#lib/assert/assert';

const POLYNOMIAL = 0x82f63b78; // Reflected 0x1EDC6F41, RFC 3720 appendix B.4.

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** One table per byte of a 16-byte block, in one array: table k begins at k * 256. */
const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = tablesFrom(0);
const [T8, T9, T10, T11, T12, T13, T14, T15] = tablesFrom(8);

type EightTables = [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

function makeTables(): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256] ?? 0;
    tables[at] = (before >>> 8) ^ (tables[before & 255] ?? 0);
  }
  return tables;
}

function tablesFrom(first: number): EightTables {
  const table = (index: number): Int32Array =>
    TABLES.subarray((first + index) * 256, (first + index + 1) * 256);
  return [table(0), table(1), table(2), table(3), table(4), table(5), table(6), table(7)];
}

/**
 * The checksum of `words[from]` up to `words[to]` (exclusive), continued from `seed` (a checksum of
 * what goes before, or 0). Unsigned 32 bits.
 */
// Long because: one unrolled block; the loop is most of what a stored event costs in checksums.
export function crc32cWords(words: Int32Array, from: number, to: number, seed = 0): number {
  assert(isLittleEndian, 'the embedded store needs a little-endian machine');
  let crc = ~seed;
  let at = from;
  // `at()` results are never undefined here: indexes are masked to 8 bits or below `to`.
  for (; to - at >= 4; at += 4) {
    const a = crc ^ words[at]!;
    const b = words[at + 1]!;
    const c = words[at + 2]!;
    const d = words[at + 3]!;
    crc =
      T15[a & 255]! ^
      T14[(a >>> 8) & 255]! ^
      T13[(a >>> 16) & 255]! ^
      T12[a >>> 24]! ^
      T11[b & 255]! ^
      T10[(b >>> 8) & 255]! ^
      T9[(b >>> 16) & 255]! ^
      T8[b >>> 24]! ^
      T7[c & 255]! ^
      T6[(c >>> 8) & 255]! ^
      T5[(c >>> 16) & 255]! ^
      T4[c >>> 24]! ^
      T3[d & 255]! ^
      T2[(d >>> 8) & 255]! ^
      T1[(d >>> 16) & 255]! ^
      T0[d >>> 24]!;
  }
  for (; at < to; at++) {
    const a = crc ^ words[at]!;
    crc = T3[a & 255]! ^ T2[(a >>> 8) & 255]! ^ T1[(a >>> 16) & 255]! ^ T0[a >>> 24]!;
  }
  return ~crc >>> 0;
}

/** The same over bytes, for headers and for tests. */
export function crc32cBytes(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  let crc = ~seed;
  for (let at = from; at < to; at++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}
