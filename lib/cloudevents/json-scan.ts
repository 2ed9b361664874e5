/**
 * A JSON grammar check over bytes that finds where values begin and end and makes no values of them.
 * Used by json-decode.ts and by the encoder, which embeds data that is JSON already. Invariants:
 * linear in the input, no recursion, bounded depth and number of keys, never throws. The bytes must
 * be valid UTF-8 (checked by the caller, at once for the whole body).
 * Source: RFC 8259.
 */

export type JsonFault = 'syntax' | 'depth' | 'keys';

/** One scan over one value: limits, and where and why it stopped. Reused for the parts of an event. */
export interface JsonScan {
  readonly bytes: Buffer;
  readonly depthMax: number;
  readonly keysMax: number;
  keyCount: number;
  fault: JsonFault | null;
  /** Byte offset of the fault. */
  faultAt: number;
}

/** What every function here answers when the scan has a fault. */
export const FAULTY = -1;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export function createJsonScan(
  bytes: Buffer,
  limits: { readonly depthMax: number; readonly keysMax: number },
): JsonScan {
  const { depthMax, keysMax } = limits;
  return { bytes, depthMax, keysMax, keyCount: 0, fault: null, faultAt: 0 };
}

/** Notes the first fault. */
export function fail(scan: JsonScan, fault: JsonFault, offset: number): typeof FAULTY {
  scan.fault = fault;
  scan.faultAt = offset;
  return FAULTY;
}

/** The byte there, or -1 behind the end. */
export function byteAt(scan: JsonScan, offset: number): number {
  return scan.bytes[offset] ?? -1;
}

export function skipWhitespace(scan: JsonScan, start: number): number {
  const { bytes } = scan;
  let offset = start;
  for (; offset < bytes.length; offset += 1) {
    const byte = bytes[offset];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
  }
  return offset;
}

/**
 * Scans one value of any kind.
 *
 * @param start offset of its first byte, white space skipped.
 * @param depth containers that are open around it; it may open `depthMax - depth` more.
 * @returns the offset behind its last byte, or {@link FAULTY}.
 */
// Long because: the state machine of nested containers, kept in one loop instead of recursion.
export function scanValue(scan: JsonScan, start: number, depth: number): number {
  // One byte per open container: the byte that closes it.
  const closers = new Uint8Array(Math.max(0, scan.depthMax - depth));
  let open = 0;
  let offset = start;
  while (true) {
    const byte = byteAt(scan, offset);
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (open === closers.length) return fail(scan, 'depth', offset);
      const closer = byte + 2;
      const inside = skipWhitespace(scan, offset + 1);
      if (byteAt(scan, inside) === closer) {
        offset = inside + 1;
      } else {
        closers[open] = closer;
        open += 1;
        offset = byte === OPEN_OBJECT ? scanKey(scan, inside) : inside;
        if (offset === FAULTY) return FAULTY;
        continue;
      }
    } else {
      offset = scanScalar(scan, offset);
      if (offset === FAULTY) return FAULTY;
    }
    // A value has ended: close containers until one goes on.
    while (open > 0) {
      offset = skipWhitespace(scan, offset);
      const next = byteAt(scan, offset);
      const closer = closers[open - 1];
      if (next === COMMA) {
        offset = skipWhitespace(scan, offset + 1);
        if (closer === CLOSE_OBJECT) offset = scanKey(scan, offset);
        if (offset === FAULTY) return FAULTY;
        break;
      }
      if (next !== closer) return fail(scan, 'syntax', offset);
      offset += 1;
      open -= 1;
    }
    if (open === 0) return offset;
  }
}

/** Scans `string ws ":" ws` and counts the key; answers the offset of the value. */
function scanKey(scan: JsonScan, start: number): number {
  if (byteAt(scan, start) !== QUOTE) return fail(scan, 'syntax', start);
  const end = scanString(scan, start);
  return end === FAULTY ? FAULTY : scanColon(scan, end, start);
}

/** The part of a member between key and value. Counts the key, which began at `keyStart`. */
export function scanColon(scan: JsonScan, keyEnd: number, keyStart: number): number {
  scan.keyCount += 1;
  if (scan.keyCount > scan.keysMax) return fail(scan, 'keys', keyStart);
  const colon = skipWhitespace(scan, keyEnd);
  if (byteAt(scan, colon) !== COLON) return fail(scan, 'syntax', colon);
  return skipWhitespace(scan, colon + 1);
}

function scanScalar(scan: JsonScan, start: number): number {
  switch (byteAt(scan, start)) {
    case QUOTE:
      return scanString(scan, start);
    case 0x74:
      return scanWord(scan, start, 'true');
    case 0x66:
      return scanWord(scan, start, 'false');
    case 0x6e:
      return scanWord(scan, start, 'null');
    default:
      return scanNumber(scan, start);
  }
}

/** Scans a string from its opening quote; answers the offset behind the closing one. */
export function scanString(scan: JsonScan, start: number): number {
  const { bytes } = scan;
  let offset = start + 1;
  while (offset < bytes.length) {
    const byte = bytes[offset] ?? 0;
    if (byte === QUOTE) return offset + 1;
    if (byte < 0x20) return fail(scan, 'syntax', offset);
    if (byte === BACKSLASH) {
      const end = escapeEnd(scan, offset);
      if (end === FAULTY) return FAULTY;
      offset = end;
    } else {
      offset += 1;
    }
  }
  return fail(scan, 'syntax', offset);
}

function escapeEnd(scan: JsonScan, start: number): number {
  switch (byteAt(scan, start + 1)) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return start + 2;
    case 0x75:
      for (let offset = start + 2; offset < start + 6; offset += 1) {
        if (!isHexDigit(byteAt(scan, offset))) return fail(scan, 'syntax', offset);
      }
      return start + 6;
    default:
      return fail(scan, 'syntax', start + 1);
  }
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function scanWord(scan: JsonScan, start: number, word: string): number {
  for (let index = 0; index < word.length; index += 1) {
    const offset = start + index;
    if (byteAt(scan, offset) !== word.charCodeAt(index)) return fail(scan, 'syntax', offset);
  }
  return start + word.length;
}

/** `["-"] ("0" / 1-9 *digit) ["." 1*digit] [("e" / "E") ["+" / "-"] 1*digit]` */
function scanNumber(scan: JsonScan, start: number): number {
  let offset = byteAt(scan, start) === 0x2d ? start + 1 : start;
  offset = byteAt(scan, offset) === 0x30 ? offset + 1 : scanDigits(scan, offset);
  if (offset !== FAULTY && byteAt(scan, offset) === 0x2e) offset = scanDigits(scan, offset + 1);
  if (offset === FAULTY || (byteAt(scan, offset) | 0x20) !== 0x65) return offset;
  const sign = byteAt(scan, offset + 1);
  return scanDigits(scan, sign === 0x2b || sign === 0x2d ? offset + 2 : offset + 1);
}

function scanDigits(scan: JsonScan, start: number): number {
  let offset = start;
  while (isDigit(byteAt(scan, offset))) offset += 1;
  return offset === start ? fail(scan, 'syntax', offset) : offset;
}

/**
 * True when all of the bytes, outer white space aside, are one JSON value within the limits.
 * The bytes must be valid UTF-8.
 */
export function isJsonValue(
  bytes: Buffer,
  limits: { readonly depthMax: number; readonly keysMax: number },
): boolean {
  const scan = createJsonScan(bytes, limits);
  const end = scanValue(scan, skipWhitespace(scan, 0), 0);
  return end !== FAULTY && skipWhitespace(scan, end) === bytes.length;
}
