/**
 * Reads the segment files of a store that another process on this machine owns: filter and dispatcher
 * when the roles are separate. The owner announces durable ends (over its socket, by the composition);
 * nothing beyond them is read, and nothing is ever written. Segments come and go meanwhile: what is
 * known of the files is looked up again whenever it does not fit.
 */
import type { LogReader, PartitionEnds } from '#lib/channel/channel-driver';
import { channelError } from '#lib/channel/channel-errors';
import type { SourcePosition } from '#lib/channel/event-record';
import { isMissingError } from '#lib/disk/disk';
import type { Disk } from '#lib/disk/disk';
import type { Logger } from '#lib/telemetry/log';
import { PartitionReader, seekInFiles } from './log-reader.ts';
import type { ReadablePartition } from './log-reader.ts';
import { identify, sightSegment } from './log-recovery.ts';
import { partitionDirectory, readTopicMeta, topicDirectoryName } from './log-topic-files.ts';
import { lostSegment, Segment } from './segment-file.ts';
import { HEADER_BYTES, parseSegmentName } from './segment-format.ts';

export interface ReadOnlyLogDeps {
  readonly disk: Disk;
  readonly logger: Logger;
}

export interface ReadOnlyLogOptions {
  /** The owner's `<data>/log`. */
  readonly directory: string;
  /** Damage met on reading; the owner sets segments aside, a reader only says so. */
  readonly onDamage?: (path: string, reason: string) => void;
}

export interface ReadOnlyLog {
  /** As of the owner: durable up to `next`. Wakes readers. Ends that are known already are no news. */
  announceEnd(topic: string, partition: number, next: number): void;
  /** As the owner's log. @throws CHANNEL_TOPIC_UNKNOWN */
  read(topic: string, partition: number, from: number): Promise<LogReader>;
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  seekTime(topic: string, partition: number, timeMs: number): Promise<number>;
  /** The owner has removed the topic: its readers end, and a new one of that name starts at 0. */
  forgetTopic(topic: string): void;
  /** Ends all readers; idempotent. */
  close(): void;
}

export function openLogReadOnly(deps: ReadOnlyLogDeps, options: ReadOnlyLogOptions): ReadOnlyLog {
  return new AnnouncedLog(deps, options);
}

class AnnouncedLog implements ReadOnlyLog {
  readonly #deps: ReadOnlyLogDeps;
  readonly #options: ReadOnlyLogOptions;
  readonly #topics = new Map<string, AnnouncedPartition[]>();
  readonly #readers = new Set<PartitionReader>();
  #isClosed = false;

  constructor(deps: ReadOnlyLogDeps, options: ReadOnlyLogOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  announceEnd(topic: string, partition: number, next: number): void {
    this.#partition(topic, partition).raiseEnd(next);
  }

  async read(topic: string, partition: number, from: number): Promise<LogReader> {
    await this.#check(topic, partition);
    const find = (source: SourcePosition): AnnouncedPartition => {
      const found = this.#partition(source.topic, source.partition);
      found.raiseEnd(source.offset + 1);
      return found;
    };
    const found = this.#partition(topic, partition);
    const reader = new PartitionReader(found, from, find, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    const count = await this.#check(topic, 0);
    const ends: PartitionEnds[] = [];
    for (let partition = 0; partition < count; partition++) {
      const found = this.#partition(topic, partition);
      await found.refresh();
      ends.push({ partition, first: found.firstOffset, next: found.nextOffset });
    }
    return ends;
  }

  async seekTime(topic: string, partition: number, timeMs: number): Promise<number> {
    await this.#check(topic, partition);
    const found = this.#partition(topic, partition);
    await found.refresh();
    return seekInFiles(found, await found.offsetNearTime(timeMs), timeMs);
  }

  forgetTopic(topic: string): void {
    for (const partition of this.#topics.get(topic) ?? []) partition.close();
    this.#topics.delete(topic);
  }

  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers) reader.close();
    for (const topic of [...this.#topics.keys()]) this.forgetTopic(topic);
  }

  /** Answers how many partitions the topic has. */
  async #check(topic: string, partition: number): Promise<number> {
    if (this.#isClosed) {
      throw channelError('CHANNEL_CLOSED', `Cannot read "${topic}": the store is closed`);
    }
    const directory = `${this.#options.directory}/${topicDirectoryName(topic)}`;
    const reading = await readTopicMeta(this.#deps.disk, directory);
    const count = reading.kind === 'meta' ? reading.meta.partitions : 0;
    if (partition < count) return count;
    const message = `Cannot read partition ${partition} of "${topic}": it has ${count} partitions`;
    throw channelError('CHANNEL_TOPIC_UNKNOWN', message);
  }

  #partition(topic: string, partition: number): AnnouncedPartition {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = [];
      this.#topics.set(topic, partitions);
    }
    const topicDirectory = `${this.#options.directory}/${topicDirectoryName(topic)}`;
    for (let next = partitions.length; next <= partition; next++) {
      const directory = partitionDirectory(topicDirectory, next);
      partitions.push(new AnnouncedPartition(this.#deps, this.#options, topic, next, directory));
    }
    const found = partitions[partition];
    if (found === undefined) throw new RangeError(`no partition ${partition}`);
    return found;
  }
}

/** One partition as far as its owner has announced it. */
class AnnouncedPartition implements ReadablePartition {
  readonly topic: string;
  readonly partition: number;
  readonly tail = null;
  readonly #deps: ReadOnlyLogDeps;
  readonly #options: ReadOnlyLogOptions;
  readonly #directory: string;
  /** By base offset. */
  #segments: Segment[] = [];
  #nextOffset = 0;
  #waiting: (() => void)[] = [];
  #refreshing: Promise<void> | null = null;
  #isClosed = false;

  constructor(
    deps: ReadOnlyLogDeps,
    options: ReadOnlyLogOptions,
    topic: string,
    partition: number,
    directory: string,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.topic = topic;
    this.partition = partition;
    this.#directory = directory;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  get firstOffset(): number {
    return this.#segments[0]?.baseOffset ?? this.#nextOffset;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  raiseEnd(next: number): void {
    if (next <= this.#nextOffset) return;
    this.#nextOffset = next;
    // Until the files say that another segment has begun, the last one reaches to the end.
    const last = this.#segments.at(-1);
    if (last !== undefined) last.nextOffset = next;
    this.#wake();
  }

  waitForMore(wake: () => void): void {
    this.#waiting.push(wake);
  }

  stopWaiting(wake: () => void): void {
    const at = this.#waiting.indexOf(wake);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  segmentAt(offset: number): Segment | null {
    return this.#segments.find((segment) => segment.nextOffset > offset) ?? null;
  }

  hasSegmentBefore(segment: Segment): boolean {
    return this.#segments.indexOf(segment) > 0;
  }

  reportDamage(segment: Segment, reason: string): void {
    if (segment.damage !== null) return;
    segment.damage = reason;
    this.#deps.logger.error('A part of the log is damaged', { path: segment.path, reason });
    this.#options.onDamage?.(segment.path, reason);
  }

  /** Where a scan for that time may begin. */
  async offsetNearTime(timeMs: number): Promise<number> {
    for (const segment of this.#segments) {
      const isOpen = !segment.isSealed;
      if (!isOpen && segment.timeMsMax < timeMs) continue;
      const index = await segment.loadIndex(() => undefined);
      const offset = index.offsetNearTime(timeMs);
      if (offset !== null) return offset;
      if (isOpen) return segment.baseOffset;
    }
    return this.#nextOffset;
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#lookAgain().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #lookAgain(): Promise<void> {
    const known = new Map(this.#segments.map((segment) => [segment.baseOffset, segment]));
    const found = new Map<number, string>();
    for (const name of await this.#list()) {
      const parsed = parseSegmentName(name);
      if (parsed !== null && (!parsed.isDamaged || !found.has(parsed.baseOffset))) {
        found.set(parsed.baseOffset, name);
      }
    }
    const bases = [...found.keys()].sort((a, b) => a - b);
    const lastKnown = this.#segments.at(-1)?.baseOffset ?? -1;
    const segments: Segment[] = [];
    for (const base of bases) {
      const path = `${this.#directory}/${found.get(base) ?? ''}`;
      const segment = known.get(base) ?? null;
      // Only the last one changes; the ones before it may have got another name.
      if (segment !== null && base < lastKnown) {
        segment.path = path;
        segments.push(segment);
        continue;
      }
      const fresh = await this.#see(path, base, segment, base === bases.at(-1));
      if (fresh !== null) segments.push(fresh);
    }
    segments.forEach((segment, at) => {
      segment.nextOffset = segments[at + 1]?.baseOffset ?? this.#nextOffset;
    });
    this.#segments = segments;
  }

  async #list(): Promise<readonly string[]> {
    try {
      return await this.#deps.disk.list(this.#directory);
    } catch (error) {
      if (isMissingError(error)) return [];
      throw error;
    }
  }

  /** What a file is now; a segment that is known already is brought up to date. `null`: unusable. */
  async #see(
    path: string,
    baseOffset: number,
    segment: Segment | null,
    isLast: boolean,
  ): Promise<Segment | null> {
    const { disk } = this.#deps;
    try {
      const sight = await sightSegment(disk, path, { baseOffset, isDamaged: false });
      const { trailer, fileBytes } = sight;
      const identity = identify(sight, this.topic, this.partition);
      if (identity.kind === 'unreadable') {
        // The last one may be in the making: its header is still to come.
        if (segment !== null || isLast) return segment;
        return lostSegment(disk, path, baseOffset, baseOffset, 0, identity.reason);
      }
      const { salt } = identity;
      // Never before the frames, however little of the file is left.
      const framesEnd = Math.max(HEADER_BYTES, fileBytes - (fileBytes % 8));
      const endPosition = trailer?.endPosition ?? framesEnd;
      if (segment !== null && Buffer.compare(segment.salt, salt) === 0) {
        segment.path = path;
        segment.endPosition = endPosition;
        segment.isSealed = trailer !== null;
        segment.timeMsMax = trailer?.timeMsMax ?? 0;
        return segment;
      }
      const storedIndex =
        trailer === null
          ? null
          : { position: endPosition, bytes: trailer.indexBytes, crc: trailer.indexCrc };
      return new Segment(disk, {
        path,
        baseOffset,
        salt,
        nextOffset: this.#nextOffset,
        endPosition,
        timeMsMax: trailer?.timeMsMax ?? 0,
        isSealed: trailer !== null,
        index: null,
        storedIndex,
        damage: null,
      });
    } catch (error) {
      // Removed or renamed between the listing and now.
      if (isMissingError(error)) return segment;
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }
}
