/**
 * The memory that events on their way into the store may use, in all and per Broker. Used by
 * `exchange.ts`, which takes bytes as they arrive and gives them back when the store has answered.
 * Invariant: `bytesInFlight` is the sum over all shares and never negative.
 */
import { assert } from '#lib/assert/assert';
import type { IngressErrorCode } from './ingress-errors.ts';

/** What one Broker has in flight. Those of all unknown Brokers share one. */
export interface Share {
  bytesInFlight: number;
}

/** What a request costs beside its body: its objects and headers, roughly. */
export const REQUEST_OVERHEAD_BYTES = 4_096;

export class Admission {
  readonly #bytesMax: number;
  readonly #shareBytesMax: number;
  #bytesInFlight = 0;

  constructor(limits: { readonly bytesMax: number; readonly shareBytesMax: number }) {
    this.#bytesMax = limits.bytesMax;
    this.#shareBytesMax = limits.shareBytesMax;
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  /** Why that many bytes more do not fit now, or `null`. */
  refusal(share: Share, sizeBytes: number): IngressErrorCode | null {
    if (share.bytesInFlight + sizeBytes > this.#shareBytesMax) return 'INGRESS_BROKER_SHARE';
    if (this.#bytesInFlight + sizeBytes > this.#bytesMax) return 'INGRESS_BYTES_IN_FLIGHT';
    return null;
  }

  take(share: Share, sizeBytes: number): void {
    share.bytesInFlight += sizeBytes;
    this.#bytesInFlight += sizeBytes;
  }

  release(share: Share, sizeBytes: number): void {
    share.bytesInFlight -= sizeBytes;
    this.#bytesInFlight -= sizeBytes;
    assert(this.#bytesInFlight >= 0 && share.bytesInFlight >= 0, 'bytes are given back once', {
      bytesInFlight: this.#bytesInFlight,
    });
  }
}
