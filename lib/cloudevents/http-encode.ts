/**
 * Events to HTTP messages: binary mode (the hot path of the dispatcher), structured JSON and batch.
 * Used by the dispatcher, the CLI and tests. Invariants: the data bytes leave as they came; no
 * attribute can end a header line; the specversion and the text of `time` are never changed.
 * Source: CloudEvents HTTP binding 1.0.2, section 3.
 */
import { assert } from '#lib/assert/assert';
import { isAttributeName } from './attribute-text.ts';
import type { CloudEvent } from './cloud-event.ts';
import { NO_CHANGES, isLeftOut } from './encode-options.ts';
import type { EncodeOptions, ExtraExtension } from './encode-options.ts';
import { encodeHeaderValue } from './header-value.ts';
import { encodeJsonEvent } from './json-encode.ts';
import { DEFAULT_CLOUD_EVENT_LIMITS } from './limits.ts';
import { BATCH_JSON, STRUCTURED_JSON } from './media-type.ts';

export interface EncodedMessage {
  readonly contentType: string;
  readonly body: Buffer;
}

const NO_DATA = Buffer.alloc(0);
const NO_EXTRA: readonly ExtraExtension[] = [];

/**
 * Appends the event's headers to `target`, flat (name, value, name, value; names in lower case), the
 * Content-Type last, and answers the body: the event's own data bytes, not a copy.
 */
export function encodeBinary(
  event: CloudEvent,
  target: string[],
  options: EncodeOptions = NO_CHANGES,
): Buffer {
  target.push('ce-specversion', event.specversion);
  target.push('ce-id', encodeHeaderValue(event.id));
  target.push('ce-source', encodeHeaderValue(event.source));
  target.push('ce-type', encodeHeaderValue(event.type));
  if (event.subject !== null) target.push('ce-subject', encodeHeaderValue(event.subject));
  if (event.time !== null) target.push('ce-time', encodeHeaderValue(event.time));
  if (event.dataschema !== null) {
    const name = event.specversion === '1.0' ? 'ce-dataschema' : 'ce-schemaurl';
    target.push(name, encodeHeaderValue(event.dataschema));
  }
  for (const [name, value] of event.extensions) {
    if (options !== NO_CHANGES && isLeftOut(name, options)) continue;
    const text = typeof value === 'string' ? encodeHeaderValue(value) : String(value);
    target.push(`ce-${name}`, text);
  }
  for (const [name, value] of options.extra ?? NO_EXTRA) {
    assertExtensionName(name);
    target.push(`ce-${name}`, encodeHeaderValue(String(value)));
  }
  if (event.datacontenttype !== null) {
    target.push('content-type', headerSafe(event.datacontenttype));
  }
  return event.data ?? NO_DATA;
}

/** The event as one JSON object, for structured mode. */
export function encodeStructured(
  event: CloudEvent,
  options: EncodeOptions = NO_CHANGES,
): EncodedMessage {
  for (const [name] of options.extra ?? NO_EXTRA) assertExtensionName(name);
  return { contentType: STRUCTURED_JSON, body: encodeJsonEvent(event, options) };
}

/** The events as one JSON array; an empty batch is legal. */
export function encodeBatch(events: readonly CloudEvent[]): EncodedMessage {
  const parts: Buffer[] = [];
  for (const event of events) {
    parts.push(parts.length === 0 ? OPEN_ARRAY : COMMA, encodeJsonEvent(event, NO_CHANGES));
  }
  if (parts.length === 0) parts.push(OPEN_ARRAY);
  parts.push(CLOSE_ARRAY);
  return { contentType: BATCH_JSON, body: Buffer.concat(parts) };
}

const OPEN_ARRAY = Buffer.from('[');
const COMMA = Buffer.from(',');
const CLOSE_ARRAY = Buffer.from(']');

function assertExtensionName(name: string): void {
  const isLegal = isAttributeName(name, DEFAULT_CLOUD_EVENT_LIMITS.attributeNameLengthMax);
  assert(isLegal && name !== 'data', 'an added extension has a legal name', { name });
}

/** A media type has no other characters; this only holds should a stored event have been tampered with. */
function headerSafe(contentType: string): string {
  for (let index = 0; index < contentType.length; index += 1) {
    const unit = contentType.charCodeAt(index);
    if (unit < 0x20 || unit > 0x7e) return contentType.replace(/[^\x20-\x7e]/g, '?');
  }
  return contentType;
}
