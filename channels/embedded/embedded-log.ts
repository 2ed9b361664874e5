/**
 * The segment log of the embedded store: topics with partitions in append-only files, group commit,
 * readers from memory or files, retention, and recovery at start. The embedded driver composes it with
 * its SQLite part. One process owns a directory at a time; that lock is the composition's. Invariant:
 * a receipt is given only for records that a returned sync covers, and nothing acknowledged is ever
 * dropped, altered or overtaken by a reader.
 */
import type {
  AppendOptions,
  EventLog,
  LogReader,
  PartitionEnds,
  StoreUsage,
  TopicOptions,
} from '#lib/channel/channel-driver';
import { channelError } from '#lib/channel/channel-errors';
import type { AppendRecord, SourcePosition } from '#lib/channel/event-record';
import { partitionOfKey } from '#lib/channel/partitioner';
import type { Receipt } from '#lib/channel/receipt';
import { diskErrorCode, isSpaceError } from '#lib/disk/disk';
import type { Disk } from '#lib/disk/disk';
import { messageOf } from '#lib/errors/mesh-error';
import type { MeshError } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { EmbeddedLogSettings } from './embedded-log-settings.ts';
import type { AppendWaiter } from './log-batch.ts';
import { LogFlusher } from './log-flusher.ts';
import type { LogPartition } from './log-partition.ts';
import { PartitionReader, seekInFiles } from './log-reader.ts';
import { planRetention } from './log-retention.ts';
import { LogSpace } from './log-space.ts';
import { LogTailBudget } from './log-tail.ts';
import { LogTopics } from './log-topics.ts';
import type { LogTopic } from './log-topics.ts';
import { GroupAppend, SingleAppend } from './log-waiters.ts';
import { planRecord } from './record-codec.ts';

export interface EmbeddedLogDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface EmbeddedLogOptions {
  /** `<data>/log`; created when it does not exist. */
  readonly directory: string;
  readonly settings: EmbeddedLogSettings;
  /** The first offset of a partition that some reader still needs; `null` when nobody does. */
  readonly lowestPin: (topic: string, partition: number) => number | null;
  /** Who pins most, for the message of a refusal and for {@link EmbeddedLog.usage}. */
  readonly largestBacklog: () => StoreUsage['largestBacklog'];
  /** Bytes of the store beside the log; counted into its capacity. */
  readonly otherBytes?: () => number;
  /** True while what is free on the disk is the reserve of the rest of the store. */
  readonly isReserveInUse?: () => boolean;
  /** Writing has failed for good: the process must end, and recovers at its next start. */
  readonly onFatal: (error: MeshError) => void;
  /** Something acknowledged is damaged and was set aside; also in {@link EmbeddedLog.usage}. */
  readonly onDamage?: (path: string, reason: string) => void;
}

/** How far a partition is durable: the next offset that is not. */
export interface DurableEnd {
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

export interface EmbeddedLog extends EventLog {
  /** Creates the topic or adds partitions; never takes any away. Durable when it resolves. */
  ensureTopic(topic: string, options: TopicOptions): Promise<void>;
  /** Removes the topic with all its records; readers of it end. Unknown topics are no error. */
  removeTopic(topic: string): Promise<void>;
  topics(): readonly string[];
  usage(): StoreUsage;
  /** Bytes stored at or behind `offset`; an estimate within one segment. */
  backlogBytes(topic: string, partition: number, offset: number): number;
  /** Retention; call it every 30 s. Never throws. */
  trim(nowMs: number): Promise<void>;
  /** Tells `listener` which ends have moved, once per flush. Answers how to stop that. */
  onDurable(listener: (ends: readonly DurableEnd[]) => void): () => void;
  /** Finishes open appends, seals, releases everything; idempotent, never throws. */
  close(): Promise<void>;
}

/** Longest data of one event. */
export const EMBEDDED_RECORD_BYTES_MAX = 32 * 1024 * 1024;

const LOOK_PERIOD_MS = 1_000;
/** A capacity holds at least this many segments, so that retention has something to remove. */
const SEGMENTS_MIN = 16;
const SEGMENT_BYTES_MIN = 64 * 1024;
/** Under pressure, room is made down to this share of the capacity. */
const RELIEF_SHARE = 0.6;
/** What is only kept for replays takes at most this share. */
const RETENTION_SHARE_MAX = 0.5;

/**
 * Opens and recovers the log.
 * @throws EMBEDDED_FORMAT_UNKNOWN before anything is changed; the disk's error when it cannot be read.
 */
export async function openEmbeddedLog(
  deps: EmbeddedLogDeps,
  options: EmbeddedLogOptions,
): Promise<EmbeddedLog> {
  const log = new SegmentLog(deps, options);
  try {
    await log.open();
  } catch (error) {
    await log.close();
    throw error;
  }
  return log;
}

class SegmentLog implements EmbeddedLog {
  readonly #deps: EmbeddedLogDeps;
  readonly #options: EmbeddedLogOptions;
  readonly #topics: LogTopics;
  readonly #flusher: LogFlusher;
  readonly #space: LogSpace;
  readonly #listeners = new Set<(ends: readonly DurableEnd[]) => void>();
  readonly #readers = new Set<PartitionReader>();
  #storedBytes = 0;
  #timer: Timer | null = null;
  #isTrimming = false;
  #isTicking = false;
  #closing: Promise<void> | null = null;

  constructor(deps: EmbeddedLogDeps, options: EmbeddedLogOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#space = new LogSpace(deps, {
      directory: options.directory,
      capacityBytes: options.settings.capacityBytes,
      storedBytes: () => this.#storedBytes,
      otherBytes: options.otherBytes ?? (() => 0),
      isReserveInUse: options.isReserveInUse ?? (() => false),
    });
    this.#flusher = new LogFlusher({
      clock: deps.clock,
      onDiskFull: () => this.#makeRoom(),
      fullError: (topic) => this.#fullError(topic),
      onDurable: (partitions, bytes) => this.#announce(partitions, bytes),
      onFailure: (error) => options.onFatal(error),
    });
    this.#topics = new LogTopics({
      ...deps,
      root: options.directory,
      tailBudget: new LogTailBudget(options.settings.tailCacheBytes),
      segmentBytes: () => this.#segmentBytes(),
      onDamage: (path, reason) => options.onDamage?.(path, reason),
    });
  }

  async open(): Promise<void> {
    await this.#topics.open();
    this.#storedBytes = this.#topics.countBytes();
    await this.#space.open();
    this.#timer = this.#deps.clock.every(LOOK_PERIOD_MS, () => void this.#look());
  }

  append(topic: string, record: AppendRecord, options: AppendOptions = {}): Promise<Receipt> {
    const refusal = this.#refusal(topic, record, options);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#put(topic, record, options, new SingleAppend(topic, resolve, reject), 0);
    });
  }

  appendAll(
    topic: string,
    records: readonly AppendRecord[],
    options: AppendOptions = {},
  ): Promise<readonly Receipt[]> {
    if (records.length === 0) return Promise.resolve([]);
    for (const record of records) {
      const refusal = this.#refusal(topic, record, options);
      if (refusal !== null) return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      const waiter = new GroupAppend(topic, records.length, resolve, reject);
      for (let slot = 0; slot < records.length; slot++) {
        const record = records[slot];
        if (record !== undefined) this.#put(topic, record, options, waiter, slot);
      }
    });
  }

  /** Why the record cannot be taken now, or `null`. */
  #refusal(topic: string, record: AppendRecord, options: AppendOptions): MeshError | null {
    if (this.#closing !== null) return closedError(topic);
    if (this.#flusher.failure !== null) return this.#flusher.failure;
    const known = this.#topics.get(topic);
    if (known === null) return unknownTopic(topic);
    if (options.partition !== undefined && known.partitions[options.partition] === undefined) {
      return unknownPartition(topic, options.partition);
    }
    const dataBytes = record.kind === 'event' ? (record.event.data?.length ?? 0) : 0;
    if (dataBytes > EMBEDDED_RECORD_BYTES_MAX) {
      const message = `Cannot append to "${topic}": the event has ${dataBytes} bytes, limit is ${EMBEDDED_RECORD_BYTES_MAX}`;
      return channelError('CHANNEL_RECORD_TOO_LARGE', message);
    }
    const isReserved = options.reserved === true;
    const isRefused = isReserved ? this.#space.refusesAll : this.#space.refusesProducers;
    if (isRefused) return this.#fullError(topic);
    const { pendingBytesMax } = this.#options.settings;
    // Twice for what is reserved: its callers are bounded by their own windows.
    if (this.#flusher.pendingBytes + dataBytes > pendingBytesMax * (isReserved ? 2 : 1)) {
      const message = `Cannot append to "${topic}": ${this.#flusher.pendingBytes} bytes wait for the disk, limit is ${pendingBytesMax} (embedded.pendingBytesMax)`;
      return channelError('CHANNEL_FULL', message);
    }
    return null;
  }

  #put(
    topic: string,
    record: AppendRecord,
    options: AppendOptions,
    waiter: AppendWaiter,
    slot: number,
  ): void {
    const partition = this.#choose(topic, record, options.partition);
    const plan = planRecord(record);
    const isReserved = options.reserved === true;
    const pool = this.#flusher.pool;
    const bytes = partition.append(record, plan, isReserved, waiter, slot, pool);
    this.#flusher.note(partition, bytes);
  }

  #choose(topic: string, record: AppendRecord, chosen: number | undefined): LogPartition {
    const known = this.#topics.require(topic);
    const { partitions } = known;
    if (chosen !== undefined) return known.at(chosen);
    if (partitions.length === 1) return known.at(0);
    if (record.kind !== 'event') return known.at(record.source.partition % partitions.length);
    if (record.key !== null) return known.at(partitionOfKey(record.key, partitions.length));
    return known.stickyPartition(this.#flusher.flushCount);
  }

  async read(topic: string, partition: number, from: number): Promise<LogReader> {
    const found = this.#partition(topic, partition);
    const find = (source: SourcePosition): LogPartition | null =>
      this.#topics.get(source.topic)?.partitions[source.partition] ?? null;
    const reader = new PartitionReader(found, from, find, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    return this.#known(topic).partitions.map(({ partition, firstOffset, nextOffset }) => ({
      partition,
      first: firstOffset,
      next: nextOffset,
    }));
  }

  async seekTime(topic: string, partition: number, timeMs: number): Promise<number> {
    const found = this.#partition(topic, partition);
    const segment = found.segments.find((each) => each.timeMsMax >= timeMs);
    if (segment === undefined) return found.nextOffset;
    const index = await segment.loadIndex((reason) => found.reportDamage(segment, reason));
    const from = index.offsetNearTime(timeMs) ?? segment.baseOffset;
    return seekInFiles(found, from, timeMs);
  }

  async ensureTopic(topic: string, options: TopicOptions): Promise<void> {
    try {
      await this.#flusher.exclusively(() => this.#topics.ensure(topic, options.partitions));
    } catch (error) {
      throw isSpaceError(error) ? this.#fullError(topic) : cannotChange(topic, error);
    }
  }

  async removeTopic(topic: string): Promise<void> {
    try {
      await this.#flusher.exclusively(async () => {
        const known = this.#topics.get(topic);
        if (known === null) return;
        for (const each of known.partitions) this.#flusher.drop(each, unknownTopic(topic));
        await this.#topics.remove(topic);
        this.#storedBytes = this.#topics.countBytes();
      });
    } catch (error) {
      throw cannotChange(topic, error);
    }
  }

  topics(): readonly string[] {
    return this.#topics.names();
  }

  usage(): StoreUsage {
    return {
      storedBytes: this.#space.usedBytes,
      capacityBytes: this.#space.capacityBytes,
      isFull: this.#space.refusesProducers,
      largestBacklog: this.#options.largestBacklog(),
      quarantined: this.#topics.quarantined,
    };
  }

  backlogBytes(topic: string, partition: number, offset: number): number {
    const found = this.#topics.get(topic)?.partitions[partition];
    if (found === undefined) return 0;
    let bytes = 0;
    for (const { baseOffset, nextOffset, endPosition } of found.segments) {
      if (nextOffset <= offset) continue;
      const share = offset <= baseOffset ? 1 : (nextOffset - offset) / (nextOffset - baseOffset);
      bytes += endPosition * share;
    }
    return Math.round(bytes);
  }

  async trim(nowMs: number): Promise<void> {
    if (this.#isTrimming || this.#closing !== null || this.#flusher.failure !== null) return;
    this.#isTrimming = true;
    try {
      // Twice under pressure: what a roll has closed can go at once.
      for (let turn = 0; turn < 2; turn++) {
        if ((await this.#trimOnce(nowMs)) === 0) break;
      }
    } catch (error) {
      this.#deps.logger.warn('Retention could not finish', { error: messageOf(error) });
    } finally {
      this.#isTrimming = false;
    }
  }

  /** Answers how many segments were closed for the next round. */
  async #trimOnce(nowMs: number): Promise<number> {
    const { settings, lowestPin } = this.#options;
    const capacity = this.#space.capacityBytes;
    const plan = await planRetention({
      partitions: this.#topics.allPartitions(),
      lowestPin,
      nowMs,
      retentionMs: settings.retentionMs,
      retentionBytes: Math.min(settings.retentionBytes, capacity * RETENTION_SHARE_MAX),
      pressureBytes: this.#space.isUnderPressure ? capacity * RELIEF_SHARE : null,
    });
    for (const [partition, count] of plan.drops) await partition.dropSegments(count);
    for (const partition of plan.rolls) {
      const kind = await this.#flusher.exclusively(() => partition.roll());
      if (kind === 'failed') this.#flusher.fail(new Error('a new segment could not be synced'));
    }
    this.#storedBytes = this.#topics.countBytes();
    if (plan.drops.size > 0) await this.#space.look();
    return plan.rolls.length;
  }

  onDurable(listener: (ends: readonly DurableEnd[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#timer?.cancel();
    // Whatever was appended before the close is flushed first: that runs in order.
    let hasPending = true;
    while (hasPending && this.#flusher.failure === null) {
      await this.#flusher.exclusively(async () => undefined);
      hasPending = this.#topics.allPartitions().some((partition) => partition.hasPending);
    }
    for (const reader of this.#readers) reader.close();
    await this.#flusher.exclusively(() => this.#topics.close());
  }

  /** Once a second: room, pressure, and whether our files are still where they were. */
  async #look(): Promise<void> {
    if (this.#isTicking || this.#closing !== null || this.#flusher.failure !== null) return;
    this.#isTicking = true;
    try {
      this.#storedBytes = this.#topics.countBytes();
      await this.#space.look();
      for (const partition of this.#topics.allPartitions()) {
        if (await partition.isIntact()) continue;
        this.#flusher.fail(new Error(`the files of "${partition.topic}" were removed`));
        return;
      }
      if (this.#space.isUnderPressure) await this.trim(this.#deps.clock.wallMs());
    } catch (error) {
      this.#deps.logger.warn('The log could not look at its files', { error: messageOf(error) });
    } finally {
      this.#isTicking = false;
    }
  }

  async #makeRoom(): Promise<void> {
    this.#space.noteDiskFull();
    await this.#space.releaseBallast();
  }

  #announce(partitions: readonly LogPartition[], bytes: number): void {
    this.#storedBytes += bytes;
    if (this.#listeners.size === 0) return;
    const ends = partitions.map(({ topic, partition, nextOffset }) => ({
      topic,
      partition,
      next: nextOffset,
    }));
    for (const listener of this.#listeners) listener(ends);
  }

  #segmentBytes(): number {
    const share = Math.floor(this.#space.capacityBytes / SEGMENTS_MIN);
    return Math.min(this.#options.settings.segmentBytes, Math.max(SEGMENT_BYTES_MIN, share));
  }

  #fullError(topic: string): MeshError {
    const { usedBytes, capacityBytes } = this.#space;
    const backlog = this.#options.largestBacklog();
    const who =
      backlog === null
        ? 'no backlog holds it'
        : `the largest backlog is ${backlog.bytes} bytes of "${backlog.cursor}" in "${backlog.topic}"`;
    const message = `Cannot append to "${topic}": ${usedBytes} bytes are stored, producers are refused at 85 % of ${capacityBytes} (embedded.capacityBytes); ${who}`;
    return channelError('CHANNEL_FULL', message, { details: { usedBytes, capacityBytes } });
  }

  #known(topic: string): LogTopic {
    const known = this.#topics.get(topic);
    if (known === null) throw unknownTopic(topic);
    return known;
  }

  #partition(topic: string, partition: number): LogPartition {
    const found = this.#known(topic).partitions[partition];
    if (found === undefined) throw unknownPartition(topic, partition);
    return found;
  }
}

function unknownTopic(topic: string): MeshError {
  const message = `Cannot use topic "${topic}": the embedded store has no such topic`;
  return channelError('CHANNEL_TOPIC_UNKNOWN', message);
}

function unknownPartition(topic: string, partition: number): MeshError {
  const message = `Cannot use partition ${partition} of "${topic}": it has no such partition`;
  return channelError('CHANNEL_TOPIC_UNKNOWN', message);
}

/** Bugs stay what they are; a disk that will not is a fault. */
function cannotChange(topic: string, error: unknown): unknown {
  if (diskErrorCode(error) === null) return error;
  const message = `Cannot change topic "${topic}": ${messageOf(error)}`;
  return channelError('CHANNEL_NOT_CONNECTED', message, { cause: error });
}

function closedError(topic: string): MeshError {
  return channelError('CHANNEL_CLOSED', `Cannot append to "${topic}": the store is closing`);
}
