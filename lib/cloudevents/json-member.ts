/**
 * One member of a JSON event into the draft: which JSON types an attribute may have, and how `data`
 * and `data_base64` become bytes. Used by json-decode.ts. Invariant: JSON data is a view of the body,
 * byte for byte; other data is exactly the text, or exactly the bytes, that the event says.
 * Source: CloudEvents JSON format 1.0.2, sections 2 and 3.1; 0.3 has `datacontentencoding` instead
 * of `data_base64`.
 */
import { decodeBase64 } from './base64-text.ts';
import {
  addProblem,
  checkExtensionName,
  isTextAttribute,
  markValueless,
  refuseAttribute,
  setExtension,
  setText,
} from './event-draft.ts';
import type { AttributeFault, EventDraft } from './event-draft.ts';
import { isJsonMediaType } from './media-type.ts';
import { problem } from './problem.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const LETTER_F = 0x66;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;

const INTEGER_MIN = -(2 ** 31);
const INTEGER_MAX = 2 ** 31 - 1;
/** No 32-bit integer needs more; it keeps a megabyte of digits from being converted. */
const INTEGER_TEXT_LENGTH_MAX = 32;

/** Offsets of a value's first byte and of the byte behind its last one. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the members that carry data are; the data can only be read when all members are known. */
export interface DataMembers {
  data: Span | null;
  base64: Span | null;
}

interface EventObject {
  readonly draft: EventDraft;
  readonly members: DataMembers;
}

export function createMembers(): DataMembers {
  return { data: null, base64: null };
}

/** Puts one member in. The spans are well-formed JSON in valid UTF-8. */
export function setMember(
  object: EventObject,
  bytes: Buffer,
  member: { readonly key: Span; readonly value: Span },
): void {
  const { draft, members } = object;
  const name = stringText(bytes, member.key);
  if (name === 'data') {
    if (members.data !== null) return addDuplicate(draft, name);
    members.data = member.value;
  } else if (name === 'data_base64') {
    if (members.base64 !== null) return addDuplicate(draft, name);
    members.base64 = member.value;
  } else {
    setAttribute(draft, name, { bytes, value: member.value });
  }
}

function addDuplicate(draft: EventDraft, name: string): void {
  addProblem(draft, problem('CLOUDEVENTS_ATTRIBUTE_DUPLICATE', name, 'is given more than once'));
}

function setAttribute(
  draft: EventDraft,
  name: string,
  found: { readonly bytes: Buffer; readonly value: Span },
): void {
  const { bytes, value } = found;
  const isText = isTextAttribute(name);
  if (!isText && !checkExtensionName(draft, name)) return;
  const first = bytes[value.start];
  if (first === QUOTE) {
    return setText(draft, name, stringText(bytes, value), isPlainString(bytes, value));
  }
  if (first === LETTER_N) return markValueless(draft, name);
  if (isText) return refuseAttribute(draft, name, NOT_TEXT);
  if (first === LETTER_T || first === LETTER_F) {
    return setExtension(draft, name, first === LETTER_T);
  }
  if (first === OPEN_OBJECT || first === OPEN_ARRAY)
    return refuseAttribute(draft, name, NOT_SIMPLE);
  const integer = integerOf(bytes.toString('latin1', value.start, value.end));
  if (integer === null) return refuseAttribute(draft, name, NOT_INTEGER);
  setExtension(draft, name, integer);
}

/** The 32-bit integer that a JSON number is, or `null`; a fraction is none, even `1.0`. */
function integerOf(text: string): number | null {
  if (text.length > INTEGER_TEXT_LENGTH_MAX || /\.|[eE]-/.test(text)) return null;
  const value = Number(text);
  // Adding 0 makes 0 of -0.
  return value >= INTEGER_MIN && value <= INTEGER_MAX ? value + 0 : null;
}

/**
 * The data bytes, or `null` for none. Problems go into the draft. JSON data without a
 * datacontenttype makes it `application/json`, as the format says it means that.
 */
export function dataOf(object: EventObject, bytes: Buffer): Buffer | null {
  const { draft, members } = object;
  if (members.base64 !== null) return binaryDataOf(object, bytes, members.base64);
  const span = members.data;
  if (span === null) return null;
  if (draft.specversion === '0.3' && draft.extensions?.get('datacontentencoding') === 'base64') {
    // The data itself is what the model holds: how it was packed ends here.
    draft.extensions.delete('datacontentencoding');
    return base64Bytes(draft, 'data', { bytes, span });
  }
  if (draft.datacontenttype === null || isJsonMediaType(draft.datacontenttype)) {
    draft.datacontenttype ??= 'application/json';
    return bytes.subarray(span.start, span.end);
  }
  // Not a JSON type, so null cannot be a value of it: many serializers write null for "nothing".
  return isNull(bytes, span) ? null : textBytes(draft, bytes, span);
}

function binaryDataOf(object: EventObject, bytes: Buffer, span: Span): Buffer | null {
  const { draft, members } = object;
  if (draft.specversion === '0.3') {
    // 0.3 does not know the member, and its underscore makes it no extension either.
    checkExtensionName(draft, 'data_base64');
    return null;
  }
  if (isNull(bytes, span))
    return dataOf({ draft, members: { data: members.data, base64: null } }, bytes);
  if (members.data !== null) {
    const reason = 'cannot be there together with "data"';
    addProblem(draft, problem('CLOUDEVENTS_DATA_CONFLICT', 'data_base64', reason));
    return null;
  }
  return base64Bytes(draft, 'data_base64', { bytes, span });
}

function base64Bytes(
  draft: EventDraft,
  name: string,
  found: { readonly bytes: Buffer; readonly span: Span },
): Buffer | null {
  const { bytes, span } = found;
  if (isNull(bytes, span)) return null;
  if (bytes[span.start] === QUOTE) {
    const decoded = decodeBase64(stringBytes(bytes, span));
    if (decoded !== null) return decoded;
  }
  addProblem(draft, problem('CLOUDEVENTS_DATA_BASE64_INVALID', name, 'is not a base64 string'));
  return null;
}

function textBytes(draft: EventDraft, bytes: Buffer, span: Span): Buffer | null {
  if (bytes[span.start] === QUOTE) {
    if (!hasEscape(bytes, span)) return bytes.subarray(span.start + 1, span.end - 1);
    const text = stringText(bytes, span);
    if (text.isWellFormed()) return Buffer.from(text, 'utf8');
  }
  const reason = 'must be a string of valid text, because datacontenttype is not JSON';
  addProblem(draft, problem('CLOUDEVENTS_DATA_NOT_TEXT', 'data', reason));
  return null;
}

function isNull(bytes: Buffer, span: Span): boolean {
  return bytes[span.start] === LETTER_N;
}

/** The text of a JSON string. Lone surrogate escapes stay, for the caller to judge. */
function stringText(bytes: Buffer, span: Span): string {
  if (isPlainString(bytes, span)) return bytes.toString('latin1', span.start + 1, span.end - 1);
  const text: unknown = JSON.parse(bytes.toString('utf8', span.start, span.end));
  return String(text);
}

/** The inside of a JSON string as UTF-8; without a copy when nothing is escaped. */
function stringBytes(bytes: Buffer, span: Span): Buffer {
  if (!hasEscape(bytes, span)) return bytes.subarray(span.start + 1, span.end - 1);
  return Buffer.from(stringText(bytes, span), 'utf8');
}

/** Printable ASCII and no escapes: the bytes are the text. */
function isPlainString(bytes: Buffer, span: Span): boolean {
  for (let offset = span.start + 1; offset < span.end - 1; offset += 1) {
    const byte = bytes[offset] ?? 0;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return false;
  }
  return true;
}

function hasEscape(bytes: Buffer, span: Span): boolean {
  const at = bytes.subarray(span.start, span.end).indexOf(BACKSLASH);
  return at !== -1;
}

const NOT_TEXT: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID',
  reason: 'must be a string',
};

const NOT_SIMPLE: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID',
  reason: 'must be a string, a boolean or an integer',
};

const NOT_INTEGER: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID',
  reason: 'is a number that is not a 32-bit integer',
};
