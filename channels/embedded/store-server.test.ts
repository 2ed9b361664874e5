/** The local socket: who may connect, what is refused, what happens when the owner goes and returns. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { openEmbeddedDriver } from './embedded-driver.ts';
import type { EmbeddedDriver } from './embedded-driver.ts';
import { createStoreClient } from './store-client.ts';
import { FrameReader } from './store-frames.ts';
import { FRAME_ERROR, FRAME_HELLO, readJson } from './store-protocol.ts';
import { bulky, pair } from './store-samples.ts';
import { createStoreServer } from './store-server.ts';
import type { StoreServer } from './store-server.ts';
import { storeSocketPath } from './store-socket.ts';

const clock = createSystemClock();
const deps = { clock, random: createSystemRandom(), logger: silentLogger };
let dataDir: string;
let closers: (() => Promise<void>)[];

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'millrace-store-'));
  closers = [];
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await rm(dataDir, { recursive: true });
});

interface Owner {
  readonly driver: EmbeddedDriver;
  readonly server: StoreServer;
  close(): Promise<void>;
}

async function startOwner(): Promise<Owner> {
  const onFatal = (error: Error): void => assert.fail(error);
  const driver = await openEmbeddedDriver({ ...deps, onFatal }, { dataDir });
  const server = await createStoreServer({ driver, clock, logger: silentLogger });
  const close = async (): Promise<void> => {
    await server.close();
    await driver.close();
  };
  closers.push(close);
  return { driver, server, close };
}

async function connect(connectWaitMs = 5000): Promise<ChannelDriver> {
  const client = await createStoreClient(deps, { dataDir, connectWaitMs });
  closers.push(() => client.close());
  return client;
}

function code(wanted: string): (error: unknown) => true {
  return (error) => {
    assert.ok(isMeshError(error, wanted), `wanted ${wanted}, got ${String(error)}`);
    return true;
  };
}

test('the socket is for its user only, and goes with the server', async () => {
  const owner = await startOwner();
  const { mode } = await stat(owner.server.socketPath);
  assert.equal(mode & 0o777, 0o600);
  await owner.close();
  await assert.rejects(stat(owner.server.socketPath), { code: 'ENOENT' });
});

test('a path that the system would cut off is refused', () => {
  const fits = `/${'x'.repeat(93)}`;
  assert.equal(storeSocketPath(fits), `${fits}/store.sock`);
  assert.throws(() => storeSocketPath(`/${'x'.repeat(97)}`), code('STORE_SOCKET_PATH_TOO_LONG'));
});

test('without an owner a client gives up after its wait', async () => {
  await assert.rejects(connect(50), code('CHANNEL_NOT_CONNECTED'));
});

test('a client that waits finds an owner that comes later', async () => {
  const connecting = connect();
  await startOwner();
  const client = await connecting;
  assert.deepEqual(await client.admin.topics(), []);
});

test('another protocol is refused on both sides', async () => {
  const owner = await startOwner();
  const socket = createConnection(owner.server.socketPath);
  const answers: unknown[] = [];
  const reader = new FrameReader((frame) => answers.push([frame.kind, readJson(frame)]));
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  socket.write(frame(FRAME_HELLO, { protocol: 99, pid: 1 }));
  await once(socket, 'close');
  const [answer] = answers;
  assert.ok(Array.isArray(answer) && answer[0] === FRAME_ERROR);
  assert.match(JSON.stringify(answer), /STORE_PROTOCOL_MISMATCH.*protocol 99/);
  await owner.close();

  const future = createServer((connection) => {
    connection.write(frame(FRAME_ERROR, { code: 'STORE_PROTOCOL_MISMATCH', message: 'no' }));
  });
  future.listen(storeSocketPath(dataDir));
  await once(future, 'listening');
  closers.push(async () => void future.close());
  await assert.rejects(connect(), code('STORE_PROTOCOL_MISMATCH'));
});

test('whoever speaks nonsense is cut off, and nobody else notices', async () => {
  const owner = await startOwner();
  const client = await connect();
  for (const nonsense of [Buffer.alloc(64, 255), Buffer.alloc(64), frame(FRAME_HELLO, 'hello')]) {
    const socket = createConnection(owner.server.socketPath);
    socket.on('error', () => undefined);
    socket.write(nonsense);
    await once(socket, 'close');
  }
  await client.admin.ensureTopic('t', { partitions: 1 });
  assert.equal((await client.log.append('t', bulky('a', 10))).offset, 0);
});

test('when the owner goes, open calls fail and readers wait; when it returns, all goes on', async () => {
  const first = await startOwner();
  const client = await connect();
  await client.admin.ensureTopic('t', { partitions: 1 });
  await client.log.append('t', bulky('before', 10));
  const reader = await client.log.read('t', 0, 1);
  const next = reader.next(10, 1e6);
  await first.close();

  await waitFor(async () => {
    const failed = await client.log.append('t', bulky('lost', 10)).then(
      () => null,
      (error: unknown) => error,
    );
    return isMeshError(failed, 'CHANNEL_NOT_CONNECTED');
  });
  await assert.rejects(client.waiting.settle([1]), code('CHANNEL_NOT_CONNECTED'));
  await assert.rejects(client.cursors.load('t'), code('CHANNEL_NOT_CONNECTED'));
  await assert.rejects(client.admin.usage(), code('CHANNEL_NOT_CONNECTED'));

  await startOwner();
  await waitFor(() =>
    client.admin.topics().then(
      (topics) => topics.length === 1,
      () => false,
    ),
  );
  await client.waiting.put([pair('t', 'uid', 1)], null);
  await client.log.append('t', bulky('after', 10));
  const [entry] = await next;
  assert.ok(entry?.record.kind === 'event');
  assert.equal(entry.record.event.id, 'after');
  reader.close();
});

test('a topic removed by one client ends the readers of another', async () => {
  await startOwner();
  const [one, two] = [await connect(), await connect()];
  await one.admin.ensureTopic('t', { partitions: 1 });
  await one.log.append('t', bulky('a', 1));
  await two.log.ends('t');
  const reader = await two.log.read('t', 0, 1);
  const next = reader.next(1, 1e6);
  await one.admin.removeTopic('t');
  assert.deepEqual(await next, []);
  await assert.rejects(two.log.read('t', 0, 0), code('CHANNEL_TOPIC_UNKNOWN'));
});

test('what one client appends wakes the readers of another', async () => {
  await startOwner();
  const [one, two] = [await connect(), await connect()];
  await one.admin.ensureTopic('t', { partitions: 1 });
  const reader = await two.log.read('t', 0, 0);
  const next = reader.next(10, 1e6);
  await one.log.append('t', bulky('a', 100));
  assert.equal((await next).length, 1);
  reader.close();
});

test("the owner's cursors and those of its clients pin alike", async () => {
  const owner = await startOwner();
  const client = await connect();
  await client.admin.ensureTopic('t', { partitions: 1 });
  await client.log.append('t', bulky('a', 5000));
  const cursor = { name: 'c', partition: 0, offset: 0, role: 'control', epoch: 0 } as const;
  await client.cursors.create('t', [{ ...cursor, pins: true, metadata: '' }]);
  assert.equal((await owner.driver.admin.usage()).largestBacklog?.cursor, 'c');
});

test('a batch that is larger than a frame should be crosses in parts', async () => {
  await startOwner();
  const client = await connect();
  await client.admin.ensureTopic('t', { partitions: 1 });
  const records = Array.from({ length: 9 }, (_, n) => bulky(`${n}`, 4_000_000));
  const receipts = await client.log.appendAll('t', records);
  assert.deepEqual(
    receipts.map(({ offset }) => offset),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  );
  const pairs = records.map((record, n) => pair('t', 'uid', n, { record }));
  assert.equal(new Set(await client.waiting.put(pairs, null)).size, 9);
});

/** Tries until it holds, for ten seconds at most. */
async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const endMs = clock.monotonicMs() + 10_000;
  while (!(await holds())) {
    assert.ok(clock.monotonicMs() < endMs, 'it did not come true in ten seconds');
    await sleep(clock, 10);
  }
}

function frame(kind: number, value: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(9);
  head.writeUInt32LE(5 + payload.length, 0);
  head.writeUInt8(kind, 4);
  return Buffer.concat([head, payload]);
}
