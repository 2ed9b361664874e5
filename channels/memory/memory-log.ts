/**
 * The log half of the memory driver: one array of entries per partition. Used by `memory-driver.ts`.
 * Invariants: offsets of a partition rise by one and are never used twice while the topic lives; an
 * entry at or above the lowest pinning cursor is never trimmed.
 */
import { assert } from '#lib/assert/assert';
import { channelError } from '#lib/channel/channel-errors';
import { partitionOfKey } from '#lib/channel/partitioner';
import { issueReceipt } from '#lib/channel/receipt';
import type {
  AppendOptions,
  EventLog,
  LogReader,
  PartitionEnds,
  TopicOptions,
} from '#lib/channel/channel-driver';
import type { AppendRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import type { Clock } from '#lib/time/clock';
import { MemoryReader } from './memory-reader.ts';
import type { Partition } from './memory-reader.ts';
import { recordSizeBytes } from './memory-size.ts';

export interface MemoryLogOptions {
  readonly capacityBytes: number;
  /** Producers are refused above this share of the capacity; reserved appends are not. */
  readonly producerShare: number;
  readonly recordBytesMax: number;
  /** Entries that no cursor pins are kept until the log holds more than this. */
  readonly retainedBytes: number;
}

export interface MemoryLogDeps {
  readonly clock: Clock;
  /** The lowest offset that a cursor pins, or `null` when none pins anything. */
  readonly lowestPin: (topic: string, partition: number) => number | null;
}

interface Topic {
  readonly partitions: Partition[];
  /** Round robin for records without a key. */
  turn: number;
}

export class MemoryLog implements EventLog {
  readonly #deps: MemoryLogDeps;
  readonly #options: MemoryLogOptions;
  readonly #topics = new Map<string, Topic>();
  #storedBytes = 0;
  #refusedAtBytes = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(deps: MemoryLogDeps, options: MemoryLogOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  get topicNames(): readonly string[] {
    return [...this.#topics.keys()];
  }

  /** True from a refusal on until something was freed. */
  get isFull(): boolean {
    return this.#storedBytes >= this.#refusedAtBytes;
  }

  ensureTopic(name: string, options: TopicOptions): void {
    this.#assertOpen();
    assert(options.partitions >= 1, 'a topic has at least one partition', { ...options });
    const topic = this.#topics.get(name) ?? { partitions: [], turn: 0 };
    while (topic.partitions.length < options.partitions) {
      topic.partitions.push({ entries: [], first: 0, next: 0, bytes: 0, readers: new Set() });
    }
    this.#topics.set(name, topic);
  }

  /** Open readers of the topic end with an empty list. */
  removeTopic(name: string): void {
    this.#assertOpen();
    const topic = this.#topics.get(name);
    if (topic === undefined) return;
    this.#topics.delete(name);
    for (const partition of topic.partitions) {
      this.#storedBytes -= partition.bytes;
      closeReaders(partition);
    }
  }

  async append(topic: string, record: AppendRecord, options?: AppendOptions): Promise<Receipt> {
    const receipts = await this.appendAll(topic, [record], options);
    const receipt = receipts[0];
    assert(receipt !== undefined, 'one record gives one receipt');
    return receipt;
  }

  // async: a refusal is a rejection, never a throw.
  async appendAll(
    name: string,
    records: readonly AppendRecord[],
    options: AppendOptions = {},
  ): Promise<readonly Receipt[]> {
    this.#assertOpen();
    const topic = this.#topic(name);
    const sizes = records.map((record) => this.#checkedSize(record));
    this.#makeRoom(name, sizes.reduce(sum, 0), options.reserved ?? false);
    const keyless = topic.turn++ % topic.partitions.length;
    const timeMs = this.#deps.clock.wallMs();
    const touched = new Set<Partition>();
    const receipts = records.map((record, index) => {
      const number = options.partition ?? partitionFor(record, topic.partitions.length, keyless);
      const partition = this.#partition(topic, name, number);
      const sizeBytes = sizes[index] ?? 0;
      const offset = partition.next++;
      partition.entries.push({ offset, timeMs, sizeBytes, record });
      partition.bytes += sizeBytes;
      this.#storedBytes += sizeBytes;
      touched.add(partition);
      return issueReceipt(name, number, offset);
    });
    for (const partition of touched) for (const reader of partition.readers) reader.wake();
    return receipts;
  }

  async read(name: string, number: number, from: number): Promise<LogReader> {
    this.#assertOpen();
    return new MemoryReader(this.#partition(this.#topic(name), name, number), from);
  }

  async ends(name: string): Promise<readonly PartitionEnds[]> {
    this.#assertOpen();
    return this.#topic(name).partitions.map(({ first, next }, partition) => ({
      partition,
      first,
      next,
    }));
  }

  async seekTime(name: string, number: number, timeMs: number): Promise<number> {
    this.#assertOpen();
    const partition = this.#partition(this.#topic(name), name, number);
    const entry = partition.entries.find((candidate) => candidate.timeMs >= timeMs);
    return entry?.offset ?? partition.next;
  }

  /** Drops what no cursor pins while the log holds more than it has to retain. */
  trim(retainedBytes = this.#options.retainedBytes): void {
    for (const [name, topic] of this.#topics) {
      for (const [number, partition] of topic.partitions.entries()) {
        const pin = this.#deps.lowestPin(name, number) ?? partition.next;
        this.#trimPartition(partition, pin, retainedBytes);
      }
    }
  }

  /** Bytes of the partition from an offset on: what a cursor standing there pins. */
  bytesFrom(name: string, number: number, offset: number): number {
    let bytes = 0;
    for (const entry of this.#topics.get(name)?.partitions[number]?.entries ?? []) {
      if (entry.offset >= offset) bytes += entry.sizeBytes;
    }
    return bytes;
  }

  close(): void {
    this.#closed = true;
    for (const topic of this.#topics.values()) topic.partitions.forEach(closeReaders);
  }

  #trimPartition(partition: Partition, pin: number, retainedBytes: number): void {
    let count = 0;
    for (const entry of partition.entries) {
      if (entry.offset >= pin || this.#storedBytes <= retainedBytes) break;
      this.#storedBytes -= entry.sizeBytes;
      partition.bytes -= entry.sizeBytes;
      partition.first = entry.offset + 1;
      count++;
    }
    if (count > 0) partition.entries.splice(0, count);
  }

  #makeRoom(name: string, sizeBytes: number, reserved: boolean): void {
    const { capacityBytes, producerShare, retainedBytes } = this.#options;
    const limitBytes = reserved ? capacityBytes : capacityBytes * producerShare;
    if (this.#storedBytes + sizeBytes > retainedBytes) this.trim();
    if (this.#storedBytes + sizeBytes > limitBytes) this.trim(limitBytes - sizeBytes);
    if (this.#storedBytes + sizeBytes <= limitBytes) return;
    this.#refusedAtBytes = this.#storedBytes;
    throw channelError(
      'CHANNEL_FULL',
      `Cannot append ${sizeBytes} bytes to "${name}": ${this.#storedBytes} of ` +
        `${Math.floor(limitBytes)} bytes are used (memory.capacityBytes)`,
    );
  }

  #checkedSize(record: AppendRecord): number {
    const sizeBytes = recordSizeBytes(record);
    if (sizeBytes <= this.#options.recordBytesMax) return sizeBytes;
    throw channelError(
      'CHANNEL_RECORD_TOO_LARGE',
      `Cannot append a record: ${sizeBytes} bytes, limit is ` +
        `${this.#options.recordBytesMax} (memory.recordBytesMax)`,
    );
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic !== undefined) return topic;
    throw channelError('CHANNEL_TOPIC_UNKNOWN', `Cannot use topic "${name}": it does not exist`);
  }

  #partition(topic: Topic, name: string, number: number): Partition {
    const partition = topic.partitions[number];
    if (partition !== undefined) return partition;
    throw channelError(
      'CHANNEL_TOPIC_UNKNOWN',
      `Cannot use partition ${number} of topic "${name}": it has ${topic.partitions.length}`,
    );
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw channelError('CHANNEL_CLOSED', 'Cannot use the memory log: it is closed');
  }
}

function closeReaders(partition: Partition): void {
  for (const reader of partition.readers) reader.close();
}

function sum(total: number, value: number): number {
  return total + value;
}

/** The partition of a record: by its key, else the batch's turn. */
function partitionFor(record: AppendRecord, count: number, keyless: number): number {
  if (count === 1) return 0;
  if (record.kind !== 'event') return record.source.partition % count;
  return record.key === null ? keyless : partitionOfKey(record.key, count);
}
