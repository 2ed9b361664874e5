/**
 * W3C trace context of HTTP requests: the header `traceparent`. Used by ingress, which keeps what a
 * producer sends, and starts a trace only when tracing is on. The CloudEvents extension of the same
 * name is another thing, and stays with the event.
 *
 *   traceparent = version "-" trace-id "-" parent-id "-" flags      00-<32 hex>-<16 hex>-<2 hex>
 *
 * Source: W3C Trace Context, level 1.
 */
import type { Random } from '#lib/random/random';

const LENGTH = 55;
const TRACE_ID_START = 3;
const PARENT_ID_START = 36;
const FLAGS_START = 53;
const SAMPLED = 0x01;

export interface TraceContext {
  readonly traceId: string;
  readonly parentId: string;
  readonly isSampled: boolean;
}

/** True for a header value that must be passed on; anything else is treated as absent. */
export function isTraceparent(value: string): boolean {
  if (value.length < LENGTH || !isHex(value, 0, 2) || value.startsWith('ff')) return false;
  // Version 00 has nothing behind the flags; later ones may go on after a dash.
  if (value.length > LENGTH && (value.startsWith('00') || value[LENGTH] !== '-')) return false;
  return (
    value[2] === '-' &&
    value[PARENT_ID_START - 1] === '-' &&
    value[FLAGS_START - 1] === '-' &&
    isIdentity(value, TRACE_ID_START, PARENT_ID_START - 1) &&
    isIdentity(value, PARENT_ID_START, FLAGS_START - 1) &&
    isHex(value, FLAGS_START, LENGTH)
  );
}

/** The parts of a valid `traceparent`, or `null`. */
export function parseTraceparent(value: string): TraceContext | null {
  if (!isTraceparent(value)) return null;
  return {
    traceId: value.slice(TRACE_ID_START, PARENT_ID_START - 1),
    parentId: value.slice(PARENT_ID_START, FLAGS_START - 1),
    isSampled: (Number.parseInt(value.slice(FLAGS_START, LENGTH), 16) & SAMPLED) !== 0,
  };
}

/** The header of a new trace. */
export function startTraceparent(random: Random, isSampled: boolean): string {
  return `00-${randomIdentity(random, 32)}-${randomIdentity(random, 16)}-0${isSampled ? 1 : 0}`;
}

/** Lower-case hex that is not all zeros, which would mean "none". */
function isIdentity(value: string, start: number, end: number): boolean {
  if (!isHex(value, start, end)) return false;
  for (let index = start; index < end; index++) if (value[index] !== '0') return true;
  return false;
}

function isHex(value: string, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const code = value.charCodeAt(index);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && !(code >= 0x61 && code <= 0x66)) return false;
  }
  return true;
}

function randomIdentity(random: Random, digits: number): string {
  let text = '';
  while (text.length < digits) {
    text += random.below(0x1_0000).toString(16).padStart(4, '0');
  }
  // All zeros is no identity; with a random source that repeats it must not loop for ever.
  return /^0+$/.test(text) ? `${text.slice(1)}1` : text;
}
