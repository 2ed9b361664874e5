/** The load generator against the subscriber: what is sent arrives, and every broken way is counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Encoding } from './event-request.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { hashOf } from './ledger.ts';
import type { LedgerEvent } from './ledger.ts';
import { Producer } from './producer.ts';
import type { ProducedEvent, ProducerOptions } from './producer.ts';
import { startRawServer } from './raw-server.ts';
import { fault, replyEvent, startSubscriber, status } from './subscriber.ts';
import type { SinkRequest } from './subscriber.ts';

const BYTES = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

function makeEvent(index: number, slot: number): ProducedEvent {
  const attributes = { subject: 'a "b" 100% ü€😀' };
  const key = `k${slot}`;
  return { source: '/test', id: `e${index}`, type: 'a', attributes, key, data: BYTES };
}

class Outcomes {
  readonly all: { readonly event: LedgerEvent; readonly status: number | null }[] = [];
  readonly log = (event: LedgerEvent, code: number | null): void => {
    this.all.push({ event, status: code });
  };
  count(code: number | null): number {
    return this.all.filter((one) => one.status === code).length;
  }
}

function start(
  t: TestContext,
  url: string,
  options: Partial<ProducerOptions> = {},
): { readonly producer: Producer; readonly outcomes: Outcomes } {
  const outcomes = new Outcomes();
  const producer = new Producer({ url, makeEvent, onOutcome: outcomes.log, ...options });
  t.after(() => producer[Symbol.asyncDispose]());
  producer.start();
  return { producer, outcomes };
}

for (const encoding of ['binary', 'structured'] as const satisfies readonly Encoding[]) {
  test(`${encoding}: every event arrives once, decoded to what was sent`, async (t) => {
    await using subscriber = await startSubscriber();
    const sink = subscriber.sink('s');
    const { producer, outcomes } = start(t, sink.url, { encoding, countMax: 100 });
    await producer.finished();
    assert.equal(outcomes.count(204), 100);
    assert.equal(sink.requests.length, 100);
    for (const { attributes, data, attempt } of sink.requests) {
      assert.equal(hashOf(data), hashOf(BYTES));
      assert.equal(attempt, 1);
      assert.equal(attributes['subject'], 'a "b" 100% ü€😀');
      assert.match(attributes['partitionkey'] ?? '', /^k\d$/);
    }
    assert.equal(new Set(outcomes.all.map(({ event }) => event.id)).size, 100);
  });
}

test('batch: the events of one request share its outcome, and the last batch is short', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('s', { script: () => status(202) });
  const options = { encoding: 'batch', batchCount: 7, countMax: 20, connectionCount: 1 } as const;
  const { producer, outcomes } = start(t, sink.url, options);
  await producer.finished();
  assert.equal(outcomes.count(202), 20);
  const sizes = sink.requests.map(({ body }) => (JSON.parse(body.toString()) as unknown[]).length);
  assert.deepEqual(sizes, [7, 7, 6]);
});

test('a connection that breaks is an unknown outcome, sent again when asked for', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('s');
  sink.script('e3', [fault('close'), fault('closeMidBody'), fault('reset'), status(200)]);
  const { producer, outcomes } = start(t, sink.url, { countMax: 10, retryCount: 3 });
  await producer.finished();
  assert.deepEqual(
    outcomes.all.filter(({ event }) => event.id === 'e3').map((one) => one.status),
    [null, null, null, 200],
  );
  assert.equal(outcomes.all.length, 13);
  assert.equal(sink.attemptCount('e3', '/test'), 4);
  assert.equal(producer.breakCount, 3);
});

test('a server that is away costs no events; the load goes on when it is back', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/s`;
  const { producer, outcomes } = start(t, url, { connectionCount: 4, countMax: 50 });
  await eventually('refused connections', () => producer.breakCount > 8);
  assert.equal(producer.sentCount, 0);
  await using subscriber = await startSubscriber(port);
  subscriber.sink('s');
  await producer.finished();
  assert.equal(outcomes.count(204), 50);
});

test('open loop: the rate holds, also against slow answers while connections suffice', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('s', { script: () => ({ status: 200, delayMs: 20 }) });
  const startedMs = performance.now();
  const options = { connectionCount: 16, ratePerSecond: 200, countMax: 100 };
  await start(t, sink.url, options).producer.finished();
  const elapsedMs = performance.now() - startedMs;
  assert.ok(elapsedMs >= 490, `${elapsedMs}`);
  const gaps = sink.requests
    .slice(1)
    .map(({ atMs }, index) => atMs - (sink.requests[index]?.atMs ?? 0));
  assert.ok(gaps.filter((gapMs) => gapMs < 20).length > 80, 'sent in bursts');
});

test('stop waits for what is open, start goes on', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('s');
  const { producer, outcomes } = start(t, sink.url);
  await eventually('some outcomes', () => outcomes.all.length > 100);
  await producer.stop();
  const count = outcomes.all.length;
  assert.equal(count, producer.sentCount);
  assert.equal(count, sink.requestCount);
  producer.start();
  await eventually('more outcomes', () => outcomes.all.length > count + 100);
});

test('a server that ends its connections after each answer is followed', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('s', { script: () => status(200, { connection: 'close' }) });
  const { producer, outcomes } = start(t, sink.url, { countMax: 20, connectionCount: 2 });
  await producer.finished();
  assert.equal(outcomes.count(200), 20);
  assert.equal(producer.breakCount, 0);
});

test('an answer in pieces is read, one without a length or with more is a broken connection', async (t) => {
  const answers = [
    ['HTTP/1.1 202 Acc', 'epted\r\ncontent-length: 4\r\n', '\r\nab', 'cd'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['HTTP/1.1 100 Continue\r\n\r\n'],
    ['SSH-2.0-x\r\n\r\n'],
    ['HTTP/1.1 204 No Content\r\n\r\n'],
  ];
  const server = await startRawServer(({ socket, number }) => {
    const pieces = [...(answers[number - 1] ?? [])];
    const sendNext = (): void => {
      const piece = pieces.shift();
      if (piece !== undefined) socket.write(piece, () => setTimeout(sendNext, 2));
    };
    sendNext();
  });
  t.after(() => server.close());
  const options = { countMax: answers.length, connectionCount: 1 };
  const { producer, outcomes } = start(t, `${server.url}/s`, options);
  await producer.finished();
  assert.deepEqual(
    outcomes.all.map((one) => one.status),
    [202, null, null, null, null, 204],
  );
});

test('a sink answers as scripted: event, delay, hang', async () => {
  await using subscriber = await startSubscriber();
  const seen: SinkRequest[] = [];
  const sink = subscriber.sink('s', {
    isKeeping: false,
    onRequest: (request) => seen.push(request),
    script: ({ attributes }) =>
      replyEvent({ id: `r-${attributes['id'] ?? ''}`, type: 'r' }, 'data'),
  });
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/test', 'ce-type': 'a' };
  const reply = await fetch(sink.url, { method: 'POST', headers, body: 'x' });
  assert.equal(reply.headers.get('ce-id'), 'r-1');
  assert.equal(await reply.text(), 'data');
  sink.script('1', [fault('hang')]);
  const signal = AbortSignal.timeout(50);
  await assert.rejects(fetch(sink.url, { method: 'POST', headers, body: 'x', signal }), /timeout/);
  assert.deepEqual(
    seen.map(({ attempt }) => attempt),
    [1, 2],
  );
  assert.equal(sink.requests.length, 0);
  assert.equal((await fetch(`${sink.url}x`, { method: 'POST' })).status, 404);
  assert.equal(subscriber.strayCount, 1);
});
