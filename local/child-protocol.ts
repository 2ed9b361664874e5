/**
 * The messages between the control side (parent) and a process of the event side (child), over Node's
 * IPC channel with structured clone. Ordered; every message is bounded by the limits below.
 *
 *   parent: start → request*, routing*, synced → … → drain → close
 *   child:  opened → answer*, applied*, ready → … tail* … → drained → exit
 */
import type { RoutingPatch } from '#lib/contract/routing';
import type { MeshErrorOptions, RetryAdvice } from '#lib/errors/mesh-error';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { MetricFamily } from '#lib/telemetry/metrics';
import type {
  EnsureRequest,
  EventRole,
  EventSideStarted,
  EventSideStatus,
  ParkedDetail,
  ParkedPair,
  ParkedQuery,
  ReplayAnswer,
  ReplayRequest,
  TailEntry,
} from './event-side.ts';
import type { EventSideSettings } from './event-side-settings.ts';

/** Patches in one message, and Triggers in one `ensure`. */
export const BATCH_COUNT_MAX = 1_000;
/** Requests that wait for an answer of one child; more are refused. */
export const OPEN_REQUESTS_MAX = 256;
/** Tail entries in one message, and on their way to the parent; beyond it they are counted only. */
export const TAIL_BATCH_MAX = 256;
export const TAIL_PENDING_MAX = 2_048;

/** Method → what is asked, what is answered. */
export interface ChildMethods {
  ensure: { params: EnsureRequest; result: null };
  status: { params: null; result: EventSideStatus };
  metrics: { params: null; result: readonly MetricFamily[] };
  tail: { params: { readonly isOn: boolean }; result: null };
  replay: { params: ReplayRequest; result: ReplayAnswer };
  parkedList: { params: ParkedQuery; result: readonly ParkedPair[] };
  parkedShow: { params: { readonly id: number }; result: ParkedDetail | null };
  parkedRedrive: { params: { readonly ids: readonly number[] }; result: number };
  parkedDrop: { params: { readonly ids: readonly number[] }; result: number };
}

export type ChildMethod = keyof ChildMethods;

export type ChildCall = {
  [Method in ChildMethod]: {
    readonly method: Method;
    readonly params: ChildMethods[Method]['params'];
  };
}[ChildMethod];

export type ParentMessage =
  | {
      readonly kind: 'start';
      readonly roles: readonly EventRole[];
      readonly settings: EventSideSettings;
    }
  | { readonly kind: 'request'; readonly id: number; readonly call: ChildCall }
  | {
      readonly kind: 'routing';
      readonly revision: number;
      readonly patches: readonly RoutingPatch[];
      /** The last batch of that revision: the child answers `applied`. */
      readonly isLast: boolean;
    }
  | { readonly kind: 'synced' }
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  | { readonly kind: 'close' };

export type ChildMessage =
  | ({ readonly kind: 'opened' } & EventSideStarted)
  | { readonly kind: 'applied'; readonly revision: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'drained' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly fault: Fault }
  | {
      readonly kind: 'tail';
      readonly entries: readonly TailEntry[];
      /** Entries that were not sent since the last message, because too many were on their way. */
      readonly skippedCount: number;
    }
  /** The child cannot start or go on; it exits next. */
  | { readonly kind: 'fatal'; readonly fault: Fault };

/** An error as it crosses a process boundary. */
export interface Fault {
  /** Word code, or `null` for an error that is none of ours. */
  readonly code: string | null;
  readonly message: string;
  readonly retry: RetryAdvice;
  readonly httpStatus: number | null;
}

export function faultOf(error: unknown): Fault {
  if (!isMeshError(error)) {
    return { code: null, message: messageOf(error), retry: 'backoff', httpStatus: null };
  }
  const { code, message, retry, httpStatus } = error;
  return { code, message, retry, httpStatus: httpStatus ?? null };
}

/** A fault of another process, thrown here; keeps its code. */
export class RemoteFault extends Error {
  override readonly name = 'RemoteFault';
  readonly fault: Fault;

  constructor(fault: Fault, options: Pick<MeshErrorOptions, 'cause'> = {}) {
    super(fault.message, options);
    this.fault = fault;
  }
}

/** Exit codes of a child: asked to, broken invariant, cannot start or go on. */
export const EXIT_CLEAN = 0;
export const EXIT_BUG = 70;
export const EXIT_FATAL = 75;
