/**
 * HTTP message to events: binary mode here, JSON in json-decode.ts. Used by ingress for requests and
 * by the dispatcher for replies; binary mode is the hot path of ingress. Invariant: never throws,
 * whatever the bytes; the data of a decoded event is the body itself (binary) or a part of it.
 */
import type { CloudEvent } from './cloud-event.ts';
import { finishDraft, refusal } from './draft-check.ts';
import type { Refusal } from './draft-check.ts';
import { createDraft, refuseAttribute, setText } from './event-draft.ts';
import type { AttributeFault, EventDraft } from './event-draft.ts';
import { decodeHeaderValue, isPlainHeaderValue } from './header-value.ts';
import type { HeaderValueFault } from './header-value.ts';
import { decodeJsonBatch, decodeJsonEvent } from './json-decode.ts';
import type { CloudEventLimits } from './limits.ts';
import { charsetOf, contentMode, isMediaType } from './media-type.ts';
import type { ContentMode } from './media-type.ts';
import { problem } from './problem.ts';

/** What a body is decoded with; `rawHeaders` as Node gives them: flat, one byte per character. */
export interface HttpMessage {
  readonly rawHeaders: readonly string[];
  /** All of the body. It must not be changed afterwards: events keep parts of it. */
  readonly body: Buffer;
  readonly limits: CloudEventLimits;
}

export type DecodeResult =
  | {
      readonly ok: true;
      readonly mode: ContentMode;
      /** One event, except in a batch, which may hold none. */
      readonly events: readonly CloudEvent[];
    }
  | Refusal;

/** An event as far as its headers tell; `attributeBytes` count against `eventBytesMax`. */
export type BinaryHeadResult =
  | { readonly ok: true; readonly event: CloudEvent; readonly attributeBytes: number }
  | Refusal;

export type ContentTypeResult =
  | { readonly ok: true; readonly contentType: string | null; readonly mode: ContentMode }
  | Refusal;

/** Decodes one whole message. Trailers are not looked at. */
export function decodeHttp(message: HttpMessage): DecodeResult {
  const { rawHeaders, body, limits } = message;
  const found = decodeContentType(rawHeaders);
  if (!found.ok) return found;
  switch (found.mode) {
    case 'binary':
      return decodeBinary(message, found.contentType);
    case 'structured': {
      const result = decodeJsonEvent(body, limits);
      return result.ok ? { ok: true, mode: 'structured', events: [result.event] } : result;
    }
    case 'batch': {
      const result = decodeJsonBatch(body, limits);
      return result.ok ? { ok: true, mode: 'batch', events: result.events } : result;
    }
  }
}

function decodeBinary(message: HttpMessage, contentType: string | null): DecodeResult {
  const { body, limits } = message;
  const draft = draftOfHeaders(message.rawHeaders, contentType, limits);
  if (draft.attributeBytes + body.length > limits.eventBytesMax) {
    const reason = `it is larger than ${limits.eventBytesMax} bytes`;
    return refusal(problem('CLOUDEVENTS_EVENT_TOO_LARGE', null, reason));
  }
  const result = finishDraft(draft, body.length === 0 ? null : body);
  return result.ok ? { ok: true, mode: 'binary', events: [result.event] } : result;
}

/**
 * Decodes the attributes of a message in binary mode before its body is there. The event has no
 * data; {@link withData} adds it. The caller holds `attributeBytes` plus body to `eventBytesMax`.
 */
export function decodeBinaryHeaders(
  rawHeaders: readonly string[],
  contentType: string | null,
  limits: CloudEventLimits,
): BinaryHeadResult {
  const draft = draftOfHeaders(rawHeaders, contentType, limits);
  const result = finishDraft(draft, null);
  if (!result.ok) return result;
  return { ok: true, event: result.event, attributeBytes: draft.attributeBytes };
}

/** The event with the body of its message as data; an empty body is no data. */
export function withData(event: CloudEvent, body: Buffer): CloudEvent {
  return {
    specversion: event.specversion,
    id: event.id,
    source: event.source,
    type: event.type,
    subject: event.subject,
    time: event.time,
    datacontenttype: event.datacontenttype,
    dataschema: event.dataschema,
    extensions: event.extensions,
    data: body.length === 0 ? null : body,
  };
}

/** Finds and checks the Content-Type, and with it the mode, without looking at the body. */
export function decodeContentType(rawHeaders: readonly string[]): ContentTypeResult {
  let contentType: string | null = null;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length !== 12 || name.toLowerCase() !== 'content-type') continue;
    if (contentType !== null) {
      const reason = 'it has more than one Content-Type';
      return refusal(problem('CLOUDEVENTS_CONTENT_TYPE_DUPLICATE', null, reason));
    }
    contentType = rawHeaders[index + 1] ?? '';
  }
  if (contentType !== null && !isMediaType(contentType)) {
    const reason = 'its Content-Type is not a media type';
    return refusal(problem('CLOUDEVENTS_CONTENT_TYPE_INVALID', null, reason));
  }
  const mode = contentMode(contentType);
  if (mode === 'unsupported') {
    const reason = 'its Content-Type is neither application/cloudevents+json nor its batch form';
    return refusal(problem('CLOUDEVENTS_FORMAT_UNSUPPORTED', null, reason));
  }
  if (contentType !== null && mode !== 'binary') {
    const charset = charsetOf(contentType);
    if (charset !== null && charset !== 'utf-8') {
      const reason = 'the charset of its Content-Type is not utf-8';
      return refusal(problem('CLOUDEVENTS_CHARSET_UNSUPPORTED', null, reason));
    }
  }
  return { ok: true, contentType, mode };
}

function draftOfHeaders(
  rawHeaders: readonly string[],
  contentType: string | null,
  limits: CloudEventLimits,
): EventDraft {
  const draft = createDraft(limits);
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const header = rawHeaders[index] ?? '';
    if (header.charCodeAt(2) !== 0x2d || !isAttributeHeader(header)) continue;
    setHeader(draft, header.slice(3).toLowerCase(), rawHeaders[index + 1] ?? '');
  }
  if (contentType !== null) setText(draft, 'datacontenttype', withoutTabs(contentType), true);
  return draft;
}

/** HTTP allows tabs around the semicolons of a media type; an attribute has no control characters. */
function withoutTabs(contentType: string): string {
  return contentType.includes('\t') ? contentType.replaceAll('\t', ' ') : contentType;
}

/** `ce-` in any case; the hyphen has been seen. */
function isAttributeHeader(header: string): boolean {
  const first = header.charCodeAt(0) | 0x20;
  const second = header.charCodeAt(1) | 0x20;
  return first === 0x63 && second === 0x65;
}

function setHeader(draft: EventDraft, name: string, value: string): void {
  if (name === 'datacontenttype') {
    return refuseAttribute(draft, name, DATACONTENTTYPE_HEADER);
  }
  if (isPlainHeaderValue(value)) return setText(draft, name, value, true);
  const decoded = decodeHeaderValue(value);
  if ('fault' in decoded) return refuseAttribute(draft, name, BAD_ENCODING[decoded.fault]);
  setText(draft, name, decoded.text, false);
}

const DATACONTENTTYPE_HEADER: AttributeFault = {
  code: 'CLOUDEVENTS_ATTRIBUTE_RESERVED',
  reason: 'is the Content-Type header in binary mode, not a header of its own',
};

const BAD_ENCODING: Readonly<Record<HeaderValueFault, AttributeFault>> = {
  percent: {
    code: 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
    reason: 'has a percent sign without two hexadecimal digits',
  },
  quote: {
    code: 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
    reason: 'begins with a double quote and does not end as a quoted string',
  },
  utf8: {
    code: 'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
    reason: 'is not valid UTF-8',
  },
};
