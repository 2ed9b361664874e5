/**
 * Which Brokers refuse producers because a Trigger of theirs is past the quota that it set (annotation
 * `millrace.dev/backlog-policy`). The dispatcher, perhaps in another process, says so with `full/…`
 * cursors; ingress looks twice a second, and only at Brokers that have such a Trigger.
 * Invariant: a word that nobody repeats is forgotten, so a dispatcher that died refuses nobody.
 */
import type { CursorStore } from '#lib/channel/cursor-store';
import type { BrokerSnapshot } from '#lib/contract/routing';
import type { RoutingTable } from '#lib/contract/routing-table';
import { FULL_PREFIX, fullSinceMs } from '#lib/delivery/trigger-cursors';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';

const LOOK_MS = 500;
const VALID_MS = 30_000;

export interface BacklogGateDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly routing: RoutingTable;
  readonly cursors: CursorStore;
}

export class BacklogGate {
  readonly #deps: BacklogGateDeps;
  readonly #timer: Timer;
  /** Topics. */
  #full = new Set<string>();
  readonly #refusers = new WeakMap<BrokerSnapshot, boolean>();
  #isLooking = false;

  constructor(deps: BacklogGateDeps) {
    this.#deps = deps;
    this.#timer = deps.clock.every(LOOK_MS, () => void this.look()); // never rejects
  }

  isFull(topic: string): boolean {
    return this.#full.size > 0 && this.#full.has(topic);
  }

  stop(): void {
    this.#timer.cancel();
  }

  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const full = new Set<string>();
      for (const snapshot of this.#deps.routing.brokers()) {
        const { topic } = snapshot.broker;
        if (this.#canRefuse(snapshot) && (await this.#isOver(topic))) full.add(topic);
      }
      this.#full = full;
    } catch (error) {
      this.#deps.logger.debug('Cannot look for backlogs past their quota', {
        error: messageOf(error),
      });
    } finally {
      this.#isLooking = false;
    }
  }

  async #isOver(topic: string): Promise<boolean> {
    const nowMs = this.#deps.clock.wallMs();
    const cursors = await this.#deps.cursors.load(topic, FULL_PREFIX);
    return cursors.some((cursor) => Math.abs(nowMs - fullSinceMs(cursor)) < VALID_MS);
  }

  #canRefuse(snapshot: BrokerSnapshot): boolean {
    const known = this.#refusers.get(snapshot);
    if (known !== undefined) return known;
    let found = false;
    for (const { backlog } of snapshot.triggers.values()) found ||= backlog?.then === 'refuse';
    this.#refusers.set(snapshot, found);
    return found;
  }
}
