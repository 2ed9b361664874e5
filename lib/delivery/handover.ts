/**
 * How filter passes matched events to a dispatcher: in memory when they share a process, through the
 * durable deliveries log when they do not. Two implementations in `services/`, the same tests.
 * Calls come from one shared reader per partition, in log order.
 */
import type {
  EventRecord,
  PoisonRecord,
  ReaderName,
  SourcePosition,
} from '#lib/channel/event-record';
import type { PairSource } from './pair.ts';

export interface Handover {
  /** A matched event and the UIDs of its targets (the array is the callee's to keep). */
  deliver(
    source: PairSource,
    record: EventRecord,
    targets: readonly string[],
    revision: number,
  ): void;
  /** An event that no Trigger answers for (TTL used up, undecodable): to the Broker's dead letters. */
  deliverDead(source: PairSource, record: EventRecord | PoisonRecord, brokerUid: string): void;
  /** From `source` on the Trigger belongs to that reader; already written down durably. */
  changeReader(source: SourcePosition, uid: string, reader: ReaderName): void;
  /** `null` when more of the partition can be taken at once; else resolves when it can. */
  room(topic: string, partition: number): Promise<void> | null;
  /** Resolves when everything handed over below `source` is settled or durable downstream. */
  checkpoint(source: SourcePosition): Promise<void>;
  /** How far the shared reader has come; it never goes back while this process lives. */
  advance(source: SourcePosition): void;
  /** Takes out the keys of Triggers that need an own reader: their window cannot keep up. */
  takeWanted(topic: string, partition: number): readonly string[];
  /** Calls `look(topic)` when there is something to take; `null` where requests come as cursors. */
  onWanted: ((topic: string) => void) | null;
}

/** The target of a Broker's own dead letters. */
export function deadTargetUid(brokerUid: string): string {
  return `${brokerUid}:dead`;
}

/** The deliveries log of a topic, where filter and dispatcher are separate processes. */
export function deliveriesTopic(topic: string): string {
  return `${topic}/deliveries`;
}
