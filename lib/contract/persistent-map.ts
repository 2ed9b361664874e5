/**
 * A map that never changes: `withEntry` and `without` give a new map and share all but one bucket
 * with the old one. Used for the Triggers of a Broker, where 10,000 entries change 50 times a second
 * and every snapshot that was handed out must stay as it was.
 * Cost of a change with 10,000 entries: one bucket of some 40 and an array of 256. Iteration order is
 * by bucket, so it means nothing.
 */

const EMPTY_BUCKET: ReadonlyMap<string, never> = new Map<string, never>();
/** Entries up to which the map keeps that many buckets; small maps must stay small. */
const GROWTH: readonly { readonly sizeMax: number; readonly bucketCount: number }[] = [
  { sizeMax: 32, bucketCount: 1 },
  { sizeMax: 1_024, bucketCount: 32 },
  { sizeMax: Number.POSITIVE_INFINITY, bucketCount: 256 },
];

type Buckets<Value> = readonly ReadonlyMap<string, Value>[];

export class PersistentMap<Value> implements ReadonlyMap<string, Value> {
  readonly size: number;
  readonly #buckets: Buckets<Value>;

  /** The map without entries. Others are made from it. */
  static empty<Value>(): PersistentMap<Value> {
    return new PersistentMap<Value>([EMPTY_BUCKET], 0);
  }

  private constructor(buckets: Buckets<Value>, size: number) {
    this.#buckets = buckets;
    this.size = size;
  }

  get(key: string): Value | undefined {
    return this.#buckets[bucketIndex(key, this.#buckets.length)]?.get(key);
  }

  has(key: string): boolean {
    return this.#buckets[bucketIndex(key, this.#buckets.length)]?.has(key) === true;
  }

  withEntry(key: string, value: Value): PersistentMap<Value> {
    const size = this.has(key) ? this.size : this.size + 1;
    const wantedCount = bucketCountFor(size);
    const buckets =
      wantedCount > this.#buckets.length ? spread(this, wantedCount) : [...this.#buckets];
    const index = bucketIndex(key, buckets.length);
    const bucket = new Map(buckets[index]);
    bucket.set(key, value);
    buckets[index] = bucket;
    return new PersistentMap(buckets, size);
  }

  /** The same map when it has no such key. */
  without(key: string): PersistentMap<Value> {
    if (!this.has(key)) return this;
    const buckets = [...this.#buckets];
    const index = bucketIndex(key, buckets.length);
    const bucket = new Map(buckets[index]);
    bucket.delete(key);
    buckets[index] = bucket;
    return new PersistentMap(buckets, this.size - 1);
  }

  *entries(): MapIterator<[string, Value]> {
    for (const bucket of this.#buckets) yield* bucket;
  }

  *keys(): MapIterator<string> {
    for (const bucket of this.#buckets) yield* bucket.keys();
  }

  *values(): MapIterator<Value> {
    for (const bucket of this.#buckets) yield* bucket.values();
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
}

function bucketCountFor(size: number): number {
  return GROWTH.find(({ sizeMax }) => size <= sizeMax)?.bucketCount ?? 1;
}

function spread<Value>(
  map: ReadonlyMap<string, Value>,
  bucketCount: number,
): ReadonlyMap<string, Value>[] {
  const buckets = Array.from({ length: bucketCount }, () => new Map<string, Value>());
  for (const [key, value] of map) buckets[bucketIndex(key, bucketCount)]?.set(key, value);
  return buckets;
}

/** FNV-1a, so that UIDs that differ in a few characters only spread as well as random ones. */
function bucketIndex(key: string, bucketCount: number): number {
  if (bucketCount === 1) return 0;
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (bucketCount - 1);
}
