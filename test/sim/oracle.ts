/**
 * Watches a run from outside and checks what must hold at every moment: routing, order, attempts,
 * duplicates, windows, freshness of settings. What must hold in the end is in `checks.ts`. Invariant:
 * it knows what producers, subscribers and the control side know, and the reports that the product
 * gives to `millrace tail`; it never looks inside.
 */
import type { Cursor } from '#lib/channel/cursor-store';
import type { AppendRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import type { AttemptReport } from '#lib/delivery/delivery-observer';
import type { SendResult } from '#lib/delivery/http-sender';
import { isRetriedStatus } from '#lib/delivery/outcome';
import { isAlive, isOwed, mayMatch, versionsOf } from './facts.ts';
import type { EventFact, Incarnation, PairFact, TriggerFact, Version } from './facts.ts';
import type { Life } from './life.ts';
import type { Exchange } from './sim-network.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';

export interface Violation {
  readonly atMs: number;
  readonly invariant: string;
  readonly text: string;
}

export interface OracleOptions {
  readonly topic: string;
  /** What happened this long before a crash is durable; `Infinity` when the store itself fails. */
  readonly repeatWindowMs: number;
}

/** Something after which events may come again: a crash, a takeover, a reader that began again. */
interface Disturbance {
  readonly atMs: number;
  readonly isCrash: boolean;
}

/**
 * How a filter of its own repeats: it matches again from its checkpoint, so pairs come a second time
 * from the start, whatever the dispatcher has done with them.
 */
export type Repeats = 'pairs' | 'matches';

/** Changes of settings reach every process within this time. */
export const SETTINGS_LAG_MS = 4_000;

export class Oracle {
  readonly events = new Map<string, EventFact>();
  readonly triggers = new Map<string, TriggerFact>();
  readonly pairs = new Map<string, PairFact>();
  /** Events that went to the Broker's own dead-letter sink. */
  readonly deadSent = new Set<string>();
  readonly violations: Violation[] = [];
  readonly disturbances: Disturbance[] = [];
  readonly counts = { sends: 0, delivered: 0, duplicates: 0, crashes: 0, stored: 0 };
  /** Lives that were paused, or run beside a successor. */
  readonly zombies = new Set<Life>();
  readonly #time: SimTime;
  readonly #trace: Trace;
  readonly #options: OracleOptions;
  readonly #lanes = new Map<string, EventFact[]>();
  readonly #laneHeads = new Map<string, number>();
  readonly #inFlight = new Map<Life, Map<string, number>>();
  readonly #places = new Set<string>();
  readonly #epochs = new Map<string, number>();
  #matchesRepeatMs = -Infinity;
  /** When a former owner was last awake beside its successor. */
  #zombieMs = -Infinity;
  #zombiesAwake = 0;
  #storeDiedMs = -Infinity;

  constructor(time: SimTime, trace: Trace, options: OracleOptions) {
    this.#time = time;
    this.#trace = trace;
    this.#options = options;
  }

  fail(invariant: string, text: string): void {
    this.#trace.add(`VIOLATION ${invariant}: ${text}`);
    this.violations.push({ atMs: this.#time.nowMs, invariant, text });
  }

  disturbed(isCrash: boolean, repeats: Repeats = 'pairs'): void {
    if (repeats === 'matches') this.#matchesRepeatMs = this.#time.nowMs;
    this.disturbances.push({ atMs: this.#time.nowMs, isCrash });
    if (isCrash) this.counts.crashes++;
  }

  /** A former owner begins or ends to run beside its successor. */
  zombieAwake(isAwake: boolean): void {
    this.#zombiesAwake += isAwake ? 1 : -1;
    this.#zombieMs = this.#time.nowMs;
  }

  /** Replies whose append was under way may be in the log, and are appended again. */
  storeDied(): void {
    this.#storeDiedMs = this.#time.nowMs;
  }

  /** Disturbances at or after that time. */
  disturbancesSince(atMs: number): number {
    let count = 0;
    for (let at = this.disturbances.length - 1; at >= 0; at--) {
      if ((this.disturbances[at]?.atMs ?? 0) < atMs) break;
      count++;
    }
    return count;
  }

  acquired(place: string, epoch: number): void {
    const former = this.#epochs.get(place) ?? 0;
    if (epoch <= former) this.fail('epoch', `${place} got ${epoch} after ${former}`);
    this.#epochs.set(place, Math.max(former, epoch));
  }

  /** The store has taken them, so nobody else owns their partition. */
  committed(topic: string, cursors: readonly Cursor[]): void {
    for (const { name, role, partition, epoch } of cursors) {
      const present = this.#epochs.get(`${role} ${partition} ${topic}`) ?? 0;
      if (role === 'control' || epoch >= present) continue;
      this.fail('epoch', `"${name}" was written with epoch ${epoch}, the owner has ${present}`);
    }
  }

  /** The log holds these durably. */
  stored(topic: string, records: readonly AppendRecord[], receipts: readonly Receipt[]): void {
    if (topic !== this.#options.topic) return this.#traceDeliveries(records);
    for (const [index, record] of records.entries()) {
      const receipt = receipts[index];
      if (record.kind !== 'event' || receipt === undefined) continue;
      const fact = this.events.get(record.event.id);
      if (fact === undefined) {
        this.fail('ghost', `the log holds ${record.event.id}, which nobody sent`);
        continue;
      }
      const place = `${receipt.partition} ${receipt.offset}`;
      if (this.#places.has(place)) this.fail('log', `place ${place} was given twice`);
      this.#places.add(place);
      fact.copies++;
      this.counts.stored++;
      this.#trace.add(`stored ${fact.id} at ${place}`);
      if (fact.storedMs !== null) continue;
      fact.storedMs = this.#time.nowMs;
      fact.partition = receipt.partition;
      fact.offset = receipt.offset;
      fact.ttl = record.ttl;
      const lane = `${receipt.partition} ${fact.key ?? '-'}`;
      const lanes = this.#lanes.get(lane) ?? [];
      this.#lanes.set(lane, lanes);
      let at = lanes.length;
      while (at > 0 && (lanes[at - 1]?.offset ?? 0) > fact.offset) at--;
      lanes.splice(at, 0, fact);
    }
  }

  #traceDeliveries(records: readonly AppendRecord[]): void {
    for (const record of records) {
      if (record.kind === 'delivery') {
        const { id } = record.record.event;
        this.#trace.add(`matched ${id} ${record.source.offset} for ${record.targets.join(' ')}`);
      } else if (record.kind === 'readerChange') {
        const { partition, offset } = record.source;
        const changes = record.triggers.map(({ uid, reader }) => `${uid} ${reader}`).join(', ');
        this.#trace.add(`change at ${partition}/${offset}: ${changes}`);
      }
    }
  }

  begun(exchange: Exchange): void {
    this.counts.sends++;
    const { eventId, url } = exchange;
    this.#trace.add(`${exchange.life.name} sends ${eventId} to ${url}`);
    const event = this.events.get(eventId);
    if (event === undefined) return this.fail('ghost', `${eventId} was sent to ${url}`);
    this.#checkIntact(exchange, event);
    const [kind, name, uid, generation] = partsOf(url);
    if (kind === 'dead') return;
    const found = this.#find(name, uid, generation);
    if (found === null) return this.fail('misrouted', `${url} is nobody's`);
    this.#checkFresh(exchange, found.incarnation, found.version);
    const pair = this.pair(found.trigger, event);
    if (kind === 'dlq') return this.#checkDeadLetter(pair);
    this.#checkSend(exchange, pair, found.version);
    pair.sends++;
    pair.lastSendMs = this.#time.nowMs;
    if (pair.sends === 1) pair.firstSendMs = this.#time.nowMs;
    pair.open.push(exchange.life);
    this.#countInFlight(exchange.life, found.trigger, uid, 1);
  }

  heard(exchange: Exchange, result: SendResult): void {
    const { eventId, url } = exchange;
    const what = result.kind === 'error' ? result.reason : String(result.status);
    this.#trace.add(`${exchange.life.name} hears ${what} for ${eventId} from ${url}`);
    const event = this.events.get(eventId);
    const [kind, name, uid] = partsOf(url);
    const isSuccess = result.kind === 'response' && result.status >= 200 && result.status <= 299;
    if (kind === 'dead' && isSuccess) this.deadSent.add(eventId);
    const trigger = this.triggers.get(name);
    if (event === undefined || trigger === undefined) return;
    const pair = this.pair(trigger, event);
    if (kind === 'dlq') {
      if (isSuccess) pair.deadLetteredMs ??= this.#time.nowMs;
      return;
    }
    this.#close(exchange, pair, uid);
    pair.lastEndMs = this.#time.nowMs;
    pair.lastStatusFinal =
      result.kind === 'response' && !isSuccess && !isRetriedStatus(result.status);
    pair.lastWasSuccess = isSuccess;
  }

  abandoned(exchange: Exchange): void {
    const event = this.events.get(exchange.eventId);
    const [kind, name, uid] = partsOf(exchange.url);
    const trigger = this.triggers.get(name);
    if (event === undefined || trigger === undefined || kind !== 'sub') return;
    const pair = this.pair(trigger, event);
    this.#close(exchange, pair, uid);
    pair.deathsInFlight++;
  }

  /** What a dispatcher says to `millrace tail`. */
  reported(life: Life, report: AttemptReport): void {
    const event = this.events.get(report.record.event.id);
    const trigger = this.triggers.get(report.target.split('/')[1] ?? '');
    const what = `${report.stage} ${report.attempt} ${report.next}`;
    this.#trace.add(`${life.name} reports ${what} of ${report.record.event.id} ${report.target}`);
    if (event === undefined || trigger === undefined || report.stage !== 'subscriber') return;
    const pair = this.pair(trigger, event);
    this.#checkAttempt(life, pair, report);
    pair.lastAttempt = report.attempt;
    pair.lastReportMs = this.#time.nowMs;
    if (report.next === 'retry') return;
    pair.leftMs ??= this.#time.nowMs;
    pair.hasLeft = true;
    if (report.next === 'delivered') {
      if (!pair.lastWasSuccess) this.fail('lost', `${nameOf(pair)} counts as delivered and is not`);
      if (pair.deliveredMs === null) this.counts.delivered++;
      pair.deliveredMs ??= this.#time.nowMs;
    }
    if (report.next === 'parked') pair.parkedMs ??= this.#time.nowMs;
  }

  pair(trigger: TriggerFact, event: EventFact): PairFact {
    const key = `${trigger.name} ${event.id}`;
    const known = this.pairs.get(key);
    if (known !== undefined) return known;
    const pair: PairFact = {
      ...{ trigger, event, sends: 0, firstSendMs: 0, lastSendMs: 0, lastEndMs: 0, open: [] },
      ...{
        deathsInFlight: 0,
        lastAttempt: 0,
        lastReportMs: 0,
        lastStatusFinal: false,
        lastWasSuccess: false,
      },
      ...{ leftMs: null, deliveredMs: null, replies: [], deadLetteredMs: null, parkedMs: null },
      hasLeft: false,
      isAttemptUnknown: false,
    };
    this.pairs.set(key, pair);
    return pair;
  }

  #find(
    name: string,
    uid: string,
    generation: number,
  ): { trigger: TriggerFact; incarnation: Incarnation; version: Version } | null {
    const trigger = this.triggers.get(name);
    const incarnation = trigger?.incarnations.find((each) => each.uid === uid);
    const version = incarnation?.versions.find((each) => each.route.generation === generation);
    if (trigger === undefined || incarnation === undefined || version === undefined) return null;
    return { trigger, incarnation, version };
  }

  #checkIntact(exchange: Exchange, event: EventFact): void {
    const { message, eventId } = exchange;
    const text = message.body?.toString('utf8') ?? '';
    const isIntact = text.includes(event.event.data?.toString('utf8') ?? '');
    if (!isIntact) this.fail('corrupt', `${eventId} left with other bytes: ${text.slice(0, 80)}`);
  }

  #checkFresh(exchange: Exchange, incarnation: Incarnation, version: Version): void {
    if (this.zombies.has(exchange.life)) return;
    const nowMs = this.#time.nowMs - SETTINGS_LAG_MS;
    const what = `${exchange.eventId} to ${exchange.url}`;
    if (incarnation.deletedMs < nowMs) this.fail('deleted', `${what}: its Trigger is deleted`);
    else if (version.toMs < nowMs) this.fail('stale', `${what}: the Trigger was edited long ago`);
    else if (version.route.isPaused && version.fromMs < nowMs) this.fail('paused', what);
  }

  #checkDeadLetter(pair: PairFact): void {
    if (pair.leftMs !== null || pair.sends > 0) return;
    const isExcused = this.disturbances.length > 0;
    if (!isExcused) this.fail('stage', `${nameOf(pair)} is dead-lettered without an attempt`);
  }

  #checkSend(exchange: Exchange, pair: PairFact, version: Version): void {
    const { event, trigger } = pair;
    if (!mayMatch(trigger, event)) this.fail('misrouted', `${nameOf(pair)} matches no filter`);
    const first = trigger.incarnations[0];
    const isBefore = first !== undefined && (event.ackedMs ?? Infinity) < first.ensureBeganMs;
    if (isBefore && !isFromPast(trigger) && trigger.replaysMs.length === 0) {
      this.fail('ghost', `${nameOf(pair)} is older than the Trigger`);
    }
    if (this.#isRepeatable(pair, exchange.life)) return;
    this.#checkRepeat(pair);
    this.#checkSendCount(pair);
    if (version.route.order === 'ordered') this.#checkLane(pair);
  }

  /** Told to come again, or stored twice: anything may be repeated. */
  #isRepeatable(pair: PairFact, life: Life): boolean {
    const { beganMs } = pair.event;
    // It began anew with a start position: what its former life had is not its own.
    const fresh = pair.trigger.incarnations.filter(({ isFresh }) => isFresh);
    const isHeir = pair.trigger.incarnations.length > 1;
    if (isHeir && this.disturbancesSince(beganMs) > 0) return true;
    if (fresh.length > 1 && beganMs <= (fresh.at(-1)?.readyMs ?? 0) + SETTINGS_LAG_MS) return true;
    if (beganMs <= this.#matchesRepeatMs || beganMs <= this.#zombieMs) return true;
    if (this.#zombiesAwake > 0) return true;
    if (pair.event.parent !== null && beganMs <= this.#storeDiedMs) return true;
    return pair.event.copies !== 1 || pair.trigger.replaysMs.length > 0 || this.zombies.has(life);
  }

  #checkRepeat(pair: PairFact): void {
    if (pair.leftMs === null) return;
    this.counts.duplicates++;
    const since = pair.leftMs - this.#options.repeatWindowMs;
    const last = this.disturbances.findLast((each) => each.atMs >= (pair.leftMs ?? 0));
    if (last === undefined) {
      this.fail(
        'duplicate',
        `${nameOf(pair)} had left stage subscriber, and nothing crashed since`,
      );
      return;
    }
    const first = this.disturbances.find((each) => each.atMs >= (pair.leftMs ?? 0));
    const isLate = first !== undefined && first.atMs - pair.leftMs > this.#options.repeatWindowMs;
    if (isLate && since > 0) {
      this.fail('duplicate', `${nameOf(pair)} had left long before the crash at ${first.atMs}`);
    }
    // It is a delivery of its own again, with all its attempts.
    pair.leftMs = null;
    pair.sends = 0;
    pair.isAttemptUnknown = true; // it comes from the log, or from a row
  }

  #checkSendCount(pair: PairFact): void {
    const retryMax = Math.max(...versionsOf(pair.trigger).map((v) => v.route.delivery.retryCount));
    const crashes = pair.sends === 0 ? 0 : this.disturbancesSince(pair.firstSendMs);
    if (pair.sends + 1 <= retryMax + 1 + crashes) return;
    this.fail('attempts', `${nameOf(pair)} is sent ${pair.sends + 1} times, ${crashes} crashes`);
  }

  /** Everything before it in the lane must have left stage subscriber. */
  #checkLane(pair: PairFact): void {
    const { event, trigger } = pair;
    if (event.storedMs === null) return;
    const lane = `${event.partition} ${event.key ?? '-'}`;
    const events = this.#lanes.get(lane) ?? [];
    const place = `${trigger.name} ${lane}`;
    let at = this.#laneHeads.get(place) ?? 0;
    for (let head = events[at]; head !== undefined; head = events[++at]) {
      if (head.copies === 1 && isOwed(trigger, head)) {
        if (this.pairs.get(`${trigger.name} ${head.id}`)?.hasLeft !== true) break;
      }
    }
    this.#laneHeads.set(place, Math.max(0, at - 20)); // late receipts may come in below
    const head = events[at];
    if (head === undefined || head.offset >= event.offset) return;
    this.fail('order', `${nameOf(pair)} (${event.offset}) overtakes ${head.id} (${head.offset})`);
  }

  #checkAttempt(life: Life, pair: PairFact, report: AttemptReport): void {
    const { attempt, next } = report;
    if (this.#isRepeatable(pair, life) || pair.leftMs !== null) return;
    if (pair.isAttemptUnknown) {
      pair.isAttemptUnknown = false;
      return;
    }
    const crashes = this.disturbancesSince(pair.lastAttempt === 0 ? 0 : pair.lastReportMs);
    const least = pair.lastAttempt >= 2 || crashes === 0 ? pair.lastAttempt + 1 : 1;
    // A lease raises the count, and the process that took it may have died before it sent.
    const most = pair.lastAttempt + 1 + this.disturbancesSince(pair.event.beganMs);
    if (attempt < least || attempt > most) {
      this.fail('attempts', `${nameOf(pair)} has attempt ${attempt}, wanted ${least} to ${most}`);
    }
    const policies = versionsOf(pair.trigger).map((version) => version.route.delivery);
    const isGivenUp = next === 'parked' || next === 'toDeadLetter';
    const retryMin = Math.min(...policies.map((policy) => policy.retryCount));
    if (isGivenUp && attempt <= retryMin && !pair.lastStatusFinal) {
      this.fail('attempts', `${nameOf(pair)} is given up at attempt ${attempt} of ${retryMin + 1}`);
    }
  }

  #countInFlight(life: Life, trigger: TriggerFact, uid: string, by: number): void {
    const counts = this.#inFlight.get(life) ?? new Map<string, number>();
    this.#inFlight.set(life, counts);
    const count = (counts.get(uid) ?? 0) + by;
    counts.set(uid, count);
    const limit = Math.max(...versionsOf(trigger).map((version) => version.route.concurrency));
    if (count > limit) this.fail('window', `${trigger.name} has ${count} in flight of ${limit}`);
  }

  #close(exchange: Exchange, pair: PairFact, uid: string): void {
    const at = pair.open.indexOf(exchange.life);
    if (at >= 0) pair.open.splice(at, 1);
    this.#countInFlight(exchange.life, pair.trigger, uid, -1);
  }
}

function isFromPast(trigger: TriggerFact): boolean {
  return trigger.incarnations.some((each) => each.start !== null && each.start.at !== 'latest');
}

export function nameOf(pair: PairFact): string {
  return `${pair.event.id} for ${pair.trigger.name}`;
}

/** Which Triggers are there at the end. */
export function aliveTriggers(oracle: Oracle): readonly TriggerFact[] {
  return [...oracle.triggers.values()].filter(isAlive);
}

/** `http://<kind>/<name>/<uid>/<generation>`. */
export function partsOf(url: string): [string, string, string, number] {
  const { hostname, pathname } = new URL(url);
  const [, name = '', uid = '', generation = '0'] = pathname.split('/');
  return [hostname, name, uid, Number(generation)];
}
