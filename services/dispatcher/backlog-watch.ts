/**
 * Looks once a second at what Triggers have before them: their backlog and the age of its oldest event
 * for the metrics, and the quota of `millrace.dev/backlog-policy`, past which the oldest events are
 * dropped and counted, or a `full/…` cursor tells ingress to refuse the Broker's producers. Used by
 * `dispatcher.ts`. Its cost follows the own readers and what waits, not the number of Triggers.
 */
import type { ChannelDriver, PartitionEnds } from '#lib/channel/channel-driver';
import type { BacklogPolicy, TriggerRoute } from '#lib/contract/routing';
import type { RoutingTable } from '#lib/contract/routing-table';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import { FULL_PREFIX, fullCursor } from '#lib/delivery/trigger-cursors';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { OwnReaders } from './own-readers.ts';

const LOOK_MS = 1_000;
/** A refusal ends when the backlog is below this share of the quota, so that it does not flutter. */
const RELIEF_SHARE = 0.9;
/** Targets whose oldest stored event is looked up in one round. */
const PEEKS_MAX = 64;

export interface BacklogWatchDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
  readonly routing: RoutingTable;
  readonly engine: DeliveryEngine;
  readonly ownReaders: OwnReaders;
  readonly positions: SharedPositions;
}

export class BacklogWatch {
  readonly #deps: BacklogWatchDeps;
  readonly #timer: Timer;
  /** Events between the shared reader and the end of the log, by topic. */
  readonly #lags = new Map<string, number>();
  /** Events before a Trigger's own reader, and when the oldest was appended; by UID. */
  #behind = new Map<string, { events: number; sinceMs: number }>();
  /** When the oldest stored event of a target arrived; by UID. */
  readonly #stored = new Map<string, number>();
  /** Keys of Triggers that have the producers refused, by topic; `null` until the first look. */
  readonly #full = new Map<string, Set<string>>();
  #isLooking = false;
  #peekFrom = 0;

  constructor(deps: BacklogWatchDeps) {
    this.#deps = deps;
    this.#timer = deps.clock.every(LOOK_MS, () => void this.look()); // never rejects
  }

  /** Events in the log that the target has not come to; as of the last look. */
  backlog(uid: string, topic: string): number {
    return this.#behind.get(uid)?.events ?? this.#lags.get(topic) ?? 0;
  }

  /** Milliseconds since the oldest event arrived that the target still has before it; 0 without one. */
  oldestAgeMs(uid: string): number {
    const stored = this.#stored.get(uid) ?? Infinity;
    const oldestMs = Math.min(stored, this.#behind.get(uid)?.sinceMs ?? Infinity);
    return oldestMs === Infinity ? 0 : Math.max(0, this.#deps.clock.wallMs() - oldestMs);
  }

  close(): void {
    this.#timer.cancel();
  }

  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#lookAtReaders();
      await this.#lookAtStored();
    } catch (error) {
      this.#deps.logger.debug('Cannot look at the backlog', { error: messageOf(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookAtReaders(): Promise<void> {
    const { driver, routing, positions } = this.#deps;
    const behind = new Map<string, { events: number; sinceMs: number }>();
    const own = this.#deps.ownReaders.uids();
    for (const { broker, triggers } of routing.brokers()) {
      const { topic } = broker;
      const ends = await driver.log.ends(topic);
      let lag = 0;
      for (const { partition, first, next } of ends) {
        lag += Math.max(0, next - Math.max(first, positions.get(topic, partition)));
      }
      this.#lags.set(topic, lag);
      const over = new Set<string>();
      for (const uid of own) {
        const route = triggers.get(uid);
        if (route === undefined) continue;
        behind.set(uid, this.#before(uid, topic, ends));
        if (route.backlog !== null) await this.#enforce(route, route.backlog, topic, ends, over);
      }
      await this.#tellIngress(topic, over);
    }
    this.#behind = behind;
  }

  #before(
    uid: string,
    topic: string,
    ends: readonly PartitionEnds[],
  ): { events: number; sinceMs: number } {
    const { ownReaders, positions } = this.#deps;
    let events = 0;
    let sinceMs = Infinity;
    for (const { partition, first, next } of ends) {
      const position = ownReaders.position(uid, partition) ?? positions.get(topic, partition);
      events += Math.max(0, next - Math.max(first, position));
      sinceMs = Math.min(sinceMs, ownReaders.behindSinceMs(uid, partition) ?? Infinity);
    }
    return { events, sinceMs };
  }

  async #enforce(
    route: TriggerRoute,
    policy: BacklogPolicy,
    topic: string,
    ends: readonly PartitionEnds[],
    over: Set<string>,
  ): Promise<void> {
    const { driver, ownReaders } = this.#deps;
    const wasOver = this.#full.get(topic)?.has(route.key) === true;
    let bytes = 0;
    for (const { partition, next } of ends) {
      const position = ownReaders.position(route.uid, partition);
      if (position === null) continue;
      const here = await driver.admin.backlogBytes(topic, partition, position);
      bytes += here;
      if (policy.then !== 'drop' || here <= policy.bytesMax / ends.length) continue;
      const place = { topic, partition, from: position, to: next };
      const at = await this.#offsetWithin(place, policy.bytesMax / ends.length);
      ownReaders.dropTo(route.uid, partition, at);
    }
    const limit = policy.bytesMax * (wasOver ? RELIEF_SHARE : 1);
    if (policy.then === 'refuse' && bytes > limit) over.add(route.key);
  }

  /** The lowest offset with no more than that many bytes from it to the end. */
  async #offsetWithin(
    place: { topic: string; partition: number; from: number; to: number },
    bytesMax: number,
  ): Promise<number> {
    let { from, to } = place;
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const { topic, partition } = place;
      const bytes = await this.#deps.driver.admin.backlogBytes(topic, partition, middle);
      if (bytes > bytesMax) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** Written again at every look, so that ingress knows that somebody still stands by it. */
  async #tellIngress(topic: string, over: Set<string>): Promise<void> {
    const { cursors } = this.#deps.driver;
    const known = this.#full.get(topic) ?? (await this.#loadFull(topic));
    const nowMs = this.#deps.clock.wallMs();
    if (over.size > 0) {
      await cursors.commit(
        topic,
        Array.from(over, (key) => fullCursor(key, nowMs)),
      );
    }
    const gone = [...known].filter((key) => !over.has(key));
    if (gone.length > 0) {
      await cursors.remove(
        topic,
        gone.map((key) => FULL_PREFIX + key),
      );
    }
    this.#full.set(topic, over);
    for (const key of over) {
      if (known.has(key)) continue;
      this.#deps.logger.warn('A Trigger is past its backlog quota: its Broker refuses producers', {
        'knative.dev/key': key,
      });
    }
  }

  async #loadFull(topic: string): Promise<ReadonlySet<string>> {
    const cursors = await this.#deps.driver.cursors.load(topic, FULL_PREFIX);
    return new Set(cursors.map(({ name }) => name.slice(FULL_PREFIX.length)));
  }

  /** A bounded number of targets per round, in turn: the oldest row of each. */
  async #lookAtStored(): Promise<void> {
    const { driver, engine } = this.#deps;
    const waiting: string[] = [];
    for (const target of engine.targets()) {
      if (target.waitingCount > 0) waiting.push(target.settings.uid);
    }
    const stillWaiting = new Set(waiting);
    for (const uid of this.#stored.keys()) if (!stillWaiting.has(uid)) this.#stored.delete(uid);
    for (let count = 0; count < Math.min(PEEKS_MAX, waiting.length); count++) {
      const uid = waiting[this.#peekFrom++ % waiting.length];
      if (uid === undefined) continue;
      const [row] = await driver.waiting.peek({ target: uid, countMax: 1 });
      if (row !== undefined) this.#stored.set(uid, row.record.arrivalMs);
    }
  }
}
