/**
 * What is known of the events, Triggers and pairs of a run, as the world outside the product sees it:
 * producers, the control side, subscribers. Written by the oracle; judged by `checks.ts`.
 */
import type { TriggerRoute } from '#lib/contract/routing';
import type { StartPosition } from '#lib/contract/routing';
import type { EventPredicate } from '#lib/filters/predicate';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { Life } from './life.ts';

export interface EventFact {
  readonly id: string;
  readonly event: CloudEvent;
  readonly key: string | null;
  /** When the append was asked for. */
  readonly beganMs: number;
  /** When a receipt was given inside the store; `null` while there is none. */
  storedMs: number | null;
  /** When the producer heard 202; `null` = never (unknown outcome). */
  ackedMs: number | null;
  partition: number;
  offset: number;
  ttl: number;
  /** Places in the log: above 1 when an append with an unknown outcome was repeated. */
  copies: number;
  /** For a reply: the pair it answers. */
  readonly parent: PairFact | null;
}

/** What one generation of a Trigger asks for. */
export interface Version {
  readonly route: TriggerRoute;
  readonly matches: EventPredicate;
  readonly fromMs: number;
  toMs: number;
}

/** One UID of a Trigger's name. */
export interface Incarnation {
  readonly uid: string;
  readonly start: StartPosition | null;
  /** It began without inheriting: what came before is not promised. */
  readonly isFresh: boolean;
  readonly ensureBeganMs: number;
  /** First retained offsets when it was made, for `earliest`. */
  readonly firstOffsets: ReadonlyMap<number, number>;
  readyMs: number;
  deletedMs: number;
  readonly versions: Version[];
}

export interface TriggerFact {
  readonly name: string;
  readonly key: string;
  readonly incarnations: Incarnation[];
  /** Replays that were asked for, at this time. */
  readonly replaysMs: number[];
}

/** One event for one Trigger (by name: a new UID inherits). */
export interface PairFact {
  readonly trigger: TriggerFact;
  readonly event: EventFact;
  /** Requests to the subscriber. */
  sends: number;
  firstSendMs: number;
  lastSendMs: number;
  lastEndMs: number;
  /** Lives with a request of it open now. */
  readonly open: Life[];
  /** Crashes while a request of it was open. */
  deathsInFlight: number;
  /** Attempt of the last report in stage subscriber; 0 before. */
  lastAttempt: number;
  /** When that was. */
  lastReportMs: number;
  lastStatusFinal: boolean;
  lastWasSuccess: boolean;
  /** When it was reported to have left stage subscriber; `null` while it has not. */
  leftMs: number | null;
  /** Heard by a process: a 2xx that ends the pair. */
  deliveredMs: number | null;
  readonly replies: EventFact[];
  deadLetteredMs: number | null;
  parkedMs: number | null;
  /** It had left once, whatever was repeated since. */
  hasLeft: boolean;
  /** It was repeated: its next attempt may have any number. */
  isAttemptUnknown: boolean;
}

export function versionsOf(trigger: TriggerFact): readonly Version[] {
  return trigger.incarnations.flatMap((incarnation) => incarnation.versions);
}

/** The incarnation whose start decides what is promised now. */
export function scopeOf(trigger: TriggerFact): Incarnation | undefined {
  return trigger.incarnations.findLast((incarnation) => incarnation.isFresh);
}

export function isAlive(trigger: TriggerFact): boolean {
  return trigger.incarnations.at(-1)?.deletedMs === Infinity;
}

/** The Trigger must get the event: Ready before the append began, and matching whatever version. */
export function isOwed(trigger: TriggerFact, event: EventFact): boolean {
  const scope = scopeOf(trigger);
  if (scope === undefined || scope.readyMs === Infinity) return false;
  if (event.storedMs === null || event.ttl <= 0) return false;
  const isFromEarliest =
    scope.start?.at === 'earliest' &&
    event.offset >= (scope.firstOffsets.get(event.partition) ?? Infinity);
  if (event.beganMs < scope.readyMs && !isFromEarliest) return false;
  return versionsOf(trigger).every((version) => version.matches(event.event));
}

export function mayMatch(trigger: TriggerFact, event: EventFact): boolean {
  return versionsOf(trigger).some((version) => version.matches(event.event));
}

export function isSettled(pair: PairFact): boolean {
  return pair.deliveredMs !== null || pair.deadLetteredMs !== null || pair.parkedMs !== null;
}
