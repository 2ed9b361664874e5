/**
 * A Destination as users write it (`spec.subscriber`, `deadLetterSink`), and its one strict parser,
 * with Knative's messages and order of checks. Used for delivery specs and by the readers of manifests.
 * It does not resolve a `ref` and does not judge the address (`lib/security/address-rules.ts` does).
 */
import { X509Certificate } from 'node:crypto';
import { nearestName } from '#lib/config/nearest-name';

/** A `ref` as written; who resolves it checks that it exists. */
export interface ReferenceSpec {
  readonly kind: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly apiVersion: string;
}

/** At least one of `ref` and `uri` is set. */
export interface DestinationSpec {
  readonly ref: ReferenceSpec | null;
  readonly uri: string | null;
  readonly caCerts: string | null;
  readonly audience: string | null;
}

/** What is wrong, and the path of the field in the manifest. */
export interface SpecProblem {
  readonly path: string;
  readonly message: string;
}

export type DestinationResult =
  | { readonly ok: true; readonly destination: DestinationSpec }
  | { readonly ok: false; readonly problems: readonly SpecProblem[] };

const DESTINATION_FIELDS = ['ref', 'uri', 'CACerts', 'audience'];
const REFERENCE_FIELDS = ['kind', 'namespace', 'name', 'apiVersion', 'group', 'address'];
const REFERENCE_PATH = '[apiVersion, kind, name]';

/** @param path of the destination itself, such as `spec.subscriber`. */
export function parseDestination(raw: unknown, path: string): DestinationResult {
  if (!isRecord(raw)) return failed([{ path, message: 'expected an object' }]);
  const problems = unknownFields(raw, DESTINATION_FIELDS, path);
  const uri = textField(raw, 'uri', path, problems);
  const caCerts = textField(raw, 'CACerts', path, problems);
  const audience = textField(raw, 'audience', path, problems);
  const refRaw = raw['ref'];
  const hasRef = refRaw !== undefined && refRaw !== null;
  const ref = hasRef ? parseReference(refRaw, `${path}.ref`, problems) : null;
  if (problems.length > 0) return failed(problems);
  const wrong = checkTogether({ hasRef, uri, caCerts }, path);
  return wrong === null
    ? { ok: true, destination: { ref, uri, caCerts, audience } }
    : failed([wrong]);
}

interface Given {
  readonly hasRef: boolean;
  readonly uri: string | null;
  readonly caCerts: string | null;
}

/** Knative's rules over several fields; the first that is broken is reported. */
function checkTogether(given: Given, path: string): SpecProblem | null {
  const { hasRef, uri, caCerts } = given;
  if (!hasRef && uri === null) {
    return { path: `${path}.ref, ${path}.uri`, message: 'expected at least one, got none' };
  }
  const isAbsolute = uri !== null && hasSchemeAndHost(uri);
  if (hasRef && isAbsolute) {
    const message = `Absolute URI is not allowed when Ref or ${REFERENCE_PATH} is present`;
    return { path: `${path}.${REFERENCE_PATH}, ${path}.ref, ${path}.uri`, message };
  }
  if (!hasRef && !isAbsolute) {
    const rule = `Relative URI is not allowed when Ref and ${REFERENCE_PATH} is absent`;
    return { path: `${path}.uri`, message: `invalid value: ${rule}` };
  }
  if (caCerts !== null) {
    const wrong = certificatesProblem(caCerts);
    if (wrong !== null) return { path: `${path}.CACerts`, message: `invalid value: ${wrong}` };
  }
  return null;
}

/** What is wrong with PEM certificates, or `null`. Text between the blocks is allowed, as in bundles. */
export function certificatesProblem(pem: string): string | null {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (blocks === null) return 'no PEM block of type CERTIFICATE';
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return `certificate ${index + 1} of ${blocks.length} cannot be read: ${reason}`;
    }
  }
  return null;
}

function hasSchemeAndHost(uri: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]/.test(uri);
}

function parseReference(raw: unknown, path: string, problems: SpecProblem[]): ReferenceSpec | null {
  if (!isRecord(raw)) {
    problems.push({ path, message: 'expected an object' });
    return null;
  }
  problems.push(...unknownFields(raw, REFERENCE_FIELDS, path));
  const name = requiredText(raw, 'name', path, problems);
  const kind = requiredText(raw, 'kind', path, problems);
  const apiVersion = requiredText(raw, 'apiVersion', path, problems);
  const namespace = textField(raw, 'namespace', path, problems);
  for (const field of ['group', 'address']) {
    if (raw[field] === undefined) continue;
    problems.push({ path: `${path}.${field}`, message: 'must not set the field(s)' });
  }
  return { kind, namespace, name, apiVersion };
}

function requiredText(
  raw: Readonly<Record<string, unknown>>,
  field: string,
  path: string,
  problems: SpecProblem[],
): string {
  const value = textField(raw, field, path, problems);
  const hasOwnProblem = problems.some((known) => known.path === `${path}.${field}`);
  if (value === null && !hasOwnProblem) {
    problems.push({ path: `${path}.${field}`, message: 'missing field(s)' });
  }
  return value ?? '';
}

/** The text of an optional field; absent, null and empty are the same, as in Go. */
export function textField(
  raw: Readonly<Record<string, unknown>>,
  field: string,
  path: string,
  problems: SpecProblem[],
): string | null {
  const value = raw[field];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value === 'string') return value;
  problems.push({ path: `${path}.${field}`, message: `invalid value: ${shown(value)}` });
  return null;
}

/** One problem per field that the API does not have, with the nearest one that it has. */
export function unknownFields(
  raw: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: string,
): SpecProblem[] {
  const problems: SpecProblem[] = [];
  for (const field of Object.keys(raw)) {
    if (known.includes(field)) continue;
    const nearest = nearestName(field, known);
    const advice = nearest === null ? `known: ${known.join(', ')}` : `did you mean "${nearest}"`;
    problems.push({
      path: `${path}.${shortened(field)}`,
      message: `unknown field "${shortened(field)}"; ${advice}`,
    });
  }
  return problems;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of a manifest for a message: one line, bounded. */
export function shown(value: unknown): string {
  return shortened(typeof value === 'string' ? value : JSON.stringify(value));
}

function shortened(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}

function failed(problems: readonly SpecProblem[]): DestinationResult {
  return { ok: false, problems };
}
