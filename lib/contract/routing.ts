/**
 * What the control side tells the data plane: Brokers and Triggers with every reference resolved and
 * every setting turned into a number. Written by `local/` (later by the controllers), read by ingress,
 * filter and dispatcher. Plain JSON data: it crosses process boundaries and is kept on disk.
 */
import type { TriggerFilterSpec } from '#lib/filters/dialect';

/** A resolved address to send to. */
export interface Endpoint {
  readonly url: string;
  /** PEM certificates trusted for this address beside the system's; `null` for none. */
  readonly caCerts: string | null;
  readonly audience: string | null;
}

/** The effective delivery settings of one target; times in milliseconds. */
export interface DeliveryPolicy {
  /** Attempts after the first one. */
  readonly retryCount: number;
  readonly backoff: 'linear' | 'exponential';
  readonly backoffDelayMs: number;
  readonly timeoutMs: number;
  /** 0: `Retry-After` is ignored. */
  readonly retryAfterMsMax: number;
  readonly format: 'binary' | 'json';
}

/** Where a Trigger starts when it is given no history to inherit. */
export type StartPosition =
  | { readonly at: 'latest' }
  | { readonly at: 'earliest' }
  | { readonly at: 'time'; readonly timeMs: number }
  | { readonly at: 'event'; readonly id: string };

/** How a topic's events are treated; a Broker's and a Channel's rules are two values of this. */
export interface TopicPolicy {
  readonly countsTtl: boolean;
  /** What a 2xx with a body that is no event means. */
  readonly nonEventReply: 'fail' | 'ignore';
}

export interface BrokerRoute {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly topic: string;
  readonly partitions: number;
  readonly policy: TopicPolicy;
  /** For events that no Trigger can answer for: TTL used up, undecodable. */
  readonly deadLetter: Endpoint | null;
  readonly delivery: DeliveryPolicy;
}

export interface TriggerRoute {
  readonly uid: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly brokerKey: string;
  /** Changes whenever anything below changes. */
  readonly generation: number;
  /** Already validated; compiled by whoever matches with it. */
  readonly filter: TriggerFilterSpec;
  readonly subscriber: Endpoint;
  readonly deadLetter: Endpoint | null;
  readonly delivery: DeliveryPolicy;
  readonly nonEventReply: 'fail' | 'ignore';
  readonly order: 'ordered' | 'unordered';
  /** Requests open at once (per dispatcher share), and bytes of events in them. */
  readonly concurrency: number;
  readonly inFlightBytesMax: number;
  readonly isPaused: boolean;
  readonly start: StartPosition | null;
  /** What happens when the backlog passes its quota; `null` = no quota. */
  readonly backlog: BacklogPolicy | null;
}

export interface BacklogPolicy {
  readonly bytesMax: number;
  /** Past it: refuse producers with 503, or drop the oldest and count them. */
  readonly then: 'refuse' | 'drop';
}

/** One immutable, numbered snapshot per Broker. */
export interface BrokerSnapshot {
  readonly broker: BrokerRoute;
  readonly revision: number;
  /** By UID. */
  readonly triggers: ReadonlyMap<string, TriggerRoute>;
}

/** One step from a snapshot to the next. Sent in order; applied whole. */
export type RoutingPatch =
  | { readonly op: 'putBroker'; readonly broker: BrokerRoute }
  | { readonly op: 'removeBroker'; readonly key: string }
  | { readonly op: 'putTrigger'; readonly trigger: TriggerRoute }
  | { readonly op: 'removeTrigger'; readonly brokerKey: string; readonly uid: string };

/** `namespace/name`, the one spelling of a key. */
export function objectKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
