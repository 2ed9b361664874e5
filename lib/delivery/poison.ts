/**
 * A record that cannot be decoded, as an event: dead letters and parking keep its bytes, so nothing
 * is skipped and an operator can look at it.
 */
import type { EventRecord, PoisonRecord, SourcePosition } from '#lib/channel/event-record';
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';

export const UNDECODABLE_TYPE = 'dev.millrace.undecodable';

export function poisonEvent(
  source: SourcePosition,
  poison: PoisonRecord,
  arrivalMs: number,
): EventRecord {
  return {
    kind: 'event',
    event: {
      specversion: '1.0',
      id: `${source.partition}-${source.offset}`,
      source: `/topics/${encodeURIComponent(source.topic)}`,
      type: UNDECODABLE_TYPE,
      subject: null,
      time: null,
      datacontenttype: 'application/octet-stream',
      dataschema: null,
      extensions: NO_EXTENSIONS,
      data: poison.raw,
    },
    passThrough: [],
    ttl: 1,
    arrivalMs,
    key: null,
  };
}

/** Why an event goes to the Broker's dead letters without any Trigger. */
export function deadFailure(kind: 'event' | 'poison'): DeliveryFailure {
  const reason = kind === 'poison' ? 'Undecodable' : 'TtlExhausted';
  return { destination: null, status: null, body: Buffer.alloc(0), reason };
}

/** The same for an event of which only the bytes are left: it came from the store, or from the log. */
export function lostFailure(record: EventRecord): DeliveryFailure {
  return deadFailure(record.event.type === UNDECODABLE_TYPE ? 'poison' : 'event');
}
