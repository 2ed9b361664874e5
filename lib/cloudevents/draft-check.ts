/**
 * The last step of every decoder: the rules for each attribute of the specification, then the event.
 * Invariant: an event that leaves here is legal; a refusal names every bad attribute once, in an
 * order that does not depend on the order of arrival.
 * Source: CloudEvents 1.0.2 "Context Attributes"; 0.3 differs in `schemaurl` (a URI-reference) and
 * `datacontentencoding`.
 */
import { assert } from '#lib/assert/assert';
import { NO_EXTENSIONS } from './cloud-event.ts';
import type { CloudEvent, SpecVersion } from './cloud-event.ts';
import { isBlank } from './attribute-text.ts';
import { addProblem } from './event-draft.ts';
import type { EventDraft } from './event-draft.ts';
import { isMediaType } from './media-type.ts';
import { inReportOrder, problem } from './problem.ts';
import type { CloudEventProblem } from './problem.ts';
import { isTimestamp } from './timestamp.ts';
import { isUri, isUriReference } from './uri-reference.ts';

export interface Refusal {
  readonly ok: false;
  /** The first of `problems`. */
  readonly error: CloudEventProblem;
  readonly problems: readonly CloudEventProblem[];
}

export type EventResult = { readonly ok: true; readonly event: CloudEvent } | Refusal;

export function refusal(error: CloudEventProblem): Refusal {
  return { ok: false, error, problems: [error] };
}

/** Checks the attributes of the draft and makes the event; the data has been checked before. */
export function finishDraft(draft: EventDraft, data: Buffer | null): EventResult {
  const specversion = checkedVersion(draft);
  if (specversion === '0.3') adoptOldNames(draft);
  checkRequired(draft, 'id', draft.id);
  checkRequired(draft, 'source', draft.source);
  checkRequired(draft, 'type', draft.type);
  checkForms(draft, specversion);
  const { id, source, type, problems } = draft;
  if (
    problems !== null ||
    specversion === null ||
    id === null ||
    source === null ||
    type === null
  ) {
    return refusalOf(problems ?? []);
  }
  const event: CloudEvent = {
    specversion,
    id,
    source,
    type,
    subject: draft.subject,
    time: draft.time,
    datacontenttype: draft.datacontenttype,
    dataschema: draft.dataschema,
    extensions: draft.extensions ?? NO_EXTENSIONS,
    data,
  };
  return { ok: true, event };
}

function refusalOf(found: readonly CloudEventProblem[]): Refusal {
  const problems = inReportOrder(found);
  const [error] = problems;
  assert(error !== undefined, 'a refused event has a problem');
  return { ok: false, error, problems };
}

function checkedVersion(draft: EventDraft): SpecVersion | null {
  const { specversion } = draft;
  if (specversion === '1.0' || specversion === '0.3') return specversion;
  if (checkRequired(draft, 'specversion', specversion)) {
    const reason = 'must be exactly 1.0 or 0.3';
    addProblem(draft, problem('CLOUDEVENTS_SPECVERSION_UNSUPPORTED', 'specversion', reason));
  }
  return null;
}

/** In 0.3 the schema is called `schemaurl`, and `dataschema` is any extension. */
function adoptOldNames(draft: EventDraft): void {
  const { dataschema } = draft;
  const schemaUrl = draft.extensions?.get('schemaurl') ?? null;
  draft.extensions?.delete('schemaurl');
  draft.dataschema = typeof schemaUrl === 'string' ? schemaUrl : null;
  if (dataschema !== null) {
    draft.extensions ??= new Map();
    draft.extensions.set('dataschema', dataschema);
  }
  if (typeof schemaUrl !== 'string' && schemaUrl !== null) {
    const code = 'CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID';
    addProblem(draft, problem(code, 'schemaurl', 'must be a string'));
  }
  const encoding = draft.extensions?.get('datacontentencoding');
  if (encoding !== undefined && encoding !== 'base64') {
    const code = 'CLOUDEVENTS_DATACONTENTENCODING_UNSUPPORTED';
    addProblem(draft, problem(code, 'datacontentencoding', 'must be base64'));
  }
}

/** True when the attribute is there and not blank; otherwise the problem has been noted. */
function checkRequired(draft: EventDraft, name: string, value: string | null): boolean {
  // A bad value has been noted under this name before, and then stays the only problem of it.
  if (value !== null) return checkNotBlank(draft, name, value);
  addProblem(draft, problem('CLOUDEVENTS_ATTRIBUTE_MISSING', name, 'is missing'));
  return false;
}

function checkNotBlank(draft: EventDraft, name: string, value: string): boolean {
  if (!isBlank(value)) return true;
  addProblem(draft, problem('CLOUDEVENTS_ATTRIBUTE_EMPTY', name, 'is empty'));
  return false;
}

/** What the attributes that are there must look like. */
function checkForms(draft: EventDraft, specversion: SpecVersion | null): void {
  const { source, subject, time, datacontenttype } = draft;
  if (source !== null && !isBlank(source) && !isUriReference(source)) {
    addProblem(draft, problem('CLOUDEVENTS_URI_INVALID', 'source', 'is not a URI-reference'));
  }
  if (subject !== null) checkNotBlank(draft, 'subject', subject);
  if (time !== null && checkNotBlank(draft, 'time', time) && !isTimestamp(time)) {
    const reason = 'is not an RFC 3339 time with a zone, of a day that exists';
    addProblem(draft, problem('CLOUDEVENTS_TIME_INVALID', 'time', reason));
  }
  if (draft.dataschema !== null) checkSchema(draft, draft.dataschema, specversion);
  if (datacontenttype !== null && !isMediaType(datacontenttype)) {
    const code = 'CLOUDEVENTS_DATACONTENTTYPE_INVALID';
    addProblem(draft, problem(code, 'datacontenttype', 'is not a media type'));
  }
}

function checkSchema(draft: EventDraft, schema: string, specversion: SpecVersion | null): void {
  const name = specversion === '0.3' ? 'schemaurl' : 'dataschema';
  if (!checkNotBlank(draft, name, schema)) return;
  if (specversion === '0.3') {
    if (isUriReference(schema)) return;
    addProblem(draft, problem('CLOUDEVENTS_URI_INVALID', name, 'is not a URI-reference'));
  } else if (!isUri(schema)) {
    addProblem(draft, problem('CLOUDEVENTS_URI_INVALID', name, 'is not an absolute URI'));
  }
}
