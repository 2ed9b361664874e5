/**
 * How a waiting pair travels as cells: the order of the fields, known to both sides. Used by
 * `waiting-store.ts` (pairs to cells and back) and by the worker (cells to rows and back).
 */
import type { Stage } from '#lib/channel/waiting-store';

/** A lease ends this long after its last renewal. */
export const LEASE_MS = 10_000;
/** A lease that seems to last longer than this was given before the clock was set back. */
export const LEASE_AHEAD_MS_MAX = LEASE_MS + 5 * 60_000;

/** By number in the database; `parked` is last, and everything below it can be leased. */
export const STAGES: readonly Stage[] = ['subscriber', 'reply', 'deadLetter', 'parked'];
export const STAGE_SUBSCRIBER = 0;
export const STAGE_PARKED = 3;

/**
 * put: holder, nowMs, then per pair id, topic, partition, offset, target, targetKey, stage, attempt,
 * deaths, lane, dueMs, firstFailureMs, lastFailureMs, eventId, and start and length of record,
 * failure and reply in the bytes (length 0: none).
 */

/**
 * lease and peek give per pair: id, topic, partition, offset, target, targetKey, stage, attempt,
 * deaths, lane, dueMs, firstFailureMs, lastFailureMs, and the lengths of record, failure and reply,
 * which follow one another in the bytes. A lease has nextDueMs before the first pair.
 */
