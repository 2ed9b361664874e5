/**
 * Turns an attribute name into a function that reads it, once per filter instead of once per event.
 * Used by every compiled clause and by the index.
 * Invariant: reads exactly what `attributeValue` and `attributeText` of the event model read; the
 * tests compare them over all names.
 */
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';

/** The attribute as it is, or `null` when the event lacks it. */
export type ValueReader = (event: CloudEvent) => AttributeValue | null;
/** The attribute in its canonical string form, or `null` when the event lacks it. */
export type TextReader = (event: CloudEvent) => string | null;

const CORE_READERS: ReadonlyMap<string, TextReader> = new Map<string, TextReader>([
  ['specversion', (event) => event.specversion],
  ['id', (event) => event.id],
  ['source', (event) => event.source],
  ['type', (event) => event.type],
  ['subject', (event) => event.subject],
  ['time', (event) => event.time],
  ['datacontenttype', (event) => event.datacontenttype],
]);

/** True for the attributes that are a String in every event; extensions may be of other types. */
export function isAlwaysText(name: string): boolean {
  return CORE_READERS.has(name);
}

export function createValueReader(name: string): ValueReader {
  const core = CORE_READERS.get(name);
  if (core !== undefined) return core;
  const readExtension: ValueReader = (event) => event.extensions.get(name) ?? null;
  if (name !== 'dataschema' && name !== 'schemaurl') return readExtension;
  // One field has another name in each version; the other version's name is an extension there.
  const version = name === 'dataschema' ? '1.0' : '0.3';
  return (event) => (event.specversion === version ? event.dataschema : readExtension(event));
}

export function createTextReader(name: string): TextReader {
  const core = CORE_READERS.get(name);
  if (core !== undefined) return core;
  const read = createValueReader(name);
  return (event) => {
    const value = read(event);
    return value === null || typeof value === 'string' ? value : String(value);
  };
}
