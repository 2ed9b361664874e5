/**
 * Opens the segment files of one partition: first looks, without changing anything (so that an unknown
 * version refuses the whole store before a byte is touched), then recovers. Used at start only.
 * Invariant: only the torn end of the last segment is ever cut off, and only what no producer was told
 * to be stored; anything else that is bad is reported, set aside by name, and served as far as it goes.
 */
import { isMissingError } from '#lib/disk/disk';
import type { Disk, DiskFile } from '#lib/disk/disk';
import { embeddedLogError } from './embedded-log-errors.ts';
import { lostSegment, Segment } from './segment-file.ts';
import {
  FORMAT_VERSION,
  frameSeed,
  HEADER_BYTES,
  parseHeader,
  parseSegmentName,
  parseTrailer,
  TRAILER_BYTES,
} from './segment-format.ts';
import type { ParsedHeader, Trailer } from './segment-format.ts';
import { readFully } from './segment-frames.ts';
import { scanSegment } from './segment-scan.ts';

/** A segment file before recovery. */
export interface SegmentSight {
  readonly path: string;
  readonly baseOffset: number;
  readonly isSetAside: boolean;
  readonly fileBytes: number;
  readonly header: ParsedHeader;
  readonly trailer: Trailer | null;
}

export interface RecoveredPartition {
  /** By base offset; the last one may be appended to when it is not damaged. */
  readonly segments: Segment[];
  readonly nextOffset: number;
  /** What is damaged or missing; damaged segments are served as far as they go. */
  readonly damages: readonly Damage[];
}

export interface Damage {
  readonly path: string;
  readonly reason: string;
}

/** @throws EMBEDDED_FORMAT_UNKNOWN when a file has a version that is not ours. */
export async function sightPartition(disk: Disk, directory: string): Promise<SegmentSight[]> {
  const sights: SegmentSight[] = [];
  for (const name of await listOrEmpty(disk, directory)) {
    const parsed = parseSegmentName(name);
    if (parsed === null) continue;
    const sight = await sightSegment(disk, `${directory}/${name}`, parsed);
    if (sight.header.kind === 'unknownVersion') {
      throw embeddedLogError(
        'EMBEDDED_FORMAT_UNKNOWN',
        `Cannot open "${sight.path}": its format is version ${sight.header.version}, known is ${FORMAT_VERSION}`,
      );
    }
    sights.push(sight);
  }
  // A set-aside file goes before a newer one of the same base.
  return sights.sort(
    (a, b) => a.baseOffset - b.baseOffset || Number(b.isSetAside) - Number(a.isSetAside),
  );
}

async function listOrEmpty(disk: Disk, directory: string): Promise<readonly string[]> {
  try {
    return await disk.list(directory);
  } catch (error) {
    if (isMissingError(error)) return [];
    throw error;
  }
}

/** What one file says about itself; used by read-only processes as well. */
export async function sightSegment(
  disk: Disk,
  path: string,
  name: { readonly baseOffset: number; readonly isDamaged: boolean },
): Promise<SegmentSight> {
  const file = await disk.open(path, 'read');
  try {
    const fileBytes = await file.sizeBytes();
    const head = Buffer.alloc(HEADER_BYTES);
    await readFully(file, head, HEADER_BYTES, 0);
    const tail = Buffer.alloc(TRAILER_BYTES);
    const tailAt = fileBytes - TRAILER_BYTES;
    if (tailAt >= HEADER_BYTES) await readFully(file, tail, TRAILER_BYTES, tailAt);
    return {
      path,
      baseOffset: name.baseOffset,
      isSetAside: name.isDamaged,
      fileBytes,
      header: parseHeader(head),
      trailer: parseTrailer(tail, fileBytes),
    };
  } finally {
    await file.close();
  }
}

/**
 * Recovers a partition from what {@link sightPartition} saw; changes no file. A file of which nothing
 * can be read becomes a segment all the same, so that every offset given out is in the reach of one.
 * @param nowMs  How late the records of such a file may be, where its neighbours do not say.
 */
export async function recoverPartition(
  disk: Disk,
  sights: readonly SegmentSight[],
  topic: string,
  partition: number,
  nowMs: number,
): Promise<RecoveredPartition> {
  const segments: Segment[] = [];
  const damages: Damage[] = [];
  let nextOffset = 0;
  const add = (segment: Segment): void => {
    const { path, baseOffset, damage } = segment;
    if (segments.length > 0 && baseOffset > nextOffset) {
      const reason = `offsets ${nextOffset} to ${baseOffset - 1} before it are missing`;
      damages.push({ path, reason });
    }
    if (damage !== null) damages.push({ path, reason: damage });
    segments.push(segment);
    nextOffset = Math.max(nextOffset, segment.nextOffset);
  };
  const addLost = (at: number, lostNext: number, reason: string): void => {
    const { path = '', baseOffset = 0 } = sights[at] ?? {};
    const neighbourMs = segments.at(-1)?.timeMsMax ?? sights[at + 1]?.trailer?.timeMsMax;
    add(lostSegment(disk, path, baseOffset, lostNext, neighbourMs ?? nowMs, reason));
  };
  for (let at = 0; at < sights.length; at++) {
    const sight = sights[at];
    if (sight === undefined) continue;
    const following = sights[at + 1]?.baseOffset ?? null;
    if (following === sight.baseOffset) {
      damages.push({ path: sight.path, reason: 'a newer segment has taken its place' });
      continue;
    }
    if (following === null && (await wasNeverBegun(disk, sight))) {
      // A roll that was cut off before its first record: the next roll takes the file over. Its name
      // keeps the offset; when more than the roll is missing, readers must get over the gap as well.
      if (sight.baseOffset > nextOffset) addLost(at, sight.baseOffset, 'its header is damaged');
      continue;
    }
    const identity = identify(sight, topic, partition);
    if (identity.kind === 'segment') {
      add(await recoverSegment(disk, sight, identity, following));
    } else {
      // Its offsets must not be given out again: no frame is shorter than 40 bytes.
      const lostNext = following ?? sight.baseOffset + Math.ceil(sight.fileBytes / 40);
      addLost(at, lostNext, identity.reason);
    }
  }
  return { segments, nextOffset, damages };
}

export type Identity =
  | { readonly kind: 'segment'; readonly salt: Uint8Array; readonly damage: string | null }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** The salt, from either header copy or else from the footer. */
export function identify(sight: SegmentSight, topic: string, partition: number): Identity {
  const { header, trailer } = sight;
  const earlier = sight.isSetAside ? 'it was set aside earlier' : null;
  if (header.kind === 'header') {
    const { topic: ofTopic, partition: ofPartition, baseOffset, salt } = header.header;
    if (ofTopic !== topic || ofPartition !== partition || baseOffset !== sight.baseOffset) {
      const reason = `it belongs to ${ofTopic}/${ofPartition} at offset ${baseOffset}`;
      return { kind: 'unreadable', reason };
    }
    const damage = header.isWhole ? earlier : 'one copy of its header is damaged';
    return { kind: 'segment', salt, damage };
  }
  if (trailer !== null && trailer.baseOffset === sight.baseOffset) {
    return { kind: 'segment', salt: trailer.salt, damage: 'its header is damaged' };
  }
  return { kind: 'unreadable', reason: 'its header is damaged' };
}

async function recoverSegment(
  disk: Disk,
  sight: SegmentSight,
  identity: { readonly salt: Uint8Array; readonly damage: string | null },
  following: number | null,
): Promise<Segment> {
  const { trailer, path, baseOffset } = sight;
  const { salt } = identity;
  if (
    trailer !== null &&
    trailer.baseOffset === baseOffset &&
    Buffer.compare(trailer.salt, salt) === 0
  ) {
    const { nextOffset, endPosition, timeMsMax, indexBytes, indexCrc } = trailer;
    const storedIndex = { position: endPosition, bytes: indexBytes, crc: indexCrc };
    return new Segment(disk, {
      path,
      baseOffset,
      salt,
      nextOffset,
      endPosition,
      timeMsMax,
      isSealed: true,
      index: null,
      storedIndex,
      damage: identity.damage,
    });
  }
  const file = await disk.open(path, 'read');
  try {
    const seed = frameSeed(salt);
    const scan = await scanSegment(file, seed, baseOffset, sight.fileBytes, following);
    const lost = scan.damage === null ? null : `unreadable: ${scan.damage}`;
    const reasons = [
      identity.damage,
      lost,
      await footerDamage(file, sight, scan.endPosition, following),
    ];
    const damage = reasons.filter((reason) => reason !== null).join('; ');
    return new Segment(disk, {
      path,
      baseOffset,
      salt,
      nextOffset: scan.nextOffset,
      endPosition: scan.endPosition,
      timeMsMax: scan.timeMsMax,
      isSealed: false,
      index: scan.index,
      storedIndex: null,
      damage: damage === '' ? null : damage,
    });
  } finally {
    await file.close();
  }
}

/** A segment before the last one has a footer, or was left open by a crash and ends in zeros. */
async function footerDamage(
  file: DiskFile,
  sight: SegmentSight,
  endPosition: number,
  following: number | null,
): Promise<string | null> {
  if (following === null || (await isZero(file, endPosition, sight.fileBytes))) return null;
  return 'its footer is damaged and was rebuilt from its records';
}

/** The header is synced before the first record is written, so half a header means no record. */
async function wasNeverBegun(disk: Disk, sight: SegmentSight): Promise<boolean> {
  const hasHeader = sight.header.kind === 'header' && sight.header.isWhole;
  if (sight.isSetAside || hasHeader) return false;
  const file = await disk.open(sight.path, 'read');
  try {
    return await isZero(file, HEADER_BYTES, sight.fileBytes);
  } finally {
    await file.close();
  }
}

const ZERO_CHUNK_BYTES = 1024 * 1024;

async function isZero(file: DiskFile, from: number, to: number): Promise<boolean> {
  const zeros = Buffer.alloc(ZERO_CHUNK_BYTES);
  const chunk = Buffer.allocUnsafe(ZERO_CHUNK_BYTES);
  for (let at = from; at < to; at += ZERO_CHUNK_BYTES) {
    const size = Math.min(ZERO_CHUNK_BYTES, to - at);
    const count = await readFully(file, chunk, size, at);
    if (count < size || chunk.compare(zeros, 0, size, 0, size) !== 0) return false;
  }
  return true;
}
