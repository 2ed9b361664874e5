/**
 * The oracle of every fault test. Producers log each response after it came, sinks log each arrival;
 * `check` then computes per Trigger what is lost, ghost, corrupt and mis-routed (always 0), and what
 * came twice or out of order (bounded by the test). It knows nothing of the system under test: a
 * Trigger's filter is a function written in the test.
 */
import { hash } from 'node:crypto';
import type { LedgerReport, TriggerReport } from './ledger-report.ts';

/** What identifies an event and decides where it belongs. */
export interface LedgerEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** Ordering key; `null` for none. */
  readonly key: string | null;
  /** {@link hashOf} of the data. */
  readonly hash: string;
}

export interface LedgerTrigger {
  readonly name: string;
  readonly matches: (event: LedgerEvent) => boolean;
  /** Deliveries of one key are compared with the order of sending; a key is sent one by one. */
  readonly isOrdered?: boolean;
}

export interface Arrival {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly hash: string;
}

/** What the dead-letter sink saw of the extensions `knativeerrordest`, `-code`, `-data`. */
export interface ErrorExtensions {
  readonly dest: string | null;
  readonly code: string | null;
  readonly data: string | null;
}

interface SentEvent {
  readonly event: LedgerEvent;
  accepted: number;
  unknown: number;
  unanswered: number;
  refused: number;
}

interface Seen {
  arrivals: number;
  successes: number;
  deadLetters: number;
  /** Parked, or still waiting at the end. */
  isAside: boolean;
  /** Place of the first success among those of the Trigger; -1 before. */
  firstSuccess: number;
  /** Contents of the first arrival, and whether a later one differed. */
  readonly hash: string | null;
  readonly type: string | null;
  isMixed: boolean;
}

interface TriggerBook {
  readonly trigger: LedgerTrigger;
  readonly seen: Map<string, Seen>;
  readonly badDeadLetters: Set<string>;
  /** Accepted and matching, without an end so far; kept as things happen, so that waiting is cheap. */
  readonly open: Set<string>;
  parkedCount: number;
  successCount: number;
}

type Fault = 'lost' | 'ghost' | 'corrupt' | 'misrouted' | 'badDeadLetters' | 'reordered';

const EXAMPLES_PER_FAULT = 5;

/** As the ledger compares data. */
export function hashOf(data: Uint8Array): string {
  return hash('sha256', data, 'base64');
}

export class Ledger {
  readonly #sent = new Map<string, SentEvent>();
  readonly #books = new Map<string, TriggerBook>();
  #acceptedCount = 0;

  constructor(triggers: readonly LedgerTrigger[]) {
    for (const trigger of triggers) {
      this.#books.set(trigger.name, {
        trigger,
        seen: new Map(),
        badDeadLetters: new Set(),
        open: new Set(),
        parkedCount: 0,
        successCount: 0,
      });
    }
  }

  /** Events with at least one 2xx. */
  get acceptedCount(): number {
    return this.#acceptedCount;
  }

  /** Accepted pairs without an end so far; at 0 nothing can be lost any more. */
  get openCount(): number {
    let count = 0;
    for (const book of this.#books.values()) count += book.open.size;
    return count;
  }

  /** Successful deliveries to one Trigger so far. */
  successCount(triggerName: string): number {
    return this.#book(triggerName).successCount;
  }

  /**
   * After the response to one send of `event`, or after its connection broke. An event that is sent
   * again is logged again.
   * @param status the answer, or `null` for none.
   */
  sent(event: LedgerEvent, status: number | null): void {
    const key = keyOf(event);
    let entry = this.#sent.get(key);
    if (entry === undefined) {
      entry = { event, accepted: 0, unknown: 0, unanswered: 0, refused: 0 };
      this.#sent.set(key, entry);
    } else if (entry.event.hash !== event.hash || entry.event.type !== event.type) {
      throw new Error(`Cannot log "${key}": it was sent before with other contents`);
    }
    const outcome = outcomeOf(status);
    entry[outcome] += 1;
    if (status === null) entry.unanswered += 1;
    if (outcome !== 'accepted') return;
    if (entry.accepted === 1) this.#acceptedCount += 1;
    for (const book of this.#books.values()) {
      if (book.trigger.matches(event) && !hasEnd(book.seen.get(key))) book.open.add(key);
    }
  }

  /** At a subscriber. @param status what it answered; only a 2xx is a delivery. `null`: no answer. */
  arrived(triggerName: string, arrival: Arrival, status: number | null): void {
    const book = this.#book(triggerName);
    const seen = seenAt(book, arrival);
    seen.arrivals += 1;
    if (status === null || status < 200 || status > 299) return;
    seen.successes += 1;
    if (seen.firstSuccess < 0) seen.firstSuccess = book.successCount;
    book.successCount += 1;
    book.open.delete(keyOf(arrival));
  }

  /** At a dead-letter sink that answered 2xx. */
  deadLettered(triggerName: string, arrival: Arrival, error: ErrorExtensions): void {
    const book = this.#book(triggerName);
    const key = keyOf(arrival);
    seenAt(book, arrival).deadLetters += 1;
    if (error.dest === null || !/^\d+$/.test(error.code ?? '')) book.badDeadLetters.add(key);
    book.open.delete(key);
  }

  /** Found in the parking store, or still waiting to be sent, at the end. */
  setAside(triggerName: string, event: { readonly source: string; readonly id: string }): void {
    const book = this.#book(triggerName);
    const key = keyOf(event);
    const seen = book.seen.get(key) ?? addSeen(book, key, null, null);
    if (!seen.isAside) book.parkedCount += 1;
    seen.isAside = true;
    book.open.delete(key);
  }

  check(): LedgerReport {
    const entries = [...this.#sent.values()];
    const examples: string[] = [];
    const count = (isCounted: (entry: SentEvent) => boolean): number =>
      entries.filter(isCounted).length;
    return {
      sent: entries.length,
      accepted: this.#acceptedCount,
      unknown: count((entry) => entry.accepted === 0 && entry.unknown > 0),
      unanswered: count((entry) => entry.accepted === 0 && entry.unanswered > 0),
      refused: count((entry) => entry.accepted + entry.unknown === 0),
      triggers: Array.from(this.#books.values(), (book) =>
        checkTrigger(book, this.#sent, examples),
      ),
      examples,
    };
  }

  #book(name: string): TriggerBook {
    const book = this.#books.get(name);
    if (book === undefined)
      throw new Error(`Cannot log for "${name}": the ledger has no such Trigger`);
    return book;
  }
}

function checkTrigger(
  book: TriggerBook,
  sent: ReadonlyMap<string, SentEvent>,
  examples: string[],
): TriggerReport {
  const faults = { lost: 0, ghost: 0, corrupt: 0, misrouted: 0, badDeadLetters: 0, reordered: 0 };
  const counts = { delivered: 0, deadLettered: 0, duplicates: 0, attemptsMax: 0 };
  const { name } = book.trigger;
  const add = (fault: Fault, key: string): void => {
    faults[fault] += 1;
    if (faults[fault] <= EXAMPLES_PER_FAULT) examples.push(`${name}: ${fault}: ${key}`);
  };
  let unknownDelivered = 0;
  for (const [key, seen] of book.seen) {
    const entry = sent.get(key);
    const sends = entry === undefined ? 0 : entry.accepted + entry.unknown;
    if (seen.successes > 0) counts.delivered += 1;
    if (seen.deadLetters > 0) counts.deadLettered += 1;
    counts.attemptsMax = Math.max(counts.attemptsMax, seen.arrivals);
    counts.duplicates += Math.max(0, seen.successes + seen.deadLetters - Math.max(1, sends));
    if (entry?.accepted === 0 && hasEnd(seen)) unknownDelivered += 1;
    if (entry === undefined || sends === 0) add('ghost', key);
    else if (!book.trigger.matches(entry.event)) add('misrouted', key);
    if (entry !== undefined && differs(seen, entry.event)) add('corrupt', key);
  }
  for (const key of book.badDeadLetters) add('badDeadLetters', key);
  let expected = 0;
  for (const [key, entry] of sent) {
    if (entry.accepted === 0 || !book.trigger.matches(entry.event)) continue;
    expected += 1;
    if (!hasEnd(book.seen.get(key))) add('lost', key);
  }
  if (book.trigger.isOrdered === true) {
    for (const key of reorderedKeys(book, sent)) add('reordered', key);
  }
  return { name, expected, ...counts, parked: book.parkedCount, ...faults, unknownDelivered };
}

/**
 * Events overtaken by a later one of their ordering key. What came again after a crash does not count:
 * only first successes are compared. A dead letter has left its lane before it has an end.
 */
function reorderedKeys(book: TriggerBook, sent: ReadonlyMap<string, SentEvent>): readonly string[] {
  const reordered: string[] = [];
  const earliestLater = new Map<string, number>();
  for (const [key, { event }] of [...sent].toReversed()) {
    const seen = book.seen.get(key);
    if (event.key === null || seen === undefined) continue;
    if (seen.firstSuccess < 0 || seen.deadLetters > 0) continue;
    const later = earliestLater.get(event.key) ?? Number.POSITIVE_INFINITY;
    if (later < seen.firstSuccess) reordered.push(key);
    earliestLater.set(event.key, Math.min(later, seen.firstSuccess));
  }
  return reordered;
}

function seenAt(book: TriggerBook, arrival: Arrival): Seen {
  const key = keyOf(arrival);
  const seen = book.seen.get(key);
  if (seen === undefined) return addSeen(book, key, arrival.hash, arrival.type);
  if (seen.hash !== arrival.hash || seen.type !== arrival.type) seen.isMixed = true;
  return seen;
}

function addSeen(book: TriggerBook, key: string, hash: string | null, type: string | null): Seen {
  const counts = { arrivals: 0, successes: 0, deadLetters: 0, firstSuccess: -1 };
  const seen: Seen = { ...counts, isAside: false, hash, type, isMixed: false };
  book.seen.set(key, seen);
  return seen;
}

function differs(seen: Seen, event: LedgerEvent): boolean {
  if (seen.arrivals + seen.deadLetters === 0) return false;
  return seen.isMixed || seen.hash !== event.hash || seen.type !== event.type;
}

function hasEnd(seen: Seen | undefined): boolean {
  return seen !== undefined && (seen.successes > 0 || seen.deadLetters > 0 || seen.isAside);
}

/** A 5xx or 429 may have been stored all the same; any other refusal may not. */
function outcomeOf(status: number | null): 'accepted' | 'unknown' | 'refused' {
  if (status === null || status >= 500 || status === 429) return 'unknown';
  return status >= 200 && status <= 299 ? 'accepted' : 'refused';
}

/** Neither a source nor an id of a test has a space. */
function keyOf(event: { readonly source: string; readonly id: string }): string {
  return `${event.source} ${event.id}`;
}
