/**
 * Host names to addresses, for new connections. Used by the sender's connector. A hundred connections
 * to one name cost one look-up, because the system's resolver has few threads and a dead one is slow.
 * Nothing is kept: every new connection is resolved and judged anew.
 */
import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { Clock } from '#lib/time/clock';

export const DNS_TIMEOUT_MS = 2_000;

export type ResolveResult =
  | { readonly ok: true; readonly addresses: readonly LookupAddress[] }
  | { readonly ok: false; readonly message: string };

/** How the system is asked; a parameter for tests. */
export type SystemLookup = (
  hostname: string,
  done: (error: Error | null, addresses: readonly LookupAddress[]) => void,
) => void;

export const systemLookup: SystemLookup = (hostname, done) => {
  lookup(hostname, { all: true }, done);
};

export interface Resolver {
  /** Calls `done` once, with at least one address or with the reason. */
  resolve(hostname: string, done: (result: ResolveResult) => void): void;
}

export function createResolver(clock: Clock, ask: SystemLookup = systemLookup): Resolver {
  const open = new Map<string, ((result: ResolveResult) => void)[]>();
  const answer = (hostname: string, result: ResolveResult): void => {
    const waiting = open.get(hostname) ?? [];
    open.delete(hostname);
    for (const done of waiting) done(result);
  };
  return {
    resolve(hostname, done) {
      const once = withTimeout(clock, hostname, done);
      const waiting = open.get(hostname);
      if (waiting !== undefined) {
        waiting.push(once);
        return;
      }
      open.set(hostname, [once]);
      ask(hostname, (error, addresses) => answer(hostname, resultOf(hostname, error, addresses)));
    },
  };
}

function withTimeout(
  clock: Clock,
  hostname: string,
  done: (result: ResolveResult) => void,
): (result: ResolveResult) => void {
  let isDone = false;
  const finish = (result: ResolveResult): void => {
    if (isDone) return;
    isDone = true;
    timer.cancel();
    done(result);
  };
  const timer = clock.after(DNS_TIMEOUT_MS, () => {
    const message = `Cannot resolve "${hostname}": no answer within ${DNS_TIMEOUT_MS} ms`;
    finish({ ok: false, message });
  });
  return finish;
}

function resultOf(
  hostname: string,
  error: (Error & { readonly code?: string }) | null,
  addresses: readonly LookupAddress[],
): ResolveResult {
  if (error === null && addresses.length > 0) return { ok: true, addresses };
  const reason = error === null ? 'it has no address' : (error.code ?? error.message);
  return { ok: false, message: `Cannot resolve "${hostname}": ${reason}` };
}
