/**
 * One look-up per event for all Triggers of a Broker. Each Trigger is filed under the anchors of one of
 * its requirements (`anchors.ts`); an event visits only what its own attributes lead to, and each
 * candidate found there is decided by its whole predicate. What has no requirement is always tried.
 * Used by the filter service, which patches it as Triggers change.
 * Invariant: `match` gives what evaluating every predicate would give, in order of first insertion, and
 * allocates nothing for a Trigger that does not match.
 */
import { assert } from '#lib/assert/assert';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { type AffixTrie, createAffixTrie } from '#lib/filters/affix-trie';
import { type Anchor, rankOf, type Requirement, requirementsOf } from '#lib/filters/anchors';
import type { TextReader } from '#lib/filters/attribute-reader';
import { createFilterReader } from '#lib/filters/clause';
import type { TriggerFilterSpec } from '#lib/filters/dialect';
import type { Explanation } from '#lib/filters/explanation';
import { type CompiledFilter, compileFilter } from '#lib/filters/predicate';

export interface TriggerIndex<Value> {
  readonly size: number;
  /** Files `value` under `filter`. An `id` that is known is replaced and keeps its place in the order. */
  readonly add: (id: string, filter: TriggerFilterSpec, value: Value) => void;
  /** False when the id is not known. */
  readonly remove: (id: string) => boolean;
  /** Empties `into` and fills it with the values of all filters that `event` passes. */
  readonly match: (event: CloudEvent, into: Value[]) => void;
  /** Why the event passes that filter or not; `null` when the id is not known. */
  readonly explain: (id: string, event: CloudEvent) => Explanation | null;
  /** What the filter is filed under: `[]` when it is tried for every event; `null` when not known. */
  readonly anchorsOf: (id: string) => readonly Anchor[] | null;
}

/** Buckets below this size cost too little to prefer one attribute over another for. */
const SMALL_BUCKET_COUNT = 32;

interface Entry<Value> {
  readonly value: Value;
  /** Order of first insertion. */
  readonly sequence: number;
  readonly filter: CompiledFilter;
  readonly anchors: readonly Anchor[];
  readonly placements: Placement<Value>[];
  /** The `match` that saw it last: one filed in several places is tried once. */
  seenInMatch: number;
}

interface Placement<Value> {
  readonly entry: Entry<Value>;
  readonly bucket: Bucket<Value>;
  /** Where it stands in the bucket. */
  at: number;
}

/** Unordered: removal moves the last placement into the gap. */
type Bucket<Value> = Placement<Value>[];

interface AttributeIndex<Value> {
  readonly attribute: string;
  readonly read: TextReader;
  readonly exact: Map<string, Bucket<Value>>;
  readonly prefixes: AffixTrie<Bucket<Value>>;
  readonly suffixes: AffixTrie<Bucket<Value>>;
}

export function createTriggerIndex<Value>(): TriggerIndex<Value> {
  return new AnchoredIndex<Value>();
}

class AnchoredIndex<Value> implements TriggerIndex<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #attributes: AttributeIndex<Value>[] = [];
  /** Filters without a requirement: tried for every event. */
  readonly #unanchored: Bucket<Value> = [];
  /** Scratch of `match`, empty between calls. */
  readonly #found: Bucket<Value>[] = [];
  readonly #matched: Entry<Value>[] = [];
  #matchCount = 0;
  #nextSequence = 0;

  get size(): number {
    return this.#entries.size;
  }

  readonly add = (id: string, filter: TriggerFilterSpec, value: Value): void => {
    const before = this.#entries.get(id);
    if (before !== undefined) this.#unfile(before);
    const compiled = compileFilter(filter);
    const entry: Entry<Value> = {
      value,
      sequence: before?.sequence ?? this.#nextSequence++,
      filter: compiled,
      anchors: this.#chooseAnchors(compiled),
      placements: [],
      seenInMatch: 0,
    };
    this.#entries.set(id, entry);
    // A filter that cannot be used matches nothing, so it is filed nowhere.
    if (compiled.clause === null) return;
    if (entry.anchors.length === 0) place(entry, this.#unanchored);
    for (const anchor of entry.anchors) place(entry, this.#bucketFor(anchor));
  };

  readonly remove = (id: string): boolean => {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#unfile(entry);
    return this.#entries.delete(id);
  };

  readonly match = (event: CloudEvent, into: Value[]): void => {
    into.length = 0;
    this.#matchCount += 1;
    for (const index of this.#attributes) {
      const text = index.read(event);
      if (text === null) continue;
      const bucket = index.exact.get(text);
      if (bucket !== undefined) this.#tryAll(bucket, event);
      if (index.prefixes.size > 0) index.prefixes.findAll(text, this.#found);
      if (index.suffixes.size > 0) index.suffixes.findAll(text, this.#found);
    }
    for (const bucket of this.#found) this.#tryAll(bucket, event);
    this.#found.length = 0;
    this.#tryAll(this.#unanchored, event);
    if (!isInOrder(this.#matched)) this.#matched.sort(bySequence);
    for (const entry of this.#matched) into.push(entry.value);
    this.#matched.length = 0;
  };

  readonly explain = (id: string, event: CloudEvent): Explanation | null =>
    this.#entries.get(id)?.filter.explain(event) ?? null;

  readonly anchorsOf = (id: string): readonly Anchor[] | null =>
    this.#entries.get(id)?.anchors ?? null;

  #tryAll(bucket: Bucket<Value>, event: CloudEvent): void {
    for (const { entry } of bucket) {
      if (entry.placements.length > 1) {
        if (entry.seenInMatch === this.#matchCount) continue;
        entry.seenInMatch = this.#matchCount;
      }
      if (entry.filter.matches(event)) this.#matched.push(entry);
    }
  }

  /** The requirement that fewest other Triggers share; among those with few, the best by its shape. */
  #chooseAnchors(filter: CompiledFilter): readonly Anchor[] {
    if (filter.clause === null) return [];
    let best: Requirement | null = null;
    let bestCost = Number.POSITIVE_INFINITY;
    for (const requirement of requirementsOf(filter.clause)) {
      const cost = this.#crowdOf(requirement) + rankOf(requirement);
      if (cost >= bestCost) continue;
      best = requirement;
      bestCost = cost;
    }
    return best === null ? [] : best.anchors;
  }

  #crowdOf(requirement: Requirement): number {
    let count = 0;
    for (const anchor of requirement.anchors) count += this.#find(anchor)?.length ?? 0;
    return count < SMALL_BUCKET_COUNT ? 0 : count;
  }

  #find({ kind, attribute, value }: Anchor): Bucket<Value> | null {
    const index = this.#attributes.find((one) => one.attribute === attribute);
    if (index === undefined) return null;
    if (kind === 'exact') return index.exact.get(value) ?? null;
    return trieOf(index, kind).get(value);
  }

  #bucketFor(anchor: Anchor): Bucket<Value> {
    const found = this.#find(anchor);
    if (found !== null) return found;
    const { kind, attribute, value } = anchor;
    let index = this.#attributes.find((one) => one.attribute === attribute);
    if (index === undefined) {
      index = createAttributeIndex<Value>(attribute);
      this.#attributes.push(index);
    }
    const bucket: Bucket<Value> = [];
    if (kind === 'exact') index.exact.set(value, bucket);
    else trieOf(index, kind).set(value, bucket);
    return bucket;
  }

  #unfile(entry: Entry<Value>): void {
    for (const placement of entry.placements) withdraw(placement);
    for (const anchor of entry.anchors) this.#dropIfEmpty(anchor);
  }

  #dropIfEmpty({ kind, attribute, value }: Anchor): void {
    const at = this.#attributes.findIndex((one) => one.attribute === attribute);
    const index = this.#attributes[at];
    assert(index !== undefined, 'an anchor in use has an index', { attribute });
    if (kind === 'exact') {
      if (index.exact.get(value)?.length === 0) index.exact.delete(value);
    } else {
      const trie = trieOf(index, kind);
      if (trie.get(value)?.length === 0) trie.delete(value);
    }
    const isUsed = index.exact.size > 0 || index.prefixes.size > 0 || index.suffixes.size > 0;
    if (!isUsed) this.#attributes.splice(at, 1);
  }
}

function createAttributeIndex<Value>(attribute: string): AttributeIndex<Value> {
  return {
    attribute,
    read: createFilterReader(attribute),
    exact: new Map(),
    prefixes: createAffixTrie<Bucket<Value>>('start'),
    suffixes: createAffixTrie<Bucket<Value>>('end'),
  };
}

function trieOf<Value>(
  index: AttributeIndex<Value>,
  kind: 'prefix' | 'suffix',
): AffixTrie<Bucket<Value>> {
  return kind === 'prefix' ? index.prefixes : index.suffixes;
}

function place<Value>(entry: Entry<Value>, bucket: Bucket<Value>): void {
  const placement: Placement<Value> = { entry, bucket, at: bucket.length };
  bucket.push(placement);
  entry.placements.push(placement);
}

function withdraw<Value>({ bucket, at }: Placement<Value>): void {
  const last = bucket.pop();
  assert(last !== undefined, 'a placement stands in its bucket');
  if (last.at === at) return;
  bucket[at] = last;
  last.at = at;
}

function isInOrder(entries: readonly { readonly sequence: number }[]): boolean {
  let previous = -1;
  for (const { sequence } of entries) {
    if (sequence < previous) return false;
    previous = sequence;
  }
  return true;
}

function bySequence(
  one: { readonly sequence: number },
  other: { readonly sequence: number },
): number {
  return one.sequence - other.sequence;
}
