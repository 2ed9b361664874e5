/**
 * `millrace tail` on the control side: turns what the event side reports into lines with names and
 * reasons, and hands them to those who watch. Reasons are worked out here, from the filters that the
 * control side knows, so that watching costs the event path next to nothing. A watcher that is too
 * slow is told how much it missed.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { TriggerRoute } from '#lib/contract/routing';
import { explanationLines } from '#lib/filters/explanation';
import { compileFilter } from '#lib/filters/predicate';
import type { CompiledFilter } from '#lib/filters/predicate';
import type {
  AttemptEntry,
  MatchedEntry,
  TailEntry,
  TailEvent,
  TailFailure,
} from '../event-side.ts';
import type { RouteSet } from '../objects/route-plan.ts';

export type TailLine =
  | {
      readonly kind: 'accepted';
      readonly atMs: number;
      readonly broker: string;
      readonly offset: number;
      readonly event: TailEvent;
    }
  | VerdictLine
  | AttemptLine
  | { readonly kind: 'skipped'; readonly count: number };

export interface VerdictLine {
  readonly kind: 'verdicts';
  readonly atMs: number;
  readonly broker: string;
  readonly offset: number;
  readonly eventId: string;
  /** `namespace/name` of the Triggers that it goes to. */
  readonly matched: readonly string[];
  /** Some of the others, with the first clause that failed. */
  readonly unmatched: readonly { readonly trigger: string; readonly reason: string }[];
  readonly unmatchedCount: number;
}

export interface AttemptLine {
  readonly kind: 'attempt';
  readonly atMs: number;
  readonly broker: string;
  readonly offset: number;
  readonly eventId: string;
  /** `namespace/name`, or the UID of a Trigger that is gone. */
  readonly trigger: string;
  readonly stage: AttemptEntry['stage'];
  readonly attempt: number;
  readonly durationMs: number;
  readonly next: AttemptEntry['next'];
  readonly delayMs: number | null;
  readonly failure: TailFailure | null;
}

export interface TailFilter {
  /** `namespace/name`; `null` for all. */
  readonly broker: string | null;
  readonly trigger: string | null;
}

export interface TailWatcher {
  /** False: it cannot take more now, and the line counts as missed. */
  take(line: TailLine): boolean;
}

/** Reasons shown for Triggers that an event does not go to; the rest are counted. */
const UNMATCHED_SHOWN_MAX = 20;
const PREDICATES_MAX = 20_000;

export class TailHub {
  readonly #routes: () => RouteSet;
  readonly #setTail: (isOn: boolean) => void;
  readonly #watchers = new Map<TailWatcher, { readonly filter: TailFilter; missedCount: number }>();
  readonly #filters = new Map<
    string,
    { readonly generation: number; readonly filter: CompiledFilter }
  >();

  constructor(deps: {
    readonly routes: () => RouteSet;
    readonly setTail: (isOn: boolean) => void;
  }) {
    this.#routes = deps.routes;
    this.#setTail = deps.setTail;
  }

  /** Begins to watch; returns the way to stop. */
  watch(watcher: TailWatcher, filter: TailFilter): () => void {
    this.#watchers.set(watcher, { filter, missedCount: 0 });
    this.#setTail(true);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      this.#filters.clear();
      this.#setTail(false);
    };
  }

  take(entries: readonly TailEntry[], skippedCount: number): void {
    for (const [watcher, state] of this.#watchers) {
      state.missedCount += skippedCount;
      for (const entry of entries) {
        const line = this.#lineOf(entry, state.filter);
        if (line === null) continue;
        if (state.missedCount > 0 && watcher.take({ kind: 'skipped', count: state.missedCount })) {
          state.missedCount = 0;
        }
        if (!watcher.take(line)) state.missedCount++;
      }
    }
  }

  #lineOf(entry: TailEntry, filter: TailFilter): TailLine | null {
    if (filter.broker !== null && entry.broker !== filter.broker) return null;
    const { atMs, broker, offset } = entry;
    switch (entry.kind) {
      case 'accepted':
        if (!this.#isOfBroker(filter.trigger, broker)) return null;
        return { kind: 'accepted', atMs, broker, offset, event: entry.event };
      case 'matched':
        return this.#isOfBroker(filter.trigger, broker) ? this.#verdicts(entry, filter) : null;
      case 'attempt': {
        const trigger = this.#routes().triggers.get(entry.target)?.route.key ?? entry.target;
        if (filter.trigger !== null && trigger !== filter.trigger) return null;
        const { eventId, stage, attempt, durationMs, next, delayMs, failure } = entry;
        const result = { stage, attempt, durationMs, next, delayMs, failure };
        return { kind: 'attempt', atMs, broker, offset, eventId, trigger, ...result };
      }
    }
  }

  #isOfBroker(trigger: string | null, broker: string): boolean {
    if (trigger === null) return true;
    for (const { route } of this.#routes().triggers.values()) {
      if (route.key === trigger) return route.brokerKey === broker;
    }
    return false;
  }

  #verdicts(entry: MatchedEntry, filter: TailFilter): VerdictLine {
    const targets = new Set(entry.targets);
    const event = eventOf(entry.event);
    const matched: string[] = [];
    const unmatched: { trigger: string; reason: string }[] = [];
    let unmatchedCount = 0;
    for (const [uid, { route }] of this.#routes().triggers) {
      if (route.brokerKey !== entry.broker) continue;
      if (filter.trigger !== null && route.key !== filter.trigger) continue;
      if (targets.has(uid)) {
        matched.push(route.key);
        continue;
      }
      unmatchedCount++;
      if (unmatched.length >= UNMATCHED_SHOWN_MAX) continue;
      unmatched.push({ trigger: route.key, reason: this.#reason(route, event) });
    }
    const { atMs, broker, offset } = entry;
    const place = { atMs, broker, offset, eventId: entry.event.id };
    return { kind: 'verdicts', ...place, matched, unmatched, unmatchedCount };
  }

  /** The first clause that fails; a Trigger whose filter passes is read by its own reader just now. */
  #reason(route: TriggerRoute, event: CloudEvent): string {
    const explanation = this.#filterOf(route).explain(event);
    if (explanation.passed) {
      return route.isPaused
        ? 'it matches, the Trigger is paused'
        : 'it matches, its own reader brings it';
    }
    const failed = explanationLines(explanation).findLast((line) =>
      line.trimStart().startsWith('fail'),
    );
    return (failed ?? '').trim().replace(/^fail\s+/, '');
  }

  #filterOf(route: TriggerRoute): CompiledFilter {
    const known = this.#filters.get(route.uid);
    if (known?.generation === route.generation) return known.filter;
    const filter = compileFilter(route.filter);
    if (this.#filters.size >= PREDICATES_MAX) this.#filters.clear();
    this.#filters.set(route.uid, { generation: route.generation, filter });
    return filter;
  }
}

/** Filters read attributes only, so the event needs no data. */
export function eventOf(event: TailEvent): CloudEvent {
  const { specversion, id, source, type, subject, time, datacontenttype, dataschema } = event;
  const attributes = { specversion, id, source, type, subject, time, datacontenttype, dataschema };
  return { ...attributes, extensions: new Map(event.extensions), data: null };
}
