/**
 * What one process of the event side can do, whatever roles it has: the meeting point of the services
 * (composed in `composed-event-side.ts`) and the control side, which calls it over IPC
 * (`child-protocol.ts`). Everything here is plain data: it crosses a process boundary.
 */
import type { RoutingPatch, StartPosition } from '#lib/contract/routing';
import type { AttributeValue, SpecVersion } from '#lib/cloudevents/cloud-event';
import type { MetricFamily } from '#lib/telemetry/metrics';
import type { Stage } from '#lib/channel/waiting-store';
import type { StoreUsage } from '#lib/channel/channel-driver';

export type EventRole = 'ingress' | 'filter' | 'dispatcher';

export const EVENT_ROLES: readonly EventRole[] = ['ingress', 'filter', 'dispatcher'];

export interface EventSide {
  /**
   * Recovers or opens the store, binds the listener (which answers 503 until {@link markSynced}).
   * @throws MeshError when the store is held, the address is taken, the data are unusable.
   */
  start(): Promise<EventSideStarted>;
  /** Store owner only: topics and cursors exist when it resolves; the proof of Ready. */
  ensure(request: EnsureRequest): Promise<void>;
  /**
   * In order. One publication may come in several batches of the same `revision`; after its last one
   * all processes with that revision hold the same routes. A process that starts late gets all
   * routes at the revision of that moment.
   */
  apply(patches: readonly RoutingPatch[], revision: number): void;
  /** The first full set was applied: events are taken, deliveries go on. Resolves when they do. */
  markSynced(): Promise<void>;
  status(): Promise<EventSideStatus>;
  metrics(): readonly MetricFamily[];
  /** One listener at a time; `null` ends it. */
  tail(listener: ((entry: TailEntry) => void) | null): void;
  /** Dispatcher only, as all below. */
  replay(request: ReplayRequest): Promise<ReplayAnswer>;
  parkedList(query: ParkedQuery): Promise<readonly ParkedPair[]>;
  /** With the event; `null` when there is no such pair. */
  parkedShow(id: number): Promise<ParkedDetail | null>;
  /** How many went back to delivery. */
  parkedRedrive(ids: readonly number[]): Promise<number>;
  /** How many are gone for ever. */
  parkedDrop(ids: readonly number[]): Promise<number>;
  /** Stops taking, finishes what is open, gives leases back. At the deadline it stops waiting. */
  drain(deadlineMs: number): Promise<void>;
  /** Releases everything; idempotent, never rejects. */
  close(): Promise<void>;
}

export interface EventSideStarted {
  /** `http://127.0.0.1:8080`; `null` without the role ingress. */
  readonly eventsUrl: string | null;
}

export interface EnsureRequest {
  readonly topics: readonly { readonly topic: string; readonly partitions: number }[];
  readonly triggers: readonly EnsuredTrigger[];
}

export interface EnsuredTrigger {
  readonly topic: string;
  readonly uid: string;
  readonly key: string;
  readonly start: StartPosition | null;
}

export interface EventSideStatus {
  readonly isReady: boolean;
  /** Why not, or what is degraded; `null` when all is well. */
  readonly reason: string | null;
  /** Of the store's owner. */
  readonly store: StoreStatus | null;
  /** Of the dispatcher. */
  readonly triggers: readonly TriggerStatus[];
}

export interface StoreStatus {
  readonly driver: string;
  readonly durability: string;
  readonly usage: StoreUsage;
}

export interface TriggerStatus {
  readonly uid: string;
  /** Events in the log that this Trigger was not given yet. */
  readonly backlog: number;
  /** Handed over, and waiting for a place in the window. */
  readonly queued: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly parked: number;
  /** `shared` when it is caught up. */
  readonly reader: 'shared' | 'own';
}

/** An event without its data, for `tail`. */
export interface TailEvent {
  readonly specversion: SpecVersion;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | null;
  readonly time: string | null;
  readonly datacontenttype: string | null;
  readonly dataschema: string | null;
  readonly extensions: readonly (readonly [string, AttributeValue])[];
  readonly dataBytes: number;
}

interface TailBase {
  /** Wall clock. */
  readonly atMs: number;
  readonly broker: string;
  readonly partition: number;
  readonly offset: number;
}

export interface AcceptedEntry extends TailBase {
  readonly kind: 'accepted';
  readonly event: TailEvent;
}

/** The shared reader has read it; `targets` are the UIDs of the Triggers that it goes to. */
export interface MatchedEntry extends TailBase {
  readonly kind: 'matched';
  readonly event: TailEvent;
  readonly targets: readonly string[];
}

export interface AttemptEntry extends TailBase {
  readonly kind: 'attempt';
  readonly eventId: string;
  /** UID of the Trigger. */
  readonly target: string;
  readonly stage: Stage;
  readonly attempt: number;
  readonly durationMs: number;
  readonly next: 'delivered' | 'replied' | 'deadLettered' | 'parked' | 'retry' | 'toDeadLetter';
  readonly delayMs: number | null;
  readonly failure: TailFailure | null;
}

export interface TailFailure {
  readonly destination: string | null;
  readonly status: number | null;
  readonly reason: string;
}

export type TailEntry = AcceptedEntry | MatchedEntry | AttemptEntry;

export interface ReplayRequest {
  /** UID of the Trigger. */
  readonly uid: string;
  readonly from: StartPosition;
}

export interface ReplayAnswer {
  /** Events between the position and the end of the log, before filtering. */
  readonly eventCount: number;
}

export interface ParkedQuery {
  /** `namespace/name` of a Trigger or Broker; `null` for all. */
  readonly targetKey: string | null;
  readonly countMax: number;
  readonly afterId: number;
}

export interface ParkedPair {
  readonly id: number;
  /** `namespace/name` of the Trigger, or of the Broker for events that no Trigger can answer for. */
  readonly targetKey: string;
  readonly topic: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly eventSource: string;
  readonly sizeBytes: number;
  readonly reason: string;
  readonly status: number | null;
  readonly destination: string | null;
  readonly firstFailureMs: number;
  readonly lastFailureMs: number;
}

export interface ParkedDetail extends ParkedPair {
  /** The event in CloudEvents' JSON format. */
  readonly eventJson: string;
  /** First bytes of the answer that failed it, as text. */
  readonly responseText: string;
}
