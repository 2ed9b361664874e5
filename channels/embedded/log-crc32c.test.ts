import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32cBytes, crc32cWords } from './log-crc32c.ts';

function bytesOf(length: number, byteAt: (at: number) => number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; at++) bytes[at] = byteAt(at);
  return bytes;
}

test('the vectors of RFC 3720, appendix B.4', () => {
  const vectors: readonly (readonly [Buffer, number])[] = [
    [Buffer.from('123456789'), 0xe3069283],
    [bytesOf(32, () => 0), 0x8a9136aa],
    [bytesOf(32, () => 0xff), 0x62a8ab43],
    [bytesOf(32, (at) => at), 0x46dd794e],
    [bytesOf(32, (at) => 31 - at), 0x113fdb5c],
  ];
  for (const [bytes, crc] of vectors) assert.equal(crc32cBytes(bytes, 0, bytes.length), crc);
});

test('words and bytes give the same, at every length, and parts continue one another', () => {
  const bytes = bytesOf(256, (at) => (at * 37) ^ (at >> 2));
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, 64);
  for (let count = 0; count <= 64; count++) {
    const whole = crc32cBytes(bytes, 0, count * 4);
    assert.equal(crc32cWords(words, 0, count), whole);
    const half = count >> 1;
    assert.equal(crc32cWords(words, half, count, crc32cWords(words, 0, half)), whole);
  }
});
