/** What the services' observers see, as entries of `millrace tail`: no data bytes, plain values. */
import type { EventRecord } from '#lib/channel/event-record';
import type { AttemptReport } from '#lib/delivery/delivery-observer';
import type { AttemptEntry, TailEvent } from './event-side.ts';

export function tailEvent({ event }: EventRecord): TailEvent {
  const { specversion, id, source, type, subject, time, datacontenttype, dataschema } = event;
  const attributes = { specversion, id, source, type, subject, time, datacontenttype, dataschema };
  return { ...attributes, extensions: [...event.extensions], dataBytes: event.data?.length ?? 0 };
}

export function tailAttempt(report: AttemptReport, atMs: number): AttemptEntry {
  const { brokerKey, partition, offset, target, stage, attempt, durationMs, next, delayMs } =
    report;
  // A pair keeps its last failure; an attempt that worked has none.
  const failure = next === 'delivered' || next === 'replied' ? null : report.failure;
  return {
    kind: 'attempt',
    atMs,
    broker: brokerKey,
    partition,
    offset,
    eventId: report.record.event.id,
    target,
    stage,
    attempt,
    durationMs,
    next,
    delayMs,
    failure:
      failure === null
        ? null
        : { destination: failure.destination, status: failure.status, reason: failure.reason },
  };
}
