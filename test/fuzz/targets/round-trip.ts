/** What every decoded event must survive: our own encodings, in binary, in JSON and as stored. */
import assert from 'node:assert/strict';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeEvent, encodeEvent } from '#lib/cloudevents/event-codec';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import { isJsonMediaType } from '#lib/cloudevents/media-type';

/** Wide: what is encoded for sending may be larger than what was taken. */
const LIMITS = { ...DEFAULT_CLOUD_EVENT_LIMITS, eventBytesMax: 16 * 1_048_576 };

export function holdRoundTrips(event: CloudEvent): void {
  assert.deepEqual(decodeEvent(encodeEvent(event)), event, 'stored');
  assert.deepEqual(throughBinary(event), asText(event), 'binary');
  holdStructured(event);
}

/** The headers of the event in binary mode, after a check that no value can end its line. */
export function binaryHeaders(event: CloudEvent): readonly string[] {
  const rawHeaders: string[] = [];
  encodeBinary(event, rawHeaders);
  for (const text of rawHeaders)
    assert.match(text, /^[\x20-\x7e]*$/, 'a header is printable ASCII');
  return rawHeaders;
}

function throughBinary(event: CloudEvent): CloudEvent {
  const rawHeaders = binaryHeaders(event);
  return decoded(rawHeaders, event.data ?? Buffer.alloc(0));
}

/** As headers give it: extensions are text, and no body is no data. */
function asText(event: CloudEvent): CloudEvent {
  const extensions = new Map([...event.extensions].map(([name, value]) => [name, String(value)]));
  return { ...event, extensions, data: event.data?.length === 0 ? null : event.data };
}

function holdStructured(event: CloudEvent): void {
  const { contentType, body } = encodeStructured(event);
  const read = decoded(['content-type', contentType], body);
  // In 0.3 the attribute says how the data is packed, and goes when it is unpacked.
  if (event.specversion === '0.3' && event.extensions.has('datacontentencoding')) return;
  const { data, datacontenttype } = event;
  const isJson = datacontenttype === null || isJsonMediaType(datacontenttype);
  assert.equal(outerSpaceOff(read.data, isJson), outerSpaceOff(data, isJson), 'structured data');
  const isTyped = datacontenttype === null && read.datacontenttype === 'application/json';
  const found = isTyped ? { ...read, datacontenttype } : read;
  assert.deepEqual({ ...found, data: null }, { ...event, data: null }, 'structured attributes');
}

/** JSON data loses the white space around its value. */
function outerSpaceOff(data: Buffer | null, isJson: boolean): string | null {
  const text = data?.toString('latin1') ?? null;
  return isJson && text !== null ? text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '') : text;
}

function decoded(rawHeaders: readonly string[], body: Buffer): CloudEvent {
  const result = decodeHttp({ rawHeaders, body, limits: LIMITS });
  assert.ok(result.ok, `what we encode we decode: ${JSON.stringify(result)}`);
  const [event] = result.events;
  assert(event !== undefined);
  return event;
}
