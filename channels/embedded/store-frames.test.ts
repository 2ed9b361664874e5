/** Frames: one write per loop turn, any cut of the stream, impossible lengths. */
import assert from 'node:assert/strict';
import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { createSeededRandom } from '#lib/random/random';
import { createManualClock } from '#lib/time/manual-clock';
import { FRAME_BYTES_MAX, FrameReader, FrameWriter } from './store-frames.ts';

async function withPair(run: (left: Socket, right: Socket) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-frames-'));
  const server = createServer();
  server.listen(path.join(directory, 's'));
  await once(server, 'listening');
  const left = createConnection(path.join(directory, 's'));
  const [right] = (await once(server, 'connection')) as [Socket];
  try {
    await run(left, right);
  } finally {
    left.destroy();
    right.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

test('frames of a loop turn leave together, and arrive as they were', async () => {
  await withPair(async (left, right) => {
    const clock = createManualClock();
    const writer = new FrameWriter(left, clock);
    let writes = 0;
    const write = left.write.bind(left);
    left.write = (chunk: Uint8Array | string) => {
      writes++;
      return write(chunk);
    };
    const wanted: string[] = [];
    for (let n = 0; n < 200; n++) {
      const payload = `${n}:${'x'.repeat(n)}`;
      const { bytes, start } = writer.frame(7, n, Buffer.byteLength(payload));
      bytes.write(payload, start);
      wanted.push(`7/${n}/${payload}`);
    }
    assert.equal(writes, 0);
    await clock.advance(0);
    assert.equal(writes, 1);
    const large = writer.frame(8, 1, 100_000);
    large.bytes.fill(65, large.start, large.start + 100_000);
    writer.json(9, 2, { a: 'ü' });
    await clock.advance(0);
    wanted.push(`8/1/${'A'.repeat(100_000)}`, '9/2/{"a":"ü"}');

    const seen: string[] = [];
    const reader = new FrameReader(({ kind, id, bytes, start, end }) => {
      seen.push(`${kind}/${id}/${bytes.toString('utf8', start, end)}`);
    });
    while (seen.length < wanted.length) {
      const [chunk] = (await once(right, 'data')) as [Buffer];
      reader.push(chunk);
    }
    assert.deepEqual(seen, wanted);
  });
});

test('a stream cut anywhere gives the same frames', () => {
  const random = createSeededRandom(5);
  const frames = Array.from({ length: 60 }, (_, n) => {
    const payload = Buffer.alloc(random.below(300), n);
    const head = Buffer.alloc(9);
    head.writeUInt32LE(5 + payload.length, 0);
    head.writeUInt8(n, 4);
    head.writeUInt32LE(1000 + n, 5);
    return Buffer.concat([head, payload]);
  });
  const stream = Buffer.concat(frames);
  for (const longest of [1, 2, 9, 64, 1000, stream.length]) {
    const seen: Buffer[] = [];
    const reader = new FrameReader(({ bytes, start, end }) => {
      seen.push(Buffer.from(bytes.subarray(start - 9, end)));
    });
    for (let at = 0; at < stream.length; ) {
      const length = Math.min(stream.length - at, 1 + random.below(longest));
      reader.push(stream.subarray(at, at + length));
      at += length;
    }
    assert.deepEqual(seen, frames, `pieces of up to ${longest}`);
  }
});

test('a length that cannot be is refused on both sides', () => {
  for (const length of [0, 4, FRAME_BYTES_MAX - 3]) {
    const head = Buffer.alloc(9);
    head.writeUInt32LE(length, 0);
    const reader = new FrameReader(() => assert.fail('no frame'));
    assert.throws(() => reader.push(head), RangeError);
  }
  const largest = Buffer.alloc(9);
  largest.writeUInt32LE(FRAME_BYTES_MAX - 4, 0);
  new FrameReader(() => assert.fail('not whole')).push(largest);
});
