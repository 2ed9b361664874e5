/**
 * How subscribers and sinks behave over time, and what they answer: each address has a mood that
 * changes by the seed, from healthy to dead. Tells the oracle what passes over the network.
 */
import type { SendResult } from '#lib/delivery/http-sender';
import type { Random } from '#lib/random/random';
import type { EventFact } from './facts.ts';
import type { Oracle } from './oracle.ts';
import { partsOf } from './oracle.ts';
import type { Scenario } from './scenario.ts';
import { HEALTHY } from './sim-network.ts';
import type { Behaviour, Exchange, NetworkWatcher } from './sim-network.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';
import { eventOf } from './trigger-plan.ts';

export interface MoodsDeps {
  readonly time: SimTime;
  readonly trace: Trace;
  readonly oracle: Oracle;
  readonly scenario: Scenario;
  readonly random: Random;
}

export class Moods implements NetworkWatcher {
  readonly #deps: MoodsDeps;
  readonly #behaviours = new Map<string, Behaviour>();
  #isHealed = false;
  #replyCount = 0;

  constructor(deps: MoodsDeps) {
    this.#deps = deps;
  }

  begun(exchange: Exchange): void {
    this.#deps.oracle.begun(exchange);
  }

  heard(exchange: Exchange, result: SendResult): void {
    this.#deps.oracle.heard(exchange, result);
  }

  abandoned(exchange: Exchange): void {
    this.#deps.oracle.abandoned(exchange);
  }

  behaviour(url: string): Behaviour {
    const place = placeOf(url);
    const known = this.#behaviours.get(place);
    if (known !== undefined) return known;
    const drawn = this.#isHealed ? HEALTHY : this.#draw(place);
    this.#behaviours.set(place, drawn);
    return drawn;
  }

  /** Somebody's mood changes. */
  change(): void {
    const places = [...this.#behaviours.keys()];
    const place = places[this.#deps.random.below(Math.max(1, places.length))];
    if (place === undefined || this.#isHealed) return;
    this.#behaviours.set(place, this.#draw(place));
  }

  heal(): void {
    this.#isHealed = true;
    this.#behaviours.clear();
  }

  reply(exchange: Exchange): { readonly rawHeaders: string[]; readonly body: Buffer } | null {
    const { oracle, random, time } = this.#deps;
    const [kind, name] = partsOf(exchange.url);
    const trigger = oracle.triggers.get(name);
    const original = oracle.events.get(exchange.eventId);
    if (kind !== 'sub' || trigger === undefined || original === undefined) return null;
    const id = `r${++this.#replyCount}`;
    const event = eventOf(random, id, original.key);
    const parent = oracle.pair(trigger, original);
    const fact: EventFact = {
      ...{ id, event, key: original.key, beganMs: time.nowMs, storedMs: null, ackedMs: null },
      ...{ partition: -1, offset: -1, ttl: -1, copies: 0, parent },
    };
    oracle.events.set(id, fact);
    parent.replies.push(fact);
    const rawHeaders = [
      ...['ce-specversion', '1.0', 'ce-id', id, 'ce-source', event.source, 'ce-type', event.type],
      ...['ce-subject', event.subject ?? '', 'content-type', 'text/plain'],
      ...(original.key === null ? [] : ['ce-partitionkey', original.key]),
    ];
    return { rawHeaders, body: event.data ?? Buffer.alloc(0) };
  }

  #draw(place: string): Behaviour {
    const { random, scenario, trace } = this.#deps;
    const { badness, replyShare } = scenario;
    const kind = random.float() > badness ? 0 : random.below(7);
    trace.add(`mood of ${place} is ${kind}`);
    const base = { ...HEALTHY, latencyMs: 1 + random.below(30), replyShare };
    switch (kind) {
      case 1:
        return { ...base, refuseShare: 1 };
      case 2:
        return { ...base, failShare: 0.3 + random.float() * 0.7 };
      case 3:
        return { ...base, hangShare: random.float() };
      case 4:
        return { ...base, slowShare: 0.5, latencyMs: 200 };
      case 5:
        return { ...base, resetShare: 0.3, failShare: 0.2, finalShare: 0.1 };
      case 6:
        return { ...base, nonEventShare: 0.3, finalShare: 0.3 };
      default:
        return base;
    }
  }
}

/** All versions of an address share a mood. */
function placeOf(url: string): string {
  const [kind, name] = partsOf(url);
  return `${kind}/${name}`;
}
