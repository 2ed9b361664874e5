/**
 * The strict form of a request target: `/namespace/name`, one trailing slash allowed, a query
 * ignored. Used by ingress. Everything that two programs could read differently is refused: absolute
 * form, fragments, encoded characters, dots, semicolons, doubled slashes.
 */

export type TargetResult =
  | { readonly kind: 'object'; readonly namespace: string; readonly name: string }
  /** `/`: nothing is there. */
  | { readonly kind: 'root' }
  | { readonly kind: 'invalid' };

/** A namespace and a name of 63 characters each, three slashes, and room for a query. */
const TARGET_LENGTH_MAX = 1_024;
const LABEL_LENGTH_MAX = 63;
/** Names of objects are DNS subdomains: labels joined by dots. */
const NAME_LENGTH_MAX = 253;
const INVALID: TargetResult = { kind: 'invalid' };
const ROOT: TargetResult = { kind: 'root' };

export function parseTarget(target: string): TargetResult {
  if (target.length > TARGET_LENGTH_MAX || target.charCodeAt(0) !== 0x2f) return INVALID;
  if (target.includes('#')) return INVALID;
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (path === '/') return ROOT;
  const end = path.endsWith('/') ? path.length - 1 : path.length;
  const parts = path.slice(1, end).split('/');
  const [namespace, name] = parts;
  if (parts.length !== 2 || namespace === undefined || name === undefined) return INVALID;
  if (!isDnsLabel(namespace) || !isDnsSubdomain(name)) return INVALID;
  return { kind: 'object', namespace, name };
}

/** `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 characters (RFC 1123). */
export function isDnsLabel(text: string): boolean {
  if (text.length === 0 || text.length > LABEL_LENGTH_MAX) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    const isAlphanumeric = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
    const isInner = index > 0 && index < text.length - 1;
    if (!isAlphanumeric && !(code === 0x2d && isInner)) return false;
  }
  return true;
}

function isDnsSubdomain(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && text.split('.').every(isDnsLabel);
}
