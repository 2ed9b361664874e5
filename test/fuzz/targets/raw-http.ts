/**
 * Any bytes on a connection to the ingress: it answers or ends the connection, stores an event for
 * each 202 and none without, has no bug, and holds nothing afterwards.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { TOPIC, startIngress } from '#services/ingress/ingress-fixture';
import type { IngressFixture } from '#services/ingress/ingress-fixture';
import { rawJsonRequest, rawRequest } from '#services/ingress/raw-client';
import { eventually } from '../../kit/eventually.ts';
import type { FuzzCheck, FuzzTarget } from '../fuzz-target.ts';

const WORDS = [
  ...[
    'POST /ns/b HTTP/1.1\r\n',
    'Host: a\r\n',
    'Content-Length: 2\r\n',
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
  ],
  ...[
    'Transfer-Encoding: chunked\r\n',
    '2\r\n{}\r\n',
    '0\r\n\r\n',
    'Connection: close\r\n',
    'HTTP/1.0',
  ],
  ...[
    'Connection: keep-alive\r\n',
    'Expect: 100-continue\r\n',
    'Upgrade: h2c\r\n',
    'Trailer: ce-id\r\n',
  ],
  ...[
    'Content-Type: application/cloudevents+json\r\n',
    'ce-id: 2\r\n',
    'ce-x: y\r\n',
    'ce-id',
    ': ',
  ],
  ...[
    'Connection: Upgrade\r\n',
    'OPTIONS',
    'HEAD',
    'GET',
    'CONNECT',
    '/ns/b',
    '/ns/c',
    '*',
    '?',
    '#',
  ],
  ...[
    'Content-Length: 99999999\r\n',
    'Content-Encoding: gzip\r\n',
    '%',
    '"',
    '\u0000',
    '\u0016\u0003\u0001',
  ],
  rawRequest(),
  rawRequest({ body: '' }),
  rawRequest({
    without: ['content-length'],
    lines: ['Transfer-Encoding: chunked'],
    body: '0\r\n\r\n',
  }),
  rawJsonRequest('{"specversion":"1.0","id":"1","source":"/a","type":"t"}'),
];
const STATUSES: ReadonlySet<number> = new Set([
  ...[100, 200, 202, 400, 404, 405, 408, 413, 415, 417, 431, 503, 505],
]);
const CLOSE_LIMIT_MS = 5_000;
/** The memory driver keeps all of it, so it begins anew from time to time. */
const INPUTS_PER_INGRESS = 5_000;
const HEAP_BYTES_MAX = 512 * 1_048_576;
/** Clients from one address only would run out of ports in a long run. */
const ADDRESSES = process.platform === 'linux' ? 32 : 1;

export const RAW_HTTP: FuzzTarget = {
  name: 'raw-http',
  dictionary: WORDS,
  inputBytesMax: 32_768,
  async open(): Promise<FuzzCheck> {
    let mesh = await start();
    let count = 0;
    return {
      async check(input) {
        count += 1;
        if (count % INPUTS_PER_INGRESS === 0) {
          await finish(mesh);
          mesh = await start();
        }
        await holdConnection(mesh, input, count);
      },
      close: () => finish(mesh),
    };
  },
};

function start(): Promise<IngressFixture> {
  // Node does not hear the end of a client's half in an upgrade that nobody takes; its time-out does.
  const settings = { brokerWaitMs: 0, headersTimeoutMs: 400, requestTimeoutMs: 800 };
  return startIngress({ settings });
}

async function finish(mesh: IngressFixture): Promise<void> {
  try {
    await eventually('no connections', () => mesh.metric('millrace.ingress.connections') === 0);
    assert.equal(mesh.metric('millrace.ingress.in_flight'), 0);
  } finally {
    await mesh[Symbol.asyncDispose]();
  }
  const { heapUsed } = process.memoryUsage();
  assert.ok(heapUsed < HEAP_BYTES_MAX, `${heapUsed} bytes of heap`);
}

async function holdConnection(mesh: IngressFixture, input: Buffer, count: number): Promise<void> {
  const before = await storedEnd(mesh);
  const statuses = statusesIn(await exchange(mesh.port, input, count));
  for (const status of statuses) assert.ok(STATUSES.has(status), `answered ${status}`);
  assert.deepEqual(mesh.bugs, []);
  const stored = (await storedEnd(mesh)) - before;
  const taken = statuses.filter((status) => status === 202).length;
  // A batch is one 202 for any number of events.
  const hasBatch = /-batch/i.test(input.toString('latin1'));
  if (hasBatch) assert.ok(taken > 0 || stored === 0, 'stored without a 202');
  else assert.equal(stored, taken, 'events stored and answers 202');
}

async function storedEnd(mesh: IngressFixture): Promise<number> {
  return (await mesh.driver.log.ends(TOPIC))[0]?.next ?? 0;
}

/** Sends all, ends its half, and gives what came until the other side ended. */
function exchange(port: number, input: Buffer, count: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const localAddress = `127.0.0.${1 + (count % ADDRESSES)}`;
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    let received = '';
    const timer = setTimeout(() => {
      reject(new Error(`still open after ${CLOSE_LIMIT_MS} ms, having said ${received}`));
      socket.destroy();
    }, CLOSE_LIMIT_MS);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (received += text));
    socket.on('error', () => socket.destroy()); // A reset; what came before it counts.
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(received);
    });
    socket.end(input);
  });
}

/** The answers must fill what was received to the last byte. */
function statusesIn(received: string): readonly number[] {
  const statuses: number[] = [];
  let rest = received;
  while (rest !== '') {
    const found = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
    assert.ok(found !== null, `no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    statuses.push(Number(found[1]));
    const length = Number(/\r\nContent-Length: (\d+)\r\n/.exec(found[0])?.[1] ?? 0);
    rest = rest.slice(found[0].length);
    // The answer to HEAD has a length and no body.
    if (rest.startsWith('{')) rest = rest.slice(length);
  }
  return statuses;
}
