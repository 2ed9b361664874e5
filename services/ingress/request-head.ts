/**
 * The one pass over the headers of a request: what ingress itself needs to know of them. Attributes
 * (`ce-…`) are left to `lib/cloudevents`. On the hot path: first letter, then length, then name, so
 * that most headers cost one comparison.
 * Invariant: `passThrough` has only names of the documented list, in lower case.
 */
import type { HttpErrorCode } from '#lib/http/http-errors';
import { PASS_THROUGH_COUNT_MAX, isPassThroughHeader } from '#lib/http/pass-through';
import { isTraceparent } from '#lib/telemetry/trace-context';

export interface RequestHead {
  /** The first thing that is wrong, or `null`. */
  fault: HttpErrorCode | null;
  host: string | null;
  /** The body has a Content-Encoding other than identity, or more than one. */
  isEncoded: boolean;
  contentType: string | null;
  /** Announced bytes of the body; -1 when it is chunked, 0 when there is none. */
  contentLength: number;
  /** Headers that go on to the subscriber, flat, and their bytes. */
  passThrough: readonly string[];
  passThroughBytes: number;
  traceparent: string | null;
}

export interface HeadLimits {
  readonly headerCountMax: number;
  /** One header value. */
  readonly headerValueLengthMax: number;
  /** Host names that are served, in lower case and without ports; `null`: any. */
  readonly hosts: ReadonlySet<string> | null;
}

/** A value longer than this is answered 431; the codec has the same limit for attributes. */
export const HEADER_VALUE_LENGTH_MAX = 8_192;
const NO_HEADERS: readonly string[] = [];
const HOST_LENGTH_MAX = 255 + 6;

/** First letters, lower case. */
const A = 0x61;
const C = 0x63;
const H = 0x68;
const K = 0x6b;
const R = 0x72;
const T = 0x74;
const X = 0x78;

/** Reads the head; at the first fault it stops. */
export function readRequestHead(rawHeaders: readonly string[], limits: HeadLimits): RequestHead {
  const head: RequestHead = {
    fault: null,
    host: null,
    isEncoded: false,
    contentType: null,
    contentLength: 0,
    passThrough: NO_HEADERS,
    passThroughBytes: 0,
    traceparent: null,
  };
  if (rawHeaders.length > limits.headerCountMax * 2) {
    head.fault = 'HTTP_HEADERS_TOO_LARGE';
    return head;
  }
  const seen: Seen = { encoding: false, authorization: false, passed: null, tracestate: null };
  for (let index = 0; index + 1 < rawHeaders.length && head.fault === null; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (value.length > limits.headerValueLengthMax) head.fault = 'HTTP_HEADERS_TOO_LARGE';
    else readHeader(head, seen, name, value);
  }
  if (head.fault === null) checkHost(head, limits);
  if (seen.passed !== null || head.traceparent !== null) finishPassThrough(head, seen);
  return head;
}

interface Seen {
  encoding: boolean;
  authorization: boolean;
  passed: string[] | null;
  tracestate: string | null;
}

function readHeader(head: RequestHead, seen: Seen, name: string, value: string): void {
  switch (name.charCodeAt(0) | 0x20) {
    case C:
      if (name.charCodeAt(2) === 0x2d) return; // ce-
      if (name.length >= 12) readContentHeader(head, seen, name.toLowerCase(), value);
      return;
    case H:
      if (name.length !== 4 || name.toLowerCase() !== 'host') return;
      if (head.host !== null) head.fault = 'HTTP_HOST_INVALID';
      head.host = value;
      return;
    case A:
      if (name.length !== 13 || name.toLowerCase() !== 'authorization') return;
      if (seen.authorization) head.fault = 'HTTP_HEADER_DUPLICATE';
      seen.authorization = true;
      return;
    case T:
      readTHeader(head, seen, name, value);
      return;
    case R:
    case X:
    case K:
      readPassThrough(seen, name.toLowerCase(), value);
  }
}

function readContentHeader(head: RequestHead, seen: Seen, name: string, value: string): void {
  if (name === 'content-type') {
    if (head.contentType !== null) head.fault = 'HTTP_HEADER_DUPLICATE';
    head.contentType = value;
  } else if (name === 'content-length') {
    head.contentLength = Number(value); // Digits only: the parser has refused everything else.
  } else if (name === 'content-encoding') {
    const isIdentity = value === '' || value.toLowerCase() === 'identity';
    if (!isIdentity || seen.encoding) head.isEncoded = true;
    seen.encoding = true;
  }
}

function readTHeader(head: RequestHead, seen: Seen, name: string, value: string): void {
  switch (name.length) {
    case 17:
      if (name.toLowerCase() === 'transfer-encoding') readTransferEncoding(head, value);
      return;
    case 11:
      if (name.toLowerCase() !== 'traceparent') return;
      // Two of them are none: which one is meant is not certain.
      head.traceparent = head.traceparent === null && isTraceparent(value) ? value : '';
      return;
    case 10:
      if (name.toLowerCase() !== 'tracestate') return;
      seen.tracestate = seen.tracestate === null ? value : `${seen.tracestate},${value}`;
  }
}

/** Node undoes `chunked` and nothing else: whatever else there is would be stored as if it were data. */
function readTransferEncoding(head: RequestHead, value: string): void {
  head.contentLength = -1;
  if (value.toLowerCase() !== 'chunked') head.fault = 'HTTP_REQUEST_MALFORMED';
}

/** Trace headers are taken elsewhere; the list does not have `Kn-Namespace`, which delivery sets. */
function readPassThrough(seen: Seen, name: string, value: string): void {
  if (!isPassThroughHeader(name)) return;
  seen.passed ??= [];
  if (seen.passed.length < PASS_THROUGH_COUNT_MAX * 2) seen.passed.push(name, value);
}

/** Adds the trace to the list; a `tracestate` without a valid `traceparent` means nothing. */
function finishPassThrough(head: RequestHead, seen: Seen): void {
  const list = seen.passed ?? [];
  if (head.traceparent === '') head.traceparent = null;
  if (head.traceparent !== null) {
    list.push('traceparent', head.traceparent);
    if (seen.tracestate !== null) list.push('tracestate', seen.tracestate);
  }
  head.passThrough = list;
  for (const text of list) head.passThroughBytes += text.length;
}

function checkHost(head: RequestHead, limits: HeadLimits): void {
  const { host } = head;
  if (host === null || !isHost(host)) {
    head.fault = 'HTTP_HOST_INVALID';
  } else if (limits.hosts !== null && !limits.hosts.has(hostName(host))) {
    head.fault = 'HTTP_HOST_REFUSED';
  }
}

/** Host and port by their characters: no space, slash, `@`, quote or anything beyond ASCII. */
function isHost(host: string): boolean {
  if (host.length === 0 || host.length > HOST_LENGTH_MAX) return false;
  for (let index = 0; index < host.length; index++) {
    const code = host.charCodeAt(index);
    const isAlphanumeric =
      (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a);
    // - . _ ~ % : [ ]
    const isMark =
      code === 0x2e || code === 0x2d || code === 0x3a || code === 0x5f || code === 0x7e;
    const isOther = code === 0x5b || code === 0x5d || code === 0x25;
    if (!isAlphanumeric && !isMark && !isOther) return false;
  }
  return true;
}

/** `Localhost:8080` is `localhost`, `[::1]:8080` is `[::1]`. */
function hostName(host: string): string {
  const end = host.startsWith('[') ? host.indexOf(']') + 1 : host.indexOf(':');
  return (end <= 0 ? host : host.slice(0, end)).toLowerCase();
}
