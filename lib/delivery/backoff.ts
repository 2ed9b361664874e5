/**
 * How long to wait before a retry. Used by `next-step.ts`; pure. Invariant: the result is a whole
 * number of milliseconds from the floor to the cap, for every policy and every retry number.
 *
 *   linear:      d, 2d, 3d, …        (n times the delay, as the API's comment and Knative's Kafka)
 *   exponential: 2d, 4d, 8d, …       (d times 2^n with n from 1, as the written specification)
 */
import { assert } from '#lib/assert/assert';
import type { DeliveryPolicy } from '#lib/contract/routing';
import type { Random } from '#lib/random/random';

/** Where a policy gives no delay, Knative retries in a hot loop; here it waits this long. */
export const BACKOFF_MS_MIN = 200;
export const BACKOFF_MS_MAX = 3_600_000;
/** Added on top, never taken off: a test that expects Knative's delay as a minimum still holds. */
export const JITTER_SHARE_MAX = 0.1;

/** 2^31 times the smallest delay is far above the cap, so a higher exponent changes nothing. */
const EXPONENT_MAX = 31;

/**
 * @param retryNumber 1 = the wait before the first retry.
 * @param random `null` for no jitter.
 */
export function backoffDelayMs(
  policy: Pick<DeliveryPolicy, 'backoff' | 'backoffDelayMs'>,
  retryNumber: number,
  random: Random | null,
): number {
  assert(retryNumber >= 1, 'a retry has a number from 1', { retryNumber });
  const factor =
    policy.backoff === 'linear' ? retryNumber : 2 ** Math.min(retryNumber, EXPONENT_MAX);
  const wantedMs = Math.max(policy.backoffDelayMs * factor, BACKOFF_MS_MIN);
  const plainMs = Math.min(wantedMs, BACKOFF_MS_MAX);
  const jitter = random === null ? 0 : random.float() * JITTER_SHARE_MAX;
  return Math.min(Math.round(plainMs * (1 + jitter)), BACKOFF_MS_MAX);
}
