/**
 * One (event, target) pair while this process holds it, and the list of open pairs of one reader.
 * Made by the engine from a matched event or a lease; ends when it is settled or durably stored.
 * Invariant: a pair is in its reader's list until the waiting store holds it or it is settled, so a
 * checkpoint that has emptied the list below its position may move on.
 */
import type { EventRecord } from '#lib/channel/event-record';
import type { DeliveryFailure, Stage } from '#lib/channel/waiting-store';
import type { Lane } from './lanes.ts';
import type { Target } from './target.ts';

/** Fixed shape, mutable, one per pair; everything that may change sits below the blank line. */
export interface Pair {
  /** Changes only when a Trigger is re-created while a pair of its former UID is open. */
  target: Target;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly record: EventRecord;
  readonly sizeBytes: number;
  /** Its place in the log of the reader that found it; what a checkpoint compares with. */
  readonly mark: number;
  /** The ordered lane, or `null` for unordered targets and pairs that left stage `subscriber`. */
  lane: Lane | null;

  stage: Stage;
  /** Attempts begun in this stage. */
  attempt: number;
  /** Attempts made in stage `subscriber` before it was given up; 0 while it goes on. */
  failedAttempts: number;
  deaths: number;
  /** Row in the waiting store; 0 while it was never stored. */
  id: number;
  failure: DeliveryFailure | null;
  reply: EventRecord | null;
  firstFailureMs: number;
  lastFailureMs: number;
  /** The latest HTTP status; 0 without an answer. */
  status: number;
  /** Monotonic milliseconds of the present attempt's start. */
  startedMs: number;
  isInFlight: boolean;
  /** Writes of this pair under way: its row, and with it `id`, may be about to appear. */
  pendingPuts: number;
  /** The key of its lane while the pair goes to the store and holds no lane in memory; else `null`. */
  storedLane: string | null;
  isEnded: boolean;
  /** Its first attempt must be on disk before it is sent: it was re-read after an unclean end. */
  needsPrewrite: boolean;
  /** Sent alone, because three processes died while it was in flight. */
  isIsolated: boolean;
  /** It came from the waiting store: `attempt` was raised with the lease, its lane counts it as stored. */
  isFromStore: boolean;
  isAttemptCounted: boolean;
  /** Its lane's next head lies in the store and can be leased once this row is out of the way. */
  wakesLane: boolean;

  list: OpenPairs | null;
  previous: Pair | null;
  next: Pair | null;
}

/** Where a matched event comes from. */
export interface PairSource {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Its place in the reader's own log: `offset`, or the offset in the deliveries log. */
  readonly mark: number;
}

export function createPair(target: Target, source: PairSource, record: EventRecord): Pair {
  return {
    target,
    topic: source.topic,
    partition: source.partition,
    offset: source.offset,
    record,
    sizeBytes: source.sizeBytes,
    mark: source.mark,
    lane: null,
    stage: 'subscriber',
    attempt: 0,
    failedAttempts: 0,
    deaths: 0,
    id: 0,
    failure: null,
    reply: null,
    firstFailureMs: 0,
    lastFailureMs: 0,
    status: 0,
    startedMs: 0,
    isInFlight: false,
    pendingPuts: 0,
    storedLane: null,
    isEnded: false,
    needsPrewrite: false,
    isIsolated: false,
    isFromStore: false,
    isAttemptCounted: false,
    wakesLane: false,
    list: null,
    previous: null,
    next: null,
  };
}

/** The open pairs of one reader in log order, as an intrusive list: add and remove are O(1). */
export class OpenPairs {
  /** Events below this offset may have been in flight when the last process died. */
  readonly recoveryEnd: number;
  #first: Pair | null = null;
  #last: Pair | null = null;
  #size = 0;

  /** The list of an own reader; else of the shared one. */
  readonly isOwn: boolean;

  constructor(recoveryEnd = 0, isOwn = false) {
    this.recoveryEnd = recoveryEnd;
    this.isOwn = isOwn;
  }

  get size(): number {
    return this.#size;
  }

  add(pair: Pair): void {
    pair.list = this;
    pair.previous = this.#last;
    if (this.#last === null) this.#first = pair;
    else this.#last.next = pair;
    this.#last = pair;
    this.#size++;
  }

  remove(pair: Pair): void {
    if (pair.list !== this) return;
    if (pair.previous === null) this.#first = pair.next;
    else pair.previous.next = pair.next;
    if (pair.next === null) this.#last = pair.previous;
    else pair.next.previous = pair.previous;
    pair.list = null;
    pair.previous = null;
    pair.next = null;
    this.#size--;
  }

  /**
   * The pairs found below `mark`. It looks at all of them: a reader that starts again after a fault
   * adds lower marks behind higher ones.
   */
  below(mark: number): Pair[] {
    const pairs: Pair[] = [];
    for (let pair = this.#first; pair !== null; pair = pair.next) {
      if (pair.mark < mark) pairs.push(pair);
    }
    return pairs;
  }
}
