/**
 * Which Triggers of one partition the shared reader matches, and every decision to change that. The
 * shared reader alone decides, at its own next position, and the change is durable before it reads
 * on (architecture, "Readers"). Used by `shared-reader.ts`; knows nothing of events.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { Cursor } from '#lib/channel/cursor-store';
import type { ReaderName } from '#lib/channel/event-record';
import type { TriggerRoute } from '#lib/contract/routing';
import { OWN_DONE, OWN_READY } from '#lib/delivery/own-reader';
import { nextChange, ownEnd, pruned, readerAt, withChange } from '#lib/delivery/reader-schedule';
import type { ReaderSchedule } from '#lib/delivery/reader-schedule';
import {
  decodeReaderState,
  OWN_PREFIX,
  ownCursor,
  READER_PREFIX,
  readerCursor,
  withFormer,
} from '#lib/delivery/trigger-cursors';

/** An own reader this close to the shared one may hand its Trigger back. */
const REJOIN_EVENTS_MAX = 2_000;

/** One Trigger as this partition's shared reader knows it. */
export interface TriggerReader {
  readonly key: string;
  uid: string;
  /** `null`: deleted (frozen), or not in the routing table yet. */
  route: TriggerRoute | null;
  schedule: ReaderSchedule;
  frozenMs: number | null;
  formerUids: readonly string[];
  /** Where its own reader is and what it says; `null` while it has none. */
  own: { readonly offset: number; readonly says: string } | null;
  /** In the index of the shared reader now. */
  isMatched: boolean;
}

/** A change that is durable, to be told to the dispatcher. */
export interface ChangedReader {
  readonly uid: string;
  readonly at: number;
  readonly reader: ReaderName;
}

export interface TriggerReadersDeps {
  readonly driver: ChannelDriver;
  readonly topic: string;
  readonly partition: number;
  readonly epoch: number;
}

/** The index the shared reader matches with. */
export interface MatchedSet {
  add(trigger: TriggerReader): void;
  remove(trigger: TriggerReader): void;
}

export class TriggerReaders {
  readonly #deps: TriggerReadersDeps;
  readonly #matched: MatchedSet;
  readonly #byKey = new Map<string, TriggerReader>();
  readonly #dirty = new Set<TriggerReader>();
  readonly #ownRemoved = new Set<string>();
  readonly #ownCreated = new Map<string, number>();
  readonly #changed: ChangedReader[] = [];
  readonly #withOwn = new Set<TriggerReader>();
  /** Changes ahead of the position, highest first once sorted; an entry may be outdated. */
  readonly #scheduled: { readonly at: number; readonly trigger: TriggerReader }[] = [];
  #isSorted = true;

  constructor(deps: TriggerReadersDeps, matched: MatchedSet) {
    this.#deps = deps;
    this.#matched = matched;
  }

  byKey(key: string): TriggerReader | undefined {
    return this.#byKey.get(key);
  }

  /** A Trigger that is in force has an own reader. */
  get hasOwn(): boolean {
    for (const trigger of this.#withOwn) if (trigger.route !== null) return true;
    return false;
  }

  /** Everything that is known of Triggers, from the store. */
  async load(): Promise<void> {
    const { driver, topic } = this.#deps;
    for (const cursor of await driver.cursors.load(topic, READER_PREFIX)) this.#loadReader(cursor);
    await this.loadOwn();
  }

  /** How far the own readers are, and what they say. */
  async loadOwn(): Promise<void> {
    const { driver, topic, partition } = this.#deps;
    const seen = new Set<string>();
    for (const cursor of await driver.cursors.load(topic, OWN_PREFIX)) {
      if (cursor.partition !== partition) continue;
      const key = cursor.name.slice(OWN_PREFIX.length);
      seen.add(key);
      const trigger = this.#byKey.get(key);
      if (trigger !== undefined) this.#setOwn(trigger, cursor.offset, cursor.metadata);
    }
    for (const trigger of this.#withOwn) {
      if (!seen.has(trigger.key) && !this.#ownCreated.has(trigger.key)) this.#clearOwn(trigger);
    }
  }

  /** Reads one Trigger's cursors: it was created after {@link load}. */
  async loadOne(key: string): Promise<void> {
    const { driver, topic, partition } = this.#deps;
    for (const name of [READER_PREFIX + key, OWN_PREFIX + key]) {
      const cursors = await driver.cursors.load(topic, name);
      const cursor = cursors.find((c) => c.name === name && c.partition === partition);
      if (cursor === undefined) continue;
      if (name.startsWith(READER_PREFIX)) this.#loadReader(cursor);
      else this.#noteOwn(key, cursor);
    }
  }

  /** The routing table has this Trigger; at `position` the next event is read. */
  adopt(route: TriggerRoute, position: number): void {
    const trigger = this.#byKey.get(route.key) ?? this.#unknown(route, position);
    const isNew = trigger.route?.uid !== route.uid;
    trigger.route = route;
    if (trigger.uid !== route.uid) {
      trigger.formerUids = withFormer(trigger.formerUids, trigger.uid);
      trigger.uid = route.uid;
      this.#dirty.add(trigger);
    }
    if (trigger.frozenMs !== null) {
      trigger.frozenMs = null;
      this.#dirty.add(trigger);
    }
    const { own } = trigger;
    const startsAhead = own !== null && own.offset >= position && !route.isPaused;
    if (startsAhead && readerAt(trigger.schedule, own.offset) === 'own') {
      this.#change(trigger, own.offset, 'shared');
      this.#ownRemoved.add(trigger.key);
      this.#clearOwn(trigger);
    } else if (route.isPaused) this.giveAway(trigger, position);
    this.#place(trigger, position, true);
    if (isNew) this.#announce(trigger, position);
  }

  /** The name came back with a start position: it begins anew, at `at`. */
  restart(trigger: TriggerReader, uid: string, at: number, position: number): void {
    trigger.uid = uid;
    trigger.formerUids = [];
    trigger.schedule = [{ at, reader: 'own' }];
    this.#createOwn(trigger, at);
    this.#dirty.add(trigger);
    this.#place(trigger, position, false);
  }

  /** Deleted: its position is kept for whoever comes back under the name. */
  freeze(trigger: TriggerReader, position: number, nowWallMs: number): void {
    this.giveAway(trigger, position);
    trigger.route = null;
    if (trigger.frozenMs === null) {
      trigger.frozenMs = nowWallMs;
      this.#dirty.add(trigger);
    }
    this.#place(trigger, position, false);
  }

  /** From `position` on an own reader has the Trigger. */
  giveAway(trigger: TriggerReader, position: number): void {
    const at = sharedFrom(trigger.schedule, position);
    if (at === null) return;
    this.#change(trigger, at, 'own');
    // After a crash its own reader may be ahead: it goes back, or what lies between is nobody's.
    const { own } = trigger;
    if (own === null || own.offset > at) this.#createOwn(trigger, at);
    this.#place(trigger, position, false);
  }

  /** A replay: from `at` on (in the past) an own reader has it; its cursor is set already. */
  replay(trigger: TriggerReader, at: number, position: number): void {
    this.#change(trigger, at, 'own');
    this.#createOwn(trigger, at); // a removal that was decided before may have taken it
    this.#place(trigger, position, false);
  }

  /** Triggers that caught up come back; own cursors that have done their work are removed. */
  takeBack(position: number): void {
    for (const trigger of this.#withOwn) {
      const { own, route } = trigger;
      if (own === null) continue;
      const isOwn = readerAt(trigger.schedule, position) === 'own';
      // A given-away stretch may begin ahead of the position: what counts is the own reader's place.
      const hasMore =
        readerAt(trigger.schedule, own.offset) === 'own' ||
        nextChange(trigger.schedule, own.offset) !== null;
      if (!isOwn && own.says === OWN_DONE && !hasMore) {
        this.#ownRemoved.add(trigger.key);
        this.#clearOwn(trigger);
      } else if (isOwn && own.says === OWN_READY && route !== null && !route.isPaused) {
        if (position - own.offset > REJOIN_EVENTS_MAX) continue;
        if (nextChange(trigger.schedule, position) !== null) continue; // decided, and not reached yet
        // After a crash the own reader may be ahead: nothing goes to both.
        this.#change(trigger, Math.max(position, own.offset), 'shared');
        this.#place(trigger, position, false);
      }
    }
  }

  /** Applies what the schedules say at `position`; cheap when nothing is scheduled. */
  reach(position: number): void {
    if (this.#scheduled.length === 0) return;
    if (!this.#isSorted) {
      this.#scheduled.sort((left, right) => right.at - left.at);
      this.#isSorted = true;
    }
    const due: TriggerReader[] = [];
    while ((this.#scheduled.at(-1)?.at ?? Infinity) <= position) {
      const next = this.#scheduled.pop();
      if (next !== undefined) due.push(next.trigger);
    }
    for (const trigger of due) this.#place(trigger, position, false);
  }

  get isDirty(): boolean {
    return (
      this.#dirty.size > 0 ||
      this.#ownRemoved.size > 0 ||
      this.#ownCreated.size > 0 ||
      this.#changed.length > 0
    );
  }

  /** Writes everything decided down, durably; afterwards the changes may take effect. */
  async commit(sharedCommitted: number): Promise<readonly ChangedReader[]> {
    const { driver, topic, partition, epoch } = this.#deps;
    const writer = { role: 'filter' as const, epoch };
    const cursors: Cursor[] = [];
    for (const [key, offset] of this.#ownCreated) {
      cursors.push(ownCursor(key, partition, offset, writer));
    }
    for (const trigger of this.#dirty) {
      const lowWater = Math.min(sharedCommitted, trigger.own?.offset ?? Infinity);
      trigger.schedule = pruned(trigger.schedule, lowWater);
      cursors.push(readerCursor(trigger.key, partition, trigger, writer));
    }
    if (cursors.length > 0) await driver.cursors.commit(topic, cursors);
    if (this.#ownRemoved.size > 0) {
      const names = Array.from(this.#ownRemoved, (key) => OWN_PREFIX + key);
      await driver.cursors.remove(topic, names, partition);
    }
    this.#dirty.clear();
    this.#ownCreated.clear();
    this.#ownRemoved.clear();
    return this.#changed.splice(0);
  }

  /**
   * Triggers that the records know and the routing table lacks. Also those that are frozen already:
   * after a crash the shared reader may be below the place where it was.
   */
  *orphans(): Iterable<TriggerReader> {
    for (const trigger of this.#byKey.values()) if (trigger.route === null) yield trigger;
  }

  /** Deleted Triggers whose name can be inherited still. */
  *frozen(): Iterable<TriggerReader> {
    for (const trigger of this.#byKey.values()) {
      if (trigger.route === null && trigger.frozenMs !== null) yield trigger;
    }
  }

  forget(key: string): void {
    const trigger = this.#byKey.get(key);
    if (trigger === undefined) return;
    if (trigger.isMatched) this.#matched.remove(trigger);
    this.#withOwn.delete(trigger);
    this.#byKey.delete(key);
    this.#dirty.delete(trigger);
    this.#ownCreated.delete(key);
  }

  /** The dispatcher hears of every Trigger that begins with an own reader, and where that one ends. */
  #announce(trigger: TriggerReader, position: number): void {
    const { uid, schedule } = trigger;
    const end = ownEnd(schedule);
    if (trigger.own === null) {
      const last = schedule.at(-1);
      if (end !== null || last === undefined) return;
      this.#createOwn(trigger, last.at); // its cursor was lost: duplicates rather than a gap
    }
    this.#changed.push({ uid, at: trigger.own?.offset ?? position, reader: 'own' });
    if (end !== null) this.#changed.push({ uid, at: end, reader: 'shared' });
  }

  #createOwn(trigger: TriggerReader, at: number): void {
    this.#ownRemoved.delete(trigger.key);
    this.#ownCreated.set(trigger.key, at);
    this.#setOwn(trigger, at, '');
  }

  #change(trigger: TriggerReader, at: number, reader: ReaderName): void {
    trigger.schedule = withChange(trigger.schedule, at, reader);
    this.#dirty.add(trigger);
    this.#changed.push({ uid: trigger.uid, at, reader });
  }

  /** Puts the Trigger into the index or out of it, as its schedule says for `position`. */
  #place(trigger: TriggerReader, position: number, isNewRoute: boolean): void {
    const isMatched = trigger.route !== null && readerAt(trigger.schedule, position) === 'shared';
    if (isMatched && (isNewRoute || !trigger.isMatched)) this.#matched.add(trigger);
    else if (!isMatched && trigger.isMatched) this.#matched.remove(trigger);
    trigger.isMatched = isMatched;
    const next = nextChange(trigger.schedule, position);
    if (next === null) return;
    this.#scheduled.push({ at: next.at, trigger });
    this.#isSorted = false;
  }

  #loadReader(cursor: Cursor): void {
    if (cursor.partition !== this.#deps.partition) return;
    const key = cursor.name.slice(READER_PREFIX.length);
    const state = decodeReaderState(cursor.metadata);
    const known = this.#byKey.get(key);
    if (known === undefined) {
      this.#byKey.set(key, { key, ...state, route: null, own: null, isMatched: false });
      return;
    }
    // What is known here was written from here. Only a name that begins anew is written elsewhere.
    if (known.uid === state.uid || state.uid === known.formerUids.at(-1)) return;
    Object.assign(known, state);
    this.#dirty.delete(known);
    this.#ownCreated.delete(key);
    this.#ownRemoved.delete(key);
  }

  #noteOwn(key: string, cursor: Cursor): void {
    const trigger = this.#byKey.get(key);
    if (trigger !== undefined) this.#setOwn(trigger, cursor.offset, cursor.metadata);
  }

  #setOwn(trigger: TriggerReader, offset: number, says: string): void {
    trigger.own = { offset, says };
    this.#withOwn.add(trigger);
  }

  #clearOwn(trigger: TriggerReader): void {
    trigger.own = null;
    this.#withOwn.delete(trigger);
  }

  /** A Trigger without cursors: nothing promised it anything, so it starts at the next event. */
  #unknown(route: TriggerRoute, position: number): TriggerReader {
    const trigger: TriggerReader = {
      key: route.key,
      uid: route.uid,
      route,
      schedule: [{ at: position, reader: 'shared' }],
      frozenMs: null,
      formerUids: [],
      own: null,
      isMatched: false,
    };
    this.#byKey.set(route.key, trigger);
    this.#dirty.add(trigger);
    return trigger;
  }
}

/** Where the shared reader has the Trigger, or will have it: here, or at a change that is decided. */
function sharedFrom(schedule: ReaderSchedule, position: number): number | null {
  if (readerAt(schedule, position) === 'shared') return position;
  const next = nextChange(schedule, position);
  return next?.reader === 'shared' ? next.at : null;
}
