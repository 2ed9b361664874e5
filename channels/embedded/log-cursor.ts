/**
 * Reads entries of one partition from its segment files, in order. Used by readers that are behind the
 * tail, by the seek by time and to resolve deliveries. Invariant: every retained offset below the
 * durable end comes out once, as its record or inside the range that a poison record stands for.
 */
import { assert } from '#lib/assert/assert';
import type { LogEntry } from '#lib/channel/channel-driver';
import type { PoisonRecord } from '#lib/channel/event-record';
import { isMissingError } from '#lib/disk/disk';
import type { DiskFile } from '#lib/disk/disk';
import { isMeshError } from '#lib/errors/mesh-error';
import { decodeRecord } from './record-codec.ts';
import type { StoredDelivery } from './record-codec.ts';
import type { Segment } from './segment-file.ts';
import { HEADER_BYTES } from './segment-format.ts';
import { findFrame, FrameWalker, readFully } from './segment-frames.ts';

/** What a reader needs to know of a partition; the owner and a read-only process each have one. */
export interface PartitionFiles {
  readonly topic: string;
  readonly partition: number;
  /** The durable end. */
  readonly nextOffset: number;
  /** The segment that holds `offset`, or else the first one behind it; `null` without any. */
  segmentAt(offset: number): Segment | null;
  /** True when a segment lies before this one: then a gap in between is a loss, not retention. */
  hasSegmentBefore(segment: Segment): boolean;
  /** Looks at the files again when what is known does not fit; the owner always knows. */
  refresh(): Promise<void>;
  /** Acknowledged frames of the segment are unreadable. Told once per segment is enough. */
  reportDamage(segment: Segment, reason: string): void;
}

/** A delivery whose event has not been fetched yet. */
export interface DeliveryEntry {
  readonly offset: number;
  readonly timeMs: number;
  readonly sizeBytes: number;
  readonly record: StoredDelivery;
}

export type RawEntry = LogEntry | DeliveryEntry;

/** A poison record keeps at most this much of what is damaged. */
const RAW_BYTES_MAX = 64 * 1024;
/** A jump ahead of up to this many entries walks; a longer one goes through the index. */
const WALK_ENTRIES_MAX = 512;
/** Taken for the size of a frame until one has been seen. */
const MEAN_BYTES_MIN = 256;

export class LogCursor {
  readonly #files: PartitionFiles;
  #segment: Segment | null = null;
  #file: DiskFile | null = null;
  #walker: FrameWalker | null = null;
  /** The offset that the next frame of the walker should have. */
  #expected = 0;
  #position = 0;

  constructor(files: PartitionFiles) {
    this.#files = files;
  }

  /** Behind the last entry given, or where reading goes on after a gap. */
  get position(): number {
    return this.#position;
  }

  /** Lets go of the file; the next read opens it again. */
  close(): void {
    this.#segment?.release();
    this.#segment = null;
    this.#file = null;
    this.#walker = null;
  }

  /**
   * Entries from `from` on, up to the durable end and within the credit; at least one when there is any.
   * @throws the disk's error when a file cannot be opened or read.
   */
  async read(from: number, countMax: number, bytesMax: number): Promise<RawEntry[]> {
    if (!this.#canWalkTo(from)) this.close();
    this.#position = from;
    const entries: RawEntry[] = [];
    let bytes = 0;
    while (entries.length < countMax && this.#position < this.#files.nextOffset) {
      const walker = this.#walker ?? (await this.#enter(entries));
      if (walker === null) break;
      const step = walker.step();
      if (step === 'more') {
        await walker.fill(this.#estimateBytes(walker));
      } else if (step === 'frame' && walker.offset === this.#expected) {
        if (this.#expected >= this.#position) {
          bytes += walker.frameBytes;
          const isOver = bytes > bytesMax && entries.length > 0;
          if (isOver || this.#expected >= this.#files.nextOffset) {
            walker.moveTo(walker.position, { fresh: false });
            break;
          }
          entries.push(entryOf(walker, this.#expected));
          this.#position = this.#expected + 1;
        }
        this.#expected++;
      } else {
        await this.#passBy(walker, entries);
      }
    }
    return entries;
  }

  #canWalkTo(from: number): boolean {
    const ahead = from - this.#position;
    const end = this.#segment?.nextOffset ?? 0;
    return ahead === 0 || (ahead > 0 && ahead <= WALK_ENTRIES_MAX && from < end);
  }

  /** Opens the segment of the present position and begins at its nearest index entry. */
  async #enter(entries: RawEntry[]): Promise<FrameWalker | null> {
    const segment = await this.#find();
    if (segment === null) return null;
    let file: DiskFile;
    try {
      file = await segment.acquire();
    } catch (error) {
      if (!isMissingError(error)) throw error;
      // Removed by retention or renamed since: look again, and give up if nothing has changed.
      await this.#files.refresh();
      if (this.#files.segmentAt(this.#position) === segment) throw error;
      return null;
    }
    this.#segment = segment;
    this.#file = file;
    if (segment.baseOffset > this.#position) {
      if (this.#files.hasSegmentBefore(segment)) {
        const reason = `offsets ${this.#position} to ${segment.baseOffset - 1} are missing`;
        entries.push(poisonEntry(this.#position, segment.timeMsMax, Buffer.alloc(0), reason));
      }
      this.#position = segment.baseOffset;
    }
    let at = HEADER_BYTES;
    this.#expected = segment.baseOffset;
    if (this.#position > segment.baseOffset) {
      const index = await segment.loadIndex((reason) => this.#files.reportDamage(segment, reason));
      const start = index.entryBefore(this.#position);
      this.#expected = start?.offset ?? segment.baseOffset;
      at = start?.position ?? HEADER_BYTES;
    }
    this.#walker = new FrameWalker(file, segment.seed, at, segment.endPosition);
    return this.#walker;
  }

  async #find(): Promise<Segment | null> {
    const known = this.#files.segmentAt(this.#position);
    if (known !== null && known.baseOffset <= this.#position) return known;
    await this.#files.refresh();
    return this.#files.segmentAt(this.#position);
  }

  /**
   * What stands here is not the expected frame. What was read may be older than what was written
   * since, the segment may have grown or ended, and only then is it damaged.
   */
  async #passBy(walker: FrameWalker, entries: RawEntry[]): Promise<void> {
    const segment = this.#segment;
    assert(segment !== null, 'a walker has its segment');
    walker.raiseLimit(segment.endPosition);
    if (this.#expected < segment.nextOffset && (await this.#isFrameHere(walker))) return;
    await this.#files.refresh();
    walker.raiseLimit(segment.endPosition);
    if (this.#expected >= segment.nextOffset) {
      if (this.#position < segment.nextOffset) this.#position = segment.nextOffset;
      this.close();
      return;
    }
    if (!(await this.#isFrameHere(walker))) await this.#skipDamage(walker, segment, entries);
  }

  /** Reads the place again; leaves the walker in front of it. */
  async #isFrameHere(walker: FrameWalker): Promise<boolean> {
    walker.moveTo(walker.position, { fresh: true });
    let step = walker.step();
    for (let turn = 0; step === 'more' && turn < 2; turn++) {
      await walker.fill(this.#estimateBytes(walker));
      step = walker.step();
    }
    const isHere = step === 'frame' && walker.offset === this.#expected;
    walker.moveTo(walker.position, { fresh: false });
    return isHere;
  }

  /** About what is left to the durable end: a reader at the tail must not read a whole chunk. */
  #estimateBytes(walker: FrameWalker): number {
    return (this.#files.nextOffset - this.#expected) * Math.max(MEAN_BYTES_MIN, walker.frameBytes);
  }

  async #skipDamage(walker: FrameWalker, segment: Segment, entries: RawEntry[]): Promise<void> {
    const file = this.#file;
    assert(file !== null, 'a walker has its file');
    const from = walker.position;
    const end = segment.endPosition;
    const last = segment.nextOffset - 1;
    const found = await findFrame(file, segment.seed, from, end, this.#expected + 1, last);
    const resumeOffset = found?.offset ?? segment.nextOffset;
    const resumePosition = found?.position ?? end;
    if (resumeOffset > this.#expected) {
      const what = `offsets ${this.#expected} to ${resumeOffset - 1} at byte ${from}`;
      this.#files.reportDamage(segment, `unreadable: ${what}`);
      if (resumeOffset > this.#position) {
        const raw = Buffer.alloc(Math.min(RAW_BYTES_MAX, resumePosition - from));
        await readFully(file, raw, raw.length, from);
        entries.push(poisonEntry(this.#position, segment.timeMsMax, raw, `unreadable: ${what}`));
        this.#position = resumeOffset;
      }
    }
    this.#expected = resumeOffset;
    if (found === null) this.close();
    else walker.moveTo(resumePosition, { fresh: false });
  }
}

function entryOf(walker: FrameWalker, offset: number): RawEntry {
  const { bytes, payloadStart, payloadEnd, kind, timeMs, frameBytes: sizeBytes } = walker;
  try {
    const record = decodeRecord(kind, bytes, payloadStart, payloadEnd);
    if (record.kind === 'storedDelivery') return { offset, timeMs, sizeBytes, record };
    return { offset, timeMs, sizeBytes, record };
  } catch (error) {
    if (!isMeshError(error)) throw error;
    const raw = Buffer.from(bytes.subarray(payloadStart, payloadEnd));
    return { offset, timeMs, sizeBytes, record: { kind: 'poison', raw, reason: error.message } };
  }
}

function poisonEntry(offset: number, timeMs: number, raw: Buffer, reason: string): LogEntry {
  const record: PoisonRecord = { kind: 'poison', raw, reason: `Cannot read the log: ${reason}` };
  return { offset, timeMs, sizeBytes: raw.length, record };
}

/** False for a delivery whose event must still be fetched. */
export function isComplete(entry: RawEntry): entry is LogEntry {
  return entry.record.kind !== 'storedDelivery';
}
