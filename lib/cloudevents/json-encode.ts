/**
 * One event as a JSON object in bytes. Used by http-encode.ts. Invariant: decoding what this gives
 * makes an equal event with the same data bytes, with two exceptions that the format asks for: JSON
 * data loses white space around its value, and JSON data without datacontenttype gains
 * `application/json`.
 * Source: CloudEvents JSON format 1.0.2, sections 2 and 3.1; 0.3 packs bytes as `data` with
 * `datacontentencoding`.
 */
import { isUtf8 } from 'node:buffer';
import { isBase64 } from './base64-text.ts';
import type { AttributeValue, CloudEvent } from './cloud-event.ts';
import { isLeftOut } from './encode-options.ts';
import type { EncodeOptions } from './encode-options.ts';
import { isJsonValue } from './json-scan.ts';
import { DEFAULT_CLOUD_EVENT_LIMITS } from './limits.ts';
import { isJsonMediaType, isUtf8TextMediaType } from './media-type.ts';

/**
 * Data within these is embedded as JSON; beyond them it goes as base64, so that a receiver with our
 * limits takes the event. The event's own object, attributes and data members are counted off.
 */
const EMBEDDED_JSON_LIMITS = {
  depthMax: DEFAULT_CLOUD_EVENT_LIMITS.jsonDepthMax - 1,
  keysMax: DEFAULT_CLOUD_EVENT_LIMITS.jsonKeysMax - DEFAULT_CLOUD_EVENT_LIMITS.attributesMax - 2,
};

const CLOSE_OBJECT = Buffer.from('}');

/** The bytes of the object; a fresh buffer. */
export function encodeJsonEvent(event: CloudEvent, options: EncodeOptions): Buffer {
  const attributes = attributesText(event, options);
  const { data } = event;
  if (data === null) return Buffer.from(`${attributes}}`, 'utf8');
  if (isPackedData(event, data)) {
    const text = data.toString('latin1');
    return Buffer.from(`${attributes},"datacontentencoding":"base64","data":"${text}"}`, 'utf8');
  }
  if (isEmbeddable(event, data)) {
    return Buffer.concat([Buffer.from(`${attributes},"data":`, 'utf8'), data, CLOSE_OBJECT]);
  }
  if (isText(event, data)) {
    const text = JSON.stringify(data.toString('utf8'));
    return Buffer.from(`${attributes},"data":${text}}`, 'utf8');
  }
  const text = data.toString('base64');
  const members =
    event.specversion === '1.0'
      ? `"data_base64":"${text}"`
      : `"datacontentencoding":"base64","data":"${text}"`;
  return Buffer.from(`${attributes},${members}}`, 'utf8');
}

/** The opening brace and all attributes, typed values as their own JSON types. */
function attributesText(event: CloudEvent, options: EncodeOptions): string {
  let text = `{"specversion":"${event.specversion}","id":${JSON.stringify(event.id)}`;
  text += member('source', event.source) + member('type', event.type);
  if (event.subject !== null) text += member('subject', event.subject);
  if (event.time !== null) text += member('time', event.time);
  if (event.datacontenttype !== null) text += member('datacontenttype', event.datacontenttype);
  if (event.dataschema !== null) {
    text += member(event.specversion === '1.0' ? 'dataschema' : 'schemaurl', event.dataschema);
  }
  for (const [name, value] of event.extensions) {
    if (isLeftOut(name, options) || isPackingNote(event, name)) continue;
    text += member(name, value);
  }
  for (const [name, value] of options.extra ?? []) text += member(name, value);
  return text;
}

function member(name: string, value: AttributeValue): string {
  return `,"${name}":${JSON.stringify(value)}`;
}

/** 0.3 only: the attribute says how `data` is packed, so it is written together with `data`. */
function isPackingNote(event: CloudEvent, name: string): boolean {
  return event.specversion === '0.3' && name === 'datacontentencoding';
}

/** A 0.3 event that came in binary mode with data that is base64 text already, and says so. */
function isPackedData(event: CloudEvent, data: Buffer): boolean {
  const isAnnounced =
    event.specversion === '0.3' && event.extensions.get('datacontentencoding') === 'base64';
  return isAnnounced && isBase64(data);
}

/** JSON by its type (or without one), and really one JSON value. */
function isEmbeddable(event: CloudEvent, data: Buffer): boolean {
  const { datacontenttype } = event;
  if (datacontenttype !== null && !isJsonMediaType(datacontenttype)) return false;
  return isUtf8(data) && isJsonValue(data, EMBEDDED_JSON_LIMITS);
}

/** Text by its type, and really UTF-8. Broken `text/json` is not: its string would read as JSON. */
function isText(event: CloudEvent, data: Buffer): boolean {
  const { datacontenttype } = event;
  if (datacontenttype === null || isJsonMediaType(datacontenttype)) return false;
  return isUtf8TextMediaType(datacontenttype) && isUtf8(data);
}
