/**
 * Ordered delivery inside one target: a lane per key, one pair of a lane at a time. Used by `Target`.
 * A lane is in memory mode while none of its pairs waits in the store; once its head waits there,
 * everything behind it goes there too, and the store hands out heads only, lowest offset first.
 */
import { Fifo } from '#lib/async/fifo';
import type { Pair } from './pair.ts';

export interface Lane {
  readonly key: string;
  readonly queue: Fifo<Pair>;
  /** A pair of this lane is in flight or on its way to the store. */
  isBusy: boolean;
  /** Pairs of this lane in the store that hold it up; above 0 it is in store mode. */
  storedCount: number;
  isReady: boolean;
  /** A head that the store leased while an earlier pair is still in flight here: it goes next. */
  leased: Pair | null;
}

/** Events without a key share a lane per partition, as Knative's ordered delivery does. */
export function laneKey(partition: number, key: string | null): string {
  return key === null ? `p${partition}` : `k${key}`;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #ready = new Fifo<Lane>();
  #queuedCount = 0;

  /** Pairs in memory that no attempt was begun for. */
  get queuedCount(): number {
    return this.#queuedCount;
  }

  open(key: string): Lane {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane = {
      key,
      queue: new Fifo(),
      isBusy: false,
      storedCount: 0,
      isReady: false,
      leased: null,
    };
    this.#lanes.set(key, lane);
    return lane;
  }

  /** True when the pair was queued; false when it must go to the store, behind its lane's head. */
  push(lane: Lane, pair: Pair): boolean {
    if (lane.storedCount > 0) return false;
    lane.queue.push(pair);
    this.#queuedCount++;
    this.#offer(lane);
    return true;
  }

  /** The next head that may be sent; its lane is busy until {@link release}. */
  take(): Pair | undefined {
    for (let lane = this.#ready.shift(); lane !== undefined; lane = this.#ready.shift()) {
      lane.isReady = false;
      if (lane.isBusy || lane.storedCount > 0) continue;
      const pair = lane.queue.shift();
      if (pair === undefined) continue;
      this.#queuedCount--;
      lane.isBusy = true;
      return pair;
    }
    return undefined;
  }

  /** The head has left stage `subscriber` (or is stored): the lane goes on with what is behind it. */
  release(lane: Lane): void {
    lane.isBusy = false;
    if (lane.queue.size > 0) this.#offer(lane);
    else if (lane.storedCount === 0) this.#lanes.delete(lane.key);
  }

  /** Takes out everything that waits in memory behind a head that goes to the store. */
  drain(lane: Lane): Pair[] {
    const pairs = lane.queue.drain();
    this.#queuedCount -= pairs.length;
    return pairs;
  }

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  #offer(lane: Lane): void {
    if (lane.isReady || lane.isBusy || lane.storedCount > 0) return;
    lane.isReady = true;
    this.#ready.push(lane);
  }
}
