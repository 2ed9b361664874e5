import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allocateBlock,
  encodeFooter,
  encodeHeader,
  FRAME_HEADER_BYTES,
  frameBytes,
  frameOffset,
  frameTimeMs,
  HEADER_BYTES,
  isFrameIntact,
  parseHeader,
  parseSegmentName,
  parseTrailer,
  peekPayloadBytes,
  sealFrame,
  segmentName,
  TRAILER_BYTES,
} from './segment-format.ts';
import { SegmentIndex } from './segment-index.ts';

const HEADER = {
  topic: 'default/ördéring',
  partition: 3,
  baseOffset: 2 ** 33 + 5,
  createdMs: 1_800_000_000_123,
  salt: Uint8Array.from({ length: 16 }, (_, at) => at * 3),
};

test('a header survives any single damaged byte, and says so', () => {
  const bytes = encodeHeader(HEADER);
  assert.equal(bytes.length, HEADER_BYTES);
  assert.deepEqual(parseHeader(bytes), { kind: 'header', header: HEADER, isWhole: true });
  for (let at = 0; at < bytes.length; at += 7) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    assert.deepEqual(parseHeader(flipped), { kind: 'header', header: HEADER, isWhole: false });
  }
});

test('a header with both copies damaged, blank, or cut is none', () => {
  const bytes = encodeHeader(HEADER);
  bytes[20] = 0xff;
  bytes[HEADER_BYTES / 2 + 30] = 0xff;
  assert.equal(parseHeader(bytes).kind, 'damaged');
  assert.equal(parseHeader(Buffer.alloc(HEADER_BYTES)).kind, 'blank');
  assert.equal(parseHeader(encodeHeader(HEADER).subarray(0, 100)).kind, 'damaged');
});

test('a frame is intact only as it was sealed, for its own file', () => {
  const block = allocateBlock(frameBytes(21));
  block.bytes.fill(0xee);
  block.bytes.write('twenty-one bytes here', FRAME_HEADER_BYTES, 'latin1');
  sealFrame(block, 0, 21, 2, 2 ** 40 + 7, 1_800_000_000_999, 4, 12345);
  assert.equal(peekPayloadBytes(block.words, 0, block.bytes.length), 21);
  assert.equal(frameOffset(block.words, 0), 2 ** 40 + 7);
  assert.equal(frameTimeMs(block.words, 0), 1_800_000_000_999);
  assert.ok(isFrameIntact(block.words, 0, 21, 12345));
  assert.ok(!isFrameIntact(block.words, 0, 21, 12346));
  for (let at = 0; at < block.bytes.length; at++) {
    for (const bit of [1, 16, 128]) {
      block.bytes[at] = (block.bytes[at] ?? 0) ^ bit;
      const length = peekPayloadBytes(block.words, 0, block.bytes.length);
      const isWhole = length >= 0 && frameBytes(length) <= block.bytes.length;
      assert.ok(!isWhole || !isFrameIntact(block.words, 0, length, 12345), `byte ${at}`);
      block.bytes[at] = (block.bytes[at] ?? 0) ^ bit;
    }
  }
});

test('a trailer is one only at the end of its own file', () => {
  const index = new SegmentIndex();
  index.add(10, 4096, 1000);
  const facts = {
    baseOffset: 10,
    nextOffset: 20,
    endPosition: 8192,
    timeMsMax: 5,
    salt: HEADER.salt,
  };
  const footer = encodeFooter(facts, index.encode());
  const tail = footer.subarray(-TRAILER_BYTES);
  const fileBytes = 8192 + footer.length;
  assert.equal(parseTrailer(tail, fileBytes)?.nextOffset, 20);
  assert.equal(parseTrailer(tail, fileBytes + 8), null);
  for (let at = 0; at < TRAILER_BYTES; at++) {
    const flipped = Buffer.from(tail);
    flipped[at] = (flipped[at] ?? 0) ^ 4;
    assert.equal(parseTrailer(flipped, fileBytes), null, `byte ${at}`);
  }
});

test('the index finds the entry before an offset and the stretch of a time', () => {
  const index = new SegmentIndex();
  for (let at = 0; at < 100; at++) index.add(500 + at, 4096 + at * 20_000, at < 50 ? at : 10);
  const again = SegmentIndex.decode(index.encode());
  assert.equal(again.entryCount, index.entryCount);
  assert.equal(again.entryBefore(499), null);
  assert.deepEqual(again.entryBefore(500), { offset: 500, position: 4096 });
  const found = again.entryBefore(599);
  assert.ok(found !== null && found.offset <= 599 && found.offset > 594);
  assert.equal(again.offsetNearTime(0), 500);
  const near = again.offsetNearTime(49);
  assert.ok(near !== null && near <= 549 && near > 544);
  assert.equal(again.offsetNearTime(50), null);
});

test('names', () => {
  assert.deepEqual(parseSegmentName(segmentName(42)), { baseOffset: 42, isDamaged: false });
  assert.deepEqual(parseSegmentName(`${segmentName(42)}.damaged`), {
    baseOffset: 42,
    isDamaged: true,
  });
  for (const other of ['topic.json', '42.seg', `${segmentName(1)}.bak`]) {
    assert.equal(parseSegmentName(other), null);
  }
});
