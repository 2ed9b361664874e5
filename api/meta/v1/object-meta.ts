/**
 * `metadata` of an object as its author writes it: name, namespace, labels, annotations. Everything
 * that a server fills in (uid, resourceVersion, managedFields, …) is accepted and left out, so that
 * the output of `kubectl get -o yaml` can be read back.
 */
import { fieldPath, invalidValue, keyPath, missingField, problem } from './field-problem.ts';
import type { FieldReader } from './field-reader.ts';
import { field } from './field-reader.ts';

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export const DEFAULT_NAMESPACE = 'default';
const NAME_CHARS_MAX = 253;
const LABEL_CHARS_MAX = 63;
/** The API server's own limit on all annotations of one object, keys and values. */
const ANNOTATIONS_BYTES_MAX = 256 * 1024;

const META_FIELDS = ['name', 'namespace', 'labels', 'annotations'];
const SERVER_FIELDS = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'selfLink',
];

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
  'and must start and end with an alphanumeric character, in at most 253 characters';
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
  'and must start and end with an alphanumeric character, in at most 63 characters';
const KEY_RULE =
  "a key is an optional DNS prefix and '/', then at most 63 alphanumeric characters, '-', '_' or '.'";

/** Reads `metadata`; `null` when the object cannot be named. */
export function parseObjectMeta(reader: FieldReader, raw: unknown): ObjectMeta | null {
  const fields = reader.map('metadata', raw, [...META_FIELDS, 'generateName', ...SERVER_FIELDS]);
  if (fields === null) {
    if (reader.problems.length === 0) reader.refuse(missingField('metadata.name'));
    return null;
  }
  const name = parseName(reader, field(fields, 'name'), field(fields, 'generateName'));
  const namespace = parseNamespace(reader, field(fields, 'namespace'));
  const labels = reader.textMap('metadata.labels', field(fields, 'labels'));
  const annotations = reader.textMap('metadata.annotations', field(fields, 'annotations'));
  checkLabels(reader, labels);
  checkAnnotations(reader, annotations);
  return name === null || namespace === null ? null : { name, namespace, labels, annotations };
}

function parseName(reader: FieldReader, raw: unknown, generateName: unknown): string | null {
  const path = fieldPath('metadata', 'name');
  const name = reader.text(path, raw);
  if (name === null || name === '') {
    if (raw !== undefined && raw !== null && raw !== '') return null;
    const hint =
      generateName === undefined ? null : 'generateName has no meaning in a file: give it a name';
    return reader.refuse(missingField(path, hint));
  }
  return isSubdomain(name) ? name : reader.refuse(invalidValue(path, name, SUBDOMAIN_RULE));
}

function parseNamespace(reader: FieldReader, raw: unknown): string | null {
  const path = fieldPath('metadata', 'namespace');
  if (raw === undefined || raw === null || raw === '') return DEFAULT_NAMESPACE;
  const namespace = reader.text(path, raw);
  if (namespace === null || isDnsLabel(namespace)) return namespace;
  return reader.refuse(invalidValue(path, namespace, LABEL_RULE));
}

function checkLabels(reader: FieldReader, labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    const path = keyPath('metadata.labels', key);
    if (!isQualifiedKey(key)) reader.refuse(problem(path, `invalid key name "${key}"`, KEY_RULE));
    if (value !== '' && !isLabelValue(value)) {
      const rule = "at most 63 alphanumeric characters, '-', '_' or '.', alphanumeric at both ends";
      reader.refuse(invalidValue(path, value, rule));
    }
  }
}

function checkAnnotations(
  reader: FieldReader,
  annotations: Readonly<Record<string, string>>,
): void {
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    sizeBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (isQualifiedKey(key.toLowerCase())) continue;
    const path = keyPath('metadata.annotations', key);
    reader.refuse(problem(path, `invalid key name "${key}"`, KEY_RULE));
  }
  if (sizeBytes <= ANNOTATIONS_BYTES_MAX) return;
  const message = `annotations have ${sizeBytes} bytes, at most ${ANNOTATIONS_BYTES_MAX} are allowed`;
  reader.refuse(problem('metadata.annotations', message));
}

/** `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return text.length <= LABEL_CHARS_MAX && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}

/** Labels joined by dots, at most 253 characters. */
export function isSubdomain(text: string): boolean {
  if (text.length > NAME_CHARS_MAX) return false;
  return text.split('.').every((part) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(part));
}

function isQualifiedKey(key: string): boolean {
  const slash = key.indexOf('/');
  if (slash === 0 || (slash > 0 && !isSubdomain(key.slice(0, slash)))) return false;
  const name = key.slice(slash + 1);
  return name.length > 0 && isLabelValue(name);
}

function isLabelValue(value: string): boolean {
  return (
    value.length <= LABEL_CHARS_MAX && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(value)
  );
}
