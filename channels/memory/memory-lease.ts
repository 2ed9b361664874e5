/**
 * Which pairs of one target a lease hands out. Pure but for the clamp of due times; used by
 * `memory-waiting.ts`. Earliest due first, so that nothing starves; handed out in order of position.
 *
 * Lanes: of the pairs of one lane only the lowest offset can go, and none while it is under lease or
 * not yet due. A lease counts while `now < until`; one that ends absurdly far ahead is void: the wall
 * clock was set back.
 */
import type { LeaseRequest, WaitingPair } from '#lib/channel/waiting-store';

/** A pair with what the store knows about its lease. */
export interface WaitingRow {
  pair: WaitingPair;
  /** Who has it under lease, expired or not; `null` = given back or never leased. */
  holder: string | null;
  leaseUntilMs: number;
  readonly sizeBytes: number;
}

export interface LeaseSelection {
  readonly rows: readonly WaitingRow[];
  readonly nextDueMs: number | null;
}

/** No due time lies further ahead than the longest back-off, whatever the clock did. */
const DUE_AHEAD_MS_MAX = 3_600_000;
/** A lease that seems to last longer than this was given before the clock was set back. */
const LEASE_AHEAD_MS_MAX = 10_000 + 5 * 60_000;

export function selectLease(rows: readonly WaitingRow[], request: LeaseRequest): LeaseSelection {
  const { nowMs } = request;
  const free: WaitingRow[] = [];
  const dueTimes: number[] = [];
  for (const row of headRows(rows)) {
    const leased = isLeased(row, nowMs);
    if (!leased) clampDue(row, nowMs);
    if (freeMsOf(row) <= nowMs) free.push(row);
    // What another holder has comes free when its lease ends; its own are its own business.
    else if (!leased || row.holder !== request.holder) dueTimes.push(freeMsOf(row));
  }
  free.sort((a, b) => freeMsOf(a) - freeMsOf(b) || comparePosition(a, b));
  const count = countWithin(free, request);
  const next = free[count];
  if (next !== undefined) dueTimes.push(freeMsOf(next));
  return {
    rows: free.slice(0, count).sort(comparePosition),
    nextDueMs: dueTimes.length === 0 ? null : Math.min(...dueTimes),
  };
}

/** When the earliest pair that nobody has under lease can be leased, or `null`. */
export function nextFreeMs(rows: readonly WaitingRow[], nowMs: number): number | null {
  const times = headRows(rows)
    .filter((row) => !isLeased(row, nowMs))
    .map(freeMsOf);
  return times.length === 0 ? null : Math.min(...times);
}

/** The later of the due time and the end of the lease. */
function freeMsOf({ pair, holder, leaseUntilMs }: WaitingRow): number {
  return holder === null ? pair.dueMs : Math.max(pair.dueMs, leaseUntilMs);
}

/** By topic, partition, offset. */
export function comparePosition(a: WaitingRow, b: WaitingRow): number {
  const left = a.pair.source;
  const right = b.pair.source;
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1;
  return left.partition - right.partition || left.offset - right.offset || a.pair.id - b.pair.id;
}

/** Not parked, and not behind another pair of the lane. */
function headRows(rows: readonly WaitingRow[]): readonly WaitingRow[] {
  const heads = new Map<string, WaitingRow>();
  for (const row of rows) {
    const lane = laneOf(row);
    if (lane === null) continue;
    const head = heads.get(lane);
    if (head === undefined || row.pair.source.offset < head.pair.source.offset) {
      heads.set(lane, row);
    }
  }
  return rows.filter((row) => {
    if (row.pair.stage === 'parked') return false;
    const lane = laneOf(row);
    return lane === null || heads.get(lane) === row;
  });
}

function laneOf({ pair }: WaitingRow): string | null {
  if (pair.lane === null || pair.stage !== 'subscriber') return null;
  return `${pair.source.partition}\n${pair.lane}\n${pair.source.topic}`;
}

function isLeased(row: WaitingRow, nowMs: number): boolean {
  return row.holder !== null && row.leaseUntilMs > nowMs;
}

/** Gives back what seems to be leased for far too long: the clock was set back meanwhile. */
export function voidFarLeases(rows: Iterable<WaitingRow>, nowMs: number): void {
  for (const row of rows) {
    if (row.holder === null || row.leaseUntilMs <= nowMs + LEASE_AHEAD_MS_MAX) continue;
    row.holder = null;
    row.leaseUntilMs = 0;
  }
}

function clampDue(row: WaitingRow, nowMs: number): void {
  const latestMs = nowMs + DUE_AHEAD_MS_MAX;
  if (row.pair.dueMs > latestMs) row.pair = { ...row.pair, dueMs: latestMs };
}

function countWithin(rows: readonly WaitingRow[], request: LeaseRequest): number {
  let bytes = 0;
  let count = 0;
  for (const row of rows) {
    bytes += row.sizeBytes;
    if (count >= request.countMax || (count > 0 && bytes > request.bytesMax)) break;
    count++;
  }
  return count;
}
