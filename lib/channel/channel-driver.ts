/**
 * The port that every channel driver implements (`channels/<driver>`), small on purpose: an ordered
 * durable log, named durable cursors, a table of waiting pairs, and the administrators' half.
 * Everything clever (stages, windows, lanes, attempts, checkpoints, readers) is written once above
 * it, in `lib/delivery`. Faults are `MeshError`s of `channel-errors.ts`; `retry` says what to do next.
 */
import type { CursorStore } from './cursor-store.ts';
import type { AppendRecord, StoredRecord } from './event-record.ts';
import type { Receipt } from './receipt.ts';
import type { WaitingStore } from './waiting-store.ts';

/** D0 memory · D1 process crash · D2 power loss of the node · D3 a minority of nodes · D4 both. */
export type DurabilityLevel = 'D0' | 'D1' | 'D2' | 'D3' | 'D4';

/** What a driver can do, as data: a test that needs more is skipped by name and shows in the table. */
export interface DriverCapabilities {
  readonly durability: DurabilityLevel;
  /** Positions by time and by offset can be sought. */
  readonly seek: boolean;
  /** Other processes can open the same store at the same time. */
  readonly shared: boolean;
  /** Bytes of one stored record, or `null` without a limit of its own. */
  readonly recordBytesMax: number | null;
  /** A crash of the process loses nothing acknowledged, and it can be re-opened (false: memory). */
  readonly reopen: boolean;
}

export interface ChannelDriver {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  readonly log: EventLog;
  readonly cursors: CursorStore;
  readonly waiting: WaitingStore;
  readonly admin: ChannelAdmin;
  /** Finishes open appends, releases everything; idempotent, never throws. */
  close(): Promise<void>;
}

/** One entry of a log as a reader sees it. `record` is valid for as long as it is referenced. */
export interface LogEntry {
  readonly offset: number;
  /** Wall-clock milliseconds of the append. */
  readonly timeMs: number;
  /** Bytes it counts for against a reader's credit. */
  readonly sizeBytes: number;
  readonly record: StoredRecord;
}

export interface EventLog {
  /**
   * Appends one record; the partition follows from its key (no key: the driver's choice, stable per
   * batch). Resolves with a receipt once the durability level holds. `reserved` may use capacity that
   * producers cannot (replies, deliveries): it is refused only when nothing at all is left.
   * @throws CHANNEL_FULL (backoff, 503), CHANNEL_RECORD_TOO_LARGE (never, 413),
   *   CHANNEL_NOT_CONNECTED (backoff, 503), CHANNEL_TOPIC_UNKNOWN (backoff, 503), CHANNEL_CLOSED.
   */
  append(topic: string, record: AppendRecord, options?: AppendOptions): Promise<Receipt>;
  /** All or an error: on an error some may be stored (at least once), but no receipt was given. */
  appendAll(
    topic: string,
    records: readonly AppendRecord[],
    options?: AppendOptions,
  ): Promise<readonly Receipt[]>;
  /** A reader at `from` (the next entry is the first with offset ≥ from). Many may be open. */
  read(topic: string, partition: number, from: number): Promise<LogReader>;
  /** First retained and next free offset of each partition; the next free one counts durable entries only. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  /** The first offset appended at or after that wall-clock time; the end when there is none. */
  seekTime(topic: string, partition: number, timeMs: number): Promise<number>;
}

export interface AppendOptions {
  readonly reserved?: boolean;
  /** Overrides the choice by key: deliveries follow their source partition. */
  readonly partition?: number;
}

export interface PartitionEnds {
  readonly partition: number;
  readonly first: number;
  readonly next: number;
}

/** Pull with credit: nothing is read ahead beyond a bounded buffer of the driver's own. */
export interface LogReader {
  /** The offset that the next entry will have at least. */
  readonly position: number;
  /**
   * At least one entry (waits for it), at most `countMax`, and no more than `bytesMax` unless the
   * first alone is larger. Resolves with an empty list when the reader is closed or `signal` aborts.
   */
  next(countMax: number, bytesMax: number, signal?: AbortSignal): Promise<readonly LogEntry[]>;
  close(): void;
}

/** The controllers' half: what a topic is, and how well it keeps what it is given. */
export interface ChannelAdmin {
  /** Creates the topic when it does not exist; never shrinks or clears one. */
  ensureTopic(topic: string, options: TopicOptions): Promise<void>;
  /** Removes the topic with all it holds, its cursors and its waiting pairs. */
  removeTopic(topic: string): Promise<void>;
  topics(): Promise<readonly string[]>;
  /** Verifies the live durability level, now; `reason` says why it is below the advertised one. */
  verify(): Promise<{ readonly level: DurabilityLevel; readonly reason: string | null }>;
  /** For metrics and pressure: what is stored, the limit, and which cursor pins most. */
  usage(): Promise<StoreUsage>;
  /** Bytes of the partition from an offset on, roughly: what a reader that stands there has before it. */
  backlogBytes(topic: string, partition: number, from: number): Promise<number>;
}

export interface TopicOptions {
  readonly partitions: number;
}

export interface StoreUsage {
  readonly storedBytes: number;
  /** Producers are refused at 85 % of this; `null` when the back end has no limit to tell. */
  readonly capacityBytes: number | null;
  readonly isFull: boolean;
  /** The cursor that pins the most bytes, as `topic cursor`; `null` when nothing is pinned. */
  readonly largestBacklog: {
    readonly topic: string;
    readonly cursor: string;
    readonly bytes: number;
  } | null;
  /** Damaged or unreadable parts that were set aside, for an operator; empty is healthy. */
  readonly quarantined: readonly string[];
}
