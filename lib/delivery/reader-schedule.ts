/**
 * Which reader a Trigger's events belong to, by position: the record that the shared reader's owner
 * writes down before it goes on (architecture, "Readers"). Pure. After a crash the event's position
 * decides, not the present state, so the list keeps every change until both low-water marks have
 * passed it.
 */
import type { ReaderName } from '#lib/channel/event-record';

/** From offset `at` on, until the next change. Before the first change nobody reads. */
export interface ReaderChange {
  readonly at: number;
  readonly reader: ReaderName;
}

/** Sorted by `at`, strictly rising, neighbours differ. */
export type ReaderSchedule = readonly ReaderChange[];

/** The reader of the event at `offset`, or `null` when the Trigger had not started there. */
export function readerAt(schedule: ReaderSchedule, offset: number): ReaderName | null {
  let reader: ReaderName | null = null;
  for (const change of schedule) {
    if (change.at > offset) break;
    reader = change.reader;
  }
  return reader;
}

/** The first change above `offset`, or `null`. */
export function nextChange(schedule: ReaderSchedule, offset: number): ReaderChange | null {
  for (const change of schedule) if (change.at > offset) return change;
  return null;
}

/**
 * The schedule with `reader` from `at` on; later changes are replaced. A replay uses it with an `at`
 * in the past: what lies below stays with the reader it had.
 */
export function withChange(
  schedule: ReaderSchedule,
  at: number,
  reader: ReaderName,
): ReaderSchedule {
  const kept = schedule.filter((change) => change.at < at);
  return kept.at(-1)?.reader === reader ? kept : [...kept, { at, reader }];
}

/** The schedule without what lies wholly below `lowWater`; the change in force there is kept. */
export function pruned(schedule: ReaderSchedule, lowWater: number): ReaderSchedule {
  let first = 0;
  while (first + 1 < schedule.length && (schedule[first + 1]?.at ?? Infinity) <= lowWater) first++;
  return first === 0 ? schedule : schedule.slice(first);
}

/** The offset at which the own reader has nothing more to read, or `null` while it goes on. */
export function ownEnd(schedule: ReaderSchedule): number | null {
  const last = schedule.at(-1);
  return last?.reader === 'shared' ? last.at : null;
}
