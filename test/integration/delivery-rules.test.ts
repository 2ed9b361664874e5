/**
 * Every rule of a single delivery, end to end: events in the log, filter and dispatcher as they run,
 * real HTTP subscribers. The pure parts have their own tests; here is what a subscriber sees.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import test from 'node:test';
import type { ServerResponse } from 'node:http';
import type { EventRecord } from '#lib/channel/event-record';
import type { WaitingPair } from '#lib/channel/waiting-store';
import { isRetriedStatus } from '#lib/delivery/outcome';
import {
  BROKER,
  EventPath,
  Subscriber,
  eventOf,
  policyOf,
  recordOf,
  triggerOf,
  until,
} from '../kit/event-path.ts';
import type { Arrival } from '../kit/event-path.ts';

/** Back-off below the floor: every retry comes after 200 to 220 ms. */
const FLOOR_MS = 200;

function post(path: EventPath, id: string, given: Partial<EventRecord> = {}): Promise<unknown> {
  return path.driver.log.append(path.broker.topic, recordOf(eventOf(id), given));
}

async function parked(path: EventPath): Promise<readonly WaitingPair[]> {
  const { topic } = path.broker;
  return await path.driver.waiting.peek({ topic, stage: 'parked', countMax: 5_000 });
}

async function openCount(path: EventPath): Promise<number> {
  const pairs = await path.driver.waiting.peek({ topic: path.broker.topic, countMax: 5_000 });
  return pairs.filter((pair) => pair.stage !== 'parked').length;
}

function deadLetterAt(subscriber: Subscriber): {
  readonly url: string;
  readonly caCerts: null;
  readonly audience: null;
} {
  return { url: subscriber.url('/dead'), caCerts: null, audience: null };
}

function eventHeaders(id: string, extra: Record<string, string> = {}): Record<string, string> {
  return {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/sub',
    'ce-type': 'answer',
    ...extra,
  };
}

const KINDS: Readonly<
  Record<string, (response: ServerResponse, status: number, id: string) => void>
> = {
  none: (response, status) => response.writeHead(status).end(),
  event: (response, status, id) => response.writeHead(status, eventHeaders(`reply-${id}`)).end('e'),
  bad: (response, status) => response.writeHead(status, { 'ce-specversion': '1.0' }).end('e'),
  junk: (response, status) =>
    response.writeHead(status, { 'content-type': 'text/html' }).end('<p>'),
};

/** Statuses whose response has no body by definition, so that an answer is an empty one. */
const BODILESS = [204, 304];

test('every status from 200 to 599 with no body, an event, a bad event, another body', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ path, id }, response) => {
    if (path === '/hear') return void response.writeHead(200).end();
    const [status = '', kind = ''] = id.split('-');
    KINDS[kind]?.(response, Number(status), id);
  };
  const only = (type: string) => ({ filter: { attributes: { type }, filters: null } });
  await using path = await new EventPath().start([
    triggerOf('ask', subscriber.url('/ask'), {
      ...only('test'),
      delivery: policyOf({ retryCount: 1 }),
    }),
    triggerOf('hear', subscriber.url('/hear'), only('answer')),
  ]);
  const expected = new Map<string, { readonly attempts: number; readonly isParked: boolean }>();
  const replies = new Set<string>();
  for (let status = 200; status <= 599; status += 1) {
    for (const kind of Object.keys(KINDS)) {
      const id = `${status}-${kind}`;
      const isEvent = kind === 'event' || kind === 'bad';
      const hasBody = !BODILESS.includes(status);
      const isGood =
        status < 300 &&
        (kind === 'none' ||
          (!hasBody && kind === 'junk') ||
          (isEvent && status !== 200) ||
          id === '200-event');
      const isRetried = !isGood && (status < 300 || isRetriedStatus(status));
      expected.set(id, { attempts: isRetried ? 2 : 1, isParked: !isGood });
      if (id === '200-event') replies.add(`reply-${id}`);
    }
  }
  for (const id of expected.keys()) await post(path, id);
  const parkedCount = [...expected.values()].filter(({ isParked }) => isParked).length;
  await until('all have ended', async () => {
    return (await parked(path)).length === parkedCount && (await openCount(path)) === 0;
  });
  const attempts = new Map<string, number>();
  for (const id of subscriber.ids('/ask')) attempts.set(id, (attempts.get(id) ?? 0) + 1);
  const parkedIds = new Set((await parked(path)).map((pair) => pair.record.event.id));
  for (const [id, wanted] of expected) {
    assert.equal(attempts.get(id), wanted.attempts, `attempts of ${id}`);
    assert.equal(parkedIds.has(id), wanted.isParked, `end of ${id}`);
  }
  assert.deepEqual(new Set(subscriber.ids('/hear')), replies);
});

test('non-event-reply: ignore takes any body of a 2xx, and no malformed event', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ id }, response) => KINDS[id]?.(response, 200, id);
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url(), {
      nonEventReply: 'ignore',
      delivery: policyOf({ retryCount: 0 }),
      filter: { attributes: { type: 'test' }, filters: null },
    }),
  ]);
  for (const id of ['junk', 'bad', 'none']) await post(path, id);
  await until('the bad one is parked', async () => (await parked(path)).length === 1);
  const [pair] = await parked(path);
  assert.equal(pair?.record.event.id, 'bad');
  assert.deepEqual([pair.failure?.reason, pair.failure?.status], ['MalformedReply', 502]);
});

test('a Trigger that answers its own event stops when its rounds are used up', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ path, id }, response) => {
    if (path === '/dead') return void response.writeHead(200).end();
    const headers = eventHeaders(`${id}+`, { 'ce-knativebrokerttl': '2000000000' });
    return void response.writeHead(200, headers).end();
  };
  const broker = { ...BROKER, deadLetter: deadLetterAt(subscriber) };
  await using path = await new EventPath({ broker }).start([
    triggerOf('loop', subscriber.url('/loop')),
  ]);
  await post(path, 'e', { ttl: 5 });
  await until('the loop ends', () => subscriber.ids('/dead').length === 1);
  assert.deepEqual(subscriber.ids('/loop'), ['e', 'e+', 'e++', 'e+++', 'e++++']);
  const dead = subscriber.arrivals.find((arrival) => arrival.path === '/dead');
  assert.equal(dead?.id, 'e+++++');
  assert.equal(dead.headers['ce-millracereason'], 'TtlExhausted');
  assert.equal(dead.headers['ce-knativeerrorcode'], undefined);
  assert.equal(dead.headers['ce-knativebrokerttl'], undefined);
});

test('a small TTL of a reply is honoured', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ id }, response) => {
    const headers = eventHeaders(`${id}+`, { 'ce-knativebrokerttl': '1' });
    response.writeHead(200, id === 'e' ? headers : eventHeaders(`${id}+`)).end();
  };
  await using path = await new EventPath().start([triggerOf('loop', subscriber.url())]);
  await post(path, 'e');
  await until('it is parked', async () => (await parked(path)).length === 1);
  assert.deepEqual(subscriber.ids(), ['e', 'e+']);
});

test('redirects are never followed and fail without a retry', async () => {
  await using subscriber = await new Subscriber().listen();
  const places = [subscriber.url('/elsewhere'), 'http://169.254.169.254/latest/meta-data', '/ask'];
  subscriber.answer = ({ id }, response) => {
    const [status = '', place = ''] = id.split('-');
    response.writeHead(Number(status), { location: places[Number(place)] }).end();
  };
  await using path = await new EventPath().start([triggerOf('one', subscriber.url('/ask'))]);
  const ids = [301, 302, 303, 307, 308].flatMap((status) =>
    [0, 1, 2].map((place) => `${status}-${place}`),
  );
  for (const id of ids) await post(path, id);
  await until('all are parked', async () => (await parked(path)).length === ids.length);
  assert.deepEqual(new Set(subscriber.ids('/ask')), new Set(ids));
  assert.equal(subscriber.arrivals.length, ids.length);
  for (const pair of await parked(path)) {
    assert.equal(String(pair.failure?.status), pair.record.event.id.slice(0, 3));
  }
});

/** When each attempt came, in milliseconds from the first. */
async function attemptTimes(
  delivery: Parameters<typeof policyOf>[0],
  answer: (response: ServerResponse, number: number) => void,
): Promise<number[]> {
  await using subscriber = await new Subscriber().listen();
  const times: number[] = [];
  subscriber.answer = (_arrival, response) => {
    times.push(performance.now());
    answer(response, times.length);
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url(), { delivery: policyOf(delivery) }),
  ]);
  await post(path, 'e');
  const count = (delivery.retryCount ?? 0) + 1;
  await until('all attempts', () => times.length === count);
  await until('the end', async () => (await parked(path)).length === 1);
  const [first = 0] = times;
  return times.map((time) => time - first);
}

function assertGaps(times: readonly number[], wantedMs: readonly number[]): void {
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.equal(gaps.length, wantedMs.length);
  for (const [index, wanted] of wantedMs.entries()) {
    const gap = gaps[index] ?? 0;
    // Never early; a tenth of jitter, and what a loaded machine adds.
    assert.ok(
      gap >= wanted - 2 && gap <= wanted * 1.1 + 250,
      `${gaps.join()} for ${wantedMs.join()}`,
    );
  }
}

const BUSY = (response: ServerResponse): void => void response.writeHead(503).end();

test('linear back-off: d, 2d, 3d', async () => {
  const policy = { retryCount: 3, backoff: 'linear', backoffDelayMs: 250 } as const;
  assertGaps(await attemptTimes(policy, BUSY), [250, 500, 750]);
});

test('exponential back-off: 2d, 4d, 8d', async () => {
  const policy = { retryCount: 3, backoff: 'exponential', backoffDelayMs: 125 } as const;
  assertGaps(await attemptTimes(policy, BUSY), [250, 500, 1_000]);
});

test('no delay: the floor at every retry', async () => {
  const policy = { retryCount: 2, backoff: 'exponential', backoffDelayMs: 0 } as const;
  assertGaps(await attemptTimes(policy, BUSY), [FLOOR_MS, FLOOR_MS]);
});

test('Retry-After on 429 and 503, in seconds and as a date, up to retryAfterMax', async () => {
  const asking = (status: number, value: () => string) => (response: ServerResponse) => {
    response.writeHead(status, { 'retry-after': value() }).end();
  };
  const inSeconds = (seconds: number) => () => new Date(Date.now() + seconds * 1_000).toUTCString();
  const policy = { retryCount: 1, backoffDelayMs: 0, retryAfterMsMax: 10_000 };
  const [seconds, capped, ignored, other, date] = await Promise.all([
    attemptTimes(
      policy,
      asking(503, () => '1'),
    ),
    attemptTimes(
      { ...policy, retryAfterMsMax: 500 },
      asking(429, () => '3600'),
    ),
    attemptTimes(
      { ...policy, retryAfterMsMax: 0 },
      asking(503, () => '3600'),
    ),
    attemptTimes(
      policy,
      asking(500, () => '3600'),
    ),
    attemptTimes(policy, asking(429, inSeconds(2))),
  ]);
  assertGaps(seconds, [1_000]);
  assertGaps(capped, [500]);
  assertGaps(ignored, [FLOOR_MS]);
  assertGaps(other, [FLOOR_MS]);
  const [, second = 0] = date;
  assert.ok(second > 900 && second < 2_300, `a date has whole seconds: ${second}`);
});

test('an attempt that takes too long is cut at its timeout and tried again', async () => {
  const times = await attemptTimes(
    { retryCount: 2, backoffDelayMs: 0, timeoutMs: 300 },
    () => undefined,
  );
  assertGaps(times, [300 + FLOOR_MS, 300 + FLOOR_MS]);
});

test('a timeout and a refused connection are told apart, without a status', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = () => undefined;
  const closed = await new Subscriber().listen();
  const closedUrl = closed.url();
  await closed[Symbol.asyncDispose]();
  const delivery = policyOf({ retryCount: 0, timeoutMs: 100 });
  await using path = await new EventPath().start([
    triggerOf('hangs', subscriber.url(), { delivery }),
    triggerOf('closed', closedUrl, { delivery }),
    triggerOf('metadata', 'http://169.254.169.254/', { delivery }),
  ]);
  await post(path, 'e');
  await until('all are parked', async () => (await parked(path)).length === 3);
  const reasons = (await parked(path)).map(({ targetKey, failure }) => [
    targetKey,
    failure?.reason,
    failure?.status,
  ]);
  assert.deepEqual(
    new Set(reasons.map((reason) => reason.join())),
    new Set([
      'default/hangs,Timeout,',
      'default/closed,ConnectionFailed,',
      'default/metadata,AddressRefused,',
    ]),
  );
});

test('format json: one structured event; binary is the default', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([
    triggerOf('json', subscriber.url('/json'), { delivery: policyOf({ format: 'json' }) }),
    triggerOf('binary', subscriber.url('/binary')),
  ]);
  await post(path, 'e');
  await until('both arrive', () => subscriber.arrivals.length === 2);
  const at = (wanted: string): Arrival | undefined =>
    subscriber.arrivals.find((arrival) => arrival.path === wanted);
  assert.equal(at('/json')?.headers['content-type'], 'application/cloudevents+json');
  assert.equal(at('/json')?.headers['prefer'], 'reply');
  const event = JSON.parse(String(at('/json')?.body)) as Record<string, unknown>;
  assert.deepEqual([event['id'], event['data']], ['e', 'data of e']);
  assert.equal(event['knativearrivaltime'], new Date(1_800_000_000_000).toISOString());
  assert.equal(event['knativebrokerttl'], undefined);
  assert.equal(at('/binary')?.headers['content-type'], 'text/plain');
  assert.equal(at('/binary')?.headers['ce-knativearrivaltime'], event['knativearrivaltime']);
});

test('data bytes and pass-through headers arrive as they were taken, on every attempt', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = (_arrival, response) => {
    response.writeHead(subscriber.arrivals.length < 3 ? 500 : 200).end();
  };
  await using path = await new EventPath().start([triggerOf('one', subscriber.url())]);
  const data = randomBytes(300_000);
  const event = eventOf('e', { data, datacontenttype: 'application/x-own; a="b c"' });
  const passThrough = ['x-request-id', 'r-1', 'knative-x', 'y', 'traceparent', '00-1-2-01'];
  await path.driver.log.append(path.broker.topic, recordOf(event, { passThrough }));
  await until('three attempts', () => subscriber.arrivals.length === 3);
  const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  for (const { body, headers } of subscriber.arrivals) {
    assert.equal(hash(body), hash(data));
    assert.equal(headers['content-type'], 'application/x-own; a="b c"');
    assert.equal(headers['x-request-id'], 'r-1');
    assert.equal(headers['knative-x'], 'y');
    assert.equal(headers['traceparent'], '00-1-2-01');
  }
});

test('the response body in a dead letter: 0, 768, 769, 1024, 1025 bytes, a megabyte, binary', async () => {
  await using subscriber = await new Subscriber().listen();
  const sizes = [0, 1, 768, 769, 1_024, 1_025, 1_048_576];
  const bodyOf = (size: number): Buffer => Buffer.alloc(size, Buffer.from([0xff, 0, 0xc3, 10]));
  subscriber.answer = ({ path, id }, response) => {
    if (path === '/dead') response.writeHead(200).end('a sink may say what it likes');
    else response.writeHead(400).end(bodyOf(Number(id)));
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url('/sub'), { deadLetter: deadLetterAt(subscriber) }),
  ]);
  for (const size of sizes) await post(path, String(size));
  await until('all dead letters', () => subscriber.ids('/dead').length === sizes.length);
  for (const { path: place, id, headers } of subscriber.arrivals) {
    if (place !== '/dead') continue;
    const data = headers['ce-knativeerrordata'];
    const wanted = bodyOf(Number(id)).subarray(0, 768);
    assert.equal(data, id === '0' ? undefined : wanted.toString('base64'), id);
    assert.equal(headers['ce-knativeerrorcode'], '400');
    assert.equal(headers['ce-millracereason'], 'StatusCode');
    assert.equal(headers['ce-millracetrigger'], 'default/one');
    assert.equal(headers['prefer'], undefined);
  }
  assert.equal((await parked(path)).length, 0);
});

test('a dead-letter sink is tried as often as the subscriber, then the event is parked', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ path }, response) => {
    response.writeHead(path === '/dead' ? 503 : 500).end(path === '/dead' ? 'sink' : 'subscriber');
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url('/sub'), {
      deadLetter: deadLetterAt(subscriber),
      delivery: policyOf({ retryCount: 2 }),
    }),
  ]);
  await post(path, 'e');
  await until('it is parked', async () => (await parked(path)).length === 1);
  assert.deepEqual([subscriber.ids('/sub').length, subscriber.ids('/dead').length], [3, 3]);
  for (const { path: place, headers } of subscriber.arrivals) {
    if (place === '/dead') assert.equal(headers['ce-knativeerrorcode'], '500');
  }
  const [pair] = await parked(path);
  assert.equal(String(pair?.failure?.body), 'subscriber');
});

test('a sink that accepts late ends it; its answer is never a reply', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = ({ path, id }, response) => {
    if (path === '/sub') return void response.writeHead(400).end();
    const isFirst = subscriber.ids('/dead').length === 1;
    return void response.writeHead(isFirst ? 503 : 200, eventHeaders(`reply-${id}`)).end();
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url('/sub'), { deadLetter: deadLetterAt(subscriber) }),
  ]);
  await post(path, 'e');
  await until('the sink has it', () => subscriber.ids('/dead').length === 2);
  await until('it is settled', async () => (await openCount(path)) === 0);
  await post(path, 'next');
  await until('the next is dead too', () => subscriber.ids('/dead').length === 3);
  assert.deepEqual(subscriber.ids('/sub'), ['e', 'next']);
  assert.equal((await parked(path)).length, 0);
});
