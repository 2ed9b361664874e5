/**
 * Who watches deliveries: `millrace tail`. `null` when nobody looks, so that it costs one comparison.
 */
import type { EventRecord } from '#lib/channel/event-record';
import type { DeliveryFailure, Stage } from '#lib/channel/waiting-store';

export interface AttemptReport {
  readonly brokerKey: string;
  readonly target: string;
  readonly record: EventRecord;
  readonly partition: number;
  readonly offset: number;
  readonly stage: Stage;
  readonly attempt: number;
  readonly durationMs: number;
  /** What comes next. */
  readonly next: 'delivered' | 'replied' | 'deadLettered' | 'parked' | 'retry' | 'toDeadLetter';
  /** Milliseconds until the next attempt, for `retry`. */
  readonly delayMs: number | null;
  readonly failure: DeliveryFailure | null;
}

export interface DeliveryObserver {
  attempt(report: AttemptReport): void;
}
