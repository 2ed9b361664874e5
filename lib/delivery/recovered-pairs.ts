/**
 * What a former life of the process left in the waiting store: counts for the targets, the lanes that
 * wait there, and the pairs that a re-read of the log must not offer a second time. Used by the
 * engine at start only.
 */
import type { TargetWaiting, WaitingKey, WaitingStore } from '#lib/channel/waiting-store';
import type { Pair } from './pair.ts';
import type { Target } from './target.ts';

export class RecoveredPairs {
  /** The last process of this holder did not end cleanly. */
  wasUnclean = false;
  readonly #waiting: WaitingStore;
  readonly #counts = new Map<string, TargetWaiting>();
  readonly #lanes = new Map<string, string[]>();
  readonly #stored = new Set<string>();

  constructor(waiting: WaitingStore) {
    this.#waiting = waiting;
  }

  /** `readFrom`: per partition the lowest position of a reader; nothing below is read again. */
  async load(topic: string, readFrom: ReadonlyMap<number, number>): Promise<void> {
    for (const row of await this.#waiting.summary(topic)) this.#counts.set(row.target, row);
    for (const [partition, from] of readFrom) {
      for (const key of await this.#waiting.keys(topic, partition, 0)) {
        const isReadAgain = this.wasUnclean && key.offset >= from;
        if (isReadAgain) this.#stored.add(storedKey(topic, partition, key));
        if (key.lane !== null && key.stage === 'subscriber') this.#noteLane(key.target, key.lane);
      }
    }
  }

  /** Gives a target that appears what was left for its UID. */
  adopt(target: Target): void {
    const { uid } = target.settings;
    const counts = this.#counts.get(uid);
    if (counts !== undefined) {
      target.waitingCount = counts.waiting;
      target.parkedCount = counts.parked;
      target.nextDueMs = counts.waiting > 0 ? (counts.nextDueMs ?? 0) : Infinity;
      this.#counts.delete(uid);
    }
    for (const lane of this.#lanes.get(uid) ?? []) target.noteStoredLane(lane);
    this.#lanes.delete(uid);
  }

  /** For a re-read pair: false when the store holds it; else its first attempt is pre-written. */
  admit(pair: Pair): boolean {
    const key = { target: pair.target.settings.uid, offset: pair.offset };
    if (this.#stored.delete(storedKey(pair.topic, pair.partition, key))) return false;
    pair.needsPrewrite = true;
    pair.deaths = 1; // it may have been in flight when the last process died
    return true;
  }

  #noteLane(target: string, lane: string): void {
    const lanes = this.#lanes.get(target);
    if (lanes === undefined) this.#lanes.set(target, [lane]);
    else lanes.push(lane);
  }
}

function storedKey(
  topic: string,
  partition: number,
  key: Pick<WaitingKey, 'target' | 'offset'>,
): string {
  return `${topic} ${partition} ${key.target} ${key.offset}`;
}
