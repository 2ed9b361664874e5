/**
 * From what was in force and what the files say now to what shall be in force: identities kept, faulty
 * objects at their last good version, nothing deleted by a file that could not be read. Pure.
 */
import type { Ids } from '#lib/ids/ids';
import { EVENTING_V1 } from '#api/eventing/v1/broker';
import { DEFAULT_NAMESPACE } from '#api/meta/v1/object-meta';
import type { ManifestReading, ReadObject } from '../manifests/manifest-reader.ts';
import type { ManifestObject } from '../manifests/object-kinds.ts';
import { objectTitle, parseObject } from '../manifests/object-kinds.ts';
import type { ObjectSet, StoredObject } from './stored-object.ts';

/** The name of the Broker that is always there, in {@link DEFAULT_NAMESPACE}. */
export const DEFAULT_BROKER = 'default';

export interface ObjectPlan {
  readonly next: ObjectSet;
  /** Titles, for the log. */
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly removed: readonly string[];
  /** Objects that keep their former version although the file says something valid. */
  readonly refusals: readonly PlanRefusal[];
}

export interface PlanRefusal {
  readonly title: string;
  readonly field: string;
  readonly message: string;
  readonly details: string;
}

/** Objects that can be in force at once, all files together. */
export const OBJECTS_MAX = 25_000;

/** `reading` null: no `-f` was given, so only what Millrace makes itself is there. */
export function planObjects(
  previous: ObjectSet,
  reading: ManifestReading | null,
  ids: Ids,
): ObjectPlan {
  const next = new Map<string, StoredObject>();
  const created: string[] = [];
  const updated: string[] = [];
  const refusals: PlanRefusal[] = [];
  for (const read of reading?.objects.values() ?? []) {
    const former = previous.get(read.title);
    if (former === undefined && next.size >= OBJECTS_MAX) {
      refusals.push(tooMany(read.title));
      continue;
    }
    const refusal = former === undefined ? null : immutableChange(former, read);
    if (refusal !== null) refusals.push(refusal);
    const stored =
      refusal !== null && former !== undefined
        ? { ...former, origin: read.origin }
        : storedFrom(former, read, ids);
    next.set(read.title, stored);
    if (former === undefined) created.push(read.title);
    else if (stored.generation !== former.generation) updated.push(read.title);
  }
  if (reading !== null) keepUnreadable(next, previous, reading);
  addOwnBrokers(next, previous, ids);
  const removed = [...previous.keys()].filter((title) => !next.has(title));
  return { next, created, updated, removed, refusals };
}

function storedFrom(former: StoredObject | undefined, read: ReadObject, ids: Ids): StoredObject {
  const { title, object, raw, origin } = read;
  if (former === undefined) return { title, uid: ids.uid(), generation: 1, origin, object, raw };
  if (former.raw === raw || sameIntent(former.object, object)) {
    // The same object must stay the same value: what was compiled from it is found again by identity.
    return former.origin === origin ? former : { ...former, origin };
  }
  return { ...former, generation: former.generation + 1, origin, object, raw };
}

/** Everything that routing follows from; labels and the order of fields do not matter. */
function sameIntent(left: ManifestObject, right: ManifestObject): boolean {
  return (
    JSON.stringify([left.settings, left.spec]) === JSON.stringify([right.settings, right.spec])
  );
}

function immutableChange(former: StoredObject, read: ReadObject): PlanRefusal | null {
  const { object: before } = former;
  const { object: now } = read;
  if (before.kind !== 'Trigger' || now.kind !== 'Trigger') return null;
  if (before.spec.broker === now.spec.broker) return null;
  return {
    title: read.title,
    field: 'spec.broker',
    message: `Immutable fields changed (-old +new): -${before.spec.broker} +${now.spec.broker}`,
    details: 'remove the Trigger first, or give it another name; the former version stays in force',
  };
}

function tooMany(title: string): PlanRefusal {
  const message = `more than ${OBJECTS_MAX} objects`;
  return { title, field: '', message, details: 'it is not in force' };
}

function keepUnreadable(
  next: Map<string, StoredObject>,
  previous: ObjectSet,
  reading: ManifestReading,
): void {
  for (const [title, former] of previous) {
    if (next.has(title) || former.origin === null) continue;
    const isKept =
      reading.faultyTitles.has(title) ||
      reading.unreadableOrigins.has(former.origin) ||
      !reading.isListingComplete;
    if (isKept) next.set(title, former);
  }
}

/** The Broker `default`, and those that `eventing.knative.dev/injection: enabled` asks for. */
function addOwnBrokers(next: Map<string, StoredObject>, previous: ObjectSet, ids: Ids): void {
  const namespaces = new Set([DEFAULT_NAMESPACE]);
  for (const { object } of next.values()) {
    if (object.kind === 'Trigger' && object.injectsBroker)
      namespaces.add(object.metadata.namespace);
  }
  for (const namespace of namespaces) {
    const title = objectTitle('Broker', namespace, DEFAULT_BROKER);
    if (next.has(title)) continue;
    const former = previous.get(title);
    if (former?.origin === null) next.set(title, former);
    else next.set(title, ownBroker(title, namespace, former, ids));
  }
}

function ownBroker(
  title: string,
  namespace: string,
  former: StoredObject | undefined,
  ids: Ids,
): StoredObject {
  const metadata = { name: DEFAULT_BROKER, namespace };
  const raw = { apiVersion: EVENTING_V1, kind: 'Broker', metadata };
  const result = parseObject(raw, NO_ADDRESSES);
  if (!result.ok) throw new TypeError('the Broker default does not parse');
  return {
    title,
    uid: former?.uid ?? ids.uid(),
    generation: (former?.generation ?? 0) + 1,
    origin: null,
    object: result.value,
    raw,
  };
}

const NO_ADDRESSES = {
  checkUrl: () => ({ ok: false, message: 'not expected' }) as const,
};
