/**
 * The headers that travel with an event beside its attributes: from producer to subscriber, and from a
 * subscriber's reply back into the Broker. Used by ingress and by the dispatcher's replies. Everything
 * else is dropped: Authorization, Host, Accept and cookies are between a client and us.
 * Source: Knative's allow list, plus W3C trace context.
 */

const EXACT: ReadonlySet<string> = new Set([
  'x-request-id',
  'retry-after',
  'traceparent',
  'tracestate',
]);
const PREFIXES: readonly string[] = ['knative-', 'x-b3-'];

/** More headers than this of one message are not carried on. */
export const PASS_THROUGH_COUNT_MAX = 32;

/** @param name in lower case. */
export function isPassThroughHeader(name: string): boolean {
  const initial = name.charCodeAt(0);
  // k, r, t, x: nearly every other header ends here.
  if (initial !== 0x6b && initial !== 0x72 && initial !== 0x74 && initial !== 0x78) return false;
  return EXACT.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}

const NONE: readonly string[] = [];

/**
 * The headers to keep, flat, names in lower case, values as they came.
 *
 * @param rawHeaders flat, one byte per character, names in any case.
 */
export function passThroughHeaders(rawHeaders: readonly string[]): readonly string[] {
  let kept: string[] | null = null;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!isPassThroughHeader(name)) continue;
    kept ??= [];
    kept.push(name, rawHeaders[index + 1] ?? '');
    if (kept.length >= PASS_THROUGH_COUNT_MAX * 2) break;
  }
  return kept ?? NONE;
}
