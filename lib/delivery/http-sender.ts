/**
 * Sends deliveries: one POST per call, over keep-alive connections that are shared by origin. Used by
 * the engine. Invariants: every `send` that is not aborted ends in exactly one `done`; no redirect is
 * followed and nothing is decompressed; no response costs more memory than the reply limit; an address
 * is judged where it is connected to.
 */
import type { Clock } from '#lib/time/clock';
import type { Endpoint } from '#lib/contract/routing';

/** Why an attempt ended without a usable response. Stable words; they reach dead letters and metrics. */
export type SendErrorReason =
  | 'Timeout'
  | 'ConnectionFailed'
  | 'ConnectionReset'
  | 'TlsFailed'
  | 'DnsFailed'
  | 'AddressRefused'
  | 'BadResponse'
  | 'InvalidRequest'
  | 'QueueFull'
  | 'SenderClosed';

export interface SendResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly contentType: string | null;
  /** Flat, one byte per character. May be empty where neither the outcome nor a reply needs them. */
  readonly rawHeaders: readonly string[];
  /** As much of the body as was kept. */
  readonly body: Buffer;
  /** There was more, which was not kept. */
  readonly bodyTruncated: boolean;
}

export interface SendError {
  readonly kind: 'error';
  readonly reason: SendErrorReason;
  /** For people; holds no event data. */
  readonly message: string;
}

export type SendResult = SendResponse | SendError;

export interface OutgoingMessage {
  /** Flat, already encoded: name, value, name, value. */
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

export interface PendingSend {
  /** Gives the attempt up; `done` is not called any more. Idempotent. */
  abort(): void;
}

export interface Destination {
  /**
   * `timeoutMs` counts from now to the last byte of the answer, waiting for a connection included.
   * `done` is never called before `send` has returned.
   */
  send(
    message: OutgoingMessage,
    timeoutMs: number,
    done: (result: SendResult) => void,
  ): PendingSend;
  /** Open requests go on to their end; a `send` after it is a bug. */
  close(): void;
}

export interface OpenOptions {
  /** Requests that this destination may have open at once. */
  readonly connectionsMax: number;
}

export interface Sender {
  /** @throws DELIVERY_URL_REFUSED, DELIVERY_CERTIFICATE_INVALID. */
  open(endpoint: Endpoint, options: OpenOptions): Destination;
  /** Ends at once: what is open is done with `SenderClosed`. */
  close(): Promise<void>;
}

export interface SenderDeps {
  readonly clock: Clock;
}
