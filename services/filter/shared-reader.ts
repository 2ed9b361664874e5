/**
 * The shared reader of one partition: reads every event once, matches all Triggers that are caught
 * up through one index, and hands each matched event over with its targets. It owns the partition's
 * `filter` role; a successor's higher epoch stops it. Used by `filter.ts`.
 *
 * The order that everything rests on: decide changes of readers at the next position, make them
 * durable, tell the dispatcher, only then read on.
 */
import { assert } from '#lib/assert/assert';
import type { ChannelDriver, LogEntry, LogReader } from '#lib/channel/channel-driver';
import type { EventRecord } from '#lib/channel/event-record';
import type { BrokerRoute, TriggerRoute } from '#lib/contract/routing';
import { Checkpoint } from '#lib/delivery/checkpoint';
import type { Handover } from '#lib/delivery/handover';
import {
  dropFrozen,
  SHARED_CURSOR,
  START_PREFIX,
  WANT_PREFIX,
} from '#lib/delivery/trigger-cursors';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import { createTriggerIndex } from '#lib/filters/trigger-index';
import type { Logger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import type { Clock, Timer } from '#lib/time/clock';
import type { FilterMetrics } from './filter-metrics.ts';
import { TriggerReaders } from './trigger-readers.ts';
import type { TriggerReader } from './trigger-readers.ts';

const READ_COUNT_MAX = 256;
const READ_BYTES_MAX = 1_048_576;
const FAULT_DELAY_MS = 250;
/** More changed Triggers than this are looked up with one read of all cursors. */
const LOAD_ALL_COUNT = 16;
/** How often it looks whether own readers have caught up, and cleans up after them. */
const LOOK_MS = 250;
const LOOK_IDLE_MS = 5_000;
/** How often deleted Triggers are looked at: their time, and what they pin. */
const EXPIRY_LOOK_MS = 15_000;
/** A deleted Trigger's cursor may pin this share of the store. */
const PINNED_SHARE_MAX = 0.1;

/** What the filter saw, for `millrace tail`. */
export interface FilterObserver {
  matched(
    record: EventRecord,
    brokerKey: string,
    place: { readonly partition: number; readonly offset: number },
    targets: readonly string[],
  ): void;
}

export interface SharedReaderDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: FilterMetrics;
  readonly driver: ChannelDriver;
  readonly handover: Handover;
  /** Requests for own readers come as cursors, from dispatchers in other processes. */
  readonly hasRemoteDispatcher: boolean;
  /** The routing revision that matches are made with. */
  readonly revision: () => number;
  readonly observer: () => FilterObserver | null;
  readonly frozenMsMax: number;
}

export class SharedReader {
  readonly #deps: SharedReaderDeps;
  readonly #broker: () => BrokerRoute;
  readonly #topic: string;
  readonly #partition: number;
  readonly #stop = new AbortController();
  #index = createTriggerIndex<TriggerReader>();
  readonly #matched: TriggerReader[] = [];
  /** What has changed since the last decision; `null` = removed. */
  readonly #routes = new Map<string, TriggerRoute | null>();
  readonly #timers: Timer[] = [];
  #readers: TriggerReaders | null = null;
  #checkpoint: Checkpoint | null = null;
  #wait: AbortController | null = null;
  #position = 0;
  #mustLook = false;
  #isFirst = true;
  #mustExpire = false;
  /** What the cursor of a deleted Trigger may pin. */
  #pinnedBytesMax = Infinity;
  /** Triggers that want an own reader, until that is decided durably. */
  readonly #wanted = new Set<string>();
  /** Start positions that are in force with the decision under way. */
  #starts: string[] = [];
  #sinceLookMs = 0;
  #running: Promise<void> = Promise.resolve();
  #whenReady: (() => void) | null = null;
  /** Resolves when it owns the partition and has placed every Trigger it was given. */
  readonly ready: Promise<void>;
  readonly #stopped: Promise<void>;

  constructor(deps: SharedReaderDeps, broker: () => BrokerRoute, partition: number) {
    this.#deps = deps;
    this.#broker = broker;
    this.#topic = broker().topic;
    this.#partition = partition;
    this.ready = new Promise((resolve) => {
      this.#whenReady = resolve;
    });
    this.#stopped = new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  get position(): number {
    return this.#position;
  }

  start(): void {
    this.#timers.push(this.#deps.clock.every(LOOK_MS, () => this.#lookSoon()));
    this.#timers.push(this.#deps.clock.every(EXPIRY_LOOK_MS, () => void this.#expireSoon()));
    this.#running = this.#run(); // never rejects
  }

  /** The Trigger is new or has changed; in force at the next position. */
  putTrigger(route: TriggerRoute): void {
    this.#routes.set(route.key, route);
    this.#interrupt();
  }

  removeTrigger(route: TriggerRoute): void {
    this.#routes.set(route.key, null);
    this.#interrupt();
  }

  /** Looks for Triggers that want an own reader now, not at the next round. */
  look(): void {
    this.#mustLook = true;
    this.#interrupt();
  }

  /** Stops; with `flush`, what was handed over is made durable and the position written first. */
  async close(flush: boolean): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#stop.abort(new Error('shared reader closed'));
    this.#interrupt();
    await this.#running;
    if (flush) await this.#checkpoint?.flush();
    this.#checkpoint?.close();
  }

  /** Looks what deleted Triggers pin; never rejects. */
  async #expireSoon(): Promise<void> {
    try {
      const { capacityBytes } = await this.#deps.driver.admin.usage();
      this.#pinnedBytesMax = (capacityBytes ?? Infinity) * PINNED_SHARE_MAX;
      this.#mustExpire = true;
      this.look();
    } catch (error) {
      this.#deps.logger.debug('Cannot look for expired Triggers', { error: messageOf(error) });
    }
  }

  #lookSoon(): void {
    this.#sinceLookMs += LOOK_MS;
    const isIdle = this.#readers?.hasOwn !== true && !this.#deps.hasRemoteDispatcher;
    if (isIdle && this.#sinceLookMs < LOOK_IDLE_MS) return;
    this.#sinceLookMs = 0;
    this.look();
  }

  #interrupt(): void {
    this.#wait?.abort(new Error('a change of routing'));
  }

  /** Read through a function: the flag changes while something is awaited. */
  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped()) {
      try {
        await this.#readOn();
      } catch (error) {
        if (this.#isStopped()) return;
        if (isMeshError(error, 'CHANNEL_EPOCH_STALE')) return this.#lost();
        this.#deps.logger.warn('Cannot read the Broker: it is tried again', {
          'knative.dev/key': this.#broker().key,
          error: messageOf(error),
        });
        await this.#pause();
      }
    }
  }

  #lost(): void {
    this.#deps.logger.info('Another filter has taken the partition over', {
      'knative.dev/key': this.#broker().key,
      partition: this.#partition,
    });
  }

  /** Takes the partition over, once: a fault afterwards goes on where it was, so nothing repeats. */
  async #open(): Promise<TriggerReaders> {
    const { driver } = this.#deps;
    const topic = this.#topic;
    const partition = this.#partition;
    const epoch = await driver.cursors.acquire(topic, partition, 'filter');
    const committed = await this.#loadPosition();
    this.#index = createTriggerIndex<TriggerReader>();
    const readers = new TriggerReaders({ driver, topic, partition, epoch }, this.#matchedSet());
    await readers.load();
    await this.#write(committed, epoch);
    this.#position = committed;
    this.#checkpoint = new Checkpoint(
      {
        ...this.#deps,
        write: (offset) => this.#write(offset, epoch),
        onStale: () => {
          this.#lost();
          this.#stop.abort(new Error('epoch is stale'));
        },
      },
      committed,
    );
    this.#readers = readers;
    return readers;
  }

  async #readOn(): Promise<void> {
    const readers = this.#readers ?? (await this.#open());
    const checkpoint = this.#checkpoint;
    assert(checkpoint !== null, 'a shared reader that is open has a checkpoint');
    const reader = await this.#deps.driver.log.read(this.#topic, this.#partition, this.#position);
    try {
      while (!this.#isStopped()) await this.#step(reader, readers, checkpoint);
    } finally {
      reader.close();
    }
  }

  async #step(reader: LogReader, readers: TriggerReaders, checkpoint: Checkpoint): Promise<void> {
    if (this.#hasWork || readers.isDirty) {
      await this.#decide(readers, checkpoint);
      this.#whenReady?.();
    }
    const room = checkpoint.room() ?? this.#deps.handover.room(this.#topic, this.#partition);
    if (room !== null) {
      await Promise.race([room, this.#stopped]);
      return;
    }
    const entries = await this.#next(reader);
    if (entries.length === 0) return;
    for (const entry of entries) this.#take(entry, readers);
    this.#deps.handover.advance(this.#here());
    checkpoint.advance(this.#position);
  }

  get #hasWork(): boolean {
    return this.#isFirst || this.#routes.size > 0 || this.#mustLook;
  }

  async #next(reader: LogReader): Promise<readonly LogEntry[]> {
    const wait = new AbortController();
    this.#wait = wait;
    if (this.#hasWork || this.#isStopped()) return [];
    try {
      return await reader.next(READ_COUNT_MAX, READ_BYTES_MAX, wait.signal);
    } finally {
      this.#wait = null;
    }
  }

  /** Everything that can change who reads what, at this position, durable before it takes effect. */
  async #decide(readers: TriggerReaders, checkpoint: Checkpoint): Promise<void> {
    const routes = new Map(this.#routes);
    this.#routes.clear();
    this.#mustLook = false;
    try {
      await this.#decideOn(routes, readers, checkpoint);
      this.#isFirst = false;
    } catch (error) {
      // Decided again, with what was not known to be durable, before anything more is read.
      for (const [key, route] of routes) if (!this.#routes.has(key)) this.#routes.set(key, route);
      this.#mustLook = true;
      throw error;
    }
    this.#deps.handover.advance(this.#here());
  }

  async #decideOn(
    routes: ReadonlyMap<string, TriggerRoute | null>,
    readers: TriggerReaders,
    checkpoint: Checkpoint,
  ): Promise<void> {
    const position = this.#position;
    this.#starts = [];
    if (!this.#isFirst && readers.hasOwn) await readers.loadOwn(); // before anything is decided
    if (this.#isFirst) await this.#findDoneStarts(readers);
    if (this.#mustExpire) await this.#expire(readers);
    this.#mustExpire = false;
    await this.#loadCursors(readers, routes);
    for (const [key, route] of routes) {
      const known = readers.byKey(key);
      if (route !== null) readers.adopt(route, position);
      else if (known !== undefined && known.frozenMs === null) this.#freeze(readers, known);
    }
    if (this.#isFirst) for (const orphan of readers.orphans()) this.#freeze(readers, orphan);
    const done = await this.#giveWanted(readers, position);
    readers.takeBack(position);
    const changed = readers.isDirty ? await readers.commit(checkpoint.committed) : [];
    for (const change of changed) {
      const source = { topic: this.#topic, partition: this.#partition, offset: change.at };
      this.#deps.handover.changeReader(source, change.uid, change.reader);
    }
    this.#wanted.clear();
    const names = [...done, ...this.#starts];
    if (names.length > 0) {
      await this.#deps.driver.cursors.remove(this.#topic, names, this.#partition);
    }
  }

  /** The cursors of new and changed Triggers: the control side wrote them before the route came. */
  async #loadCursors(
    readers: TriggerReaders,
    routes: ReadonlyMap<string, TriggerRoute | null>,
  ): Promise<void> {
    const unknown: TriggerRoute[] = [];
    for (const [key, route] of routes) {
      if (route === null) continue;
      const known = readers.byKey(key);
      if (!this.#isFirst || known?.uid !== route.uid || known.frozenMs !== null) {
        unknown.push(route);
      }
    }
    if (unknown.length > LOAD_ALL_COUNT) await readers.load();
    else for (const { key } of unknown) await readers.loadOne(key);
    for (const route of unknown) await this.#startAnew(readers, route);
  }

  /** The name came back with a start position: control has written down where. */
  async #startAnew(readers: TriggerReaders, route: TriggerRoute): Promise<void> {
    const known = readers.byKey(route.key);
    if (known === undefined || known.uid === route.uid) return;
    const name = START_PREFIX + route.key;
    const start = (await this.#deps.driver.cursors.load(this.#topic, name)).find(
      (cursor) => cursor.name === name && cursor.partition === this.#partition,
    );
    if (start === undefined) return;
    this.#starts.push(name);
    if (start.metadata === known.uid) return; // done by a former life, but for the removal
    readers.restart(known, route.uid, start.offset, this.#position);
  }

  /** A former life began there, and died before it removed the request. */
  async #findDoneStarts(readers: TriggerReaders): Promise<void> {
    for (const { name, partition, metadata } of await this.#deps.driver.cursors.load(
      this.#topic,
      START_PREFIX,
    )) {
      const known = readers.byKey(name.slice(START_PREFIX.length));
      if (partition === this.#partition && known?.uid === metadata) this.#starts.push(name);
    }
  }

  /** Returns the names of the requests that are in force once it is durable. */
  async #giveWanted(readers: TriggerReaders, position: number): Promise<readonly string[]> {
    const { driver, handover } = this.#deps;
    for (const key of handover.takeWanted(this.#topic, this.#partition)) this.#wanted.add(key);
    for (const key of this.#wanted) {
      const trigger = readers.byKey(key);
      if (trigger !== undefined && trigger.route !== null) readers.giveAway(trigger, position);
    }
    const wants = await driver.cursors.load(this.#topic, WANT_PREFIX);
    const done: string[] = [];
    for (const want of wants) {
      if (want.partition !== this.#partition) continue;
      const trigger = readers.byKey(want.name.slice(WANT_PREFIX.length));
      if (trigger !== undefined && want.metadata === 'replay') {
        readers.replay(trigger, want.offset, position);
      } else if (trigger !== undefined) readers.giveAway(trigger, position);
      done.push(want.name);
    }
    return done;
  }

  #freeze(readers: TriggerReaders, trigger: TriggerReader): void {
    readers.freeze(trigger, this.#position, this.#deps.clock.wallMs());
  }

  /** The hot path: one look at the index per event. */
  #take(entry: LogEntry, readers: TriggerReaders): void {
    const { offset, record } = entry;
    readers.reach(offset);
    this.#position = offset + 1;
    const { handover, metrics } = this.#deps;
    const source = {
      topic: this.#topic,
      partition: this.#partition,
      offset,
      sizeBytes: entry.sizeBytes,
      mark: offset,
    };
    if (record.kind === 'poison' || (record.kind === 'event' && record.ttl <= 0)) {
      handover.deliverDead(source, record, this.#broker().uid);
      metrics.dead(this.#broker().key, record.kind);
      return;
    }
    if (record.kind !== 'event') return;
    const matched = this.#matched;
    this.#index.match(record.event, matched);
    metrics.read(matched.length);
    if (matched.length > 0) {
      const targets = new Array<string>(matched.length);
      for (let index = 0; index < matched.length; index++)
        targets[index] = matched[index]?.uid ?? '';
      handover.deliver(source, record, targets, this.#deps.revision());
      this.#deps.observer()?.matched(record, this.#broker().key, source, targets);
    } else this.#deps.observer()?.matched(record, this.#broker().key, source, []);
  }

  async #write(offset: number, epoch: number): Promise<void> {
    await this.#deps.handover.checkpoint({
      topic: this.#topic,
      partition: this.#partition,
      offset,
    });
    await this.#deps.driver.cursors.commit(this.#topic, [
      {
        name: SHARED_CURSOR,
        partition: this.#partition,
        offset,
        role: 'filter',
        epoch,
        pins: true,
        metadata: '',
      },
    ]);
  }

  async #loadPosition(): Promise<number> {
    const cursors = await this.#deps.driver.cursors.load(this.#topic, SHARED_CURSOR);
    const mine = cursors.find((c) => c.name === SHARED_CURSOR && c.partition === this.#partition);
    if (mine !== undefined) return mine.offset;
    const ends = await this.#deps.driver.log.ends(this.#topic);
    return ends.find((end) => end.partition === this.#partition)?.first ?? 0;
  }

  /**
   * Deleted Triggers whose time is over, or whose cursor pins more than its share of the store: the
   * backlog is dropped and counted. Part of a decision, so that nobody adopts one meanwhile.
   */
  async #expire(readers: TriggerReaders): Promise<void> {
    const { clock, driver, frozenMsMax, logger, metrics } = this.#deps;
    const beforeMs = clock.wallMs() - frozenMsMax;
    for (const trigger of [...readers.frozen()]) {
      const isOver = (trigger.frozenMs ?? Infinity) <= beforeMs;
      const pinnedBytes = isOver ? 0 : await this.#bytesPinned(trigger);
      if (!isOver && pinnedBytes <= this.#pinnedBytesMax) continue;
      const pairs = await dropFrozen(driver, this.#topic, trigger);
      readers.forget(trigger.key);
      metrics.expired(this.#broker().key, pairs);
      logger.warn('The backlog of a deleted Trigger is dropped: nobody inherited it', {
        'knative.dev/key': trigger.key,
        reason: isOver ? 'its time is over' : 'it pins too much of the store',
        pairs,
        pinnedBytes,
      });
    }
  }

  async #bytesPinned({ own }: TriggerReader): Promise<number> {
    if (own === null || this.#pinnedBytesMax === Infinity) return 0;
    return this.#deps.driver.admin.backlogBytes(this.#topic, this.#partition, own.offset);
  }

  #here(): { topic: string; partition: number; offset: number } {
    return { topic: this.#topic, partition: this.#partition, offset: this.#position };
  }

  #matchedSet(): { add(trigger: TriggerReader): void; remove(trigger: TriggerReader): void } {
    return {
      add: (trigger) => {
        if (trigger.route !== null) this.#index.add(trigger.key, trigger.route.filter, trigger);
      },
      remove: (trigger) => void this.#index.remove(trigger.key),
    };
  }

  async #pause(): Promise<void> {
    try {
      await sleep(this.#deps.clock, FAULT_DELAY_MS, this.#stop.signal);
    } catch {
      // Only a stop wakes it early; the loop sees the aborted signal.
    }
  }
}
