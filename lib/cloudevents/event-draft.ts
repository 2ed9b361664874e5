/**
 * An event in the making: the decoders of headers and of JSON put attributes in as they meet them,
 * and `finishDraft` (draft-check.ts) checks the whole. Invariant: every attribute that is in the
 * draft has a legal name, legal characters and a legal size; each bad one has given one problem.
 */
import type { AttributeValue } from './cloud-event.ts';
import { isAttributeName, isAttributeText } from './attribute-text.ts';
import type { CloudEventProblemCode } from './cloudevents-errors.ts';
import type { CloudEventLimits } from './limits.ts';
import { problem } from './problem.ts';
import type { CloudEventProblem } from './problem.ts';

/** Mutable while decoding. One shape for all events; lists are made only when something is wrong. */
export interface EventDraft {
  readonly limits: CloudEventLimits;
  specversion: string | null;
  id: string | null;
  source: string | null;
  type: string | null;
  subject: string | null;
  time: string | null;
  datacontenttype: string | null;
  dataschema: string | null;
  /** Everything else, 0.3's `schemaurl` and `datacontentencoding` included until the version is known. */
  extensions: Map<string, AttributeValue> | null;
  /** Attributes met so far, good or bad. */
  count: number;
  /** UTF-8 bytes of the names and values that were taken. */
  attributeBytes: number;
  /** Names met without a usable value (JSON null, or bad); they count as duplicates too. */
  valueless: Set<string> | null;
  problems: CloudEventProblem[] | null;
}

/** Problems beyond this many are not listed: the event is refused anyway. */
const PROBLEMS_MAX = 64;

export function createDraft(limits: CloudEventLimits): EventDraft {
  return {
    limits,
    specversion: null,
    id: null,
    source: null,
    type: null,
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    extensions: null,
    count: 0,
    attributeBytes: 0,
    valueless: null,
    problems: null,
  };
}

/** Notes a problem. Of several with one attribute only the first counts. */
export function addProblem(draft: EventDraft, found: CloudEventProblem): void {
  draft.problems ??= [];
  if (draft.problems.length >= PROBLEMS_MAX) return;
  if (draft.problems.some((known) => known.attribute === found.attribute)) return;
  draft.problems.push(found);
}

/** What is wrong with an attribute; the reason goes on after its name. */
export interface AttributeFault {
  readonly code: CloudEventProblemCode;
  readonly reason: string;
}

/** Notes that the attribute was met and cannot be used, so that it is not reported missing too. */
export function refuseAttribute(draft: EventDraft, name: string, fault: AttributeFault): void {
  addProblem(draft, problem(fault.code, name, fault.reason));
  markValueless(draft, name);
}

/** Notes that the name was met without a value. */
export function markValueless(draft: EventDraft, name: string): void {
  if (hasValue(draft, name)) return refuseDuplicate(draft, name);
  if (!countAttribute(draft, name)) return;
  draft.valueless ??= new Set();
  draft.valueless.add(name);
}

/** True when the attribute was met and its value was no good, or JSON null. */
export function isValueless(draft: EventDraft, name: string): boolean {
  return draft.valueless !== null && draft.valueless.has(name);
}

/**
 * Puts a decoded text attribute in.
 *
 * @param name in lower case, as far as it has letters.
 * @param isPlain the text is known to be printable ASCII, so no character needs a check.
 */
// Long because: one flat switch over the names, which is what makes the hot path cheap.
export function setText(draft: EventDraft, name: string, text: string, isPlain: boolean): void {
  const sizeBytes = isPlain ? text.length : Buffer.byteLength(text, 'utf8');
  if (sizeBytes > draft.limits.attributeBytesMax) {
    return refuseAttribute(draft, name, tooLarge(draft.limits));
  }
  if (!isPlain && !isAttributeText(text)) return refuseAttribute(draft, name, BAD_CHARACTER);
  switch (name) {
    case 'specversion':
      if (draft.specversion !== null) return refuseDuplicate(draft, name);
      draft.specversion = text;
      break;
    case 'id':
      if (draft.id !== null) return refuseDuplicate(draft, name);
      draft.id = text;
      break;
    case 'source':
      if (draft.source !== null) return refuseDuplicate(draft, name);
      draft.source = text;
      break;
    case 'type':
      if (draft.type !== null) return refuseDuplicate(draft, name);
      draft.type = text;
      break;
    case 'subject':
      if (draft.subject !== null) return refuseDuplicate(draft, name);
      draft.subject = text;
      break;
    case 'time':
      if (draft.time !== null) return refuseDuplicate(draft, name);
      draft.time = text;
      break;
    case 'datacontenttype':
      if (draft.datacontenttype !== null) return refuseDuplicate(draft, name);
      draft.datacontenttype = text;
      break;
    case 'dataschema':
      if (draft.dataschema !== null) return refuseDuplicate(draft, name);
      draft.dataschema = text;
      break;
    default:
      return setExtension(draft, name, text);
  }
  countAttribute(draft, name);
  draft.attributeBytes += name.length + sizeBytes;
}

/** Puts an extension in; a text value has been checked, a number is a 32-bit integer. */
export function setExtension(draft: EventDraft, name: string, value: AttributeValue): void {
  if (!checkExtensionName(draft, name)) return;
  draft.extensions ??= new Map();
  if (draft.extensions.has(name)) return refuseDuplicate(draft, name);
  if (!countAttribute(draft, name)) return;
  draft.extensions.set(name, value);
  draft.attributeBytes += name.length + Buffer.byteLength(String(value), 'utf8');
}

/** False when no extension may have this name; the problem has then been noted. */
export function checkExtensionName(draft: EventDraft, name: string): boolean {
  if (!isAttributeName(name, draft.limits.attributeNameLengthMax)) {
    refuseAttribute(draft, name, badName(draft.limits));
  } else if (name === 'data') {
    refuseAttribute(draft, name, RESERVED_DATA);
  } else {
    return true;
  }
  return false;
}

/** True for the names that the specification defines as text, in either version. */
export function isTextAttribute(name: string): boolean {
  return TEXT_ATTRIBUTES.has(name);
}

const TEXT_ATTRIBUTES: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
]);

function hasValue(draft: EventDraft, name: string): boolean {
  switch (name) {
    case 'specversion':
      return draft.specversion !== null;
    case 'id':
      return draft.id !== null;
    case 'source':
      return draft.source !== null;
    case 'type':
      return draft.type !== null;
    case 'subject':
      return draft.subject !== null;
    case 'time':
      return draft.time !== null;
    case 'datacontenttype':
      return draft.datacontenttype !== null;
    case 'dataschema':
      return draft.dataschema !== null;
    default:
      return draft.extensions !== null && draft.extensions.has(name);
  }
}

/** False when there are too many attributes already, or this name was met before. */
function countAttribute(draft: EventDraft, name: string): boolean {
  draft.count += 1;
  if (draft.count > draft.limits.attributesMax) {
    const reason = `it has more than ${draft.limits.attributesMax} attributes`;
    addProblem(draft, problem('CLOUDEVENTS_ATTRIBUTES_TOO_MANY', null, reason));
    return false;
  }
  if (!isValueless(draft, name)) return true;
  refuseDuplicate(draft, name);
  return false;
}

function refuseDuplicate(draft: EventDraft, name: string): void {
  addProblem(draft, problem('CLOUDEVENTS_ATTRIBUTE_DUPLICATE', name, 'is given more than once'));
}

const BAD_CHARACTER: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID',
  reason: 'has a control character, a noncharacter or an unpaired surrogate',
};

const RESERVED_DATA: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_RESERVED',
  reason: 'is not a name that an extension may have',
};

function badName(limits: CloudEventLimits): AttributeFault {
  return {
    code: 'CLOUDEVENTS_ATTRIBUTE_NAME_INVALID',
    reason: `must have a name of 1 to ${limits.attributeNameLengthMax} characters a-z and 0-9`,
  };
}

function tooLarge(limits: CloudEventLimits): AttributeFault {
  return {
    code: 'CLOUDEVENTS_ATTRIBUTE_TOO_LARGE',
    reason: `is longer than ${limits.attributeBytesMax} bytes`,
  };
}
