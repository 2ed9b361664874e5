/**
 * What the control socket answers, as types that the server (`control-server.ts`) and the commands
 * (`control-client.ts`) share. Plain HTTP with JSON over the socket; `tail` is a stream of lines.
 */
import type { StartPosition, TriggerRoute } from '#lib/contract/routing';
import type { ObjectReport } from '../control-side.ts';
import type {
  ParkedDetail,
  ParkedPair,
  ReplayAnswer,
  StoreStatus,
  TriggerStatus,
} from '../event-side.ts';
import type { ManifestProblem } from '../manifests/manifest-problem.ts';
import type { ProcessReport } from '../supervision/event-group.ts';

export interface StatusAnswer {
  readonly version: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly isReady: boolean;
  /** Why not; empty when it is. */
  readonly reasons: readonly string[];
  readonly eventsUrl: string | null;
  readonly adminUrl: string | null;
  readonly dataDir: string;
  readonly files: readonly string[];
  readonly processes: readonly ProcessReport[];
  readonly store: StoreStatus | null;
  readonly objects: { readonly inForce: number; readonly pending: number; readonly faulty: number };
  readonly problems: readonly ManifestProblem[];
}

export interface TriggerRow extends ObjectReport {
  readonly broker: string | null;
  readonly subscriber: string | null;
  readonly isPaused: boolean;
  /** `null` while the dispatcher does not know it. */
  readonly delivery: TriggerStatus | null;
}

export interface TriggersAnswer {
  readonly triggers: readonly TriggerRow[];
}

export interface BrokersAnswer {
  readonly brokers: readonly (ObjectReport & { readonly url: string | null })[];
}

export interface TriggerAnswer {
  readonly report: ObjectReport;
  readonly route: TriggerRoute;
}

export interface ReplayBody {
  readonly from: StartPosition;
}

export type { ReplayAnswer };

/** Which parked events: by number, of one Trigger, or all. */
export interface ParkedSelection {
  readonly ids?: readonly number[];
  readonly trigger?: string;
  readonly all?: true;
}

export interface ParkedAnswer {
  readonly parked: readonly ParkedPair[];
}

export type ParkedShowAnswer = ParkedDetail;

export interface ParkedCount {
  readonly count: number;
}

/** Of every answer that is not 2xx. */
export interface ErrorAnswer {
  readonly code: string;
  readonly message: string;
  readonly next: string | null;
}

export const PARKED_PAGE_MAX = 100;
