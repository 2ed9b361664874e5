/**
 * The durable table of pairs (event, target) that are not settled and not simply ahead in the log:
 * waiting for a retry, in flight across a checkpoint, or parked for an operator. The scheduler in
 * `lib/delivery` is its only user. A body is kept once, however many targets wait for it.
 *
 * A pair is leased to a holder while it is being sent. A lease ends with its holder: 10 s after the
 * last renewal, or at once when a holder of the same name starts again (`recover`).
 */
import type { EventRecord, SourcePosition } from './event-record.ts';

export type Stage = 'subscriber' | 'reply' | 'deadLetter' | 'parked';

/** Why the pair left its first stage; becomes `knativeerror*` on a dead letter. */
export interface DeliveryFailure {
  /** The URL of the failing call, or `null` when there was none (expired TTL, undecodable). */
  readonly destination: string | null;
  /** The HTTP status, or `null` without a response (D6). */
  readonly status: number | null;
  /** The first 768 bytes of the response body (D5); empty when there was none. */
  readonly body: Buffer;
  /** A stable word: `StatusCode`, `Timeout`, `ConnectionFailed`, `MalformedReply`, `TtlExhausted`, … */
  readonly reason: string;
}

/** Identity: one pair per target and source position; a second `put` of the same pair replaces the first. */
export interface PairKey {
  readonly source: SourcePosition;
  /** UID of the target. Passes to a new UID with `retarget`. */
  readonly target: string;
}

/** A pair as it is stored. */
export interface WaitingPair extends PairKey {
  /** Given by the store; 0 on a pair that was never stored. Stable for the life of the pair. */
  readonly id: number;
  /** `namespace/name` of the target, for people and for inheritance by name. */
  readonly targetKey: string;
  readonly stage: Stage;
  /** Attempts begun in this stage, the one under lease included. */
  readonly attempt: number;
  /** Unclean ends of a holder while an attempt of this pair was open. */
  readonly deaths: number;
  /**
   * Ordered delivery: of one target's pairs with the same lane only the one with the lowest offset can
   * be leased, and none while it is leased or not yet due. `null` = unordered, or the pair has left
   * stage `subscriber` and holds nobody up any more.
   */
  readonly lane: string | null;
  /** Wall-clock milliseconds when it may be leased; 0 = at once. */
  readonly dueMs: number;
  /** Wall-clock milliseconds of the first and the latest attempt's end; 0 = none yet. */
  readonly firstFailureMs: number;
  readonly lastFailureMs: number;
  readonly failure: DeliveryFailure | null;
  readonly record: EventRecord;
  /** The subscriber's reply, in stage `reply`. */
  readonly reply: EventRecord | null;
}

export interface LeaseRequest {
  readonly target: string;
  readonly holder: string;
  /** Wall clock; pairs due at or before it can be leased. */
  readonly nowMs: number;
  readonly countMax: number;
  readonly bytesMax: number;
}

export interface Lease {
  /** With `attempt` already raised by one, durably. */
  readonly pairs: readonly WaitingPair[];
  /** When the next unleased pair of the target falls due (wall clock), or `null` without one. */
  readonly nextDueMs: number | null;
}

export interface TargetWaiting {
  readonly target: string;
  readonly targetKey: string;
  /** Pairs not parked, leased ones included. */
  readonly waiting: number;
  readonly parked: number;
  /** When the earliest unleased pair falls due (wall clock), or `null`. */
  readonly nextDueMs: number | null;
}

/** A stored pair without its body. */
export interface WaitingKey {
  readonly id: number;
  readonly target: string;
  readonly offset: number;
  readonly lane: string | null;
  readonly stage: Stage;
}

export interface PairQuery {
  readonly topic?: string;
  readonly target?: string;
  readonly targetKey?: string;
  readonly stage?: Stage;
  readonly eventId?: string;
  readonly countMax: number;
  /** Only pairs with a higher id: paging. */
  readonly afterId?: number;
}

export interface WaitingStore {
  /**
   * Stores pairs, replacing any with the same key; `holder` set = stored as leased by it. Resolves
   * with the ids, in order, when durable.
   * @throws CHANNEL_FULL only when even the reserve is used up; CHANNEL_NOT_CONNECTED; CHANNEL_CLOSED.
   */
  put(pairs: readonly WaitingPair[], holder: string | null): Promise<readonly number[]>;
  /** Leases due pairs of one target, in order of source position; attempts are raised durably first. */
  lease(request: LeaseRequest): Promise<Lease>;
  /** Removes settled pairs. Resolves when durable; unknown ids are no error. Needs no new space. */
  settle(ids: readonly number[]): Promise<void>;
  /** Keeps this holder's leases for 10 s more. Called every 2 s while any request is open. */
  renew(holder: string, ids: readonly number[]): Promise<void>;
  /**
   * A holder starts: leases in its name are void at once. `unclean` is true when its former life did
   * not end with {@link release}; then pairs with an open attempt count one more death.
   */
  recover(holder: string): Promise<{ readonly unclean: boolean }>;
  /** A clean end: leases given back as they are, without counting a death. */
  release(holder: string): Promise<void>;
  /** Per target; all targets of a topic when none is named. */
  summary(topic: string): Promise<readonly TargetWaiting[]>;
  /** Every pair of a partition at or above an offset, without bodies: what a restart must not repeat. */
  keys(topic: string, partition: number, fromOffset: number): Promise<readonly WaitingKey[]>;
  /** Reads without leasing, for operators and `parked list`. Bodies included. */
  peek(query: PairQuery): Promise<readonly WaitingPair[]>;
  /** Parked pairs go back to stage `subscriber`, attempt 0, due at once. Returns how many moved. */
  redrive(ids: readonly number[]): Promise<number>;
  /** A Trigger was re-created: its pairs pass to the new UID, due at once where they were frozen. */
  retarget(topic: string, fromUid: string, toUid: string): Promise<number>;
  /** Removes every pair of the target (parked ones too when asked). Returns how many. */
  drop(topic: string, target: string, options: { readonly parked: boolean }): Promise<number>;
}
