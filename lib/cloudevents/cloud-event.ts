/**
 * The event model that every part of Millrace shares: attributes decoded, data as the bytes that came.
 * Made by the codecs in this folder, stored by `channels/`, read by `lib/filters` and `lib/delivery`.
 * Invariant: the data bytes are never changed, `time` keeps its digits and zone, and the specversion
 * is never upgraded.
 */

/** An attribute as JSON can carry it. HTTP headers only ever give strings. Integers are 32-bit. */
export type AttributeValue = string | number | boolean;

export type SpecVersion = '1.0' | '0.3';

/** All fields are always present (`null`, not absent), so that every event has one shape. */
export interface CloudEvent {
  readonly specversion: SpecVersion;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | null;
  /** RFC 3339, exactly as it came. */
  readonly time: string | null;
  readonly datacontenttype: string | null;
  /** `dataschema`; in 0.3 it stands for `schemaurl`. */
  readonly dataschema: string | null;
  /** By lower-case name; iteration order is arrival order. {@link NO_EXTENSIONS} when there are none. */
  readonly extensions: ReadonlyMap<string, AttributeValue>;
  /** The raw data bytes; `null` when the event has no data. Treat as immutable. */
  readonly data: Buffer | null;
}

export const NO_EXTENSIONS: ReadonlyMap<string, AttributeValue> = new Map();

/** Attribute as text, as CloudEvents' canonical string form; `null` when the event lacks it. */
export function attributeText(event: CloudEvent, name: string): string | null {
  const value = attributeValue(event, name);
  return value === null || typeof value === 'string' ? value : String(value);
}

/** The attribute of that lower-case name, or `null`. `dataschema` and 0.3's `schemaurl` are one field. */
export function attributeValue(event: CloudEvent, name: string): AttributeValue | null {
  switch (name) {
    case 'specversion':
      return event.specversion;
    case 'id':
      return event.id;
    case 'source':
      return event.source;
    case 'type':
      return event.type;
    case 'subject':
      return event.subject;
    case 'time':
      return event.time;
    case 'datacontenttype':
      return event.datacontenttype;
    case 'dataschema':
      return event.specversion === '1.0' ? event.dataschema : extensionValue(event, name);
    case 'schemaurl':
      return event.specversion === '0.3' ? event.dataschema : extensionValue(event, name);
    default:
      return extensionValue(event, name);
  }
}

function extensionValue(event: CloudEvent, name: string): AttributeValue | null {
  return event.extensions.get(name) ?? null;
}
