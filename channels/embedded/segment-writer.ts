/**
 * Writes one partition: the active segment, rolling over to the next, and undoing what a failed write
 * left behind. Used by the partition only, one call at a time. Invariant: `nextOffset` and the
 * segments' ends move only after a sync has returned; after a failed sync nothing is written again.
 */
import { assert } from '#lib/assert/assert';
import { diskErrorCode, isSpaceError } from '#lib/disk/disk';
import type { Disk, DiskFile } from '#lib/disk/disk';
import { writeWhole } from '#lib/disk/whole-write';
import { messageOf } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import type { LogBatch } from './log-batch.ts';
import { Segment } from './segment-file.ts';
import { encodeFooter, encodeHeader, HEADER_BYTES, segmentName } from './segment-format.ts';
import { SegmentIndex } from './segment-index.ts';

export interface WriterDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Asked at each flush: smaller where the capacity is small. */
  readonly segmentBytes: () => number;
}

export interface WriterPlace {
  readonly topic: string;
  readonly partition: number;
  readonly directory: string;
}

/**
 * `full`: no room, nothing kept. `refused`: the file system will not take it now (read-only, no
 * descriptors, folder gone). `failed`: the state of the disk is unknown; the log must stop.
 */
export type WriteOutcome =
  | { readonly kind: 'stored'; readonly firstOffset: number; readonly timeMs: number }
  | { readonly kind: 'full' | 'refused' | 'failed'; readonly error: unknown };

/** Files grow in holes of this size: recovery looks through at most one of them. */
const PREALLOCATE_BYTES = 4 * 1024 * 1024;
/** Words for an environment that may get better by itself; anything else unknown stops the log. */
const REFUSED_CODES: ReadonlySet<string> = new Set([
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOMEM',
]);

/** A sync that failed: the kernel may have dropped what it could not write. */
class SyncFailure extends Error {
  override readonly name = 'SyncFailure';
}

export class SegmentWriter {
  readonly #deps: WriterDeps;
  readonly #place: WriterPlace;
  /** By base offset; the last may be active. Shared with the readers of the partition. */
  readonly segments: Segment[];
  #nextOffset: number;
  /** The write handle of the last segment, when it is open. */
  #file: DiskFile | null = null;
  #fileBytes = 0;
  /** Something that was never acknowledged lies behind the end. */
  #isTailDirty = false;
  #hasFailed = false;

  constructor(deps: WriterDeps, place: WriterPlace, segments: Segment[], nextOffset: number) {
    this.#deps = deps;
    this.#place = place;
    this.segments = segments;
    this.#nextOffset = nextOffset;
  }

  get nextOffset(): number {
    return this.#nextOffset;
  }

  /**
   * After a crash: cuts the torn end off and syncs what was found, because a reader must not see what
   * a power cut could still take back.
   * @throws the disk's error.
   */
  async settleTail(): Promise<void> {
    const last = this.segments.at(-1);
    if (last === undefined) return;
    if (!last.isSealed && last.damage === null) await this.#reopen(last);
    if (last.damage === null && last.nextOffset === this.#nextOffset) return;
    try {
      // At once, so that its offsets stay taken even if more of the damaged one becomes unreadable.
      await this.#create();
    } catch (error) {
      if (!isSpaceError(error)) throw error;
    }
  }

  /** Stores the whole batch or nothing of it. */
  async write(batch: LogBatch): Promise<WriteOutcome> {
    assert(!this.#hasFailed, 'nothing is written after a failure', { topic: this.#place.topic });
    try {
      if (this.#isTailDirty) await this.#rollBack();
      const segment = await this.#prepare(batch.usedBytes);
      const { file } = segment;
      const timeMs = this.#deps.clock.wallMs();
      const firstOffset = this.#nextOffset;
      const position = segment.segment.endPosition;
      batch.seal(firstOffset, timeMs, segment.segment.seed);
      this.#isTailDirty = true;
      await this.#preallocate(file, position + batch.usedBytes);
      await writeWhole(file, batch.block.bytes, batch.usedBytes, position);
      await synced(file.datasync());
      this.#isTailDirty = false;
      this.#advance(segment.segment, batch, firstOffset, timeMs);
      return { kind: 'stored', firstOffset, timeMs };
    } catch (error) {
      return this.#undo(error);
    }
  }

  /** Begins a new segment, so that retention can remove the present one. */
  async roll(): Promise<WriteOutcome['kind']> {
    const last = this.segments.at(-1);
    if (last === undefined || last.endPosition === HEADER_BYTES) return 'stored';
    try {
      if (this.#isTailDirty) await this.#rollBack();
      await this.#create();
      return 'stored';
    } catch (error) {
      return (await this.#undo(error)).kind;
    }
  }

  /** False when the active file was removed under us: what it takes would be lost. */
  async isLinked(): Promise<boolean> {
    return this.#file === null || this.#file.isLinked();
  }

  /** Ends cleanly: seals, so that the next start need not scan. Never throws. */
  async close(): Promise<void> {
    const file = this.#file;
    const last = this.segments.at(-1);
    if (file === null || last === undefined) return;
    this.#file = null;
    try {
      if (this.#hasFailed || this.#isTailDirty) await file.close();
      else await this.#sealAndClose(last, file);
    } catch (error) {
      // Everything acknowledged is synced already: without a footer the next start scans the segment.
      this.#deps.logger.warn('A segment could not be sealed', {
        file: last.path,
        error: messageOf(error),
      });
    }
  }

  #advance(segment: Segment, batch: LogBatch, firstOffset: number, timeMs: number): void {
    const index = segment.writableIndex;
    const base = segment.endPosition;
    for (let at = 0; at < batch.count; at++) {
      index.add(firstOffset + at, base + (batch.starts[at] ?? 0), timeMs);
    }
    segment.endPosition = base + batch.usedBytes;
    segment.nextOffset = firstOffset + batch.count;
    if (timeMs > segment.timeMsMax) segment.timeMsMax = timeMs;
    this.#nextOffset = segment.nextOffset;
  }

  /** The active segment with room for that many bytes. */
  async #prepare(bytes: number): Promise<{ readonly segment: Segment; readonly file: DiskFile }> {
    const last = this.segments.at(-1);
    const hasRoom =
      last !== undefined &&
      last.damage === null &&
      last.nextOffset === this.#nextOffset &&
      (last.endPosition === HEADER_BYTES || last.endPosition + bytes <= this.#deps.segmentBytes());
    if (!hasRoom) return this.#create();
    const file = this.#file ?? (await this.#reopen(last));
    return { segment: last, file };
  }

  /** Opens the last segment for writing again and makes it end where its frames do. */
  async #reopen(segment: Segment): Promise<DiskFile> {
    await segment.loadIndex((reason) => this.#deps.logger.warn(reason, { file: segment.path }));
    const file = await this.#deps.disk.open(segment.path, 'write');
    try {
      await file.truncate(segment.endPosition);
      await synced(file.sync());
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
    segment.isSealed = false;
    this.#file = file;
    this.#fileBytes = segment.endPosition;
    return file;
  }

  /** Seals the old segment, then makes a new one, durable with its name before the first frame. */
  async #create(): Promise<{ readonly segment: Segment; readonly file: DiskFile }> {
    const { disk, clock, random } = this.#deps;
    const { directory, topic, partition } = this.#place;
    await this.#sealActive();
    const baseOffset = this.#nextOffset;
    const path = `${directory}/${segmentName(baseOffset)}`;
    const salt = new Uint8Array(16);
    for (let at = 0; at < salt.length; at++) salt[at] = random.below(256);
    const header = encodeHeader({ topic, partition, baseOffset, createdMs: clock.wallMs(), salt });
    const file = await createOrClear(disk, path);
    try {
      await writeWhole(file, header, header.length, 0);
      await synced(file.datasync());
      await synced(disk.syncDirectory(directory));
    } catch (error) {
      await closeQuietly(file);
      throw error;
    }
    const segment = new Segment(disk, {
      path,
      baseOffset,
      salt,
      nextOffset: baseOffset,
      endPosition: HEADER_BYTES,
      timeMsMax: 0,
      isSealed: false,
      index: new SegmentIndex(),
      storedIndex: null,
      damage: null,
    });
    this.segments.push(segment);
    this.#file = file;
    this.#fileBytes = HEADER_BYTES;
    return { segment, file };
  }

  /** Without room for a footer the segment stays open-ended: its successor's base ends it. */
  async #sealActive(): Promise<void> {
    const segment = this.segments.at(-1);
    const file = this.#file;
    if (segment === undefined || file === null) return;
    this.#file = null;
    try {
      await this.#sealAndClose(segment, file);
    } catch (error) {
      if (outcomeOf(error) === 'failed') throw error;
      this.#deps.logger.warn('A segment could not be sealed', {
        file: segment.path,
        error: messageOf(error),
      });
    }
  }

  async #sealAndClose(segment: Segment, file: DiskFile): Promise<void> {
    const { baseOffset, nextOffset, endPosition, timeMsMax, salt } = segment;
    try {
      const facts = { baseOffset, nextOffset, endPosition, timeMsMax, salt };
      const footer = encodeFooter(facts, segment.writableIndex.encode());
      await writeWhole(file, footer, footer.length, endPosition);
      await file.truncate(endPosition + footer.length);
      await synced(file.sync());
      segment.isSealed = true;
    } catch (error) {
      // A part of a footer would look like damage once another segment follows.
      await file.truncate(endPosition).catch(() => undefined);
      throw error;
    } finally {
      await closeQuietly(file);
    }
  }

  async #preallocate(file: DiskFile, end: number): Promise<void> {
    if (end <= this.#fileBytes) return;
    const wanted = Math.ceil(end / PREALLOCATE_BYTES) * PREALLOCATE_BYTES;
    const sizeBytes = Math.max(end, Math.min(wanted, this.#deps.segmentBytes()));
    await file.truncate(sizeBytes);
    this.#fileBytes = sizeBytes;
  }

  /** Takes everything behind the end away again, durably: it must not pass for later frames. */
  async #rollBack(): Promise<void> {
    const file = this.#file;
    const last = this.segments.at(-1);
    if (file !== null && last !== undefined) {
      await file.truncate(last.endPosition);
      this.#fileBytes = last.endPosition;
      await synced(file.sync());
    }
    this.#isTailDirty = false;
  }

  async #undo(error: unknown): Promise<WriteOutcome> {
    const kind = outcomeOf(error);
    if (kind === 'failed') {
      this.#hasFailed = true;
      return { kind, error };
    }
    if (!this.#isTailDirty) return { kind, error };
    try {
      await this.#rollBack();
    } catch (failure) {
      // Still dirty: the next write tries again, unless the disk has failed for good.
      if (outcomeOf(failure) === 'failed') {
        this.#hasFailed = true;
        return { kind: 'failed', error: failure };
      }
    }
    return { kind, error };
  }
}

function outcomeOf(error: unknown): 'full' | 'refused' | 'failed' {
  if (error instanceof SyncFailure) return 'failed';
  if (isSpaceError(error)) return 'full';
  return REFUSED_CODES.has(diskErrorCode(error) ?? '') ? 'refused' : 'failed';
}

/** Marks a failure as one of a sync; a lack of descriptors came before it. */
async function synced(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const code = diskErrorCode(error);
    if (code === 'EMFILE' || code === 'ENFILE') throw error;
    throw new SyncFailure(`sync failed: ${messageOf(error)}`, { cause: error });
  }
}

/** A file of that name can only be what an earlier failed roll left: it never held a record. */
async function createOrClear(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'create');
  } catch (error) {
    if (diskErrorCode(error) !== 'EEXIST') throw error;
  }
  const file = await disk.open(path, 'write');
  try {
    await file.truncate(0);
    return file;
  } catch (error) {
    await closeQuietly(file);
    throw error;
  }
}

async function closeQuietly(file: DiskFile): Promise<void> {
  // What had to be durable was synced before, or has failed already.
  await file.close().catch(() => undefined);
}
