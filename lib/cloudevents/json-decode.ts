/**
 * JSON format to events: one object (structured mode) or an array of them (batch). Used by
 * http-decode.ts. Invariants: never throws; `data` that is JSON stays the bytes of the body, so
 * every digit of every number survives; nothing is parsed beyond single attribute values.
 * Source: CloudEvents JSON format 1.0.2.
 */
import { isUtf8 } from 'node:buffer';
import type { CloudEvent } from './cloud-event.ts';
import { finishDraft, refusal } from './draft-check.ts';
import type { EventResult, Refusal } from './draft-check.ts';
import { createDraft } from './event-draft.ts';
import type { EventDraft } from './event-draft.ts';
import { createMembers, dataOf, setMember } from './json-member.ts';
import type { DataMembers } from './json-member.ts';
import {
  FAULTY,
  byteAt,
  createJsonScan,
  fail,
  scanColon,
  scanString,
  scanValue,
  skipWhitespace,
} from './json-scan.ts';
import type { JsonScan } from './json-scan.ts';
import type { CloudEventLimits } from './limits.ts';
import { problem, problemInBatch } from './problem.ts';
import type { CloudEventProblem } from './problem.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export type BatchResult = { readonly ok: true; readonly events: readonly CloudEvent[] } | Refusal;

/** What one event object held, before it is checked as a whole. */
interface ScannedObject {
  readonly draft: EventDraft;
  readonly members: DataMembers;
}

/** Decodes the body of a message in structured mode. */
export function decodeJsonEvent(body: Buffer, limits: CloudEventLimits): EventResult {
  if (body.length > limits.eventBytesMax) return refusal(eventTooLarge(limits));
  const unreadable = checkText(body);
  if (unreadable !== null) return refusal(unreadable);
  const scan = createScan(body, limits);
  const start = skipWhitespace(scan, 0);
  if (byteAt(scan, start) !== OPEN_OBJECT) return refusal(notAnEvent(scan, start, 'a JSON object'));
  const object: ScannedObject = { draft: createDraft(limits), members: createMembers() };
  const end = scanObject(scan, start, object);
  if (end !== FAULTY && !isEnd(scan, end)) fail(scan, 'syntax', skipWhitespace(scan, end));
  if (scan.fault !== null) return refusal(faultProblem(scan));
  return finishObject(object, body);
}

/** Decodes the body of a batch. One bad event refuses it whole and is named by its index. */
export function decodeJsonBatch(body: Buffer, limits: CloudEventLimits): BatchResult {
  if (body.length > limits.batchBytesMax) {
    return refusal(batchTooLarge(`${limits.batchBytesMax} bytes`));
  }
  const unreadable = checkText(body);
  if (unreadable !== null) return refusal(unreadable);
  const scan = createScan(body, limits);
  const start = skipWhitespace(scan, 0);
  if (byteAt(scan, start) !== OPEN_ARRAY) return refusal(notAnEvent(scan, start, 'a JSON array'));
  const events: CloudEvent[] = [];
  const first = skipWhitespace(scan, start + 1);
  const end =
    byteAt(scan, first) === CLOSE_ARRAY
      ? first + 1
      : decodeElements(scan, first, { events, limits });
  if (typeof end !== 'number') return end;
  if (!isEnd(scan, end)) fail(scan, 'syntax', skipWhitespace(scan, end));
  return scan.fault === null ? { ok: true, events } : refusal(faultProblem(scan));
}

/** Decodes the elements of a batch into `events`; answers the offset behind the array's end. */
function decodeElements(
  scan: JsonScan,
  first: number,
  into: { readonly events: CloudEvent[]; readonly limits: CloudEventLimits },
): number | Refusal {
  const { events, limits } = into;
  let offset = first;
  while (true) {
    if (events.length === limits.batchEventsMax) {
      return refusal(batchTooLarge(`${limits.batchEventsMax} events`));
    }
    const element = decodeElement(scan, offset, limits);
    if (!element.ok) return refusalInBatch(element, events.length);
    events.push(element.event);
    offset = skipWhitespace(scan, element.end);
    const next = byteAt(scan, offset);
    if (next === CLOSE_ARRAY) return offset + 1;
    if (next !== COMMA) {
      fail(scan, 'syntax', offset);
      return refusal(faultProblem(scan));
    }
    offset = skipWhitespace(scan, offset + 1);
  }
}

function decodeElement(
  scan: JsonScan,
  start: number,
  limits: CloudEventLimits,
): { readonly ok: true; readonly event: CloudEvent; readonly end: number } | Refusal {
  scan.keyCount = 0;
  if (byteAt(scan, start) !== OPEN_OBJECT) return refusal(notAnEvent(scan, start, 'a JSON object'));
  const object: ScannedObject = { draft: createDraft(limits), members: createMembers() };
  const end = scanObject(scan, start, object);
  if (end === FAULTY) return refusal(faultProblem(scan));
  if (end - start > limits.eventBytesMax) return refusal(eventTooLarge(limits));
  const result = finishObject(object, scan.bytes);
  return result.ok ? { ok: true, event: result.event, end } : result;
}

/** Scans an event object from its brace and puts its members in; answers the offset behind it. */
function scanObject(scan: JsonScan, start: number, object: ScannedObject): number {
  let keyStart = skipWhitespace(scan, start + 1);
  if (byteAt(scan, keyStart) === CLOSE_OBJECT) return keyStart + 1;
  while (true) {
    if (byteAt(scan, keyStart) !== QUOTE) return fail(scan, 'syntax', keyStart);
    const keyEnd = scanString(scan, keyStart);
    if (keyEnd === FAULTY) return FAULTY;
    const valueStart = scanColon(scan, keyEnd, keyStart);
    if (valueStart === FAULTY) return FAULTY;
    const valueEnd = scanValue(scan, valueStart, 1);
    if (valueEnd === FAULTY) return FAULTY;
    const key = { start: keyStart, end: keyEnd };
    setMember(object, scan.bytes, { key, value: { start: valueStart, end: valueEnd } });
    const offset = skipWhitespace(scan, valueEnd);
    const next = byteAt(scan, offset);
    if (next === CLOSE_OBJECT) return offset + 1;
    if (next !== COMMA) return fail(scan, 'syntax', offset);
    keyStart = skipWhitespace(scan, offset + 1);
  }
}

function finishObject(object: ScannedObject, bytes: Buffer): EventResult {
  const data = dataOf(object, bytes);
  return finishDraft(object.draft, data);
}

function createScan(body: Buffer, limits: CloudEventLimits): JsonScan {
  return createJsonScan(body, { depthMax: limits.jsonDepthMax, keysMax: limits.jsonKeysMax });
}

function isEnd(scan: JsonScan, offset: number): boolean {
  return skipWhitespace(scan, offset) === scan.bytes.length;
}

/** JSON bodies are UTF-8 without a byte order mark; a NUL in front betrays UTF-16 or UTF-32. */
function checkText(body: Buffer): CloudEventProblem | null {
  if (body.length === 0) return problem('CLOUDEVENTS_BODY_EMPTY', null, 'its body is empty');
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const isText = !hasMark && body[0] !== 0 && body[1] !== 0 && isUtf8(body);
  if (isText) return null;
  const reason = 'its JSON is not UTF-8 without a byte order mark';
  return problem('CLOUDEVENTS_JSON_ENCODING_INVALID', null, reason);
}

function notAnEvent(scan: JsonScan, start: number, wanted: string): CloudEventProblem {
  if (scanValue(scan, start, 0) === FAULTY) return faultProblem(scan);
  return problem('CLOUDEVENTS_JSON_NOT_AN_EVENT', null, `it is not ${wanted}`);
}

function faultProblem(scan: JsonScan): CloudEventProblem {
  switch (scan.fault) {
    case 'depth': {
      const reason = `its JSON is nested deeper than ${scan.depthMax}, at byte ${scan.faultAt}`;
      return problem('CLOUDEVENTS_JSON_TOO_DEEP', null, reason);
    }
    case 'keys': {
      const reason = `its JSON has more than ${scan.keysMax} keys`;
      return problem('CLOUDEVENTS_JSON_TOO_MANY_KEYS', null, reason);
    }
    default: {
      const reason = `its JSON is not well formed at byte ${scan.faultAt}`;
      return problem('CLOUDEVENTS_JSON_INVALID', null, reason);
    }
  }
}

function eventTooLarge(limits: CloudEventLimits): CloudEventProblem {
  const reason = `it is larger than ${limits.eventBytesMax} bytes`;
  return problem('CLOUDEVENTS_EVENT_TOO_LARGE', null, reason);
}

function batchTooLarge(limit: string): CloudEventProblem {
  return problem('CLOUDEVENTS_BATCH_TOO_LARGE', null, `the batch has more than ${limit}`);
}

function refusalInBatch(refused: Refusal, index: number): Refusal {
  const problems = refused.problems.map((found) => problemInBatch(found, index));
  return { ok: false, error: problemInBatch(refused.error, index), problems };
}
