import assert from 'node:assert/strict';
import { test } from 'node:test';
import { murmur2, partitionOfKey } from './partitioner.ts';

// The vectors of Kafka's own unit test (UtilsTest.testMurmur2).
const VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

test('murmur2 gives what the Java client of Kafka gives', () => {
  for (const [text, hash] of VECTORS) assert.equal(murmur2(Buffer.from(text)), hash, text);
});

test('a key lives in one partition, inside the range, and negative hashes lose their sign', () => {
  assert.equal(partitionOfKey('21', 8), (-973932308 & 0x7fffffff) % 8);
  assert.equal(partitionOfKey('anything', 1), 0);
  for (let index = 0; index < 1_000; index++) {
    const partition = partitionOfKey(`ключ-${index}`, 7);
    assert.ok(partition >= 0 && partition < 7);
  }
});

test('keys spread over the partitions', () => {
  const counts = new Array<number>(8).fill(0);
  for (let index = 0; index < 8_000; index++) {
    const partition = partitionOfKey(`order-${index}`, 8);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, counts.join(' '));
});
