/** What ingress stores and answers when all is well, and when the Broker or the store is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventLog } from '#lib/channel/channel-driver';
import { channelError } from '#lib/channel/channel-errors';
import type { EventRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import { createManualClock } from '#lib/time/manual-clock';
import { brokerRoute, eventually, startIngress } from './ingress-fixture.ts';
import type { IngressObserver } from './ingress-core.ts';
import { RawClient, rawJsonRequest, rawRequest, sendOnce } from './raw-client.ts';

/** A log that does with appends what the test says, and the rest as the real one. */
function withAppend(append: EventLog['append'], appendAll?: EventLog['appendAll']) {
  return (log: EventLog): EventLog => ({
    append,
    appendAll: appendAll ?? ((...args) => log.appendAll(...args)),
    read: (...args) => log.read(...args),
    ends: (...args) => log.ends(...args),
    seekTime: (...args) => log.seekTime(...args),
  });
}

test('a binary event is stored with its bytes, attributes, headers and arrival, then answered', async () => {
  const clock = createManualClock(1_767_225_600_123);
  await using fixture = await startIngress({ clock });
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const answer = await sendOnce(
    fixture.port,
    rawRequest({
      body: '\u0000\u00ff{"not json',
      lines: [
        ...['ce-subject: caf%C3%A9', 'ce-partitionkey: k1', 'ce-knativebrokerttl: 7'],
        ...['ce-knativearrivaltime: 1999-01-01T00:00:00Z', 'ce-knativeerrordest: http://forged/'],
        ...['X-Request-Id: r1', 'Retry-After: 3', 'Knative-Foo: bar', 'X-B3-TraceId: 1'],
        ...[`Traceparent: ${trace}`, 'tracestate: a=1', 'tracestate: b=2'],
        ...['Kn-Namespace: other', 'Authorization: Bearer secret', 'Cookie: a=b', 'X-Other: 1'],
      ],
    }),
  );
  assert.equal(answer?.status, 202);
  assert.equal(answer?.body, '');
  const [record] = await fixture.stored();
  assert.deepEqual(record, {
    kind: 'event',
    event: {
      specversion: '1.0',
      id: '1',
      source: '/test',
      type: 'com.example.test',
      subject: 'caf\u00e9',
      time: null,
      datacontenttype: 'application/json',
      dataschema: null,
      extensions: new Map([
        ['partitionkey', 'k1'],
        ['knativeerrordest', 'http://forged/'],
      ]),
      data: Buffer.from('\u0000\u00ff{"not json', 'latin1'),
    },
    passThrough: [
      ...['x-request-id', 'r1', 'retry-after', '3', 'knative-foo', 'bar', 'x-b3-traceid', '1'],
      ...['traceparent', trace, 'tracestate', 'a=1,b=2'],
    ],
    ttl: 6,
    arrivalMs: 1_767_225_600_123,
    key: 'k1',
  } satisfies EventRecord);
});

test('a body in many pieces is stored whole', async () => {
  await using fixture = await startIngress();
  const client = await RawClient.open(fixture.port);
  const body = Array.from({ length: 200_000 }, (_, index) => String.fromCharCode(index % 256)).join(
    '',
  );
  const bytes = rawRequest({ body });
  for (let start = 0; start < bytes.length; start += 7_919) {
    client.send(bytes.slice(start, start + 7_919));
    await new Promise((resolve) => client.socket.write('', resolve));
  }
  assert.equal((await client.answer())?.status, 202);
  client.end();
  const [record] = await fixture.stored();
  assert.equal(record?.event.data?.toString('latin1'), body);
});

test('an event without a body has no data', async () => {
  await using fixture = await startIngress();
  const without = ['content-type', 'content-length'];
  assert.equal((await sendOnce(fixture.port, rawRequest({ without, body: '' })))?.status, 202);
  const [record] = await fixture.stored();
  assert.equal(record?.event.data, null);
  assert.equal(record?.event.datacontenttype, null);
});

test('OPTIONS is answered as Knative does, on any path', async () => {
  await using fixture = await startIngress({ isSynced: false });
  for (const target of ['/ns/b', '/', '/a/b/c', '*']) {
    const answer = await sendOnce(fixture.port, rawRequest({ method: 'OPTIONS', target }));
    assert.equal(answer?.status, 200);
    assert.equal(answer?.headers.get('allow'), 'POST, OPTIONS');
    assert.equal(answer?.headers.get('webhook-allowed-origin'), '*');
    assert.equal(answer?.headers.get('webhook-allowed-rate'), '*');
    assert.equal(answer?.body, '');
  }
  assert.equal((await fixture.stored()).length, 0);
});

test('Expect: 100-continue: asked for the body only when nothing stands against it', async () => {
  await using fixture = await startIngress();
  const lines = ['Expect: 100-continue'];
  const client = await RawClient.open(fixture.port);
  const [head = ''] = rawRequest({ lines }).split('{}');
  client.send(head);
  assert.equal((await client.answer())?.status, 100);
  client.send('{}');
  assert.equal((await client.answer())?.status, 202);
  client.end();
  const refusals: readonly [request: Parameters<typeof rawRequest>[0], status: number][] = [
    [{ without: ['ce-id'] }, 400],
    [{ target: '/ns/b/c' }, 400],
    [{ without: ['content-length'], lines: [...lines, 'Content-Length: 1048577'] }, 413],
  ];
  for (const [request, status] of refusals) {
    const refused = await RawClient.open(fixture.port);
    refused.send(rawRequest({ lines, ...request }).split('{}')[0] ?? '');
    assert.equal((await refused.answer())?.status, status);
    assert.equal(await refused.closed, '');
  }
});

test('a batch is stored whole, in order; an empty one is accepted', async () => {
  await using fixture = await startIngress();
  const event = (id: number, more = ''): string =>
    `{"specversion":"1.0","id":"${id}","source":"/s","type":"t"${more}}`;
  const type = 'application/cloudevents-batch+json';
  const batch = `[${event(1)},${event(2, ',"knativebrokerttl":3')},${event(3)}]`;
  assert.equal((await sendOnce(fixture.port, rawJsonRequest(batch, type)))?.status, 202);
  assert.equal((await sendOnce(fixture.port, rawJsonRequest('[]', type)))?.status, 202);
  const records = await fixture.stored();
  assert.deepEqual(
    records.map(({ event: { id }, ttl }) => [id, ttl]),
    [
      ['1', 255],
      ['2', 2],
      ['3', 255],
    ],
  );
  assert.equal(fixture.metric('millrace.ingress.accepted', 'b'), 3);
});

test('an unknown Broker is waited for, and found when it comes', async () => {
  await using fixture = await startIngress({ settings: { brokerWaitMs: 1_000 } });
  await fixture.driver.admin.ensureTopic('topic-new', { partitions: 1 });
  const pending = sendOnce(fixture.port, rawRequest({ target: '/ns/new' }));
  await eventually(() => fixture.metric('millrace.ingress.in_flight') > 0, 'the request waits');
  fixture.routing.apply([{ op: 'putBroker', broker: brokerRoute('new') }]);
  assert.equal((await pending)?.status, 202);
  assert.equal((await fixture.stored('topic-new')).length, 1);
  assert.equal(fixture.metric('millrace.ingress.in_flight'), 0);
});

test('an unknown Broker is 404 after the wait; a removed one at its next request', async () => {
  await using fixture = await startIngress({ settings: { brokerWaitMs: 20 } });
  const answer = await sendOnce(fixture.port, rawRequest({ target: '/ns/none' }));
  assert.equal(answer?.status, 404);
  assert.match(answer?.body ?? '', /"INGRESS_BROKER_UNKNOWN"/);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
  fixture.routing.apply([{ op: 'removeBroker', key: 'ns/b' }]);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 404);
  assert.equal(fixture.metric('millrace.ingress.accepted', 'b'), 0);
});

test('a bad event for an unknown Broker is 400, as in Knative', async () => {
  await using fixture = await startIngress({ settings: { brokerWaitMs: 1_000 } });
  const target = '/ns/none';
  const answer = await sendOnce(fixture.port, rawRequest({ target, without: ['ce-id'] }));
  assert.equal(answer?.status, 400);
});

test('only so many requests wait for unknown Brokers', async () => {
  const settings = { brokerWaitMs: 1_000, brokerWaitersMax: 2 };
  await using fixture = await startIngress({ settings });
  const waiting = [0, 1].map(() => sendOnce(fixture.port, rawRequest({ target: '/ns/none' })));
  await eventually(() => fixture.metric('millrace.ingress.in_flight') >= 2 * 4_098, 'both wait');
  const answer = await sendOnce(fixture.port, rawRequest({ target: '/ns/other' }));
  assert.equal(answer?.status, 503);
  assert.match(answer?.body ?? '', /"INGRESS_WAITERS_TOO_MANY"/);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
  for (const each of waiting) assert.equal((await each)?.status, 404);
});

test('before the routing table is synced every event is 503 with Retry-After', async () => {
  await using fixture = await startIngress({ isSynced: false });
  assert.equal(fixture.ingress.isReady, false);
  const answer = await sendOnce(fixture.port, rawRequest());
  assert.equal(answer?.status, 503);
  assertRetryAfter(answer?.headers.get('retry-after'));
  fixture.routing.markSynced();
  assert.equal(fixture.ingress.isReady, true);
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
});

function assertRetryAfter(value: string | undefined): void {
  assert.match(value ?? '', /^[1-5]$/);
}

const STORE_FAILURES: readonly [error: Error, status: number, code: string][] = [
  [channelError('CHANNEL_FULL', 'secret'), 503, 'CHANNEL_FULL'],
  [channelError('CHANNEL_NOT_CONNECTED', 'secret'), 503, 'CHANNEL_NOT_CONNECTED'],
  [channelError('CHANNEL_CLOSED', 'secret'), 503, 'CHANNEL_CLOSED'],
  [channelError('CHANNEL_FAILED', 'secret'), 503, 'CHANNEL_FAILED'],
  [channelError('CHANNEL_TOPIC_UNKNOWN', 'secret'), 503, 'CHANNEL_TOPIC_UNKNOWN'],
  [channelError('CHANNEL_RECORD_TOO_LARGE', 'secret'), 413, 'CHANNEL_RECORD_TOO_LARGE'],
];
for (const [error, status, code] of STORE_FAILURES) {
  test(`a store that fails with ${code} is answered ${status}, for one event and for a batch`, async () => {
    const wrapLog = withAppend(
      () => Promise.reject(error),
      () => Promise.reject(error),
    );
    await using fixture = await startIngress({ wrapLog });
    const event = '{"specversion":"1.0","id":"1","source":"/s","type":"t"}';
    const batch = rawJsonRequest(`[${event},${event}]`, 'application/cloudevents-batch+json');
    for (const bytes of [rawRequest(), batch]) {
      const answer = await sendOnce(fixture.port, bytes);
      assert.equal(answer?.status, status);
      assert.equal((JSON.parse(answer?.body ?? '') as { code: string }).code, code);
      assert.doesNotMatch(answer?.body ?? '', /secret/);
      if (status === 503) assertRetryAfter(answer?.headers.get('retry-after'));
      else assert.equal(answer?.headers.get('retry-after'), undefined);
    }
    assert.equal(fixture.metric('millrace.ingress.refused', code), 2);
    assert.equal(fixture.metric('millrace.ingress.accepted', 'b'), 0);
    assert.equal(fixture.metric('millrace.ingress.in_flight'), 0);
    assert.deepEqual(fixture.bugs, []);
  });
}

test('a topic whose driver is not open is 503', async () => {
  await using fixture = await startIngress({ wrapLog: () => () => undefined });
  const answer = await sendOnce(fixture.port, rawRequest());
  assert.equal(answer?.status, 503);
  assert.match(answer?.body ?? '', /"CHANNEL_TOPIC_UNKNOWN"/);
});

test('each topic can have a driver of its own', async () => {
  await using fixture = await startIngress({
    wrapLog: (log) => (topic) => (topic === 'topic-b' ? log : undefined),
  });
  assert.equal((await sendOnce(fixture.port, rawRequest()))?.status, 202);
  assert.equal((await fixture.stored()).length, 1);
});

const FAKES: readonly [name: string, receipt: unknown][] = [
  ['a look-alike', { topic: 'topic-b', partition: 0, offset: 0 }],
  ['nothing', undefined],
  ['true', true],
  ['an empty list', []],
];
for (const [name, fake] of FAKES) {
  test(`a log that gives ${name} instead of a receipt never leads to a 202`, async () => {
    const append = async (): Promise<Receipt> => fake as Receipt;
    const appendAll = async (): Promise<readonly Receipt[]> => [fake as Receipt];
    await using fixture = await startIngress({ wrapLog: withAppend(append, appendAll) });
    const batch = '[{"specversion":"1.0","id":"1","source":"/s","type":"t"}]';
    const type = 'application/cloudevents-batch+json';
    for (const bytes of [rawRequest(), rawJsonRequest(batch, type)]) {
      const answer = await sendOnce(fixture.port, bytes);
      assert.equal(answer?.status, 500);
      assert.match(answer?.body ?? '', /"INGRESS_INTERNAL"/);
    }
    assert.deepEqual(
      fixture.bugs.map((bug) => bug instanceof Error && bug.name),
      ['AssertionFailure', 'AssertionFailure'],
    );
    assert.equal(fixture.metric('millrace.ingress.in_flight'), 0);
  });
}

test('a batch with fewer receipts than events never leads to a 202', async () => {
  await using fixture = await startIngress({
    wrapLog: (log) => ({
      ...withAppend((...args) => log.append(...args))(log),
      appendAll: async (topic, records) => (await log.appendAll(topic, records)).slice(1),
    }),
  });
  const event = '{"specversion":"1.0","id":"1","source":"/s","type":"t"}';
  const batch = rawJsonRequest(`[${event},${event}]`, 'application/cloudevents-batch+json');
  assert.equal((await sendOnce(fixture.port, batch))?.status, 500);
  assert.equal(fixture.bugs.length, 1);
});

test('an error that no driver may have is 500 and a bug, not a refusal', async () => {
  const broken = new TypeError('x is not a function');
  await using fixture = await startIngress({ wrapLog: withAppend(() => Promise.reject(broken)) });
  const answer = await sendOnce(fixture.port, rawRequest());
  assert.equal(answer?.status, 500);
  assert.doesNotMatch(answer?.body ?? '', /function/);
  assert.deepEqual(fixture.bugs, [broken]);
});

test('the observer hears what was accepted, from when it listens until it stops', async () => {
  const seen: string[] = [];
  const observer: IngressObserver = {};
  await using fixture = await startIngress({ observer });
  await sendOnce(fixture.port, rawRequest());
  observer.accepted = (broker, record, receipt) =>
    seen.push(`${broker.key} ${record.event.id} ${receipt.offset}`);
  await sendOnce(fixture.port, rawRequest());
  const event = '{"specversion":"1.0","id":"9","source":"/s","type":"t"}';
  const batch = rawJsonRequest(`[${event},${event}]`, 'application/cloudevents-batch+json');
  await sendOnce(fixture.port, batch);
  observer.accepted = undefined;
  await sendOnce(fixture.port, rawRequest());
  assert.deepEqual(seen, ['ns/b 1 1', 'ns/b 9 2', 'ns/b 9 3']);
});

test('tracing on: a request without a trace gets one, one with a trace keeps it', async () => {
  await using fixture = await startIngress({ settings: { tracing: true } });
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
  await sendOnce(fixture.port, rawRequest());
  await sendOnce(fixture.port, rawRequest({ lines: [`traceparent: ${trace}`] }));
  await sendOnce(fixture.port, rawRequest({ lines: ['traceparent: junk', 'tracestate: a=1'] }));
  const passed = (await fixture.stored()).map(({ passThrough }) => passThrough);
  const started = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;
  assert.match(passed[0]?.[1] ?? '', started);
  assert.deepEqual(passed[1], ['traceparent', trace]);
  assert.equal(passed[2]?.length, 2);
  assert.match(passed[2]?.[1] ?? '', started);
});

test('tracing off: no trace is started, and junk is not passed on', async () => {
  await using fixture = await startIngress();
  await sendOnce(fixture.port, rawRequest());
  await sendOnce(fixture.port, rawRequest({ lines: ['traceparent: junk', 'tracestate: a=1'] }));
  for (const { passThrough } of await fixture.stored()) assert.deepEqual(passThrough, []);
});

test('only listed hosts are served when there is a list', async () => {
  await using fixture = await startIngress({ settings: { hosts: ['localhost', '[::1]'] } });
  const rows: readonly [host: string, status: number][] = [
    ['localhost', 202],
    ['LOCALHOST:8080', 202],
    ['[::1]:8080', 202],
    ['evil.test', 403],
    ['localhost.evil.test', 403],
    ['[::2]:8080', 403],
  ];
  for (const [host, status] of rows) {
    const bytes = rawRequest({ without: ['host'], lines: [`Host: ${host}`] });
    assert.equal((await sendOnce(fixture.port, bytes))?.status, status, host);
  }
});

test("the duration has Knative's attributes, by status", async () => {
  let isFull = false;
  await using fixture = await startIngress({
    wrapLog: (log) =>
      withAppend((topic, record) =>
        isFull ? Promise.reject(channelError('CHANNEL_FULL', '')) : log.append(topic, record),
      )(log),
  });
  await sendOnce(fixture.port, rawRequest());
  isFull = true;
  await sendOnce(fixture.port, rawRequest());
  const family = fixture.metrics
    .snapshot()
    .find(({ name }) => name === 'kn.eventing.dispatch.duration');
  const usual = ['ns', 'b', 'knative', 'broker:b.ns', 'send', 'com.example.test'];
  assert.deepEqual(
    family?.series.map(({ labelValues }) => labelValues),
    [
      [...usual, '202', 'http'],
      [...usual, '503', 'http'],
    ],
  );
});
