/**
 * Removes whole segments that every reader has passed: by age, by bytes, and sooner when the store is
 * nearly full. Called by the log every 30 s and under pressure. Invariant: nothing at or above the
 * lowest pin of its partition is ever removed, and neither is an event that a stored delivery needs.
 */
import { LogCursor } from './log-cursor.ts';
import type { LogPartition } from './log-partition.ts';
import type { Segment } from './segment-file.ts';
import { HEADER_BYTES } from './segment-format.ts';
import { segmentBytes } from './segment-file.ts';

export interface RetentionInput {
  readonly partitions: readonly LogPartition[];
  /** The first offset that a reader still needs, or `null` when nobody does. */
  readonly lowestPin: (topic: string, partition: number) => number | null;
  readonly nowMs: number;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** Remove what can be removed until this many bytes are left, whatever its age; `null`: no need. */
  readonly pressureBytes: number | null;
}

export interface RetentionPlan {
  /** How many segments to drop from the front of each partition. */
  readonly drops: ReadonlyMap<LogPartition, number>;
  /** Partitions whose active segment nobody needs: they begin a new one, and drop it next time. */
  readonly rolls: readonly LogPartition[];
}

interface Candidate {
  readonly partition: LogPartition;
  readonly segment: Segment;
}

/**
 * A filter that restarts matches some events again, so its deliveries may step back in their source.
 * It checkpoints at least every 1,000 events or 250 ms; this is many times what that can be.
 */
const STEP_BACK_MAX = 50_000;

/** Decides what to remove. Reads from the files only when something may go. */
export async function planRetention(input: RetentionInput): Promise<RetentionPlan> {
  const pins = new Map<LogPartition, number>();
  for (const partition of input.partitions) {
    const pin = input.lowestPin(partition.topic, partition.partition);
    pins.set(partition, Math.min(pin ?? Infinity, partition.nextOffset));
  }
  if (hasWork(input, pins)) await lowerForDeliveries(input.partitions, pins);
  const candidates = findCandidates(input.partitions, pins);
  const drops = chooseDrops(input, candidates);
  const cutoffMs = input.nowMs - input.retentionMs;
  const rolls = input.partitions.filter((partition) => {
    const active = partition.segments.at(-1);
    if (active === undefined || active.endPosition === HEADER_BYTES) return false;
    if ((pins.get(partition) ?? 0) < active.nextOffset) return false;
    return input.pressureBytes !== null || active.timeMsMax < cutoffMs;
  });
  return { drops, rolls };
}

function hasWork(input: RetentionInput, pins: ReadonlyMap<LogPartition, number>): boolean {
  return input.pressureBytes !== null || findCandidates(input.partitions, pins).length > 0;
}

function findCandidates(
  partitions: readonly LogPartition[],
  pins: ReadonlyMap<LogPartition, number>,
): Candidate[] {
  const candidates: Candidate[] = [];
  for (const partition of partitions) {
    const pin = pins.get(partition) ?? 0;
    for (const segment of partition.segments.slice(0, -1)) {
      if (segment.nextOffset > pin) break;
      candidates.push({ partition, segment });
    }
  }
  return candidates;
}

/** Oldest first; a segment goes only after all before it in its partition. */
function chooseDrops(input: RetentionInput, candidates: Candidate[]): Map<LogPartition, number> {
  const drops = new Map<LogPartition, number>();
  const blocked = new Set<LogPartition>();
  let storedBytes = 0;
  for (const partition of input.partitions) storedBytes += partition.storedBytes;
  const targetBytes = Math.min(input.retentionBytes, input.pressureBytes ?? Infinity);
  const cutoffMs = input.nowMs - input.retentionMs;
  candidates.sort((a, b) => a.segment.timeMsMax - b.segment.timeMsMax);
  for (const { partition, segment } of candidates) {
    const count = drops.get(partition) ?? 0;
    const isNext = partition.segments[count] === segment;
    const isDue = segment.timeMsMax < cutoffMs || storedBytes > targetBytes;
    if (!isNext || !isDue || blocked.has(partition)) {
      blocked.add(partition);
      continue;
    }
    drops.set(partition, count + 1);
    storedBytes -= segmentBytes(segment);
  }
  return drops;
}

/** A delivery that is still to be read pins the event that it names. */
async function lowerForDeliveries(
  partitions: readonly LogPartition[],
  pins: Map<LogPartition, number>,
): Promise<void> {
  const byName = new Map(partitions.map((each) => [nameOf(each.topic, each.partition), each]));
  for (const partition of partitions) {
    const pin = Math.max(pins.get(partition) ?? 0, partition.firstOffset);
    if (pin >= partition.nextOffset) continue;
    const source = await sourceOfDelivery(partition, pin);
    if (source === null) continue;
    const target = byName.get(nameOf(source.topic, source.partition));
    if (target === undefined) continue;
    const needed = Math.max(0, source.offset - STEP_BACK_MAX);
    pins.set(target, Math.min(pins.get(target) ?? Infinity, needed));
  }
}

interface Source {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

async function sourceOfDelivery(partition: LogPartition, offset: number): Promise<Source | null> {
  const cached = partition.tail.get(offset)?.record ?? null;
  if (cached !== null) return 'source' in cached ? cached.source : null;
  const cursor = new LogCursor(partition);
  try {
    const [entry] = await cursor.read(offset, 1, 0);
    return entry !== undefined && 'source' in entry.record ? entry.record.source : null;
  } finally {
    cursor.close();
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic}\n${partition}`;
}
