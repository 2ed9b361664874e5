/**
 * Content-Type: which mode a message is in, whether a value is a media type at all, and whether data
 * of that type is JSON or text. Used by decoders and encoders of this folder and by ingress.
 *
 *   media-type = type "/" subtype *( OWS ";" OWS [ name "=" ( token / quoted-string ) ] )
 */

export type ContentMode = 'binary' | 'structured' | 'batch';

const CLOUDEVENTS_PREFIX = 'application/cloudevents';
export const STRUCTURED_JSON = 'application/cloudevents+json';
export const BATCH_JSON = 'application/cloudevents-batch+json';

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;

const TOKEN = tokenCharacters();

function tokenCharacters(): Uint8Array {
  const table = new Uint8Array(128);
  for (let code = 0x21; code < 0x7f; code += 1) {
    if (!'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(code))) table[code] = 1;
  }
  return table;
}

/**
 * The mode that a Content-Type announces, or `'unsupported'` for every `application/cloudevents…`
 * that is not one of the two JSON formats. Does not check the parameters.
 */
export function contentMode(contentType: string | null): ContentMode | 'unsupported' {
  if (contentType === null || !startsWithPrefix(contentType)) return 'binary';
  const name = essence(contentType);
  if (name === BATCH_JSON) return 'batch';
  return name === STRUCTURED_JSON ? 'structured' : 'unsupported';
}

function startsWithPrefix(contentType: string): boolean {
  // The 13th character alone tells nearly every other media type apart.
  const initial = contentType.charCodeAt(12);
  if (initial !== 0x63 && initial !== 0x43) return false;
  return contentType.slice(0, CLOUDEVENTS_PREFIX.length).toLowerCase() === CLOUDEVENTS_PREFIX;
}

/** `type/subtype` in lower case, without parameters. */
export function essence(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** True when the whole value is a media type by the grammar above. */
export function isMediaType(value: string): boolean {
  const slash = tokenEnd(value, 0);
  if (slash === 0 || value.charCodeAt(slash) !== 0x2f) return false;
  let index = tokenEnd(value, slash + 1);
  if (index === slash + 1) return false;
  while (index < value.length) {
    index = skipSpace(value, index);
    if (value.charCodeAt(index) !== SEMICOLON) return false;
    index = parameterEnd(value, skipSpace(value, index + 1));
    if (index === -1) return false;
  }
  return true;
}

/** Index behind one parameter (or behind nothing), or -1. */
function parameterEnd(value: string, start: number): number {
  const nameEnd = tokenEnd(value, start);
  if (nameEnd === start) return start;
  if (value.charCodeAt(nameEnd) !== 0x3d) return -1;
  if (value.charCodeAt(nameEnd + 1) === QUOTE) return quotedEnd(value, nameEnd + 1);
  const end = tokenEnd(value, nameEnd + 1);
  return end === nameEnd + 1 ? -1 : end;
}

function tokenEnd(value: string, start: number): number {
  let index = start;
  while (TOKEN[value.charCodeAt(index)] === 1) index += 1;
  return index;
}

function quotedEnd(value: string, start: number): number {
  for (let index = start + 1; index < value.length; index += 1) {
    let code = value.charCodeAt(index);
    if (code === QUOTE) return index + 1;
    if (code === BACKSLASH) {
      index += 1;
      code = value.charCodeAt(index);
    }
    if (!(code >= SPACE && code <= 0x7e)) return -1;
  }
  return -1;
}

function skipSpace(value: string, start: number): number {
  let index = start;
  while (value.charCodeAt(index) === SPACE || value.charCodeAt(index) === TAB) index += 1;
  return index;
}

/**
 * The parameter `charset` in lower case without quotes, `null` when there is none, and `undefined`
 * when it is given twice. The value must be a media type.
 */
export function charsetOf(contentType: string): string | null | undefined {
  let found: string | null = null;
  let index = contentType.indexOf(';');
  while (index !== -1) {
    const start = skipSpace(contentType, index + 1);
    const end = parameterEnd(contentType, start);
    if (end === -1) return found; // Not a media type: the caller has not kept its part.
    const nameEnd = tokenEnd(contentType, start);
    if (contentType.slice(start, nameEnd).toLowerCase() === 'charset') {
      if (found !== null) return undefined;
      found = parameterText(contentType.slice(nameEnd + 1, end)).toLowerCase();
    }
    index = contentType.indexOf(';', end);
  }
  return found;
}

/** A token as it is; a quoted string without its quotes and backslashes. */
function parameterText(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}

/** JSON by the CloudEvents JSON format: the subtype is `json` or ends in `+json`. */
export function isJsonMediaType(contentType: string): boolean {
  if (contentType === 'application/json') return true;
  const name = essence(contentType);
  return name.endsWith('/json') || name.endsWith('+json');
}

const TEXT_TYPES: ReadonlySet<string> = new Set([
  'application/xml',
  'application/yaml',
  'application/x-yaml',
  'application/javascript',
  'application/ecmascript',
  'application/graphql',
  'application/sql',
  'application/toml',
  'application/x-ndjson',
  'application/jsonl',
  'application/x-www-form-urlencoded',
]);

/** Data of this type is text in UTF-8, so a JSON event can carry it as a readable string. */
export function isUtf8TextMediaType(contentType: string): boolean {
  const name = essence(contentType);
  const isText =
    name.startsWith('text/') ||
    name.endsWith('+xml') ||
    name.endsWith('+yaml') ||
    TEXT_TYPES.has(name);
  if (!isText) return false;
  const charset = charsetOf(contentType);
  return charset === null || charset === 'utf-8' || charset === 'us-ascii';
}
