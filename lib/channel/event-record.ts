/**
 * What a channel stores: an accepted event with what Millrace knows about it, and the two records
 * that filter writes for a dispatcher in another process. Made by ingress, the dispatcher's replies
 * and filter; read by filter and dispatcher. Drivers map the fields to their own wire format.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';

/** An accepted event. `knativearrivaltime` and `knativebrokerttl` live here, not in the extensions. */
export interface EventRecord {
  readonly kind: 'event';
  readonly event: CloudEvent;
  /** Headers that travel from producer to subscriber, flat: name, value, name, value (lower-case names). */
  readonly passThrough: readonly string[];
  /** Rounds through the Broker still allowed; at 0 the event goes to the dead letters (D7, D8). */
  readonly ttl: number;
  /** Wall-clock milliseconds at which ingress took the event; delivered as `knativearrivaltime`. */
  readonly arrivalMs: number;
  /** The ordering key: extension `partitionkey`, or `null`. Chooses the partition. */
  readonly key: string | null;
}

/** A place in one partition of a topic. Offsets rise, and need not be contiguous. */
export interface SourcePosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** A matched event on its way to a dispatcher in another process; names its targets. */
export interface DeliveryRecord {
  readonly kind: 'delivery';
  readonly source: SourcePosition;
  /** UIDs of the targets (Triggers) that matched. */
  readonly targets: readonly string[];
  /** The revision of the Broker's routing snapshot it was matched with. */
  readonly revision: number;
  /** The event itself. The embedded driver stores only `source` and resolves this on reading. */
  readonly record: EventRecord;
}

/** From `source` on, the named Triggers are read by the named reader (architecture, "Readers"). */
export interface ReaderChangeRecord {
  readonly kind: 'readerChange';
  readonly source: SourcePosition;
  readonly triggers: readonly { readonly uid: string; readonly reader: ReaderName }[];
}

/** Bytes in the log that cannot be decoded. Never skipped: it is dead-lettered raw, or parked. */
export interface PoisonRecord {
  readonly kind: 'poison';
  readonly raw: Buffer;
  readonly reason: string;
}

export type ReaderName = 'shared' | 'own';

/** What can be appended to a topic. */
export type AppendRecord = EventRecord | DeliveryRecord | ReaderChangeRecord;

/** What can be read from a topic. */
export type StoredRecord = AppendRecord | PoisonRecord;
