/**
 * Strict base64 (RFC 4648 section 4): standard alphabet, padding required, no white space, no stray
 * bits. Node's own decoder skips what it does not know, which would change data in silence. Used by
 * the JSON codec.
 */

/** Six bits for a character of the alphabet, 255 for any other byte. */
const VALUES = alphabetValues();

function alphabetValues(): Uint8Array {
  const values = new Uint8Array(256).fill(255);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let index = 0; index < alphabet.length; index += 1) {
    values[alphabet.charCodeAt(index)] = index;
  }
  return values;
}

const PAD = 0x3d;

/** True when the bytes are base64 text that decodes and encodes to itself. */
export function isBase64(text: Uint8Array): boolean {
  if (text.length % 4 !== 0) return false;
  const end = text.length - padLength(text);
  for (let index = 0; index < end; index += 1) {
    if (VALUES[text[index] ?? 0] === 255) return false;
  }
  // The bits of the last character that fall out of the last byte must be zero.
  const last = VALUES[text[end - 1] ?? 0] ?? 0;
  const strayBits = end % 4 === 2 ? last & 15 : end % 4 === 3 ? last & 3 : 0;
  return strayBits === 0;
}

function padLength(text: Uint8Array): number {
  if (text[text.length - 1] !== PAD) return 0;
  return text[text.length - 2] === PAD ? 2 : 1;
}

/** The decoded bytes, or `null` when the text is not strict base64. */
export function decodeBase64(text: Buffer): Buffer | null {
  return isBase64(text) ? Buffer.from(text.toString('latin1'), 'base64') : null;
}
