/**
 * Attribute values as HTTP header values: percent-encoding both ways, with quoted strings accepted.
 * Used by the binary codec. Invariant: what the encoder gives is printable ASCII without a space, so
 * no attribute can end a header line.
 * Source: CloudEvents HTTP binding 1.0.2, section 3.1.3.2.
 */
import { isUtf8 } from 'node:buffer';

const PERCENT = 0x25;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Why a value could not be decoded. */
export type HeaderValueFault = 'percent' | 'quote' | 'utf8';

/** True when the value is printable ASCII and stands for itself: no decoding, no further check. */
export function isPlainHeaderValue(value: string): boolean {
  for (let index = 0; index < value.length; index += 1) {
    const unit = value.charCodeAt(index);
    if (unit < 0x20 || unit > 0x7e || unit === PERCENT || unit === QUOTE) return false;
  }
  return true;
}

/**
 * Decodes once: quotes first, then percent-encoding. Raw UTF-8 bytes are accepted when well formed,
 * because many senders (all of Knative's) do not encode.
 *
 * @param value one byte per character, as Node gives header values.
 * @returns the text; control characters in it are the caller's to refuse.
 */
export function decodeHeaderValue(value: string): { text: string } | { fault: HeaderValueFault } {
  const unquoted = value.charCodeAt(0) === QUOTE ? unquote(value) : value;
  if (unquoted === null) return { fault: 'quote' };
  const bytes = Buffer.allocUnsafe(unquoted.length);
  let length = 0;
  for (let index = 0; index < unquoted.length; index += 1) {
    let unit = unquoted.charCodeAt(index);
    if (unit > 0xff) return { fault: 'utf8' };
    if (unit === PERCENT) {
      unit =
        hexDigit(unquoted.charCodeAt(index + 1)) * 16 + hexDigit(unquoted.charCodeAt(index + 2));
      if (Number.isNaN(unit)) return { fault: 'percent' };
      index += 2;
    }
    bytes[length] = unit;
    length += 1;
  }
  const decoded = bytes.subarray(0, length);
  return isUtf8(decoded) ? { text: decoded.toString('utf8') } : { fault: 'utf8' };
}

/** The inside of a quoted string without its backslashes, or `null` when it does not end there. */
function unquote(value: string): string | null {
  let text = '';
  for (let index = 1; index < value.length; index += 1) {
    const unit = value.charCodeAt(index);
    if (unit === QUOTE) return index === value.length - 1 ? text : null;
    if (unit === BACKSLASH) index += 1;
    text += value.charAt(index);
  }
  return null;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}

const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  mustEscape(byte)
    ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    : String.fromCharCode(byte),
);

function mustEscape(unit: number): boolean {
  return unit <= 0x20 || unit > 0x7e || unit === QUOTE || unit === PERCENT;
}

/** Percent-encodes space, `"`, `%` and all but U+0021 to U+007E, as UTF-8 in upper-case hex. */
export function encodeHeaderValue(text: string): string {
  for (let index = 0; index < text.length; index += 1) {
    if (mustEscape(text.charCodeAt(index))) return escapeAll(text);
  }
  return text;
}

function escapeAll(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) encoded += ESCAPES[byte];
  return encoded;
}
