/**
 * Waiting for a condition, never for time: every wait of the suites goes through here, so that each
 * has a limit and says at its end what it still missed.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  readonly limitMs?: number;
  readonly pollMs?: number;
  /** Added to the error: what the world looks like. Called once, at the limit. */
  readonly describe?: () => string;
}

const LIMIT_MS = 10_000;
const POLL_MS = 10;

/**
 * Resolves with the first truthy answer of `probe`. A probe that throws has not come true yet; its
 * last error is the cause of ours.
 * @throws Error at the limit, naming `what`.
 */
export async function eventually<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  options: EventuallyOptions = {},
): Promise<Exclude<Value, false | null | undefined | 0 | ''>> {
  const { limitMs = LIMIT_MS, pollMs = POLL_MS } = options;
  const endMs = performance.now() + limitMs;
  let lastError: unknown = null;
  for (;;) {
    try {
      const value = await probe();
      if (isTrue(value)) return value;
      lastError = null;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= endMs) break;
    await delay(pollMs);
  }
  const facts = options.describe === undefined ? '' : `\n${options.describe()}`;
  throw new Error(`Cannot see ${what}: not within ${limitMs} ms${facts}`, { cause: lastError });
}

function isTrue<Value>(value: Value): value is Exclude<Value, false | null | undefined | 0 | ''> {
  return Boolean(value);
}
