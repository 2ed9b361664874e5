/**
 * Which certificates an HTTPS destination may show: those of the system's roots, plus the CACerts of
 * the destination itself. Used by the sender. Contexts are shared, because one with all roots takes
 * some 30 ms to build.
 */
import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { messageOf } from '#lib/errors/mesh-error';
import { certificatesProblem } from './destination-spec.ts';

const CONTEXT_COUNT_MAX = 64;

export type TrustResult =
  | { readonly ok: true; readonly context: SecureContext }
  | { readonly ok: false; readonly message: string };

export interface TrustStore {
  /** @param caCerts PEM, or `null` for the system's roots alone. */
  contextFor(caCerts: string | null): TrustResult;
}

export function createTrustStore(): TrustStore {
  const contexts = new Map<string, SecureContext>();
  let roots: readonly string[] | null = null;
  return {
    contextFor(caCerts) {
      const key = caCerts ?? '';
      const known = contexts.get(key);
      if (known !== undefined) return { ok: true, context: known };
      const problem = caCerts === null ? null : certificatesProblem(caCerts);
      if (problem !== null) return { ok: false, message: `Cannot use CACerts: ${problem}` };
      roots ??= systemRoots();
      try {
        const ca = caCerts === null ? [...roots] : [...roots, caCerts];
        const context = createSecureContext({ ca, minVersion: 'TLSv1.2' });
        const oldest = contexts.keys().next();
        if (contexts.size >= CONTEXT_COUNT_MAX && oldest.done !== true) {
          contexts.delete(oldest.value);
        }
        contexts.set(key, context);
        return { ok: true, context };
      } catch (error) {
        return { ok: false, message: `Cannot use CACerts: ${messageOf(error)}` };
      }
    },
  };
}

/** A slim image has no certificates of its own; then it is those that come with Node. */
function systemRoots(): readonly string[] {
  const system = getCACertificates('system');
  const roots = system.length > 0 ? system : getCACertificates('bundled');
  return [...new Set([...roots, ...getCACertificates('extra')])];
}
