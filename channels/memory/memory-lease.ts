/**
 * Which pairs of one target a lease hands out. Pure but for the clamp of due times; used by
 * `memory-waiting.ts`. Earliest due first, so that nothing starves; handed out in order of position.
 *
 * Lanes: of the pairs of one lane only the lowest offset can go, and none while it is under lease or
 * not yet due. A lease counts while `now < until`, and not when `until` lies absurdly far ahead: the
 * wall clock was set back.
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

export function selectLease(rows: WaitingRow[], request: LeaseRequest): LeaseSelection {
  const { nowMs } = request;
  const free: WaitingRow[] = [];
  let nextDueMs = Number.POSITIVE_INFINITY;
  for (const row of leasableRows(rows, nowMs)) {
    clampDue(row, nowMs);
    if (row.pair.dueMs <= nowMs) free.push(row);
    else nextDueMs = Math.min(nextDueMs, row.pair.dueMs);
  }
  for (const row of rows) {
    // What another holder has may come free when its lease ends; its own are its own business.
    if (isLeased(row, nowMs) && row.holder !== request.holder) {
      nextDueMs = Math.min(nextDueMs, row.leaseUntilMs);
    }
  }
  free.sort((a, b) => a.pair.dueMs - b.pair.dueMs || comparePosition(a, b));
  const count = countWithin(free, request);
  const next = free[count];
  if (next !== undefined) nextDueMs = Math.min(nextDueMs, next.pair.dueMs);
  return {
    rows: free.slice(0, count).sort(comparePosition),
    nextDueMs: nextDueMs === Number.POSITIVE_INFINITY ? null : nextDueMs,
  };
}

/** By topic, partition, offset. */
export function comparePosition(a: WaitingRow, b: WaitingRow): number {
  const left = a.pair.source;
  const right = b.pair.source;
  if (left.topic !== right.topic) return left.topic < right.topic ? -1 : 1;
  return left.partition - right.partition || left.offset - right.offset || a.pair.id - b.pair.id;
}

/** Unleased, not parked, and not behind another pair of the lane. */
export function leasableRows(rows: readonly WaitingRow[], nowMs: number): readonly WaitingRow[] {
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
    if (row.pair.stage === 'parked' || isLeased(row, nowMs)) return false;
    const lane = laneOf(row);
    return lane === null || heads.get(lane) === row;
  });
}

function laneOf({ pair }: WaitingRow): string | null {
  if (pair.lane === null || pair.stage !== 'subscriber') return null;
  return `${pair.source.partition}\n${pair.lane}\n${pair.source.topic}`;
}

function isLeased(row: WaitingRow, nowMs: number): boolean {
  if (row.holder === null) return false;
  return row.leaseUntilMs > nowMs && row.leaseUntilMs <= nowMs + LEASE_AHEAD_MS_MAX;
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
