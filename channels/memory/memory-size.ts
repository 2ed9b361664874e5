/**
 * What a record counts for in the memory driver: about the bytes it would take on a disk. Used for
 * readers' credit, capacity and limits; the exact figure matters to nobody, that it is stable does.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import type { AppendRecord, EventRecord } from '#lib/channel/event-record';

const RECORD_OVERHEAD_BYTES = 64;

/** Bytes of an appended record. */
export function recordSizeBytes(record: AppendRecord): number {
  switch (record.kind) {
    case 'event':
      return eventRecordSizeBytes(record);
    case 'delivery':
      return eventRecordSizeBytes(record.record) + listSizeBytes(record.targets);
    case 'readerChange':
      return RECORD_OVERHEAD_BYTES + record.triggers.length * 48;
  }
}

/** Bytes of an event with what Millrace knows about it. */
export function eventRecordSizeBytes(record: EventRecord): number {
  return (
    RECORD_OVERHEAD_BYTES +
    eventSizeBytes(record.event) +
    listSizeBytes(record.passThrough) +
    (record.key?.length ?? 0)
  );
}

function eventSizeBytes(event: CloudEvent): number {
  let bytes = event.id.length + event.source.length + event.type.length;
  bytes += event.subject?.length ?? 0;
  bytes += event.time?.length ?? 0;
  bytes += event.datacontenttype?.length ?? 0;
  bytes += event.dataschema?.length ?? 0;
  for (const [name, value] of event.extensions) bytes += name.length + String(value).length;
  return bytes + (event.data?.length ?? 0);
}

function listSizeBytes(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += text.length;
  return bytes;
}
