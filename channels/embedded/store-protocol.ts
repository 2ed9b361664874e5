/**
 * What is said over the local socket of the store: kinds of frames, the greeting, and how appends and
 * requests lie in them. Used by the server's session and the client's link. Both come from the same
 * release, or the greeting fails: there is no negotiation.
 *
 *   append    u8 flags · u32 partition · u16 topic bytes · topic · then one record
 *   appendAll the same head · u32 count · then count records
 *   record    u8 kind · u32 bytes · record (see `record-codec.ts`); behind a delivery its event's record
 *   receipts  per record u32 partition · f64 offset
 *   request   u8 operation · u32 bytes of JSON · cells as JSON · bytes of the request to the end
 *   reply     u32 bytes of JSON · cells as JSON · bytes of the reply to the end
 */
import { assert } from '#lib/assert/assert';
import type { AppendOptions } from '#lib/channel/channel-driver';
import type { AppendRecord, EventRecord } from '#lib/channel/event-record';
import { KIND_EVENT, decodeRecord, encodeRecordInto, planRecord } from './record-codec.ts';
import type { RecordPlan } from './record-codec.ts';
import type { Frame, FrameWriter } from './store-frames.ts';
import { STORE_OPS } from './store-request.ts';
import type { Cell, StoreReply, StoreRequest } from './store-request.ts';

export const STORE_PROTOCOL = 1;

/** From the client. */
export const FRAME_HELLO = 1;
export const FRAME_APPEND = 2;
export const FRAME_APPEND_ALL = 3;
export const FRAME_REQUEST = 4;
export const FRAME_CALL = 5;
/** From the server. */
export const FRAME_WELCOME = 65;
export const FRAME_RECEIPTS = 66;
export const FRAME_REPLY = 67;
export const FRAME_RESULT = 68;
export const FRAME_ERROR = 69;
export const FRAME_ENDS = 70;
export const FRAME_TOPIC_REMOVED = 71;

export interface Hello {
  readonly protocol: number;
  readonly pid: number;
}

/** `[topic, partition, next]` each: how far the log is durable. */
export type AnnouncedEnds = readonly (readonly [string, number, number])[];

export interface Welcome {
  readonly protocol: number;
  readonly pid: number;
  /** Of the owner's log files. */
  readonly logDirectory: string;
  /** All partitions of all topics. */
  readonly ends: AnnouncedEnds;
}

/** The administrators' half and what else is rare, as JSON. */
export type StoreCall =
  | { readonly call: 'ensureTopic'; readonly topic: string; readonly partitions: number }
  | { readonly call: 'removeTopic'; readonly topic: string }
  | { readonly call: 'topics' }
  | { readonly call: 'verify' }
  | { readonly call: 'usage' }
  | { readonly call: 'ends'; readonly topic: string }
  | {
      readonly call: 'backlogBytes';
      readonly topic: string;
      readonly partition: number;
      readonly from: number;
    }
  | {
      readonly call: 'seekTime';
      readonly topic: string;
      readonly partition: number;
      readonly timeMs: number;
    };

export interface WireError {
  readonly code: string;
  readonly message: string;
}

const FLAG_RESERVED = 1;
const FLAG_PARTITION = 2;
const HEAD_BYTES = 1 + 4 + 2;
const RECORD_HEAD_BYTES = 1 + 4;
export const RECEIPT_BYTES = 4 + 8;

/** A record that is ready to be written; a delivery carries its event behind it. */
export interface PlannedRecord {
  readonly record: AppendRecord;
  readonly plan: RecordPlan;
  readonly eventPlan: RecordPlan | null;
  readonly sizeBytes: number;
}

export function planAppend(record: AppendRecord): PlannedRecord {
  const plan = planRecord(record);
  if (record.kind !== 'delivery') {
    return { record, plan, eventPlan: null, sizeBytes: RECORD_HEAD_BYTES + plan.sizeBytes };
  }
  const eventPlan = planRecord(record.record);
  const sizeBytes = 2 * RECORD_HEAD_BYTES + plan.sizeBytes + eventPlan.sizeBytes;
  return { record, plan, eventPlan, sizeBytes };
}

export function writeAppend(
  writer: FrameWriter,
  id: number,
  target: { readonly topic: string; readonly options: AppendOptions },
  planned: PlannedRecord,
): void {
  const topicBytes = Buffer.byteLength(target.topic);
  const slot = writer.frame(FRAME_APPEND, id, HEAD_BYTES + topicBytes + planned.sizeBytes);
  const at = writeHead(slot.bytes, slot.start, target, topicBytes);
  writeRecord(slot.bytes, at, planned);
}

export function writeAppendAll(
  writer: FrameWriter,
  id: number,
  target: { readonly topic: string; readonly options: AppendOptions },
  planned: readonly PlannedRecord[],
): void {
  const topicBytes = Buffer.byteLength(target.topic);
  let payloadBytes = HEAD_BYTES + topicBytes + 4;
  for (const { sizeBytes } of planned) payloadBytes += sizeBytes;
  const slot = writer.frame(FRAME_APPEND_ALL, id, payloadBytes);
  let at = writeHead(slot.bytes, slot.start, target, topicBytes);
  at = slot.bytes.writeUInt32LE(planned.length, at);
  for (const each of planned) at = writeRecord(slot.bytes, at, each);
}

function writeHead(
  bytes: Buffer,
  start: number,
  { topic, options }: { readonly topic: string; readonly options: AppendOptions },
  topicBytes: number,
): number {
  const reserved = options.reserved === true ? FLAG_RESERVED : 0;
  bytes[start] = reserved | (options.partition === undefined ? 0 : FLAG_PARTITION);
  bytes.writeUInt32LE(options.partition ?? 0, start + 1);
  bytes.writeUInt16LE(topicBytes, start + 5);
  return start + HEAD_BYTES + bytes.write(topic, start + HEAD_BYTES);
}

function writeRecord(bytes: Buffer, start: number, planned: PlannedRecord): number {
  const { record, plan, eventPlan } = planned;
  const at = writeOne(bytes, start, record, plan);
  if (record.kind !== 'delivery' || eventPlan === null) return at;
  return writeOne(bytes, at, record.record, eventPlan);
}

function writeOne(bytes: Buffer, start: number, record: AppendRecord, plan: RecordPlan): number {
  bytes[start] = plan.kind;
  bytes.writeUInt32LE(plan.sizeBytes, start + 1);
  return encodeRecordInto(record, plan, bytes, start + RECORD_HEAD_BYTES);
}

export interface AppendRequest {
  readonly topic: string;
  readonly options: AppendOptions;
  readonly records: readonly AppendRecord[];
}

/** @throws RangeError and the record codec's faults when the payload is no append. */
export function readAppend(frame: Frame): AppendRequest {
  const { bytes, start, end } = frame;
  const flags = bytes[start] ?? 0;
  const partition = bytes.readUInt32LE(start + 1);
  const topicEnd = start + HEAD_BYTES + bytes.readUInt16LE(start + 5);
  const topic = bytes.toString('utf8', start + HEAD_BYTES, topicEnd);
  const reserved = (flags & FLAG_RESERVED) !== 0;
  const options = (flags & FLAG_PARTITION) === 0 ? { reserved } : { reserved, partition };
  const records: AppendRecord[] = [];
  let at = frame.kind === FRAME_APPEND ? topicEnd : topicEnd + 4;
  const count = frame.kind === FRAME_APPEND ? 1 : bytes.readUInt32LE(topicEnd);
  for (let index = 0; index < count; index++) {
    const [record, next] = readRecord(bytes, at, end);
    records.push(record);
    at = next;
  }
  assert(at === end, 'an append ends with its last record', { at, end });
  return { topic, options, records };
}

function readRecord(bytes: Buffer, start: number, end: number): readonly [AppendRecord, number] {
  const recordEnd = endOfRecord(bytes, start, end);
  const decoded = decodeRecord(bytes[start] ?? 0, bytes, start + RECORD_HEAD_BYTES, recordEnd);
  if (decoded.kind !== 'storedDelivery') return [decoded, recordEnd];
  const eventEnd = endOfRecord(bytes, recordEnd, end);
  const record = readEvent(bytes, recordEnd, eventEnd);
  const { source, targets, revision } = decoded;
  return [{ kind: 'delivery', source, targets, revision, record }, eventEnd];
}

function readEvent(bytes: Buffer, start: number, end: number): EventRecord {
  const decoded = decodeRecord(KIND_EVENT, bytes, start + RECORD_HEAD_BYTES, end);
  assert(decoded.kind === 'event', 'behind a delivery lies its event');
  return decoded;
}

function endOfRecord(bytes: Buffer, start: number, end: number): number {
  const recordEnd = start + RECORD_HEAD_BYTES + bytes.readUInt32LE(start + 1);
  if (recordEnd > end) throw new RangeError('a record is cut off');
  return recordEnd;
}

export function writeRequest(writer: FrameWriter, id: number, request: StoreRequest): void {
  const text = JSON.stringify(request.cells);
  const textBytes = Buffer.byteLength(text);
  const payloadBytes = 1 + 4 + textBytes + (request.bytes?.length ?? 0);
  const slot = writer.frame(FRAME_REQUEST, id, payloadBytes);
  slot.bytes[slot.start] = STORE_OPS.indexOf(request.op);
  writeCells(slot.bytes, slot.start + 1, { text, textBytes, bytes: request.bytes });
}

export function writeReply(writer: FrameWriter, id: number, reply: StoreReply): void {
  const text = JSON.stringify(reply.cells);
  const textBytes = Buffer.byteLength(text);
  const slot = writer.frame(FRAME_REPLY, id, 4 + textBytes + (reply.bytes?.length ?? 0));
  writeCells(slot.bytes, slot.start, { text, textBytes, bytes: reply.bytes });
}

function writeCells(
  target: Buffer,
  start: number,
  part: { readonly text: string; readonly textBytes: number; readonly bytes: Uint8Array | null },
): void {
  const textStart = target.writeUInt32LE(part.textBytes, start);
  target.write(part.text, textStart);
  if (part.bytes !== null) target.set(part.bytes, textStart + part.textBytes);
}

/** @throws RangeError, SyntaxError when the payload is no request. */
export function readRequest({ bytes, start, end }: Frame): StoreRequest {
  const op = STORE_OPS[bytes[start] ?? STORE_OPS.length];
  if (op === undefined) throw new RangeError(`operation ${bytes[start]} is not known`);
  return { op, ...readCells(bytes, start + 1, end) };
}

export function readReply({ bytes, start, end }: Frame): StoreReply {
  return { code: null, message: '', ...readCells(bytes, start, end) };
}

interface CellsAndBytes {
  readonly cells: readonly Cell[];
  readonly bytes: Uint8Array<ArrayBuffer> | null;
}

function readCells(source: Buffer, start: number, end: number): CellsAndBytes {
  const textEnd = start + 4 + source.readUInt32LE(start);
  if (textEnd > end) throw new RangeError('the cells are cut off');
  const parsed: unknown = JSON.parse(source.toString('utf8', start + 4, textEnd));
  if (!isCells(parsed)) throw new RangeError('the cells are no flat list');
  // A copy: the worker gets this buffer, and must not get all that arrived with it.
  const bytes = textEnd === end ? null : new Uint8Array(source.subarray(textEnd, end));
  return { cells: parsed, bytes };
}

function isCells(value: unknown): value is readonly Cell[] {
  return Array.isArray(value) && value.every(isCell);
}

function isCell(value: unknown): value is Cell {
  return value === null || typeof value === 'number' || typeof value === 'string';
}

export function readJson({ bytes, start, end }: Frame): unknown {
  return JSON.parse(bytes.toString('utf8', start, end));
}
