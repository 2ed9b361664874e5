/**
 * The data plane's view of routing: the latest snapshot of every Broker, patched incrementally.
 * Ingress, filter and dispatcher hold one each and listen to its changes; nobody else writes it.
 * Invariant: a snapshot never changes once it was handed out, and its revision only rises.
 */
import type { BrokerRoute, BrokerSnapshot, RoutingPatch, TriggerRoute } from './routing.ts';

/** What one patch did, for those who keep something per Broker or Trigger. */
export type RoutingChange =
  | { readonly kind: 'broker'; readonly snapshot: BrokerSnapshot }
  | { readonly kind: 'brokerRemoved'; readonly broker: BrokerRoute }
  | {
      readonly kind: 'trigger';
      readonly snapshot: BrokerSnapshot;
      readonly trigger: TriggerRoute;
      readonly previous: TriggerRoute | null;
    }
  | {
      readonly kind: 'triggerRemoved';
      readonly snapshot: BrokerSnapshot;
      readonly trigger: TriggerRoute;
    };

export interface RoutingTable {
  /** False until the first full set of patches was applied; ingress answers 503 before. */
  readonly isSynced: boolean;
  broker(key: string): BrokerSnapshot | undefined;
  brokers(): Iterable<BrokerSnapshot>;
  /** The trigger of that UID in any Broker. */
  trigger(uid: string): TriggerRoute | undefined;
  /** Calls `listener` for every later change, in order. Returns the way to stop. */
  listen(listener: (change: RoutingChange) => void): () => void;
  /** Resolves when the Broker exists, or after `timeoutMs` with what there is. */
  waitForBroker(key: string, timeoutMs: number): Promise<BrokerSnapshot | undefined>;
}

export interface RoutingTableWriter extends RoutingTable {
  /** Applies patches in order; unknown Brokers of a Trigger are an assertion of the sender's. */
  apply(patches: readonly RoutingPatch[]): void;
  markSynced(): void;
}
