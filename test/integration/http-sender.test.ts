/**
 * The sender against well-behaved servers: what goes out, what comes back, limits by destination and
 * by host, turns, aborts and ends. Misbehaviour is in http-sender-faults.test.ts.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { SMALL_MESSAGE, createSenderFixture, send, summary } from '../kit/sender-fixture.ts';
import type { SenderFixture, SenderFixtureOptions } from '../kit/sender-fixture.ts';

function fixture(t: TestContext, options: SenderFixtureOptions = {}): SenderFixture {
  const made = createSenderFixture(options);
  t.after(() => made.sender.close());
  return made;
}

interface Subscriber {
  readonly url: string;
  connectionCount: number;
  openCount: number;
  openMax: number;
}

async function subscriber(t: TestContext, listener: RequestListener): Promise<Subscriber> {
  const server = createServer((request, response) => {
    state.openCount += 1;
    state.openMax = Math.max(state.openMax, state.openCount);
    response.on('close', () => {
      state.openCount -= 1;
    });
    listener(request, response);
  });
  server.on('connection', () => {
    state.connectionCount += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const state = { url: `http://127.0.0.1:${port}`, connectionCount: 0, openCount: 0, openMax: 0 };
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return state;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('a POST: method, path, query, headers and bytes as given, over one connection', async (t) => {
  const seen: string[] = [];
  const { url } = await subscriber(t, (request, response) => {
    void bodyOf(request).then((body) => {
      const { method, url: path, headers } = request;
      seen.push(
        `${method} ${path} ${headers['ce-id']} ${headers['content-length']} ${body.toString('hex')}`,
      );
      response.end('thanks');
    });
  });
  const { open, counted } = fixture(t);
  const destination = open(`${url}/a/b?c=d%20e`);
  const body = Buffer.from([0, 255, 13, 10]);
  const first = await send(destination, 5_000, { headers: ['ce-id', 'x'], body });
  assert.equal(summary(first), '200 thanks');
  assert.equal(
    summary(await send(destination, 5_000, { headers: ['ce-id', 'y'], body: null })),
    '200 thanks',
  );
  assert.deepEqual(seen, ['POST /a/b?c=d%20e x 4 00ff0d0a', 'POST /a/b?c=d%20e y 0 ']);
  assert.equal(counted('millrace.sender.connections'), 1);
});

test('a URL without a path is sent to /; the Host is the name, not the address', async (t) => {
  const seen: (string | undefined)[] = [];
  const { url } = await subscriber(t, (request, response) => {
    seen.push(request.url, request.headers.host);
    response.end();
  });
  const port = new URL(url).port;
  const { open } = fixture(t);
  assert.equal(summary(await send(open(`http://subscriber.test:${port}`))), '200');
  assert.deepEqual(seen, ['/', `subscriber.test:${port}`]);
});

test('what a response carries: headers only where they matter, the content type always', async (t) => {
  let answer: (response: ServerResponse) => void = () => undefined;
  const { url } = await subscriber(t, (_request, response) => answer(response));
  const destination = fixture(t).open(url);
  answer = (response) => response.writeHead(200, { 'X-A': 'b' }).end();
  const plain = await send(destination);
  assert.ok(plain.kind === 'response');
  assert.deepEqual([plain.rawHeaders, plain.contentType], [[], null]);
  answer = (response) => {
    response.writeHead(200, { 'Ce-SpecVersion': '1.0', 'X-B': 'é' }).end();
  };
  const event = await send(destination);
  assert.ok(event.kind === 'response');
  assert.ok(event.rawHeaders.includes('Ce-SpecVersion') && event.rawHeaders.includes('é'));
  answer = (response) => response.writeHead(503, { 'retry-after': '7' }).end();
  const busy = await send(destination);
  assert.ok(busy.kind === 'response' && busy.rawHeaders.includes('retry-after'));
  answer = (response) => response.writeHead(201, { 'content-type': 'text/html' }).end('x');
  const other = await send(destination);
  assert.ok(other.kind === 'response' && other.contentType === 'text/html');
  assert.equal(summary(other), '201 x');
});

test('every final status reaches the caller as it is', async (t) => {
  let status = 200;
  const { url } = await subscriber(t, (_request, response) => {
    response.writeHead(status).end();
  });
  const destination = fixture(t).open(url);
  for (status = 200; status <= 599; status += 1) {
    assert.equal(summary(await send(destination)), String(status));
  }
});

test('informational answers are passed over', async (t) => {
  const { url } = await subscriber(t, (_request, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' });
    response.writeProcessing();
    response.end('done');
  });
  assert.equal(summary(await send(fixture(t).open(url))), '200 done');
});

test('no more requests at once than the destination allows; all of them end', async (t) => {
  const held: ServerResponse[] = [];
  const state = await subscriber(t, (_request, response) => {
    held.push(response);
    if (held.length === 3) for (const each of held.splice(0)) each.end('ok');
  });
  const destination = fixture(t).open(state.url, { connectionsMax: 3 });
  const results = await Promise.all(Array.from({ length: 48 }, () => send(destination)));
  assert.ok(results.every((result) => summary(result) === '200 ok'));
  assert.equal(state.openMax, 3);
  assert.equal(state.connectionCount, 3);
});

test('connections are limited by host, and a destination that hangs leaves the others theirs', async (t) => {
  const hanging: ServerResponse[] = [];
  const state = await subscriber(t, (request, response) => {
    if (request.url === '/hangs') hanging.push(response);
    else response.end('ok');
  });
  const { open } = fixture(t, { connectionsPerHostMax: 3 });
  const hangs = open(`${state.url}/hangs`, { connectionsMax: 2 });
  const works = open(`${state.url}/works`, { connectionsMax: 10 });
  let endedCount = 0;
  const waiting = Array.from({ length: 6 }, async () => {
    const result = await send(hangs);
    endedCount += 1;
    return result;
  });
  const results = await Promise.all(Array.from({ length: 20 }, () => send(works)));
  assert.ok(results.every((result) => summary(result) === '200 ok'));
  assert.equal(hanging.length, 2);
  assert.equal(state.connectionCount, 3);
  while (endedCount < waiting.length) {
    for (const response of hanging.splice(0)) response.end('late');
    await new Promise(setImmediate);
  }
  assert.deepEqual((await Promise.all(waiting)).map(summary), Array<string>(6).fill('200 late'));
});

test('destinations that wait for a connection take turns', async (t) => {
  const order: string[] = [];
  const { url } = await subscriber(t, (request, response) => {
    order.push(request.url ?? '');
    setImmediate(() => response.end());
  });
  const { open } = fixture(t, { connectionsPerHostMax: 1 });
  const first = open(`${url}/a`);
  const second = open(`${url}/b`);
  const sends = [...Array.from({ length: 4 }, () => send(first)), send(second), send(second)];
  await Promise.all(sends);
  assert.deepEqual(order, ['/a', '/a', '/b', '/a', '/b', '/a']);
});

test('done is never called before send has returned', async (t) => {
  const { open } = fixture(t);
  const badMessage = { headers: ['bad name', 'x'], body: null };
  const cases = [
    [open('http://169.254.169.254/'), SMALL_MESSAGE, 'AddressRefused'],
    [open('http://127.0.0.1:1/'), badMessage, 'InvalidRequest'],
    [open('http://127.0.0.1:1/'), { headers: ['a', 'b\r\nc: d'], body: null }, 'InvalidRequest'],
  ] as const;
  for (const [destination, message, wanted] of cases) {
    let isBack = false;
    const result = await new Promise<string>((resolve) => {
      destination.send({ headers: [...message.headers], body: null }, 5_000, (found) => {
        assert.ok(isBack);
        resolve(summary(found));
      });
      isBack = true;
    });
    assert.equal(result, wanted);
  }
});

test('an aborted send never calls done: in flight, waiting, refused', async (t) => {
  const closed: string[] = [];
  const { url } = await subscriber(t, (request, response) => {
    response.on('close', () => closed.push(request.url ?? ''));
    if (request.url === '/works') response.end();
  });
  const { open } = fixture(t, { connectionsPerHostMax: 1 });
  let calledCount = 0;
  const count = (): void => {
    calledCount += 1;
  };
  const hangs = open(`${url}/hangs`);
  const inFlight = hangs.send(SMALL_MESSAGE, 60_000, count);
  const waiting = hangs.send(SMALL_MESSAGE, 60_000, count);
  const refused = open('http://169.254.169.254/').send(SMALL_MESSAGE, 60_000, count);
  refused.abort();
  waiting.abort();
  while (closed.length === 0) {
    await new Promise(setImmediate);
    inFlight.abort();
    inFlight.abort();
    assert.equal(summary(await send(open(`${url}/works`))), '200');
  }
  assert.equal(calledCount, 0);
});

test('thousands that give up while they wait do not fill the line', async (t) => {
  const hanging: ServerResponse[] = [];
  const { url } = await subscriber(t, (_request, response) => hanging.push(response));
  const { open } = fixture(t, { connectionsPerHostMax: 1 });
  const destination = open(url);
  const first = send(destination, 60_000);
  for (let round = 0; round < 25_000; round += 1) {
    destination.send(SMALL_MESSAGE, 60_000, () => assert.fail('aborted')).abort();
  }
  const last = send(destination, 60_000);
  while (hanging.length === 0) await new Promise(setImmediate);
  hanging.shift()?.end('first');
  assert.equal(summary(await first), '200 first');
  while (hanging.length === 0) await new Promise(setImmediate);
  hanging.shift()?.end('last');
  assert.equal(summary(await last), '200 last');
});

test('a closed destination finishes what is open and then lets its connections go', async (t) => {
  let finish: (() => void) | null = null;
  const state = await subscriber(t, (_request, response) => {
    response.on('close', () => undefined);
    finish = () => response.end('finished');
  });
  const { open } = fixture(t);
  const destination = open(state.url);
  const result = send(destination);
  while (finish === null) await new Promise(setImmediate);
  destination.close();
  destination.close();
  (finish as () => void)();
  assert.equal(summary(await result), '200 finished');
  assert.throws(() => destination.send(SMALL_MESSAGE, 1, () => undefined), /closed destination/);
  const again = open(state.url);
  const second = send(again);
  while (state.connectionCount < 2) await new Promise(setImmediate);
  while (state.openCount === 0) await new Promise(setImmediate);
  (finish as () => void)();
  await second;
});

test('a closed sender ends what is open and what waits, also of closed destinations', async (t) => {
  let requestCount = 0;
  const { url } = await subscriber(t, () => {
    requestCount += 1;
  });
  const { sender, open } = fixture(t, { connectionsPerHostMax: 1 });
  const destination = open(url);
  const results = [send(destination, 60_000), send(destination, 60_000)];
  while (requestCount === 0) await new Promise(setImmediate);
  destination.close();
  await sender.close();
  assert.deepEqual((await Promise.all(results)).map(summary), ['SenderClosed', 'SenderClosed']);
  await sender.close();
});
