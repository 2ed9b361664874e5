/** Header values against a strict reference that is written another way: patterns and TextDecoder. */
import assert from 'node:assert/strict';
import {
  decodeHeaderValue,
  encodeHeaderValue,
  isPlainHeaderValue,
} from '#lib/cloudevents/header-value';
import { createTarget } from '../fuzz-target.ts';

const WORDS = [
  ...['%', '%41', '%C3%A9', '%c3%a9', '%E2%82%AC', '%F0%9F%98%80', '%ED%A0%80', '%C0%80', '%FF'],
  ...['%F4%90%80%80', '%E0%80%80', '%EF%BB%BF', '%25', '%2541', '%u0041', '%zz', '%4', '"', '\\'],
  ...['\\"', '\\\\', '\u00c3\u00a9', '\u00ff', '%00', '%0D%0A', '%22', ' ', '+'],
];

export const PERCENT_DECODING = createTarget('percent-decoding', WORDS, (input) => {
  const value = input.toString('latin1');
  const result = decodeHeaderValue(value);
  const text = 'text' in result ? result.text : null;
  assert.equal(text, reference(value));
  if (isPlainHeaderValue(value)) assert.equal(text, value, 'a plain value stands for itself');
  if (text === null) return;
  const encoded = encodeHeaderValue(text);
  assert.match(encoded, /^[\x21-\x7e]*$/);
  assert.deepEqual(decodeHeaderValue(encoded), { text });
  assert.equal(encodeHeaderValue(encoded.replaceAll('%', '')), encoded.replaceAll('%', ''));
});

/** The text, or `null` when the value is not well formed. */
function reference(value: string): string | null {
  let inside = value;
  if (value.startsWith('"')) {
    const quoted = /^"((?:[^"\\]|\\[^])*)"$/.exec(value);
    if (quoted === null) return null;
    inside = (quoted[1] ?? '').replace(/\\([^])/g, '$1');
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(inside)) return null;
  const bytes = inside.replace(/%(..)/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return decoder.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return null;
  }
}
