/** The way of an event from the log to real HTTP subscribers, over the memory driver. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#lib/telemetry/log';
import { BacklogGate } from '#services/ingress/backlog-gate';
import {
  EventPath,
  eventOf,
  policyOf,
  recordOf,
  Subscriber,
  triggerOf,
  until,
} from '#test/kit/event-path';

test('a matching event is delivered once, with its data, attributes and headers', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url(), { filter: { attributes: { type: 'test' }, filters: null } }),
    triggerOf('other', subscriber.url(), { filter: { attributes: { type: 'no' }, filters: null } }),
  ]);
  await path.send('e1');
  await until('it arrives', () => subscriber.arrivals.length === 1);
  const [arrival] = subscriber.arrivals;
  assert.equal(arrival?.body.toString(), 'data of e1');
  assert.equal(arrival.headers['ce-type'], 'test');
  assert.equal(arrival.headers['prefer'], 'reply');
  assert.equal(arrival.headers['kn-namespace'], 'default');
  assert.equal(arrival.headers['ce-knativebrokerttl'], undefined);
});

test('a failing subscriber is tried retry + 1 times, then the event is parked', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = (_arrival, response) => response.writeHead(503).end('busy');
  await using path = await new EventPath().start([triggerOf('one', subscriber.url())]);
  await path.send('e1');
  await until('it is parked', async () => {
    return (await path.driver.waiting.peek({ stage: 'parked', countMax: 10 })).length === 1;
  });
  assert.deepEqual(subscriber.ids(), ['e1', 'e1', 'e1', 'e1']);
  const [parked] = await path.driver.waiting.peek({ stage: 'parked', countMax: 10 });
  assert.equal(parked?.failure?.status, 503);
  assert.equal(parked.failure.body.toString(), 'busy');
});

test('a retry that succeeds settles the event', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = (_arrival, response) => {
    response.writeHead(subscriber.arrivals.length < 3 ? 500 : 200).end();
  };
  await using path = await new EventPath().start([triggerOf('one', subscriber.url())]);
  await path.send('e1');
  await until('the third attempt', () => subscriber.arrivals.length === 3);
  await until(
    'it is settled',
    async () => (await path.driver.waiting.peek({ countMax: 1 })).length === 0,
  );
});

test('an exhausted event goes to the dead-letter sink with error extensions', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = (arrival, response) => {
    response.writeHead(arrival.path === '/dead' ? 200 : 400).end('no thanks');
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url('/sub'), {
      deadLetter: { url: subscriber.url('/dead'), caCerts: null, audience: null },
    }),
  ]);
  await path.send('e1');
  await until('the dead letter', () => subscriber.ids('/dead').length === 1);
  assert.deepEqual(subscriber.ids('/sub'), ['e1']);
  const dead = subscriber.arrivals.at(-1);
  assert.equal(dead?.headers['ce-knativeerrorcode'], '400');
  assert.equal(dead.headers['ce-knativeerrordest'], subscriber.url('/sub'));
  assert.equal(dead.headers['ce-knativeerrordata'], Buffer.from('no thanks').toString('base64'));
  assert.equal(dead.headers['ce-millraceattempts'], '1');
  assert.equal(dead.headers['prefer'], undefined);
  assert.equal(dead.body.toString(), 'data of e1');
});

test('a reply goes back into the Broker with one round less', async () => {
  await using subscriber = await new Subscriber().listen();
  subscriber.answer = (arrival, response) => {
    if (arrival.path !== '/ask') return response.writeHead(200).end();
    return response
      .writeHead(200, {
        'ce-specversion': '1.0',
        'ce-id': `reply-${arrival.id}`,
        'ce-source': '/sub',
        'ce-type': 'answer',
        'content-type': 'text/plain',
      })
      .end('pong');
  };
  await using path = await new EventPath().start([
    triggerOf('ask', subscriber.url('/ask'), {
      filter: { attributes: { type: 'test' }, filters: null },
    }),
    triggerOf('hear', subscriber.url('/hear'), {
      filter: { attributes: { type: 'answer' }, filters: null },
    }),
  ]);
  await path.send('e1');
  await until('the reply', () => subscriber.ids('/hear').length === 1);
  assert.deepEqual(subscriber.ids('/hear'), ['reply-e1']);
  assert.equal(subscriber.arrivals.at(-1)?.body.toString(), 'pong');
});

test('an event without rounds left goes to the dead letters of the Broker', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([triggerOf('one', subscriber.url())]);
  await path.driver.log.append(path.broker.topic, recordOf(eventOf('e1'), { ttl: 0 }));
  await until('it is parked', async () => {
    return (await path.driver.waiting.peek({ stage: 'parked', countMax: 10 })).length === 1;
  });
  const [parked] = await path.driver.waiting.peek({ stage: 'parked', countMax: 10 });
  assert.equal(parked?.failure?.reason, 'TtlExhausted');
  assert.deepEqual(subscriber.ids(), []);
});

test('ordered: a failing head holds its own lane only, and order is kept', async () => {
  await using subscriber = await new Subscriber().listen();
  let failures = 3;
  subscriber.answer = (arrival, response) => {
    const fails = arrival.id === 'a0' && failures-- > 0;
    response.writeHead(fails ? 503 : 200).end();
  };
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url(), {
      order: 'ordered',
      delivery: policyOf({ retryCount: 10 }),
    }),
  ]);
  for (let count = 0; count < 20; count++) {
    for (const key of ['a', 'b']) {
      await path.driver.log.append(path.broker.topic, recordOf(eventOf(`${key}${count}`), { key }));
    }
  }
  await until('all arrive', () => new Set(subscriber.ids()).size === 40);
  const first = (key: string): string[] => [
    ...new Set(subscriber.ids().filter((id) => id.startsWith(key))),
  ];
  const expected = (key: string): string[] => Array.from({ length: 20 }, (_, n) => `${key}${n}`);
  assert.deepEqual(first('a'), expected('a'));
  assert.deepEqual(first('b'), expected('b'));
  const lastB = subscriber.ids().lastIndexOf('b19');
  assert.ok(lastB < subscriber.ids().lastIndexOf('a1'), 'lane b does not wait for lane a');
});

test('a Trigger that starts at earliest gets what came before it', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([]);
  await path.send('e1', 'e2', 'e3');
  await path.put(triggerOf('late', subscriber.url(), { start: { at: 'earliest' } }));
  await until('all arrive', () => subscriber.arrivals.length === 3);
  await path.send('e4');
  await until('it goes on', () => subscriber.arrivals.length === 4);
  assert.deepEqual(subscriber.ids(), ['e1', 'e2', 'e3', 'e4']);
});

test('a Trigger that starts at an event id begins with that event', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([]);
  await path.send('e1', 'e2', 'e3');
  await path.put(triggerOf('late', subscriber.url(), { start: { at: 'event', id: 'e2' } }));
  await until('both arrive', () => subscriber.arrivals.length === 2);
  assert.deepEqual(subscriber.ids(), ['e2', 'e3']);
});

test('a paused Trigger gets nothing, and everything once it is resumed', async () => {
  await using subscriber = await new Subscriber().listen();
  await using beside = await new Subscriber().listen();
  const trigger = triggerOf('one', subscriber.url());
  await using path = await new EventPath().start([trigger, triggerOf('two', beside.url())]);
  await path.send('e1');
  await until('it arrives', () => subscriber.arrivals.length === 1);
  await path.put({ ...trigger, generation: 2, isPaused: true });
  await path.send('e2', 'e3');
  await until('the other goes on', () => beside.arrivals.length === 3);
  assert.deepEqual(subscriber.ids(), ['e1']);
  await path.put({ ...trigger, generation: 3, isPaused: false });
  await until('the rest arrives', () => subscriber.arrivals.length === 3);
  await path.send('e4');
  await until('it goes on', () => subscriber.arrivals.length === 4);
  assert.deepEqual(subscriber.ids(), ['e1', 'e2', 'e3', 'e4']);
});

test('a replay sends one Trigger everything again, and the others nothing', async () => {
  await using subscriber = await new Subscriber().listen();
  await using beside = await new Subscriber().listen();
  const trigger = triggerOf('one', subscriber.url());
  await using path = await new EventPath().start([trigger, triggerOf('two', beside.url())]);
  await path.send('e1', 'e2', 'e3');
  await until(
    'they arrive',
    () => subscriber.arrivals.length === 3 && beside.arrivals.length === 3,
  );
  await path.dispatcher.replay(trigger.uid, { at: 'event', id: 'e2' });
  await until('two come again', () => subscriber.arrivals.length === 5);
  await path.send('e4');
  await until('it goes on', () => beside.arrivals.length === 4 && subscriber.arrivals.length === 6);
  assert.deepEqual(subscriber.ids(), ['e1', 'e2', 'e3', 'e2', 'e3', 'e4']);
});

test('a slow subscriber costs its own window; it falls behind, comes back, and gets everything', async () => {
  await using slow = await new Subscriber().listen();
  await using fast = await new Subscriber().listen();
  let isOpen = false;
  const held: (() => void)[] = [];
  slow.answer = (_arrival, response) => {
    const answer = (): void => void response.writeHead(200).end();
    if (isOpen) answer();
    else held.push(answer);
  };
  const trigger = triggerOf('slow', slow.url(), { concurrency: 4 });
  await using path = await new EventPath().start([trigger, triggerOf('fast', fast.url())]);
  const ids = Array.from({ length: 5_000 }, (_, n) => `e${n}`);
  await path.send(...ids);
  await until('the fast one has all', () => fast.arrivals.length === 5_000);
  assert.equal(slow.arrivals.length, 4);
  isOpen = true;
  for (const answer of held) answer();
  await until('the slow one has all', () => slow.arrivals.length >= 5_000);
  assert.deepEqual(new Set(slow.ids()), new Set(ids));
  assert.equal(slow.arrivals.length, 5_000);
  await path.send('last');
  await until('it goes on', () => slow.ids().includes('last'));
});

test('a deleted Trigger that comes back under its name inherits what it had not got', async () => {
  await using subscriber = await new Subscriber().listen();
  await using beside = await new Subscriber().listen();
  subscriber.answer = (_arrival, response) => response.writeHead(503).end();
  const lasting = policyOf({ retryCount: 1_000, backoffDelayMs: 50 });
  const trigger = triggerOf('one', subscriber.url(), { delivery: lasting });
  await using path = await new EventPath().start([trigger, triggerOf('two', beside.url())]);
  await path.send('e1');
  await until('an attempt', () => subscriber.arrivals.length > 0);
  path.remove(trigger);
  await path.send('e2');
  await until('the other goes on', () => beside.arrivals.length === 2);
  subscriber.answer = (_arrival, response) => response.writeHead(200).end();
  subscriber.arrivals.length = 0;
  await path.put(triggerOf('one', subscriber.url()));
  await until('both arrive', () => new Set(subscriber.ids()).size === 2);
  assert.deepEqual(new Set(subscriber.ids()), new Set(['e1', 'e2']));
});

test('a clean restart repeats nothing and loses nothing', async () => {
  await using subscriber = await new Subscriber().listen();
  const trigger = triggerOf('one', subscriber.url());
  await using first = await new EventPath().start([trigger]);
  const ids = Array.from({ length: 500 }, (_, n) => `e${n}`);
  await first.send(...ids.slice(0, 250));
  await until('some arrive', () => subscriber.arrivals.length > 10);
  await first.close();
  const second = new EventPath({ driver: first.driver });
  await second.start([trigger]);
  await second.send(...ids.slice(250));
  await until('all arrive', () => new Set(subscriber.ids()).size === 500);
  await second.close();
  assert.equal(subscriber.arrivals.length, 500);
});

test('past its backlog quota a paused Trigger drops the oldest, and counts them', async () => {
  await using subscriber = await new Subscriber().listen();
  const trigger = triggerOf('one', subscriber.url(), {
    isPaused: true,
    backlog: { bytesMax: 3_000, then: 'drop' },
  });
  await using path = await new EventPath().start([trigger]);
  const ids = Array.from({ length: 50 }, (_, n) => `e${n}`);
  await path.send(...ids);
  const dropped = (): number => counterOf(path, 'millrace.delivery.dropped');
  await until('some are dropped', () => dropped() > 0);
  await path.put({ ...trigger, generation: 2, isPaused: false });
  await until('the rest arrives', () => subscriber.arrivals.length + dropped() === 50);
  assert.deepEqual(subscriber.ids(), ids.slice(dropped()), 'the oldest went');
  assert.ok(subscriber.arrivals.length >= 3, `${subscriber.arrivals.length} arrived`);
});

test('past its backlog quota a Trigger has the producers refused, until it catches up', async () => {
  await using subscriber = await new Subscriber().listen();
  const trigger = triggerOf('one', subscriber.url(), {
    isPaused: true,
    backlog: { bytesMax: 3_000, then: 'refuse' },
  });
  await using path = await new EventPath().start([trigger]);
  const gate = new BacklogGate({
    clock: path.clock,
    logger: silentLogger,
    routing: path.routing,
    cursors: path.driver.cursors,
  });
  await path.send('e0');
  await gate.look();
  assert.equal(gate.isFull(path.broker.topic), false);
  await path.send(...Array.from({ length: 50 }, (_, n) => `f${n}`));
  await until('producers are refused', () => gate.isFull(path.broker.topic));
  await path.put({ ...trigger, generation: 2, isPaused: false });
  await until('they are taken again', () => !gate.isFull(path.broker.topic));
  await until('all arrive', () => subscriber.arrivals.length === 51);
  gate.stop();
});

test('backlog and oldest age of a Trigger that is behind are metrics', async () => {
  await using subscriber = await new Subscriber().listen();
  await using path = await new EventPath().start([
    triggerOf('one', subscriber.url(), { isPaused: true }),
  ]);
  await path.send('e1', 'e2', 'e3');
  await until('the backlog shows', () => counterOf(path, 'millrace.delivery.backlog') === 3);
});

function counterOf(path: EventPath, name: string): number {
  const family = path.metrics.snapshot().find((each) => each.name === name);
  return family?.series.reduce((sum, each) => sum + (each.values[0] ?? 0), 0) ?? 0;
}
