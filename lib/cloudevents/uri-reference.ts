/**
 * Strict RFC 3986 check of `source`, `dataschema` and `schemaurl`; used by the attribute checks. No
 * normalisation: the attribute stays as it came.
 *
 *   URI-reference = URI / relative-ref
 *   URI           = scheme ":" hier-part [ "?" query ] [ "#" fragment ]
 *   relative-ref  = relative-part [ "?" query ] [ "#" fragment ]
 */
import { isIPv6 } from 'node:net';

/** Character classes; a character may be in several. */
const ALPHA = 1;
const DIGIT = 2;
const HEX = 4;
/** pchar: unreserved, sub-delims, ":" and "@"; without "%", which needs two digits after it. */
const PCHAR = 8;
/** What a scheme may have after its first letter. */
const SCHEME = 16;
/** What userinfo and a registered name may have, less "%": unreserved, sub-delims. */
const NAME = 32;

const CLASSES = characterClasses();

function characterClasses(): Uint8Array {
  const classes = new Uint8Array(128);
  const add = (characters: string, bits: number): void => {
    for (const character of characters) {
      const code = character.charCodeAt(0);
      classes[code] = (classes[code] ?? 0) | bits;
    }
  };
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  add(letters + letters.toUpperCase(), ALPHA | SCHEME | NAME | PCHAR);
  add('0123456789', DIGIT | HEX | SCHEME | NAME | PCHAR);
  add('abcdefABCDEF', HEX);
  add('-._~', NAME | PCHAR);
  add("!$&'()*+,;=", NAME | PCHAR);
  add(':@', PCHAR);
  add('+-.', SCHEME);
  return classes;
}

function isClass(code: number, bits: number): boolean {
  return ((CLASSES[code] ?? 0) & bits) !== 0;
}

/** True for a non-empty URI-reference; RFC 3986 also allows the empty one, CloudEvents does not. */
export function isUriReference(text: string): boolean {
  return text.length > 0 && (schemeLength(text) > 0 ? isUri(text) : isRelativeReference(text));
}

/** True for a URI with a scheme. A fragment is allowed: schema URIs have them in practice. */
export function isUri(text: string): boolean {
  const length = schemeLength(text);
  return length > 0 && isHierarchy(text, length + 1);
}

function isRelativeReference(text: string): boolean {
  // The first segment of a relative path must not have a colon: it would read as a scheme.
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x2f || code === 0x3f || code === 0x23) break;
    if (code === 0x3a) return false;
  }
  return isHierarchy(text, 0);
}

/** Length of a leading `scheme ":"` without the colon, or 0. */
function schemeLength(text: string): number {
  if (!isClass(text.charCodeAt(0), ALPHA)) return 0;
  for (let index = 1; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x3a) return index;
    if (!isClass(code, SCHEME)) return 0;
  }
  return 0;
}

/** `["//" authority] path ["?" query] ["#" fragment]` from `start` to the end. */
function isHierarchy(text: string, start: number): boolean {
  let index = start;
  if (text.startsWith('//', start)) {
    index = authorityEnd(text, start + 2);
    if (!isAuthority(text.slice(start + 2, index))) return false;
  }
  // In query and fragment "/" and "?" are plain characters; a second "#" is never allowed.
  let isInFragment = false;
  for (; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isClass(code, PCHAR) || code === 0x2f || code === 0x3f) continue;
    if (code === 0x25) {
      if (!isPercentTriplet(text, index)) return false;
      index += 2;
    } else if (code === 0x23 && !isInFragment) {
      isInFragment = true;
    } else {
      return false;
    }
  }
  return true;
}

function isPercentTriplet(text: string, index: number): boolean {
  return isClass(text.charCodeAt(index + 1), HEX) && isClass(text.charCodeAt(index + 2), HEX);
}

function authorityEnd(text: string, start: number): number {
  let index = start;
  for (; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x2f || code === 0x3f || code === 0x23) break;
  }
  return index;
}

/** `[userinfo "@"] host [":" port]`; the host may be empty, as in `file:///x`. */
function isAuthority(text: string): boolean {
  const at = text.lastIndexOf('@');
  if (at !== -1 && !isNameText(text.slice(0, at), true)) return false;
  const hostAndPort = text.slice(at + 1);
  if (hostAndPort.startsWith('[')) {
    const close = hostAndPort.indexOf(']');
    return (
      close !== -1 &&
      isIpLiteral(hostAndPort.slice(1, close)) &&
      isPortPart(hostAndPort.slice(close + 1))
    );
  }
  const colon = hostAndPort.indexOf(':');
  const host = colon === -1 ? hostAndPort : hostAndPort.slice(0, colon);
  return isNameText(host, false) && isPortPart(hostAndPort.slice(host.length));
}

function isNameText(text: string, isUserinfo: boolean): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (isClass(code, NAME) || (isUserinfo && code === 0x3a)) continue;
    if (code !== 0x25 || !isPercentTriplet(text, index)) return false;
    index += 2;
  }
  return true;
}

/** Nothing, or a colon and any number of digits. */
function isPortPart(text: string): boolean {
  if (text.length === 0) return true;
  if (text.charCodeAt(0) !== 0x3a) return false;
  for (let index = 1; index < text.length; index += 1) {
    if (!isClass(text.charCodeAt(index), DIGIT)) return false;
  }
  return true;
}

/** IPv6address or IPvFuture; `isIPv6` alone would let a zone identifier through. */
function isIpLiteral(text: string): boolean {
  if (isIPv6(text)) return !text.includes('%');
  const dot = text.indexOf('.');
  if (!/^[vV]/.test(text) || dot < 2 || dot === text.length - 1) return false;
  for (let index = 1; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    const isLegal =
      index < dot ? isClass(code, HEX) : index === dot || isClass(code, NAME) || code === 0x3a;
    if (!isLegal) return false;
  }
  return true;
}
