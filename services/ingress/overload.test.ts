/** Limits on both sides, slow and greedy clients, a slow store, and the way out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog } from '#lib/channel/channel-driver';
import type { Receipt } from '#lib/channel/receipt';
import { createManualClock } from '#lib/time/manual-clock';
import { brokerRoute, eventually, startIngress } from './ingress-fixture.ts';
import type { IngressFixture } from './ingress-fixture.ts';
import { REQUEST_OVERHEAD_BYTES } from './admission.ts';
import { RawClient, rawJsonRequest, rawRequest, sendOnce } from './raw-client.ts';
import type { RawAnswer } from './raw-client.ts';

/** A log that holds every append back until it is told to go on. */
function createGate() {
  let release: () => void = () => undefined;
  let opened = new Promise<void>((resolve) => {
    release = resolve;
  });
  let waitingCount = 0;
  const wrapLog = (log: EventLog): EventLog => ({
    async append(...args): Promise<Receipt> {
      waitingCount += 1;
      await opened;
      return log.append(...args);
    },
    async appendAll(...args): Promise<readonly Receipt[]> {
      await opened;
      return log.appendAll(...args);
    },
    read: (...args) => log.read(...args),
    ends: (...args) => log.ends(...args),
    seekTime: (...args) => log.seekTime(...args),
  });
  return {
    wrapLog,
    get waitingCount(): number {
      return waitingCount;
    },
    open(): void {
      release();
      opened = Promise.resolve();
    },
  };
}

function assertRefused(answer: RawAnswer | null, status: number, code: string): void {
  assert.equal(answer?.status, status, answer?.body);
  assert.equal((JSON.parse(answer?.body ?? '') as { code: string }).code, code);
  const mustWait = status === 503 || status === 429;
  assert.match(answer?.headers.get('retry-after') ?? '', mustWait ? /^[1-5]$/ : /^$/);
}

async function assertStillWorks({ port, metric, bugs }: IngressFixture): Promise<void> {
  assert.deepEqual(bugs, []);
  assert.equal((await sendOnce(port, rawRequest()))?.status, 202);
  await eventually(() => metric('millrace.ingress.in_flight') === 0, 'no memory is held');
}

/** Attribute bytes of {@link rawRequest}: names and values. */
const ATTRIBUTE_BYTES =
  'specversion1.0id1source/testtypecom.example.testdatacontenttypeapplication/json'.length;

test('an event of exactly the limit is taken, one byte more is 413', async () => {
  const eventBytesMax = 70_000;
  await using fixture = await startIngress({ settings: { eventBytesMax } });
  const body = 'x'.repeat(eventBytesMax - ATTRIBUTE_BYTES);
  assert.equal((await sendOnce(fixture.port, rawRequest({ body })))?.status, 202);
  const more = await sendOnce(fixture.port, rawRequest({ body: `${body}x` }));
  assertRefused(more, 413, 'INGRESS_BODY_TOO_LARGE');
  const inHeader = rawRequest({ body, lines: ['ce-x: y'] });
  assertRefused(await sendOnce(fixture.port, inHeader), 413, 'INGRESS_BODY_TOO_LARGE');
  const passed = rawRequest({ body, lines: ['x-request-id: y'] });
  assertRefused(await sendOnce(fixture.port, passed), 413, 'INGRESS_BODY_TOO_LARGE');
  const size = body.length.toString(16);
  const chunked = (data: string, hex: string): string =>
    rawRequest({
      without: ['content-length'],
      lines: ['Transfer-Encoding: chunked'],
      body: `${hex}\r\n${data}\r\n0\r\n\r\n`,
    });
  assert.equal((await sendOnce(fixture.port, chunked(body, size)))?.status, 202);
  const larger = chunked(`${body}x`, (body.length + 1).toString(16));
  assertRefused(await sendOnce(fixture.port, larger), 413, 'INGRESS_BODY_TOO_LARGE');
  await assertStillWorks(fixture);
});

test('structured events and batches have their own limits', async () => {
  const settings = { eventBytesMax: 70_000, batchBytesMax: 100_000 };
  await using fixture = await startIngress({ settings });
  const event = (length: number): string => {
    const start = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"';
    return `${start}${'x'.repeat(length - start.length - 2)}"}`;
  };
  const batch = (length: number): string =>
    rawJsonRequest(
      `[${event(50_000)},${event(length - 50_003)}]`,
      'application/cloudevents-batch+json',
    );
  const rows: readonly [bytes: string, status: number][] = [
    [rawJsonRequest(event(70_000)), 202],
    [rawJsonRequest(event(70_001)), 413],
    [batch(100_000), 202],
    [batch(100_001), 413],
  ];
  for (const [bytes, status] of rows) {
    assert.equal((await sendOnce(fixture.port, bytes))?.status, status);
  }
  await assertStillWorks(fixture);
});

test('a large body that was refused is read on, so the client sees the answer; then the end', async () => {
  await using fixture = await startIngress({ settings: { eventBytesMax: 65_536 } });
  const body = 'x'.repeat(8_000_000);
  for (let round = 0; round < 5; round++) {
    const client = await RawClient.open(fixture.port);
    client.send(rawRequest({ body }));
    const answer = await client.answer();
    assertRefused(answer, 413, 'INGRESS_BODY_TOO_LARGE');
    assert.equal(answer?.headers.get('connection'), 'close');
    await new Promise((resolve) => client.socket.write('', resolve));
    assert.equal(client.socket.errored, null);
    assert.equal(await client.closed, '');
  }
  await assertStillWorks(fixture);
});

test('a refusal with a small body keeps the connection, whatever the body is', async () => {
  await using fixture = await startIngress();
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest({ without: ['ce-id'], body: 'x'.repeat(60_000) }));
  assert.equal((await client.answer())?.status, 400);
  client.send(rawRequest());
  assert.equal((await client.answer())?.status, 202);
  client.end();
});

test('over the share of one Broker is 429, and other Brokers go on', async () => {
  const gate = createGate();
  const eventBytes = 10_000;
  const share = 2 * (REQUEST_OVERHEAD_BYTES + eventBytes);
  const settings = { brokerBytesInFlightMax: share };
  await using fixture = await startIngress({ settings, wrapLog: gate.wrapLog });
  await fixture.driver.admin.ensureTopic('topic-c', { partitions: 1 });
  fixture.routing.apply([{ op: 'putBroker', broker: brokerRoute('c') }]);
  const body = 'x'.repeat(eventBytes);
  const held = [0, 1].map(() => sendOnce(fixture.port, rawRequest({ body })));
  await eventually(() => gate.waitingCount === 2, 'both are at the store');
  assert.equal(fixture.metric('millrace.ingress.in_flight'), share);
  const third = await sendOnce(fixture.port, rawRequest({ body: '' }));
  assertRefused(third, 429, 'INGRESS_BROKER_SHARE');
  const other = sendOnce(fixture.port, rawRequest({ body, target: '/ns/c' }));
  await eventually(() => gate.waitingCount === 3, 'the other Broker is served');
  gate.open();
  for (const each of [...held, other]) assert.equal((await each)?.status, 202);
  await assertStillWorks(fixture);
});

test('over the memory for all is 503', async () => {
  const gate = createGate();
  const body = 'x'.repeat(10_000);
  const bytesInFlightMax = REQUEST_OVERHEAD_BYTES + body.length;
  await using fixture = await startIngress({
    settings: { bytesInFlightMax },
    wrapLog: gate.wrapLog,
  });
  const held = sendOnce(fixture.port, rawRequest({ body }));
  await eventually(() => gate.waitingCount === 1, 'it is at the store');
  const second = await sendOnce(fixture.port, rawRequest());
  assertRefused(second, 503, 'INGRESS_BYTES_IN_FLIGHT');
  gate.open();
  assert.equal((await held)?.status, 202);
  const tooLarge = await sendOnce(fixture.port, rawRequest({ body: `${body}x` }));
  assertRefused(tooLarge, 503, 'INGRESS_BYTES_IN_FLIGHT');
  await assertStillWorks(fixture);
});

test('a body that outgrows the memory on its way is refused in the middle', async () => {
  const gate = createGate();
  const bytesInFlightMax = 2 * REQUEST_OVERHEAD_BYTES + 30_000;
  await using fixture = await startIngress({
    settings: { bytesInFlightMax },
    wrapLog: gate.wrapLog,
  });
  const slow = await RawClient.open(fixture.port);
  const lines = ['Content-Length: 20000'];
  slow.send(rawRequest({ without: ['content-length'], lines, body: 'x'.repeat(10_000) }));
  await eventually(() => fixture.metric('millrace.ingress.in_flight') > 10_000, 'half is there');
  const held = sendOnce(fixture.port, rawRequest({ body: 'x'.repeat(15_000) }));
  await eventually(() => gate.waitingCount === 1, 'the other is at the store');
  slow.send('x'.repeat(10_000));
  assertRefused(await slow.answer(), 503, 'INGRESS_BYTES_IN_FLIGHT');
  slow.end();
  gate.open();
  assert.equal((await held)?.status, 202);
  await assertStillWorks(fixture);
});

for (const [name, leave] of [
  ['ends', (client: RawClient) => client.end()],
  ['resets', (client: RawClient) => client.socket.resetAndDestroy()],
] as const) {
  test(`a client that ${name} its connection in the middle of a body leaves nothing`, async () => {
    await using fixture = await startIngress();
    const client = await RawClient.open(fixture.port);
    const lines = ['Content-Length: 20000'];
    client.send(rawRequest({ without: ['content-length'], lines, body: 'x'.repeat(10_000) }));
    await eventually(() => fixture.metric('millrace.ingress.in_flight') > 10_000, 'half is there');
    leave(client);
    await eventually(() => fixture.metric('millrace.ingress.in_flight') === 0, 'it is let go');
    assert.equal((await fixture.stored()).length, 0);
    await assertStillWorks(fixture);
  });
}

test('a client that goes while its event is being stored changes nothing', async () => {
  const gate = createGate();
  await using fixture = await startIngress({ wrapLog: gate.wrapLog });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest());
  await eventually(() => gate.waitingCount === 1, 'it is at the store');
  client.socket.resetAndDestroy();
  await eventually(() => fixture.metric('millrace.ingress.connections') === 0, 'it is gone');
  gate.open();
  await eventually(async () => (await fixture.stored()).length === 1, 'it is stored all the same');
  assert.deepEqual(fixture.bugs, []);
  await assertStillWorks(fixture);
});

test('a client that ends its half after the request gets its answer', async () => {
  const gate = createGate();
  await using fixture = await startIngress({ wrapLog: gate.wrapLog });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest());
  client.socket.end();
  await eventually(() => gate.waitingCount === 1, 'it is at the store');
  gate.open();
  assert.equal((await client.answer())?.status, 202);
  assert.equal(await client.closed, '');
});

test('a store that does not answer in time is 503; its memory stays taken until it does', async () => {
  const gate = createGate();
  const settings = { storeTimeoutMs: 50 };
  await using fixture = await startIngress({ settings, wrapLog: gate.wrapLog });
  const answer = await sendOnce(fixture.port, rawRequest());
  assertRefused(answer, 503, 'INGRESS_STORE_TIMEOUT');
  assert.ok(fixture.metric('millrace.ingress.in_flight') > 0);
  gate.open();
  await assertStillWorks(fixture);
  assert.equal((await fixture.stored()).length, 2);
  assert.equal(fixture.metric('millrace.ingress.accepted', 'b'), 1);
});

test('only what is late is given up, and the rest may still be stored', async () => {
  const gate = createGate();
  const clock = createManualClock();
  const settings = { storeTimeoutMs: 15_000 };
  await using fixture = await startIngress({ settings, clock, wrapLog: gate.wrapLog });
  const early = sendOnce(fixture.port, rawRequest());
  await eventually(() => gate.waitingCount === 1, 'the first is at the store');
  await clock.advance(10_000);
  const late = sendOnce(fixture.port, rawRequest());
  await eventually(() => gate.waitingCount === 2, 'the second is at the store');
  await clock.advance(5_000);
  assertRefused(await early, 503, 'INGRESS_STORE_TIMEOUT');
  gate.open();
  assert.equal((await late)?.status, 202);
  await assertStillWorks(fixture);
});

test('the memory of a request that waited for its Broker counts for that Broker', async () => {
  const gate = createGate();
  const brokerBytesInFlightMax = REQUEST_OVERHEAD_BYTES + 10_000;
  const settings = { brokerBytesInFlightMax };
  await using fixture = await startIngress({ settings, wrapLog: gate.wrapLog });
  await fixture.driver.admin.ensureTopic('topic-c', { partitions: 1 });
  const target = '/ns/c';
  const held = sendOnce(fixture.port, rawRequest({ target, body: 'x'.repeat(10_000) }));
  await eventually(() => fixture.metric('millrace.ingress.in_flight') > 10_000, 'it waits');
  fixture.routing.apply([{ op: 'putBroker', broker: brokerRoute('c') }]);
  await eventually(() => gate.waitingCount === 1, 'it is at the store');
  assertRefused(await sendOnce(fixture.port, rawRequest({ target })), 429, 'INGRESS_BROKER_SHARE');
  gate.open();
  assert.equal((await held)?.status, 202);
  await assertStillWorks(fixture);
});

test('pipelined requests are answered in order, and only so many are taken at once', async () => {
  const gate = createGate();
  const settings = { pipelinedMax: 3 };
  await using fixture = await startIngress({ settings, wrapLog: gate.wrapLog });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest().repeat(5));
  await eventually(() => gate.waitingCount === 3, 'three are at the store');
  gate.open();
  for (let count = 0; count < 3; count++) assert.equal((await client.answer())?.status, 202);
  for (let count = 0; count < 2; count++) {
    assertRefused(await client.answer(), 503, 'INGRESS_PIPELINE_TOO_LONG');
  }
  client.send(rawRequest());
  assert.equal((await client.answer())?.status, 202);
  client.end();
  await assertStillWorks(fixture);
});

test('garbage behind a request that is being stored is answered after it', async () => {
  const gate = createGate();
  await using fixture = await startIngress({ wrapLog: gate.wrapLog });
  const client = await RawClient.open(fixture.port);
  client.send(`${rawRequest()}garbage\r\n\r\n`);
  await eventually(() => gate.waitingCount === 1, 'the event is at the store');
  client.send('more of it\r\n\r\n');
  await sendOnce(fixture.port, rawRequest({ without: ['ce-id'] })); // By now it has been read.
  gate.open();
  assert.equal((await client.answer())?.status, 202);
  assertRefused(await client.answer(), 400, 'HTTP_REQUEST_MALFORMED');
  assert.equal(await client.closed, '');
  await assertStillWorks(fixture);
});

test('pressure sheds in stages: connections end, events are refused, connections are reset', async () => {
  const clock = createManualClock();
  let level = 0;
  await using fixture = await startIngress({ clock, readMemory: () => level });
  const setLevel = async (wanted: number): Promise<void> => {
    level = wanted;
    await clock.advance(250);
  };
  const kept = await RawClient.open(fixture.port);
  const sendKept = async (): Promise<RawAnswer | null> => {
    kept.send(rawRequest());
    return kept.answer();
  };
  await setLevel(0.79);
  const calm = await sendKept();
  assert.equal(calm?.status, 202);
  assert.notEqual(calm.headers.get('connection'), 'close');
  await setLevel(0.8);
  const last = await sendOnce(fixture.port, rawRequest());
  assert.equal(last?.status, 202);
  assert.equal(last.headers.get('connection'), 'close');
  await setLevel(0.9);
  assertRefused(await sendOnce(fixture.port, rawRequest()), 503, 'INGRESS_PRESSURE_HIGH');
  await setLevel(0.95);
  const reset = await RawClient.open(fixture.port);
  assert.equal(await reset.answer(), null);
  assertRefused(await sendKept(), 503, 'INGRESS_PRESSURE_HIGH');
  assert.equal(await kept.closed, '');
  await setLevel(0);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
});

test('a head that does not come in time is 408, or just the end when nothing came', async () => {
  const settings = { headersTimeoutMs: 100, requestTimeoutMs: 10_000 };
  await using fixture = await startIngress({ settings });
  const started = await RawClient.open(fixture.port);
  started.send('POST /ns/b HTTP/1.1\r\nHost: x\r\n');
  const silent = await RawClient.open(fixture.port);
  assertRefused(await started.answer(), 408, 'HTTP_REQUEST_TIMEOUT');
  assert.equal(await started.closed, '');
  assert.match(await silent.closed, /^(HTTP\/1\.1 408 |$)/);
  await assertStillWorks(fixture);
});

test('a body that does not come in time is 408, and what came of it is let go', async () => {
  const settings = { headersTimeoutMs: 100, requestTimeoutMs: 150 };
  await using fixture = await startIngress({ settings });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest({ without: ['content-length'], lines: ['Content-Length: 10'] }));
  assertRefused(await client.answer(), 408, 'HTTP_REQUEST_TIMEOUT');
  assert.equal(await client.closed, '');
  assert.equal((await fixture.stored()).length, 0);
  await assertStillWorks(fixture);
});

test('an idle connection is closed', async () => {
  await using fixture = await startIngress({ settings: { idleTimeoutMs: 100 } });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest());
  assert.equal((await client.answer())?.status, 202);
  assert.equal(await client.closed, '');
});

test('a crowd of silent connections pushes out its own, and not those that work', async () => {
  const settings = { connectionsPerSourceMax: 20 };
  await using fixture = await startIngress({ settings });
  const working = await RawClient.open(fixture.port);
  const sendWorking = async (): Promise<void> => {
    working.send(rawRequest());
    assert.equal((await working.answer())?.status, 202);
  };
  await sendWorking();
  const crowd: RawClient[] = [];
  for (let count = 0; count < 500; count++) {
    const client = await RawClient.open(fixture.port);
    client.send('POST /ns/b HTTP/1.1\r\nX-Slow: ');
    crowd.push(client);
    if (count % 100 === 0) await assertStillWorks(fixture);
  }
  await sendWorking();
  await assertStillWorks(fixture);
  const refused = (): number =>
    fixture.metric('millrace.ingress.refused', 'HTTP_CONNECTIONS_TOO_MANY');
  await eventually(() => refused() >= 480, 'the oldest of the crowd are reset');
  assert.ok(fixture.metric('millrace.ingress.connections') <= 20);
  for (const client of [...crowd, working]) client.end();
});

test('when all connections of a source work, a further one is refused', async () => {
  await using fixture = await startIngress({ settings: { connectionsPerSourceMax: 2 } });
  const working = [await RawClient.open(fixture.port), await RawClient.open(fixture.port)];
  for (const client of working) {
    client.send(rawRequest());
    assert.equal((await client.answer())?.status, 202);
  }
  assert.equal(await sendOnce(fixture.port, rawRequest()), null);
  const other = await RawClient.open(fixture.port, '127.0.0.1', '127.0.0.2');
  other.send(rawRequest());
  assert.equal((await other.answer())?.status, 202);
  for (const client of [...working, other]) client.end();
  await eventually(() => fixture.metric('millrace.ingress.connections') === 0, 'all are gone');
  await assertStillWorks(fixture);
});

test('the number of connections is bounded', async () => {
  await using fixture = await startIngress({ settings: { connectionsMax: 2 } });
  const clients = [await RawClient.open(fixture.port), await RawClient.open(fixture.port)];
  assert.equal(await sendOnce(fixture.port, rawRequest()), null);
  assert.equal(fixture.metric('millrace.ingress.refused', 'HTTP_CONNECTIONS_TOO_MANY'), 1);
  for (const client of clients) client.end();
});

test('128 connections at once from one address all work', async () => {
  await using fixture = await startIngress();
  const clients = await Promise.all(
    Array.from({ length: 128 }, () => RawClient.open(fixture.port)),
  );
  for (let round = 0; round < 5; round++) {
    for (const client of clients) client.send(rawRequest());
    for (const client of clients) assert.equal((await client.answer())?.status, 202);
  }
  for (const client of clients) client.end();
  assert.equal((await fixture.stored()).length, 640);
});

test('a drain answers what is open, ends every connection, and takes no new one', async () => {
  const gate = createGate();
  await using fixture = await startIngress({ wrapLog: gate.wrapLog });
  const idle = await RawClient.open(fixture.port);
  gate.open();
  idle.send(rawRequest());
  assert.equal((await idle.answer())?.status, 202);
  const second = createGate();
  await using slow = await startIngress({ wrapLog: second.wrapLog });
  const open = await RawClient.open(slow.port);
  open.send(rawRequest());
  const started = await RawClient.open(slow.port);
  const [head = ''] = rawRequest().split('{}');
  started.send(head);
  await eventually(() => second.waitingCount === 1, 'one is at the store');
  await eventually(() => slow.metric('millrace.ingress.connections') === 2, 'both are connected');
  let isDrained = false;
  const drained = slow.ingress.drain(10_000).then(() => {
    isDrained = true;
  });
  assert.equal(slow.ingress.isReady, false);
  await assert.rejects(RawClient.open(slow.port));
  started.send('{}');
  await eventually(() => second.waitingCount === 2, 'the open request went on');
  assert.equal(isDrained, false);
  second.open();
  for (const client of [open, started]) {
    const answer = await client.answer();
    assert.equal(answer?.status, 202);
    assert.equal(answer.headers.get('connection'), 'close');
    assert.equal(await client.closed, '');
  }
  await drained;
  assert.equal((await slow.stored()).length, 2);
  await fixture.ingress.drain(10_000);
  assert.equal(await idle.closed, '');
});

test('a drain cuts at its deadline what does not end', async () => {
  const gate = createGate();
  await using fixture = await startIngress({ wrapLog: gate.wrapLog });
  const client = await RawClient.open(fixture.port);
  client.send(rawRequest());
  await eventually(() => gate.waitingCount === 1, 'it is at the store');
  await fixture.ingress.drain(50);
  assert.equal(await client.closed, '');
  gate.open();
  await eventually(async () => (await fixture.stored()).length === 1, 'it is stored all the same');
  assert.deepEqual(fixture.bugs, []);
});

test('a drain does not wait for connections that never sent anything', async () => {
  await using fixture = await startIngress();
  const silent = await RawClient.open(fixture.port);
  await eventually(() => fixture.metric('millrace.ingress.connections') === 1, 'it is connected');
  const drained = fixture.ingress.drain(600_000);
  const late = silent.closed;
  await drained;
  assert.equal(await late, '');
});

test('a connection that was made before a drain may still send its first event', async () => {
  await using fixture = await startIngress();
  const client = await RawClient.open(fixture.port);
  await eventually(() => fixture.metric('millrace.ingress.connections') === 1, 'it is connected');
  const drained = fixture.ingress.drain(600_000);
  client.send(rawRequest());
  assert.equal((await client.answer())?.status, 202);
  await drained;
});

test('during the delay of a drain events are still taken on new connections', async () => {
  const clock = createManualClock();
  await using fixture = await startIngress({ clock, settings: { drainDelayMs: 45_000 } });
  const drained = fixture.ingress.drain(1_000);
  assert.equal(fixture.ingress.isReady, false);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
  await clock.advance(45_000);
  await drained;
  await assert.rejects(RawClient.open(fixture.port));
});

test('closing twice, or before the start, is no error', async () => {
  const fixture = await startIngress();
  await fixture.ingress.close();
  await fixture.ingress.close();
  await fixture.driver.close();
});

test('an address that is taken is said so', async () => {
  await using fixture = await startIngress();
  const { createIngress } = await import('./ingress.ts');
  const { createMetrics } = await import('#lib/telemetry/metrics');
  const { createSeededRandom } = await import('#lib/random/random');
  const { silentLogger } = await import('#lib/telemetry/log');
  const clock = createManualClock();
  const second = createIngress(
    {
      ...{ routing: fixture.routing, log: fixture.driver.log, clock },
      ...{ random: createSeededRandom(1), metrics: createMetrics(), logger: silentLogger },
    },
    { host: '127.0.0.1', port: fixture.port },
  );
  await assert.rejects(second.start(), { code: 'HTTP_LISTEN_FAILED' });
  await second.close();
});
