/**
 * Where events go (`ref`, `uri`, `CACerts`, `audience`), as subscribers and dead-letter sinks write it:
 * the parser of `lib/delivery` with its problems placed on fields, plus what the text alone shows to be
 * no address on any machine. Which addresses may be called is decided when they are called.
 */
import { parseDestination as parseDestinationSpec } from '#lib/delivery/destination-spec';
import type { DestinationSpec } from '#lib/delivery/destination-spec';
import {
  disallowedField,
  fieldPath,
  invalidValue,
  missingField,
  problem,
} from '../../meta/v1/field-problem.ts';
import type { FieldReader, Fields } from '../../meta/v1/field-reader.ts';
import { field } from '../../meta/v1/field-reader.ts';

export interface KReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A longer address is a mistake or an attack. */
export const URI_CHARS_MAX = 8_192;

const REFERENCE_FIELDS = ['kind', 'namespace', 'name', 'apiVersion', 'group', 'address'];
const DESTINATION_TEXTS = ['uri', 'CACerts', 'audience'];

/** Reads a reference to an object; an empty namespace becomes `parentNamespace`. */
export function parseReference(
  reader: FieldReader,
  path: string,
  raw: unknown,
  parentNamespace: string,
): KReference | null {
  const fields = reader.map(path, raw, REFERENCE_FIELDS);
  if (fields === null) return null;
  const name = requiredText(reader, path, fields, 'name');
  const kind = requiredText(reader, path, fields, 'kind');
  const apiVersion = requiredText(reader, path, fields, 'apiVersion');
  for (const unserved of ['group', 'address']) {
    const value = field(fields, unserved);
    if (value === undefined || value === null) continue;
    reader.refuse(disallowedField(fieldPath(path, unserved)));
  }
  const namespace = reader.text(fieldPath(path, 'namespace'), field(fields, 'namespace'));
  if (name === null || kind === null || apiVersion === null) return null;
  return { apiVersion, kind, name, namespace: namespace || parentNamespace };
}

/** `null` when absent or wrong; problems tell which. A `ref` must stay in its own namespace. */
export function parseDestination(
  reader: FieldReader,
  path: string,
  raw: unknown,
  parentNamespace: string,
): DestinationSpec | null {
  const fields = reader.openMap(path, raw);
  if (fields === null || !checkTexts(reader, path, fields, DESTINATION_TEXTS)) return null;
  const uri = field(fields, 'uri');
  if (typeof uri === 'string' && /^[a-z][a-z0-9+.-]*:/i.test(uri) && !/^https?:/i.test(uri)) {
    return reader.refuse(invalidValue(fieldPath(path, 'uri'), uri, addressFault(uri)));
  }
  const result = parseDestinationSpec(fields, path);
  if (!result.ok) {
    for (const one of result.problems) reader.refuse(problem(one.path, one.message));
    return null;
  }
  return checkDestination(reader, path, result.destination, parentNamespace)
    ? result.destination
    : null;
}

/** False, with problems, when one of the fields is there and no text. */
export function checkTexts(
  reader: FieldReader,
  path: string,
  fields: Fields,
  names: readonly string[],
): boolean {
  const before = reader.problems.length;
  for (const name of names) reader.text(fieldPath(path, name), field(fields, name));
  return reader.problems.length === before;
}

/** The rules that Knative's parser lacks; false, with problems, when one is broken. */
export function checkDestination(
  reader: FieldReader,
  path: string,
  destination: DestinationSpec,
  parentNamespace: string,
): boolean {
  const before = reader.problems.length;
  const { ref, uri } = destination;
  if (ref !== null && ref.namespace !== null && ref.namespace !== parentNamespace) {
    const details = `parent namespace: "${parentNamespace}" does not match ref: "${ref.namespace}"`;
    reader.refuse(problem(fieldPath(path, 'ref.namespace'), 'mismatched namespaces', details));
  }
  if (uri !== null) {
    const fault = textFault(uri) ?? (ref === null ? addressFault(uri) : null);
    if (fault !== null) reader.refuse(invalidValue(fieldPath(path, 'uri'), uri, fault));
  }
  return reader.problems.length === before;
}

/** What the text alone shows; URL parsing would silently drop or turn these characters. */
function textFault(uri: string): string | null {
  if (uri.length > URI_CHARS_MAX) {
    return `an address has at most ${URI_CHARS_MAX} characters, this one ${uri.length}`;
  }
  for (let index = 0; index < uri.length; index++) {
    const code = uri.charCodeAt(index);
    if (code <= 0x20 || code === 0x7f || uri[index] === '\\') {
      return 'spaces, control characters and backslashes must be percent-encoded in an address';
    }
  }
  return null;
}

/** The reason why an absolute address can never be called, or `null`. */
export function addressFault(uri: string): string | null {
  if (!/^https?:/i.test(uri)) return 'only http and https addresses can be called';
  const url = URL.canParse(uri) ? new URL(uri) : null;
  if (url === null) return 'not an address: wanted http://host:port/path';
  if (url.username !== '' || url.password !== '') {
    return 'an address must not carry a user name or password';
  }
  return url.port === '0' ? 'port 0 cannot be called' : null;
}

function requiredText(
  reader: FieldReader,
  path: string,
  fields: Fields,
  name: string,
): string | null {
  const raw = field(fields, name);
  const text = reader.text(fieldPath(path, name), raw);
  if (text !== null && text !== '') return text;
  if (raw === undefined || raw === null || raw === '') {
    reader.refuse(missingField(fieldPath(path, name)));
  }
  return null;
}
