/**
 * The partition of a key: murmur2 over its UTF-8, as the default partitioner of Kafka's Java client,
 * so that every driver and every other Kafka producer agree on where a key lives.
 */

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const ROTATION = 24;

/** Murmur2, 32 bits signed, with the seed that Kafka's Java client uses. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = SEED ^ length;
  let at = 0;
  for (; length - at >= 4; at += 4) {
    let word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> ROTATION;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  if (at < length) {
    for (let last = length - 1; last >= at; last--) hash ^= (bytes[last] ?? 0) << (8 * (last - at));
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** 0 up to `partitions` (exclusive); the sign bit is cut off as Kafka does. */
export function partitionOfKey(key: string, partitions: number): number {
  if (partitions === 1) return 0;
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fff_ffff) % partitions;
}
