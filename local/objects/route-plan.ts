/**
 * From objects to what the data plane is told: Broker and Trigger routes with every setting turned into
 * a number, and the patches from one set of routes to the next. Pure, and incremental: an object that
 * did not change compiles to the same value as before.
 */
import type {
  BrokerRoute,
  DeliveryPolicy,
  Endpoint,
  RoutingPatch,
  TriggerRoute,
} from '#lib/contract/routing';
import { objectKey } from '#lib/contract/routing';
import { filterAdvice } from '#lib/filters/filter-advice';
import { effectiveDelivery, KNATIVE_BROKER_DELIVERY } from '#lib/delivery/delivery-policy';
import type { DestinationSpec } from '#lib/delivery/destination-spec';
import type { Broker } from '#api/eventing/v1/broker';
import type { Trigger } from '#api/eventing/v1/trigger';
import { objectTitle } from '../manifests/object-kinds.ts';
import type { ObjectSet, StoredObject } from './stored-object.ts';

export interface RouteSet {
  /** By key, `namespace/name`. */
  readonly brokers: ReadonlyMap<string, CompiledBroker>;
  /** By UID. */
  readonly triggers: ReadonlyMap<string, CompiledTrigger>;
  /** Triggers that have no route yet, by title, with the reason. */
  readonly pending: ReadonlyMap<string, string>;
}

export interface CompiledBroker {
  readonly title: string;
  readonly route: BrokerRoute;
  readonly from: StoredObject;
  readonly warnings: readonly string[];
}

export interface CompiledTrigger {
  readonly title: string;
  readonly route: TriggerRoute;
  readonly from: StoredObject;
  readonly broker: StoredObject;
  readonly warnings: readonly string[];
}

export const NO_ROUTES: RouteSet = { brokers: new Map(), triggers: new Map(), pending: new Map() };

/** One log per Broker: order is kept by lanes per key, not by partitions, on one machine. */
const PARTITION_COUNT = 1;
/** Bytes of events in open requests of one Trigger. */
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024;

/** The log of a Broker. A namespace holds no dot, so no two Brokers share a topic. */
export function brokerTopic(namespace: string, name: string): string {
  return `broker.${namespace}.${name}`;
}

export function compileRoutes(objects: ObjectSet, previous: RouteSet): RouteSet {
  const brokers = new Map<string, CompiledBroker>();
  const triggers = new Map<string, CompiledTrigger>();
  const pending = new Map<string, string>();
  for (const stored of objects.values()) {
    if (stored.object.kind !== 'Broker') continue;
    const { namespace, name } = stored.object.metadata;
    const key = objectKey(namespace, name);
    const former = previous.brokers.get(key);
    const isSame = former?.from === stored;
    brokers.set(key, isSame ? former : compileBroker(stored, stored.object, former));
  }
  for (const stored of objects.values()) {
    if (stored.object.kind !== 'Trigger') continue;
    const { object } = stored;
    const broker = brokers.get(objectKey(object.metadata.namespace, object.spec.broker));
    if (broker === undefined || broker.from.object.kind !== 'Broker') {
      pending.set(stored.title, missingBroker(object));
      continue;
    }
    const former = previous.triggers.get(stored.uid);
    const isSame = former?.from === stored && former.broker === broker.from;
    const compiled = isSame
      ? former
      : compileTrigger(stored, object, { stored: broker.from, object: broker.from.object }, former);
    triggers.set(stored.uid, compiled);
  }
  return { brokers, triggers, pending };
}

function missingBroker(trigger: Trigger): string {
  const { namespace } = trigger.metadata;
  const title = objectTitle('Broker', namespace, trigger.spec.broker);
  return `BrokerDoesNotExist: there is no ${title}; add it to the files`;
}

function compileBroker(
  stored: StoredObject,
  broker: Broker,
  former: CompiledBroker | undefined,
): CompiledBroker {
  const { namespace, name } = broker.metadata;
  const effective = effectiveDelivery({
    trigger: null,
    broker: broker.spec.delivery,
    defaults: KNATIVE_BROKER_DELIVERY,
    merge: false,
  });
  const route: BrokerRoute = {
    key: objectKey(namespace, name),
    namespace,
    name,
    uid: stored.uid,
    topic: brokerTopic(namespace, name),
    partitions: PARTITION_COUNT,
    policy: { countsTtl: true, nonEventReply: broker.settings.nonEventReply },
    deadLetter: endpointOf(effective.deadLetterSink),
    delivery: effective.policy,
  };
  const isSame = former !== undefined && JSON.stringify(former.route) === JSON.stringify(route);
  return {
    title: stored.title,
    route: isSame ? former.route : route,
    from: stored,
    warnings: effective.warnings,
  };
}

function compileTrigger(
  stored: StoredObject,
  trigger: Trigger,
  broker: { readonly stored: StoredObject; readonly object: Broker },
  former: CompiledTrigger | undefined,
): CompiledTrigger {
  const { settings, spec } = trigger;
  const effective = effectiveDelivery({
    trigger: spec.delivery,
    broker: broker.object.spec.delivery,
    defaults: KNATIVE_BROKER_DELIVERY,
    merge: settings.mergesDelivery,
  });
  const route = triggerRoute(stored, trigger, {
    nonEventReply: settings.nonEventReply ?? broker.object.settings.nonEventReply,
    deadLetter: endpointOf(effective.deadLetterSink),
    delivery: effective.policy,
  });
  const generation = former?.route.generation ?? 0;
  const isSame =
    former !== undefined &&
    JSON.stringify({ ...former.route, generation: 0 }) === JSON.stringify(route);
  return {
    title: stored.title,
    route: isSame ? former.route : { ...route, generation: generation + 1 },
    from: stored,
    broker: broker.stored,
    warnings: [...effective.warnings, ...filterAdvice(route.filter)],
  };
}

interface DeliveryParts {
  readonly nonEventReply: 'fail' | 'ignore';
  readonly deadLetter: Endpoint | null;
  readonly delivery: DeliveryPolicy;
}

function triggerRoute(stored: StoredObject, trigger: Trigger, parts: DeliveryParts): TriggerRoute {
  const { settings, spec } = trigger;
  const { namespace, name } = trigger.metadata;
  const subscriber = endpointOf(spec.subscriber);
  if (subscriber === null) throw new TypeError(`${stored.title} has no address`);
  return {
    uid: stored.uid,
    key: objectKey(namespace, name),
    namespace,
    name,
    brokerKey: objectKey(namespace, spec.broker),
    generation: 0,
    filter: { attributes: spec.filter.attributes, filters: spec.filter.filters },
    subscriber,
    deadLetter: parts.deadLetter,
    delivery: parts.delivery,
    nonEventReply: parts.nonEventReply,
    order: settings.order,
    concurrency: settings.concurrency,
    inFlightBytesMax: IN_FLIGHT_BYTES_MAX,
    isPaused: settings.isPaused,
    start: settings.start,
    backlog: settings.backlog,
  };
}

function endpointOf(destination: DestinationSpec | null): Endpoint | null {
  if (destination === null || destination.uri === null) return null;
  return { url: destination.uri, caCerts: destination.caCerts, audience: destination.audience };
}

/**
 * The patches from `from` to `to`: Brokers before their Triggers, Triggers gone before their Broker.
 * Empty when nothing changed.
 */
export function routePatches(from: RouteSet, to: RouteSet): readonly RoutingPatch[] {
  const patches: RoutingPatch[] = [];
  for (const [key, { route }] of to.brokers) {
    if (from.brokers.get(key)?.route !== route) patches.push({ op: 'putBroker', broker: route });
  }
  for (const [uid, { route }] of from.triggers) {
    const { brokerKey } = route;
    if (!to.triggers.has(uid)) patches.push({ op: 'removeTrigger', brokerKey, uid });
  }
  for (const [uid, { route }] of to.triggers) {
    if (from.triggers.get(uid)?.route !== route) patches.push({ op: 'putTrigger', trigger: route });
  }
  for (const key of from.brokers.keys()) {
    if (!to.brokers.has(key)) patches.push({ op: 'removeBroker', key });
  }
  return patches;
}
