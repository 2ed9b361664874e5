/**
 * The routing table that ingress, filter and dispatcher each hold one of; `local/` (later the
 * watchers) feeds it patches. A change costs one bucket of the Broker's Triggers, not a copy of all
 * of them (see `persistent-map.ts`), so every snapshot is complete, immutable and cheap to hand out.
 * Invariant: revisions rise over the whole table, so a Broker that is removed and made again never
 * repeats one. They count from the start of the process.
 */
import { assert } from '#lib/assert/assert';
import type { Clock } from '#lib/time/clock';
import { PersistentMap } from './persistent-map.ts';
import type { RoutingChange, RoutingTableWriter } from './routing-table.ts';
import type { BrokerRoute, BrokerSnapshot, RoutingPatch, TriggerRoute } from './routing.ts';

interface Snapshot extends BrokerSnapshot {
  readonly triggers: PersistentMap<TriggerRoute>;
}

export function createRoutingTable(deps: { readonly clock: Clock }): RoutingTableWriter {
  return new RoutingTableStore(deps.clock);
}

class RoutingTableStore implements RoutingTableWriter {
  readonly #clock: Clock;
  readonly #brokers = new Map<string, Snapshot>();
  readonly #triggers = new Map<string, TriggerRoute>();
  readonly #listeners = new Set<(change: RoutingChange) => void>();
  readonly #waiters = new Map<string, Set<(snapshot: BrokerSnapshot) => void>>();
  #revision = 0;
  #isSynced = false;
  #isApplying = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  markSynced(): void {
    this.#isSynced = true;
  }

  broker(key: string): BrokerSnapshot | undefined {
    return this.#brokers.get(key);
  }

  brokers(): Iterable<BrokerSnapshot> {
    return this.#brokers.values();
  }

  trigger(uid: string): TriggerRoute | undefined {
    return this.#triggers.get(uid);
  }

  listen(listener: (change: RoutingChange) => void): () => void {
    // A wrapper, so that the same function registered twice is two listeners.
    const entry = (change: RoutingChange): void => listener(change);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  waitForBroker(key: string, timeoutMs: number): Promise<BrokerSnapshot | undefined> {
    const known = this.#brokers.get(key);
    if (known !== undefined || timeoutMs <= 0) return Promise.resolve(known);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(key) ?? new Set();
      this.#waiters.set(key, waiters);
      const wake = (snapshot: BrokerSnapshot): void => {
        timer.cancel();
        resolve(snapshot);
      };
      const timer = this.#clock.after(timeoutMs, () => {
        waiters.delete(wake);
        if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
        resolve(undefined);
      });
      waiters.add(wake);
    });
  }

  apply(patches: readonly RoutingPatch[]): void {
    assert(!this.#isApplying, 'a listener of the routing table must not patch it');
    this.#isApplying = true;
    try {
      for (const patch of patches) this.#applyOne(patch);
    } finally {
      this.#isApplying = false;
    }
  }

  #applyOne(patch: RoutingPatch): void {
    switch (patch.op) {
      case 'putBroker':
        this.#putBroker(patch.broker);
        break;
      case 'removeBroker':
        this.#removeBroker(patch.key);
        break;
      case 'putTrigger':
        this.#putTrigger(patch.trigger);
        break;
      case 'removeTrigger':
        this.#removeTrigger(patch.brokerKey, patch.uid);
        break;
    }
  }

  #putBroker(broker: BrokerRoute): void {
    const triggers = this.#brokers.get(broker.key)?.triggers ?? PersistentMap.empty();
    const snapshot = this.#install(broker, triggers);
    this.#tell({ kind: 'broker', snapshot });
    const waiters = this.#waiters.get(broker.key);
    if (waiters === undefined) return;
    this.#waiters.delete(broker.key);
    for (const wake of waiters) wake(snapshot);
  }

  /** Its Triggers go first, one by one, so that whoever keeps something per Trigger hears of each. */
  #removeBroker(key: string): void {
    const snapshot = this.#brokers.get(key);
    if (snapshot === undefined) return;
    for (const uid of snapshot.triggers.keys()) this.#removeTrigger(key, uid);
    this.#brokers.delete(key);
    this.#revision += 1;
    this.#tell({ kind: 'brokerRemoved', broker: snapshot.broker });
  }

  #putTrigger(trigger: TriggerRoute): void {
    const elsewhere = this.#triggers.get(trigger.uid);
    if (elsewhere !== undefined && elsewhere.brokerKey !== trigger.brokerKey) {
      this.#removeTrigger(elsewhere.brokerKey, trigger.uid);
    }
    const current = this.#brokers.get(trigger.brokerKey);
    assert(current !== undefined, 'a Trigger is sent after its Broker', {
      trigger: trigger.key,
      broker: trigger.brokerKey,
    });
    const previous = current.triggers.get(trigger.uid) ?? null;
    this.#triggers.set(trigger.uid, trigger);
    const triggers = current.triggers.withEntry(trigger.uid, trigger);
    const snapshot = this.#install(current.broker, triggers);
    this.#tell({ kind: 'trigger', snapshot, trigger, previous });
  }

  #removeTrigger(brokerKey: string, uid: string): void {
    const current = this.#brokers.get(brokerKey);
    const trigger = current?.triggers.get(uid);
    if (current === undefined || trigger === undefined) return;
    this.#triggers.delete(uid);
    const snapshot = this.#install(current.broker, current.triggers.without(uid));
    this.#tell({ kind: 'triggerRemoved', snapshot, trigger });
  }

  #install(broker: BrokerRoute, triggers: PersistentMap<TriggerRoute>): Snapshot {
    this.#revision += 1;
    const snapshot: Snapshot = { broker, revision: this.#revision, triggers };
    this.#brokers.set(broker.key, snapshot);
    return snapshot;
  }

  #tell(change: RoutingChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
