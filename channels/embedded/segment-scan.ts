/**
 * Reads all frames of a segment that has no usable footer and says what is there: recovery after a
 * crash, and rebuilding a damaged index. Invariant: a torn end (of a flush that nobody was told of) is
 * told apart from damage (of frames that were acknowledged), and only damage is reported.
 */
import type { DiskFile } from '#lib/disk/disk';
import { findFrame, FrameWalker } from './segment-frames.ts';
import { HEADER_BYTES } from './segment-format.ts';
import { SegmentIndex } from './segment-index.ts';

export interface SegmentScan {
  readonly index: SegmentIndex;
  /** Behind the last good frame. */
  readonly nextOffset: number;
  readonly endPosition: number;
  readonly timeMsMax: number;
  /** What acknowledged frames are unreadable, in words; `null` when none are. */
  readonly damage: string | null;
}

const OFFSETS_MAX = 2 ** 52;

/**
 * @param limit      File bytes to look at.
 * @param mustReach  The base of the segment after this one, which proves how far it went; `null` for
 *   the last segment, whose end may be torn.
 */
export async function scanSegment(
  file: DiskFile,
  seed: number,
  baseOffset: number,
  limit: number,
  mustReach: number | null,
): Promise<SegmentScan> {
  const index = new SegmentIndex();
  const damages: string[] = [];
  // Frames end at a multiple of 8; a file that was cut elsewhere has a torn end anyway.
  const walker = new FrameWalker(file, seed, HEADER_BYTES, limit);
  let expected = baseOffset;
  let timeMsMax = 0;
  while (mustReach === null || expected < mustReach) {
    const step = walker.step();
    if (step === 'more') {
      await walker.fill();
      continue;
    }
    if (step === 'end') break;
    if (step === 'frame' && walker.offset === expected) {
      index.add(expected, walker.position, walker.timeMs);
      if (walker.timeMs > timeMsMax) timeMsMax = walker.timeMs;
      expected++;
      continue;
    }
    const from = walker.position;
    const last = mustReach === null ? OFFSETS_MAX : mustReach - 1;
    const found = await findFrame(file, seed, from, limit, expected + 1, last);
    const isTorn = found === null || found.offset - found.indexInFlush <= expected;
    if (mustReach === null && isTorn) {
      walker.moveTo(from, { fresh: false });
      return { index, nextOffset: expected, endPosition: from, timeMsMax, damage: text(damages) };
    }
    if (found === null) break;
    damages.push(`offsets ${expected} to ${found.offset - 1} at byte ${from}`);
    expected = found.offset;
    walker.moveTo(found.position, { fresh: false });
  }
  const endPosition = walker.nextPosition;
  if (mustReach !== null && expected < mustReach) {
    damages.push(`offsets ${expected} to ${mustReach - 1} at byte ${endPosition}`);
    expected = mustReach;
  }
  return { index, nextOffset: expected, endPosition, timeMsMax, damage: text(damages) };
}

function text(damages: readonly string[]): string | null {
  if (damages.length === 0) return null;
  const shown = damages.slice(0, 8).join(', ');
  return damages.length > 8 ? `${shown} and ${damages.length - 8} more places` : shown;
}
