/** The routing table: snapshots stay as they were, changes are told in order, waiting is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '#lib/time/manual-clock';
import { createRoutingTable } from './routing-table-store.ts';
import type { RoutingChange } from './routing-table.ts';
import type { BrokerRoute, DeliveryPolicy, TriggerRoute } from './routing.ts';

const DELIVERY: DeliveryPolicy = {
  retryCount: 10,
  backoff: 'exponential',
  backoffDelayMs: 200,
  timeoutMs: 600_000,
  retryAfterMsMax: 0,
  format: 'binary',
};

function brokerRoute(name: string, uid = `uid-${name}`): BrokerRoute {
  return {
    key: `ns/${name}`,
    namespace: 'ns',
    name,
    uid,
    topic: `ns.${name}`,
    partitions: 1,
    policy: { countsTtl: true, nonEventReply: 'fail' },
    deadLetter: null,
    delivery: DELIVERY,
  };
}

function triggerRoute(uid: string, brokerName = 'b', generation = 1): TriggerRoute {
  return {
    uid,
    key: `ns/${uid}`,
    namespace: 'ns',
    name: uid,
    brokerKey: `ns/${brokerName}`,
    generation,
    filter: { attributes: null, filters: null },
    subscriber: { url: 'http://127.0.0.1:1/', caCerts: null, audience: null },
    deadLetter: null,
    delivery: DELIVERY,
    nonEventReply: 'fail',
    order: 'unordered',
    concurrency: 100,
    inFlightBytesMax: 1_048_576,
    isPaused: false,
    start: null,
    backlog: null,
  };
}

function tableWith(...names: string[]): ReturnType<typeof createRoutingTable> {
  const table = createRoutingTable({ clock: createManualClock() });
  table.apply(names.map((name) => ({ op: 'putBroker', broker: brokerRoute(name) })));
  return table;
}

test('a snapshot never changes once it was handed out, at any size', () => {
  const table = tableWith('b');
  const held: {
    readonly size: number;
    readonly revision: number;
    readonly map: ReadonlyMap<string, TriggerRoute>;
  }[] = [];
  for (let count = 0; count < 1_100; count++) {
    const snapshot = table.broker('ns/b');
    assert.ok(snapshot);
    if ([0, 1, 31, 32, 33, 1_023, 1_024, 1_025].includes(count)) {
      held.push({ size: count, revision: snapshot.revision, map: snapshot.triggers });
    }
    table.apply([{ op: 'putTrigger', trigger: triggerRoute(`t${count}`) }]);
  }
  for (const { size, map } of held) {
    const wanted = Array.from({ length: size }, (_, index) => `t${index}`).sort();
    assert.equal(map.size, size);
    assert.deepEqual([...map.keys()].sort(), wanted);
    assert.deepEqual(
      [...map].map(([uid, trigger]) => (uid === trigger.uid ? uid : '?')).sort(),
      wanted,
    );
    assert.equal([...map.values()].length, size);
    assert.equal(map.has(`t${size}`), false);
    let visited = 0;
    map.forEach((trigger, uid, whole) => {
      visited += 1;
      assert.equal(whole.get(uid), trigger);
    });
    assert.equal(visited, size);
  }
  const revisions = held.map(({ revision }) => revision);
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(revisions).size, revisions.length);
});

test('putting the same Trigger again replaces it and tells the previous one', () => {
  const table = tableWith('b');
  const changes: RoutingChange[] = [];
  table.apply([{ op: 'putTrigger', trigger: triggerRoute('t') }]);
  const before = table.broker('ns/b');
  table.listen((change) => changes.push(change));
  table.apply([{ op: 'putTrigger', trigger: triggerRoute('t', 'b', 2) }]);
  const after = table.broker('ns/b');
  assert.equal(before?.triggers.get('t')?.generation, 1);
  assert.equal(after?.triggers.get('t')?.generation, 2);
  assert.equal(after?.triggers.size, 1);
  assert.equal(table.trigger('t')?.generation, 2);
  const [change] = changes;
  assert.ok(change?.kind === 'trigger');
  assert.equal(change.previous?.generation, 1);
  assert.equal(change.snapshot, after);
});

test('a Broker that goes takes its Triggers along, each one told', () => {
  const table = tableWith('b', 'other');
  table.apply([
    { op: 'putTrigger', trigger: triggerRoute('t1') },
    { op: 'putTrigger', trigger: triggerRoute('t2') },
    { op: 'putTrigger', trigger: triggerRoute('t3', 'other') },
  ]);
  const revision = table.broker('ns/b')?.revision ?? 0;
  const kinds: string[] = [];
  table.listen((change) => kinds.push(change.kind));
  table.apply([{ op: 'removeBroker', key: 'ns/b' }]);
  assert.deepEqual(kinds, ['triggerRemoved', 'triggerRemoved', 'brokerRemoved']);
  assert.equal(table.broker('ns/b'), undefined);
  assert.equal(table.trigger('t1'), undefined);
  assert.equal(table.trigger('t3')?.uid, 't3');
  table.apply([{ op: 'putBroker', broker: brokerRoute('b', 'uid-again') }]);
  const again = table.broker('ns/b');
  assert.ok(again && again.revision > revision);
  assert.equal(again.triggers.size, 0);
});

test('a changed Broker keeps its Triggers', () => {
  const table = tableWith('b');
  table.apply([
    { op: 'putTrigger', trigger: triggerRoute('t') },
    { op: 'putBroker', broker: { ...brokerRoute('b'), partitions: 4 } },
  ]);
  assert.equal(table.broker('ns/b')?.triggers.size, 1);
  assert.equal(table.broker('ns/b')?.broker.partitions, 4);
});

test('removing what is not there changes nothing and tells nobody', () => {
  const table = tableWith('b');
  const before = table.broker('ns/b');
  table.listen(() => assert.fail('nothing changed'));
  table.apply([
    { op: 'removeTrigger', brokerKey: 'ns/b', uid: 'none' },
    { op: 'removeTrigger', brokerKey: 'ns/none', uid: 'none' },
    { op: 'removeBroker', key: 'ns/none' },
  ]);
  assert.equal(table.broker('ns/b'), before);
});

test('a Trigger that names another Broker leaves the first one', () => {
  const table = tableWith('b', 'c');
  table.apply([
    { op: 'putTrigger', trigger: triggerRoute('t', 'b') },
    { op: 'putTrigger', trigger: triggerRoute('t', 'c') },
  ]);
  assert.equal(table.broker('ns/b')?.triggers.size, 0);
  assert.equal(table.broker('ns/c')?.triggers.size, 1);
  assert.equal(table.trigger('t')?.brokerKey, 'ns/c');
});

test('a Trigger before its Broker is a bug of the sender', () => {
  const table = tableWith();
  assert.throws(() => table.apply([{ op: 'putTrigger', trigger: triggerRoute('t') }]), {
    name: 'AssertionFailure',
  });
});

test('a listener that patches the table is a bug', () => {
  const table = tableWith();
  table.listen(() => table.apply([]));
  assert.throws(() => table.apply([{ op: 'putBroker', broker: brokerRoute('b') }]), {
    name: 'AssertionFailure',
  });
});

test('a listener that stopped hears nothing; the same function twice is heard twice', () => {
  const table = tableWith();
  let heard = 0;
  const listener = (): void => {
    heard += 1;
  };
  const stop = table.listen(listener);
  table.listen(listener);
  table.apply([{ op: 'putBroker', broker: brokerRoute('b') }]);
  assert.equal(heard, 2);
  stop();
  table.apply([{ op: 'putBroker', broker: brokerRoute('b') }]);
  assert.equal(heard, 3);
});

test('waiting for a Broker ends with the Broker, or at the time-out without it', async () => {
  const clock = createManualClock();
  const table = createRoutingTable({ clock });
  const early = table.waitForBroker('ns/b', 1_000);
  const alsoEarly = table.waitForBroker('ns/b', 1_000);
  await clock.advance(999);
  table.apply([{ op: 'putBroker', broker: brokerRoute('b') }]);
  assert.equal((await early)?.broker.key, 'ns/b');
  assert.equal((await alsoEarly)?.broker.key, 'ns/b');
  assert.equal((await table.waitForBroker('ns/b', 1_000))?.broker.key, 'ns/b');
  const late = table.waitForBroker('ns/none', 1_000);
  await clock.advance(1_000);
  assert.equal(await late, undefined);
  assert.equal(await table.waitForBroker('ns/none', 0), undefined);
});

test('it is synced only when told so', () => {
  const table = tableWith('b');
  assert.equal(table.isSynced, false);
  table.markSynced();
  assert.equal(table.isSynced, true);
  assert.deepEqual(
    Array.from(table.brokers(), ({ broker }) => broker.key),
    ['ns/b'],
  );
});
