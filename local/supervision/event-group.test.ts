/** Supervision with tiny fake children: order, routes in every life, restarts, ends. No processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BrokerRoute } from '#lib/contract/routing';
import { silentLogger } from '#lib/telemetry/log';
import { createManualClock } from '#lib/time/manual-clock';
import { BATCH_COUNT_MAX, RemoteFault } from '../child-protocol.ts';
import type { ChildMessage, ParentMessage } from '../child-protocol.ts';
import type { EventRole } from '../event-side.ts';
import type { EventSideSettings } from '../event-side-settings.ts';
import { compileRoutes, NO_ROUTES } from '../objects/route-plan.ts';
import type { RouteSet } from '../objects/route-plan.ts';
import { planObjects } from '../objects/object-plan.ts';
import { createCountingIds } from '#lib/ids/ids';
import type { ChildListener, ForkChild } from './event-child.ts';
import { ensureRequests, EventGroup } from './event-group.ts';

/** One life of a fake process: remembers what it was told, answers as a healthy one unless told not to. */
class FakeChild {
  readonly name: string;
  readonly listener: ChildListener;
  readonly messages: ParentMessage[] = [];
  readonly script: ChildScript;
  isGone = false;

  constructor(name: string, listener: ChildListener, script: ChildScript) {
    this.name = name;
    this.listener = listener;
    this.script = script;
  }

  get kinds(): readonly string[] {
    return this.messages.map((message) =>
      message.kind === 'request' ? message.call.method : message.kind,
    );
  }

  take(message: ParentMessage): void {
    this.messages.push(message);
    const { skips } = this.script;
    const kind = message.kind === 'request' ? message.call.method : message.kind;
    if (skips.has(kind)) return;
    queueMicrotask(() => this.#answer(message));
  }

  say(message: ChildMessage): void {
    if (!this.isGone) this.listener.onMessage(message);
  }

  exit(reason: string): void {
    if (this.isGone) return;
    this.isGone = true;
    this.listener.onExit(reason);
  }

  #answer(message: ParentMessage): void {
    switch (message.kind) {
      case 'start':
        if (this.script.fault !== null) {
          this.say({ kind: 'fatal', fault: this.script.fault });
          this.exit('it ended with status 75');
          return;
        }
        this.say({
          kind: 'opened',
          eventsUrl: message.roles.includes('ingress') ? 'http://e' : null,
        });
        return;
      case 'request':
        this.say({ kind: 'answer', id: message.id, value: null });
        return;
      case 'routing':
        if (message.isLast) this.say({ kind: 'applied', revision: message.revision });
        return;
      case 'synced':
        this.say({ kind: 'ready' });
        return;
      case 'drain':
        this.say({ kind: 'drained' });
        return;
      case 'close':
        this.exit('it ended with status 0');
        return;
    }
  }
}

interface ChildScript {
  /** Messages and methods that this process does not react to. */
  readonly skips: Set<string>;
  fault: RemoteFault['fault'] | null;
}

interface Scene {
  readonly group: EventGroup;
  readonly clock: ReturnType<typeof createManualClock>;
  readonly children: FakeChild[];
  readonly script: ChildScript;
  /** The life of that name that is alive. */
  live(name: string): FakeChild;
}

const FUSED: readonly (readonly EventRole[])[] = [['ingress', 'filter', 'dispatcher']];
const SEPARATE: readonly (readonly EventRole[])[] = [['ingress'], ['filter'], ['dispatcher']];
// The fakes do not read it.
const SETTINGS = JSON.parse('{}') as EventSideSettings;

function scene(processes: readonly (readonly EventRole[])[] = FUSED): Scene {
  const clock = createManualClock();
  const children: FakeChild[] = [];
  const script: ChildScript = { skips: new Set(), fault: null };
  const fork: ForkChild = (name, listener) => {
    const child = new FakeChild(name, listener, script);
    children.push(child);
    return {
      pid: children.length,
      send: (message) => child.take(message),
      kill: () => child.exit('it was ended by SIGKILL'),
    };
  };
  const group = new EventGroup(
    { clock, log: silentLogger, fork },
    { processes, settings: SETTINGS },
  );
  const live = (name: string): FakeChild => {
    const child = children.findLast((one) => one.name === name && !one.isGone);
    assert.ok(child !== undefined, `no ${name} is alive`);
    return child;
  };
  return { group, clock, children, script, live };
}

/** Lets everything run that waits for nothing. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

function routes(): RouteSet {
  return compileRoutes(planObjects(new Map(), null, createCountingIds()).next, NO_ROUTES);
}

test('routes are ensured, sent, applied, and then it is ready', async () => {
  const { group, live } = scene();
  await group.start();
  const published = group.publish(routes());
  group.sync();
  await published;
  await group.ready();
  const child = live('ingress+filter+dispatcher');
  assert.deepEqual(child.kinds, ['start', 'ensure', 'routing', 'synced']);
  assert.equal(group.eventsUrl, 'http://e');
});

test('the owner starts alone; nobody hears of a route before it is ensured', async () => {
  const { group, children, script, live } = scene(SEPARATE);
  script.skips.add('start');
  const started = group.start();
  await settle();
  assert.deepEqual(
    children.map(({ name }) => name),
    ['ingress'],
  );
  script.skips.delete('start');
  live('ingress').say({ kind: 'opened', eventsUrl: 'http://e' });
  await started;
  assert.deepEqual(
    children.map(({ name }) => name),
    ['ingress', 'filter', 'dispatcher'],
  );

  script.skips.add('ensure');
  const published = group.publish(routes());
  await settle();
  assert.deepEqual(live('filter').kinds, ['start']);
  const request = live('ingress').messages.at(-1);
  assert.ok(request?.kind === 'request');
  live('ingress').say({ kind: 'answer', id: request.id, value: null });
  await published;
  assert.deepEqual(live('filter').kinds, ['start', 'routing']);
});

test('a failed ensure is tried again', async () => {
  const { group, clock, script, live } = scene();
  await group.start();
  script.skips.add('ensure');
  const published = group.publish(routes());
  await settle();
  const child = live('ingress+filter+dispatcher');
  const request = child.messages.at(-1);
  assert.ok(request?.kind === 'request');
  const fault = {
    code: 'CHANNEL_FULL',
    message: 'full',
    retry: 'backoff',
    httpStatus: 503,
  } as const;
  script.skips.delete('ensure');
  child.say({ kind: 'failed', id: request.id, fault });
  await settle();
  assert.deepEqual(child.kinds, ['start', 'ensure']);
  await clock.advance(500);
  await published;
  assert.deepEqual(child.kinds, ['start', 'ensure', 'ensure', 'routing']);
});

test('a life after a crash gets everything again, ever later while it does not live', async () => {
  const { group, clock, children, live } = scene();
  await group.start();
  group.sync();
  await group.publish(routes());
  await group.ready();
  for (const [index, delayMs] of [50, 250, 1_000, 2_000, 5_000, 5_000].entries()) {
    live('ingress+filter+dispatcher').exit('it was ended by SIGSEGV');
    assert.equal(group.eventsUrl, null);
    await clock.advance(delayMs - 1);
    assert.equal(children.length, index + 1);
    await clock.advance(1);
    assert.equal(children.length, index + 2);
    await group.ready();
    assert.deepEqual(live('ingress+filter+dispatcher').kinds, [
      'start',
      'ensure',
      'routing',
      'synced',
    ]);
  }
  const [report] = group.reports;
  assert.equal(report?.restartCount, 6);
  assert.equal(report?.lastEnd, 'it was ended by SIGSEGV');
  await clock.advance(30_000);
  live('ingress+filter+dispatcher').exit('it was ended by SIGSEGV');
  await clock.advance(50);
  assert.equal(children.length, 8);
});

test('a publication waits for a process that is starting again', async () => {
  const { group, clock, live } = scene(SEPARATE);
  await group.start();
  live('filter').exit('it was ended by SIGKILL');
  let isDone = false;
  const published = group.publish(routes()).then(() => {
    isDone = true;
  });
  await settle();
  assert.equal(isDone, false);
  await clock.advance(50);
  await published;
});

test('a fault at the first start is thrown, and nothing is left', async () => {
  const { group, children, script } = scene();
  script.fault = { code: 'STORE_LOCKED', message: 'held by 7', retry: 'never', httpStatus: null };
  await assert.rejects(
    group.start(),
    (error) => error instanceof RemoteFault && error.fault.code === 'STORE_LOCKED',
  );
  assert.ok(children.every((child) => child.isGone));
});

test('takers are drained first, the owner of the store ends last', async () => {
  const { group, children } = scene(SEPARATE);
  await group.start();
  await group.publish(routes());
  const order: string[] = [];
  for (const child of children) {
    const { take } = child;
    child.take = (message) => {
      if (message.kind === 'drain' || message.kind === 'close')
        order.push(`${child.name} ${message.kind}`);
      take.call(child, message);
    };
  }
  await group.stop(1_000);
  assert.deepEqual(order, [
    ...['ingress drain', 'filter drain', 'dispatcher drain'],
    ...['filter close', 'dispatcher close', 'ingress close'],
  ]);
  assert.ok(children.every((child) => child.isGone));
});

test('what does not end after the deadline is killed', async () => {
  const { group, clock, script, live, children } = scene();
  await group.start();
  script.skips.add('drain').add('close');
  const stopped = group.stop(1_000);
  await settle();
  assert.ok(!live('ingress+filter+dispatcher').isGone);
  await clock.advance(4_000);
  await settle();
  await clock.advance(3_000);
  await stopped;
  assert.ok(children.every((child) => child.isGone));
});

test('an open request fails when its process ends', async () => {
  const { group, script, live } = scene();
  await group.start();
  script.skips.add('status');
  const asked = group.request('dispatcher', 'status', null);
  live('ingress+filter+dispatcher').exit('it was ended by SIGKILL');
  await assert.rejects(asked, { code: 'LOCAL_CHILD_FAILED' });
  await assert.rejects(group.request('dispatcher', 'status', null), { code: 'LOCAL_CHILD_FAILED' });
});

test('many Triggers go in bounded messages, after their topics', () => {
  const base = routes();
  const [broker] = [...base.brokers.values()];
  assert.ok(broker !== undefined);
  const route: BrokerRoute = broker.route;
  const count = BATCH_COUNT_MAX * 2 + 1;
  const entry = (uid: string) => ({
    title: uid,
    route: JSON.parse(
      JSON.stringify({ uid, key: `default/${uid}`, brokerKey: route.key, start: null }),
    ),
    from: broker.from,
    broker: broker.from,
    warnings: [],
  });
  const triggers = new Map(
    Array.from({ length: count }, (_, index) => [`u${index}`, entry(`u${index}`)]),
  );
  const requests = [...ensureRequests(NO_ROUTES, { ...base, triggers })];
  assert.deepEqual(
    requests.map((one) => [one.topics.length, one.triggers.length]),
    [
      [1, 0],
      [0, BATCH_COUNT_MAX],
      [0, BATCH_COUNT_MAX],
      [0, 1],
    ],
  );
  assert.deepEqual([...ensureRequests({ ...base, triggers }, { ...base, triggers })], []);
});
