/**
 * The sender against subscribers that misbehave: slow, broken, endless, redirecting, closing. Every
 * case ends with one definite result, at its time, and leaves the sender fit for the next request.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { startRawServer } from '../kit/raw-server.ts';
import type { RawRequest, RawServer } from '../kit/raw-server.ts';
import { createSenderFixture, send, summary } from '../kit/sender-fixture.ts';
import type { SenderFixture, SenderFixtureOptions } from '../kit/sender-fixture.ts';
import { DRAINED_BYTES_MAX, STALE_WINDOW_MS } from '#lib/delivery/sender-exchange';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function fixture(t: TestContext, options: SenderFixtureOptions = {}): SenderFixture {
  const made = createSenderFixture(options);
  t.after(() => made.sender.close());
  return made;
}

async function server(t: TestContext, answer: (request: RawRequest) => void): Promise<RawServer> {
  const made = await startRawServer(answer);
  t.after(() => made.close());
  return made;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** The result, and how long it took. */
async function timed(sending: ReturnType<typeof send>): Promise<[string, number]> {
  const startMs = performance.now();
  const result = await sending;
  return [summary(result), performance.now() - startMs];
}

/** Keeps writing until the other side ends the connection. */
function writeForEver({ socket }: RawRequest, chunk: Buffer): void {
  const write = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', write);
  write();
}

function trickle({ socket }: RawRequest, text: string, everyMs: number): void {
  let index = 0;
  const timer = setInterval(() => socket.write(text[index++ % text.length] ?? ''), everyMs);
  socket.on('close', () => clearInterval(timer));
}

const SLOW: Readonly<Record<string, (request: RawRequest) => void>> = {
  'nothing at all': () => undefined,
  'slow headers': (request) => trickle(request, 'HTTP/1.1 200 OK\r\nx-a: bbbbbbbbbbbbbbbbbbbb', 15),
  'headers, then nothing': ({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'),
  'a slow body': (request) => {
    request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n');
    trickle(request, 'x', 15);
  },
  'informational answers for ever': (request) => {
    const timer = setInterval(() => request.socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 5);
    request.socket.on('close', () => clearInterval(timer));
  },
};

for (const [name, answer] of Object.entries(SLOW)) {
  test(`${name}: a timeout at its time, and the connection is ended`, async (t) => {
    const raw = await server(t, answer);
    const destination = fixture(t).open(raw.url);
    for (const timeoutMs of [100, 300]) {
      const [result, tookMs] = await timed(send(destination, timeoutMs));
      assert.equal(result, 'Timeout');
      assert.ok(tookMs >= timeoutMs - 1, `${tookMs}`);
      await until(() => raw.openCount === 0);
    }
    assert.equal(raw.requestCount, 2);
  });
}

test('the time counts while a request waits for a connection', async (t) => {
  const raw = await server(t, () => undefined);
  const destination = fixture(t, { connectionsPerHostMax: 1 }).open(raw.url);
  const first = timed(send(destination, 400));
  const second = timed(send(destination, 100));
  const [[, firstMs], [result, secondMs]] = await Promise.all([first, second]);
  assert.equal(result, 'Timeout');
  assert.ok(secondMs < firstMs && secondMs >= 99);
  assert.equal(raw.requestCount, 1);
});

interface Broken {
  readonly answer: (request: RawRequest) => void;
  readonly result: string;
}

function writing(text: string): (request: RawRequest) => void {
  return ({ socket }) => socket.write(text);
}

function thenReset(text: string): (request: RawRequest) => void {
  return ({ socket }) => socket.write(text, () => socket.resetAndDestroy());
}

const MANY_HEADERS = Array.from({ length: 10_000 }, (_, index) => `h${index}: v\r\n`).join('');

const BROKEN: Readonly<Record<string, Broken>> = {
  'closed without an answer': { answer: ({ socket }) => socket.end(), result: 'ConnectionReset' },
  'reset without an answer': { answer: thenReset(''), result: 'ConnectionReset' },
  'closed amid the headers': {
    answer: ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nx-a: '),
    result: 'ConnectionReset',
  },
  'reset after the headers': {
    answer: thenReset('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'),
    result: 'ConnectionReset',
  },
  'closed amid the body': {
    answer: ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc'),
    result: 'ConnectionReset',
  },
  'closed amid the body of a last response': {
    answer: ({ socket }) =>
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nabc'),
    result: 'ConnectionReset',
  },
  'closed amid a chunk': {
    answer: ({ socket }) =>
      socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc'),
    result: 'ConnectionReset',
  },
  'not HTTP': { answer: writing('SSH-2.0-OpenSSH_9.9\r\n'), result: 'BadResponse' },
  'a chunk without a size': {
    answer: writing('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
    result: 'BadResponse',
  },
  '10,000 headers': {
    answer: writing(`HTTP/1.1 200 OK\r\n${MANY_HEADERS}\r\n`),
    result: 'BadResponse',
  },
  'one endless header': {
    answer: (request) => {
      request.socket.write('HTTP/1.1 200 OK\r\nx: ');
      writeForEver(request, Buffer.alloc(1_000, 'a'));
    },
    result: 'BadResponse',
  },
  '100 Continue that nobody asked for': {
    answer: writing(`HTTP/1.1 100 Continue\r\n\r\n${OK}`),
    result: 'BadResponse',
  },
  'another protocol': {
    answer: writing(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    ),
    result: '101',
  },
};

for (const [name, { answer, result }] of Object.entries(BROKEN)) {
  test(`${name}: ${result}, sent once, and the next request works`, async (t) => {
    const raw = await server(t, (request) => {
      if (request.number === 1) answer(request);
      else request.socket.write(OK);
    });
    const destination = fixture(t).open(raw.url);
    assert.equal(summary(await send(destination)), result);
    assert.equal(raw.requestCount, 1);
    assert.equal(summary(await send(destination)), '200 ok');
    assert.equal(raw.connectionCount, 2);
  });
}

test('an endless body that nobody wants: the start is kept, the connection is ended', async (t) => {
  const heads = [
    'HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\nfffffffff\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n',
    'HTTP/1.1 202 OK\r\nce-specversion: 1.0\r\n\r\n',
  ];
  const raw = await server(t, (request) => {
    request.socket.write(heads[request.number - 1] ?? '');
    writeForEver(request, Buffer.alloc(65_536, 'a'));
  });
  const destination = fixture(t).open(raw.url);
  for (const head of heads) {
    const result = await send(destination);
    assert.ok(result.kind === 'response', head);
    assert.equal(result.status, Number(head.slice(9, 12)));
    assert.equal(result.bodyTruncated, true);
    assert.equal(result.body.length, 768);
    await until(() => raw.openCount === 0);
  }
});

test('an endless event is cut at the limit of a reply', async (t) => {
  const raw = await server(t, (request) => {
    request.socket.write('HTTP/1.1 200 OK\r\nce-specversion: 1.0\r\n\r\n');
    writeForEver(request, Buffer.alloc(65_536, 'a'));
  });
  const result = await send(fixture(t, { replyBytesMax: 200_000 }).open(raw.url));
  assert.ok(result.kind === 'response' && result.bodyTruncated);
  assert.equal(result.body.length, 200_000);
  await until(() => raw.openCount === 0);
});

test('both sides of the limit of a reply, and of what is drained', async (t) => {
  const limit = 100_000;
  const answers: readonly (readonly [string, number, boolean, number])[] = [
    ['ce-specversion: 1.0', limit, false, 1],
    ['ce-specversion: 1.0', limit + 1, true, 1],
    ['content-type: application/cloudevents+json', limit, false, 2],
    ['x-no: event', 768, false, 2],
    ['x-no: event', 769, true, 2],
    ['x-no: event', DRAINED_BYTES_MAX, true, 2],
    ['x-no: event', DRAINED_BYTES_MAX + 1, true, 2],
    ['x-no: event', 1, false, 3],
  ];
  const raw = await server(t, ({ socket, number }) => {
    const [header = '', size = 0] = answers[number - 1] ?? [];
    socket.write(`HTTP/1.1 200 OK\r\n${header}\r\ncontent-length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size, 'b'));
  });
  const destination = fixture(t, { replyBytesMax: limit }).open(raw.url);
  for (const [header, size, isTruncated, connections] of answers) {
    const result = await send(destination);
    assert.ok(result.kind === 'response', header);
    assert.equal(result.bodyTruncated, isTruncated, `${header} ${size}`);
    const keptMax = header.startsWith('x-no') || size > limit ? 768 : limit;
    assert.equal(result.body.length, Math.min(size, keptMax));
    assert.equal(raw.connectionCount, connections, `${header} ${size}`);
  }
});

test('redirects are answers, and never followed', async (t) => {
  const places = ['/again', 'http://169.254.169.254/latest', 'http://127.0.0.1:1/'];
  const raw = await server(t, ({ socket, number }) => {
    const status = [301, 302, 303, 307, 308][(number - 1) % 5] ?? 0;
    const place = places[number % places.length] ?? '';
    socket.write(`HTTP/1.1 ${status} Moved\r\nlocation: ${place}\r\ncontent-length: 0\r\n\r\n`);
  });
  const destination = fixture(t).open(raw.url);
  for (let count = 1; count <= 15; count += 1) {
    assert.match(summary(await send(destination)), /^30[12378]$/);
    assert.equal(raw.requestCount, count);
  }
});

test('a keep-alive connection that was just closed: one resend, on a fresh one', async (t) => {
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const raw = await server(t, ({ socket, numberOnSocket }) => {
      if (numberOnSocket === 1) socket.write(OK);
      else socket[end]();
    });
    const { open, counted } = fixture(t);
    const destination = open(raw.url);
    assert.equal(summary(await send(destination)), '200 ok');
    assert.equal(summary(await send(destination)), '200 ok', end);
    assert.deepEqual([raw.requestCount, raw.connectionCount], [3, 2]);
    assert.equal(counted('millrace.sender.resends'), 1);
  }
});

test('a resend that fails as well is a failure: no second one', async (t) => {
  const raw = await server(t, ({ socket, number }) => {
    if (number === 1) socket.write(OK);
    else socket.resetAndDestroy();
  });
  const { open, counted } = fixture(t);
  const destination = open(raw.url);
  assert.equal(summary(await send(destination)), '200 ok');
  assert.equal(summary(await send(destination)), 'ConnectionReset');
  assert.equal(raw.requestCount, 3);
  assert.equal(counted('millrace.sender.resends'), 1);
});

test('no resend once a byte of the answer came, or when the other side had time to work', async (t) => {
  const raw = await server(t, ({ socket, number, numberOnSocket }) => {
    if (numberOnSocket === 1) socket.write(OK);
    else if (number === 2) socket.end('HTTP/1.1 2');
    else setTimeout(() => socket.destroy(), STALE_WINDOW_MS + 100);
  });
  const { open, counted } = fixture(t);
  const destination = open(raw.url);
  assert.equal(summary(await send(destination)), '200 ok');
  assert.equal(summary(await send(destination)), 'ConnectionReset');
  assert.equal(summary(await send(destination)), '200 ok');
  assert.equal(summary(await send(destination)), 'ConnectionReset');
  assert.equal(raw.requestCount, 4);
  assert.equal(counted('millrace.sender.resends'), 0);
});

test('a connection that closes while idle costs nothing', async (t) => {
  const raw = await server(t, ({ socket }) => {
    socket.write(OK, () => socket.end());
  });
  const { open, counted } = fixture(t);
  const destination = open(raw.url);
  for (let count = 0; count < 5; count += 1) {
    assert.equal(summary(await send(destination)), '200 ok');
    await until(() => raw.openCount === 0);
  }
  assert.equal(raw.requestCount, 5 + counted('millrace.sender.resends'));
});

test('connection: close is obeyed', async (t) => {
  const raw = await server(t, ({ socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
  });
  const destination = fixture(t).open(raw.url);
  const results = await Promise.all(Array.from({ length: 20 }, () => send(destination)));
  assert.ok(results.every((result) => summary(result) === '200 ok'));
  assert.equal(raw.requestCount, 20);
  assert.equal(raw.connectionCount, 20);
});

test('a dead one among many does not slow the others', async (t) => {
  const dead = await server(t, () => undefined);
  const works = await server(t, ({ socket }) => socket.write(OK));
  const { open } = fixture(t);
  const hangs = Array.from({ length: 30 }, () => send(open(dead.url), 800));
  const startMs = performance.now();
  const results = await Promise.all(Array.from({ length: 200 }, () => send(open(works.url))));
  assert.ok(results.every((result) => summary(result) === '200 ok'));
  assert.ok(performance.now() - startMs < 700);
  assert.ok((await Promise.all(hangs)).every((result) => summary(result) === 'Timeout'));
});
