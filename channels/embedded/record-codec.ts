/**
 * Records of a topic to bytes and back. Used by the segment log only. An event carries its own codec
 * (`lib/cloudevents/event-codec`); around it stand the fields that Millrace adds. A delivery is stored
 * without its event: the log resolves `source` on reading. Invariant: bytes that are not a whole
 * record of a known version give a MeshError, never a record.
 *
 *   every record   u8 version = 1, u8 flags, u16 count of strings after the first, then
 *   event          u32 ttl · f64 arrivalMs · u32 textBytes · u32 length of each string · texts · event
 *                  strings: key (flag 1 = there is one), then passThrough
 *   delivery       u32 partition · f64 offset · f64 revision · u32 textBytes · lengths · texts
 *                  strings: topic, then targets
 *   readerChange   JSON behind the 4 bytes
 *
 * Lengths count UTF-16 units: texts are converted in one go and cut afterwards. Little endian.
 */
import { assert } from '#lib/assert/assert';
import type {
  AppendRecord,
  EventRecord,
  ReaderChangeRecord,
  SourcePosition,
} from '#lib/channel/event-record';
import { decodeEvent, encodeEventInto, planEvent } from '#lib/cloudevents/event-codec';
import type { EventPlan } from '#lib/cloudevents/event-codec';
import type { MeshError } from '#lib/errors/mesh-error';
import { embeddedLogError } from './embedded-log-errors.ts';

export const KIND_EVENT = 1;
export const KIND_DELIVERY = 2;
export const KIND_READER_CHANGE = 3;

const VERSION = 1;
const FLAG_KEY = 1;
const STRINGS_MAX = 0xffff;

const EVENT_FIXED_BYTES = 4 + 4 + 8 + 4;
const DELIVERY_FIXED_BYTES = 4 + 4 + 8 + 8 + 4;

/** A delivery as it lies in the log: its event is still at `source`. */
export interface StoredDelivery {
  readonly kind: 'storedDelivery';
  readonly source: SourcePosition;
  readonly targets: readonly string[];
  readonly revision: number;
}

export type DecodedRecord = EventRecord | StoredDelivery | ReaderChangeRecord;

/** What is computed once per record before it is written. */
export interface RecordPlan {
  readonly kind: number;
  /** Bytes that {@link encodeRecordInto} writes. */
  readonly sizeBytes: number;
  readonly text: string;
  readonly textBytes: number;
  readonly event: EventPlan | null;
}

export function planRecord(record: AppendRecord): RecordPlan {
  switch (record.kind) {
    case 'event':
      return planEventRecord(record);
    case 'delivery': {
      const text = record.source.topic + record.targets.join('');
      const textBytes = Buffer.byteLength(text, 'utf8');
      const sizeBytes = DELIVERY_FIXED_BYTES + 4 * (1 + record.targets.length) + textBytes;
      return { kind: KIND_DELIVERY, sizeBytes, text, textBytes, event: null };
    }
    case 'readerChange': {
      const text = JSON.stringify({ source: record.source, triggers: record.triggers });
      const textBytes = Buffer.byteLength(text, 'utf8');
      return { kind: KIND_READER_CHANGE, sizeBytes: 4 + textBytes, text, textBytes, event: null };
    }
  }
}

function planEventRecord(record: EventRecord): RecordPlan {
  const event = planEvent(record.event);
  const strings = record.passThrough;
  let text = record.key ?? '';
  for (let at = 0; at < strings.length; at++) text += strings[at] ?? '';
  const textBytes = text === '' ? 0 : Buffer.byteLength(text, 'utf8');
  const sizeBytes = EVENT_FIXED_BYTES + 4 * (1 + strings.length) + textBytes + event.sizeBytes;
  return { kind: KIND_EVENT, sizeBytes, text, textBytes, event };
}

/** Writes the record at `start` and answers the offset behind it. */
export function encodeRecordInto(
  record: AppendRecord,
  plan: RecordPlan,
  target: Buffer,
  start: number,
): number {
  let end: number;
  switch (record.kind) {
    case 'event':
      end = encodeEventRecord(record, plan, target, start);
      break;
    case 'delivery': {
      writeHead(target, start, 0, record.targets.length);
      let at = target.writeUInt32LE(record.source.partition, start + 4);
      at = target.writeDoubleLE(record.source.offset, at);
      at = target.writeDoubleLE(record.revision, at);
      end = writeStrings(target, at, record.source.topic, record.targets, plan);
      break;
    }
    case 'readerChange':
      writeHead(target, start, 0, 0);
      end = start + 4 + target.write(plan.text, start + 4, plan.textBytes, 'utf8');
      break;
  }
  assert(end === start + plan.sizeBytes, 'a record has the size that was planned', { end, start });
  return end;
}

function encodeEventRecord(
  record: EventRecord,
  plan: RecordPlan,
  target: Buffer,
  start: number,
): number {
  assert(plan.event !== null, 'the plan is of an event');
  writeHead(target, start, record.key === null ? 0 : FLAG_KEY, record.passThrough.length);
  let at = target.writeUInt32LE(record.ttl, start + 4);
  at = target.writeDoubleLE(record.arrivalMs, at);
  at = writeStrings(target, at, record.key ?? '', record.passThrough, plan);
  return encodeEventInto(record.event, target, at, plan.event);
}

function writeHead(target: Buffer, start: number, flags: number, count: number): void {
  assert(count <= STRINGS_MAX, 'a record has few strings', { count });
  target[start] = VERSION;
  target[start + 1] = flags;
  target.writeUInt16LE(count, start + 2);
}

function writeStrings(
  target: Buffer,
  start: number,
  first: string,
  rest: readonly string[],
  plan: RecordPlan,
): number {
  let at = target.writeUInt32LE(plan.textBytes, start);
  at = target.writeUInt32LE(first.length, at);
  for (let index = 0; index < rest.length; index++) {
    at = target.writeUInt32LE(rest[index]?.length ?? 0, at);
  }
  if (plan.textBytes === 0) return at;
  const isAscii = plan.textBytes === plan.text.length;
  return at + target.write(plan.text, at, plan.textBytes, isAscii ? 'latin1' : 'utf8');
}

/**
 * Reads the record that takes up exactly `bytes` from `start` to `end`. An event's data is a view of
 * `bytes`, which must not change afterwards.
 * @throws EMBEDDED_RECORD_INVALID, or the codes of the event codec, when the bytes are no record.
 */
export function decodeRecord(
  kind: number,
  bytes: Buffer,
  start: number,
  end: number,
): DecodedRecord {
  if (end - start < 4 || bytes[start] !== VERSION) {
    throw invalid(`its version is ${bytes[start] ?? 'missing'}, known is ${VERSION}`);
  }
  switch (kind) {
    case KIND_EVENT:
      return decodeEventRecord(bytes, start, end);
    case KIND_DELIVERY:
      return decodeDelivery(bytes, start, end);
    case KIND_READER_CHANGE:
      return decodeReaderChange(bytes.toString('utf8', start + 4, end));
    default:
      throw invalid(`its kind ${kind} is not known`);
  }
}

interface Strings {
  readonly first: string;
  readonly rest: string[];
  readonly end: number;
}

const NO_STRINGS: readonly string[] = [];

function readStrings(bytes: Buffer, start: number, count: number, end: number): Strings {
  const textStart = start + 4 + 4 * (1 + count);
  if (textStart > end) throw invalid('its strings are cut off');
  const textBytes = bytes.readUInt32LE(start);
  const textEnd = textStart + textBytes;
  if (textEnd > end) throw invalid('its text is cut off');
  let units = 0;
  for (let index = 0; index <= count; index++) units += bytes.readUInt32LE(start + 4 + 4 * index);
  const text = bytes.toString(units === textBytes ? 'latin1' : 'utf8', textStart, textEnd);
  if (text.length !== units) throw invalid('its lengths do not add up');
  let at = bytes.readUInt32LE(start + 4);
  const first = text.slice(0, at);
  const rest: string[] = [];
  for (let index = 1; index <= count; index++) {
    const next = at + bytes.readUInt32LE(start + 4 + 4 * index);
    rest.push(text.slice(at, next));
    at = next;
  }
  return { first, rest, end: textEnd };
}

function decodeEventRecord(bytes: Buffer, start: number, end: number): EventRecord {
  if (end - start < EVENT_FIXED_BYTES + 4) throw invalid('it is too short');
  const hasKey = ((bytes[start + 1] ?? 0) & FLAG_KEY) !== 0;
  const strings = readStrings(bytes, start + 16, bytes.readUInt16LE(start + 2), end);
  return {
    kind: 'event',
    event: decodeEvent(bytes, strings.end, end),
    passThrough: strings.rest.length === 0 ? NO_STRINGS : strings.rest,
    ttl: bytes.readUInt32LE(start + 4),
    arrivalMs: bytes.readDoubleLE(start + 8),
    key: hasKey ? strings.first : null,
  };
}

function decodeDelivery(bytes: Buffer, start: number, end: number): StoredDelivery {
  if (end - start < DELIVERY_FIXED_BYTES + 4) throw invalid('it is too short');
  const strings = readStrings(bytes, start + 24, bytes.readUInt16LE(start + 2), end);
  if (strings.end !== end) throw invalid('it is too long');
  return {
    kind: 'storedDelivery',
    source: {
      topic: strings.first,
      partition: bytes.readUInt32LE(start + 4),
      offset: bytes.readDoubleLE(start + 8),
    },
    targets: strings.rest,
    revision: bytes.readDoubleLE(start + 16),
  };
}

function decodeReaderChange(text: string): ReaderChangeRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalid('it is no JSON', error);
  }
  if (!isReaderChange(parsed)) throw invalid('its fields are not those of a reader change');
  return { kind: 'readerChange', source: parsed.source, triggers: parsed.triggers };
}

function isReaderChange(value: unknown): value is Omit<ReaderChangeRecord, 'kind'> {
  if (typeof value !== 'object' || value === null) return false;
  if (!('source' in value) || !('triggers' in value) || !Array.isArray(value.triggers))
    return false;
  const triggers: readonly unknown[] = value.triggers;
  return isSourcePosition(value.source) && triggers.every(isTriggerReader);
}

function isSourcePosition(value: unknown): value is SourcePosition {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'topic' in value &&
    typeof value.topic === 'string' &&
    'partition' in value &&
    typeof value.partition === 'number' &&
    'offset' in value &&
    typeof value.offset === 'number'
  );
}

function isTriggerReader(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (!('uid' in value) || typeof value.uid !== 'string' || !('reader' in value)) return false;
  return value.reader === 'shared' || value.reader === 'own';
}

function invalid(why: string, cause?: unknown): MeshError {
  return embeddedLogError('EMBEDDED_RECORD_INVALID', `Cannot read a stored record: ${why}`, {
    cause,
  });
}
