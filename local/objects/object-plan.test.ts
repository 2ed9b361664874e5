/** Identities, last good versions, deletions, and the patches that follow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCountingIds } from '#lib/ids/ids';
import type { ManifestReading, ReadObject } from '../manifests/manifest-reader.ts';
import { parseObject, titleOf } from '../manifests/object-kinds.ts';
import { planObjects } from './object-plan.ts';
import { compileRoutes, NO_ROUTES, routePatches } from './route-plan.ts';
import type { ObjectSet } from './stored-object.ts';

const rules = { checkUrl: (text: string) => ({ ok: true, url: new URL(text) }) as const };

function read(
  kind: 'Broker' | 'Trigger',
  name: string,
  spec: object = {},
  more: object = {},
): ReadObject {
  const triggerSpec = { broker: 'default', subscriber: { uri: 'http://127.0.0.1:1/' } };
  const raw = {
    apiVersion: 'eventing.knative.dev/v1',
    kind,
    metadata: { name, ...more },
    spec: kind === 'Broker' ? spec : { ...triggerSpec, ...spec },
  };
  const result = parseObject(raw, rules);
  assert.ok(result.ok, JSON.stringify(result));
  return { title: titleOf(result.value), object: result.value, raw, origin: '/m/a.yaml' };
}

function reading(
  objects: readonly ReadObject[],
  more: Partial<ManifestReading> = {},
): ManifestReading {
  return {
    objects: new Map(objects.map((one) => [one.title, one])),
    faultyTitles: new Set(),
    unreadableOrigins: new Set(),
    isListingComplete: true,
    problems: [],
    ...more,
  };
}

const EMPTY: ObjectSet = new Map();

test('without files the Broker default is there, with the same UID for ever', () => {
  const ids = createCountingIds();
  const first = planObjects(EMPTY, null, ids);
  assert.deepEqual([...first.next.keys()], ['Broker default/default']);
  const own = first.next.get('Broker default/default');
  const defined = planObjects(first.next, reading([read('Broker', 'default')]), ids);
  assert.equal(defined.next.get('Broker default/default')?.uid, own?.uid);
  assert.equal(defined.next.get('Broker default/default')?.origin, '/m/a.yaml');
  const back = planObjects(defined.next, reading([]), ids);
  assert.equal(back.next.get('Broker default/default')?.uid, own?.uid);
  assert.deepEqual(back.removed, []);
});

test('an edit keeps the UID and raises the generation; the same text changes nothing', () => {
  const ids = createCountingIds();
  const first = planObjects(EMPTY, reading([read('Trigger', 'a')]), ids);
  const same = planObjects(
    first.next,
    reading([read('Trigger', 'a', {}, { labels: { x: 'y' } })]),
    ids,
  );
  assert.equal(same.next.get('Trigger default/a'), first.next.get('Trigger default/a'));
  assert.deepEqual(same.updated, []);
  const edited = planObjects(
    first.next,
    reading([read('Trigger', 'a', {}, { annotations: { 'millrace.dev/paused': 'true' } })]),
    ids,
  );
  const [before, after] = [first, edited].map((plan) => plan.next.get('Trigger default/a'));
  assert.equal(after?.uid, before?.uid);
  assert.equal(after?.generation, 2);
  assert.deepEqual(edited.updated, ['Trigger default/a']);
});

test('a removed object goes; one whose file cannot be read, or that is faulty, stays', () => {
  const ids = createCountingIds();
  const first = planObjects(EMPTY, reading([read('Trigger', 'a'), read('Trigger', 'b')]), ids);
  const kept: readonly Partial<ManifestReading>[] = [
    { faultyTitles: new Set(['Trigger default/b']) },
    { unreadableOrigins: new Set(['/m/a.yaml']) },
    { isListingComplete: false },
  ];
  for (const more of kept) {
    const plan = planObjects(first.next, reading([read('Trigger', 'a')], more), ids);
    assert.equal(plan.next.get('Trigger default/b'), first.next.get('Trigger default/b'));
    assert.deepEqual(plan.removed, []);
  }
  const plan = planObjects(first.next, reading([read('Trigger', 'a')]), ids);
  assert.deepEqual(plan.removed, ['Trigger default/b']);
  assert.equal(plan.next.has('Trigger default/b'), false);
});

test('spec.broker cannot be changed: the former version stays in force', () => {
  const ids = createCountingIds();
  const first = planObjects(EMPTY, reading([read('Trigger', 'a')]), ids);
  const plan = planObjects(first.next, reading([read('Trigger', 'a', { broker: 'other' })]), ids);
  assert.equal(plan.refusals[0]?.message, 'Immutable fields changed (-old +new): -default +other');
  const { object } = plan.next.get('Trigger default/a') ?? {};
  assert.equal(object?.kind === 'Trigger' && object.spec.broker, 'default');
});

test('injection makes the Broker of its namespace, and it goes with the last Trigger', () => {
  const ids = createCountingIds();
  const annotations = { 'eventing.knative.dev/injection': 'enabled' };
  const injecting = read('Trigger', 'a', {}, { namespace: 'shop', annotations });
  const first = planObjects(EMPTY, reading([injecting]), ids);
  assert.ok(first.next.has('Broker shop/default'));
  const plan = planObjects(first.next, reading([]), ids);
  assert.deepEqual(plan.removed, ['Trigger shop/a', 'Broker shop/default']);
});

test('routes carry numbers, and the Broker gives what the Trigger lacks', () => {
  const broker = read('Broker', 'default', {
    delivery: { retry: 2, deadLetterSink: { uri: 'http://127.0.0.1:2/dead' } },
  });
  const trigger = read('Trigger', 'a', { delivery: { timeout: 'PT5S' } });
  const plan = planObjects(EMPTY, reading([broker, trigger]), createCountingIds());
  const routes = compileRoutes(plan.next, NO_ROUTES);
  const route = routes.triggers.values().next().value?.route;
  assert.equal(route?.delivery.timeoutMs, 5000);
  assert.equal(route?.delivery.retryCount, 0);
  assert.equal(route?.deadLetter?.url, 'http://127.0.0.1:2/dead');
  assert.equal(route?.brokerKey, 'default/default');
  assert.equal(routes.brokers.get('default/default')?.route.delivery.retryCount, 2);
  assert.equal(routes.brokers.get('default/default')?.route.topic, 'broker.default.default');
});

test('patches go Broker first, Triggers before their Broker away; nothing for nothing', () => {
  const ids = createCountingIds();
  const objects = [
    read('Broker', 'b'),
    read('Trigger', 'a', { broker: 'b' }),
    read('Trigger', 'lost', { broker: 'none' }),
  ];
  const first = planObjects(EMPTY, reading(objects), ids);
  const routes = compileRoutes(first.next, NO_ROUTES);
  assert.match(routes.pending.get('Trigger default/lost') ?? '', /^BrokerDoesNotExist/);
  assert.deepEqual(
    routePatches(NO_ROUTES, routes).map((patch) => patch.op),
    ['putBroker', 'putBroker', 'putTrigger'],
  );
  assert.deepEqual(routePatches(routes, compileRoutes(first.next, routes)), []);
  const gone = planObjects(first.next, reading([]), ids);
  assert.deepEqual(
    routePatches(routes, compileRoutes(gone.next, routes)).map((patch) => patch.op),
    ['removeTrigger', 'removeBroker'],
  );
});

test('a change of the Broker compiles its Triggers again, others stay the same value', () => {
  const ids = createCountingIds();
  const triggers = [read('Trigger', 'a'), read('Trigger', 'x', { broker: 'b' })];
  const first = planObjects(EMPTY, reading([read('Broker', 'b'), ...triggers]), ids);
  const routes = compileRoutes(first.next, NO_ROUTES);
  const edited = read('Broker', 'b', {
    delivery: { retry: 9, backoffPolicy: 'linear', backoffDelay: 'PT1S' },
  });
  const second = planObjects(first.next, reading([edited, ...triggers]), ids);
  const patches = routePatches(routes, compileRoutes(second.next, routes));
  assert.deepEqual(
    patches.map((patch) => patch.op),
    ['putBroker', 'putTrigger'],
  );
  const [, put] = patches;
  assert.ok(put?.op === 'putTrigger');
  assert.equal(put.trigger.name, 'x');
  assert.equal(put.trigger.generation, 2);
});
