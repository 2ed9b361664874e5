/**
 * Sends deliveries: one POST per call, over keep-alive connections that are shared by origin. Used by
 * the engine. Invariants: every `send` that is not aborted ends in exactly one `done`; no redirect is
 * followed and nothing is decompressed; no response costs more memory than the reply limit; an address
 * is judged where it is connected to.
 */
import type { SecureContext } from 'node:tls';
import { assert } from '#lib/assert/assert';
import type { Endpoint } from '#lib/contract/routing';
import type { AddressRules } from '#lib/security/address-rules';
import type { CounterSeries, Metrics } from '#lib/telemetry/metrics';
import type { Clock } from '#lib/time/clock';
import { Deadlines } from './sender-deadlines.ts';
import { HostPool } from './sender-pool.ts';
import type { DestinationSlot, PoolDeps } from './sender-pool.ts';
import { createResolver } from './sender-resolver.ts';
import type { Resolver } from './sender-resolver.ts';
import { createTrustStore } from './sender-trust.ts';

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
  /** Flat, already encoded: name, value, name, value. Not changed by the sender. */
  readonly headers: string[];
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
  /** Never throws: sends to an address that cannot be used end in an error. */
  open(endpoint: Endpoint, options: OpenOptions): Destination;
  /** Ends at once: what is open is done with `SenderClosed`. */
  close(): Promise<void>;
}

export interface SenderDeps {
  readonly clock: Clock;
  readonly addressRules: AddressRules;
  readonly metrics?: Metrics;
  /** How names are resolved; the system's resolver by default. */
  readonly resolver?: Resolver;
}

export interface SenderOptions {
  /** Connections to one origin, whatever its destinations ask for. */
  readonly connectionsPerHostMax: number;
  /** A reply larger than this is a failure; equal to what ingress takes. */
  readonly replyBytesMax: number;
}

export const DEFAULT_SENDER_OPTIONS: SenderOptions = {
  connectionsPerHostMax: 256,
  replyBytesMax: 1_048_576,
};

export function createHttpSender(
  deps: SenderDeps,
  options: SenderOptions = DEFAULT_SENDER_OPTIONS,
): Sender {
  /** By origin and CA set: what new destinations join. */
  const pools = new Map<string, HostPool>();
  /** Those that nobody can join any more, but whose requests are still open, too. */
  const living = new Set<HostPool>();
  const trust = createTrustStore();
  const counters = createCounters(deps.metrics);
  const poolDeps: PoolDeps = {
    clock: deps.clock,
    rules: deps.addressRules,
    resolver: deps.resolver ?? createResolver(deps.clock),
    deadlines: new Deadlines(deps.clock),
    onResend: () => counters?.resends.add(1),
    onConnection: () => counters?.connections.add(1),
    onEnd: (pool) => living.delete(pool),
  };
  let isClosed = false;

  const poolFor = (origin: URL, secure: SecureContext | null, key: string): HostPool => {
    const known = pools.get(key);
    if (known !== undefined) return known;
    const { connectionsPerHostMax: connectionsMax, replyBytesMax } = options;
    const pool = new HostPool(poolDeps, { origin, secure, connectionsMax, replyBytesMax });
    pools.set(key, pool);
    living.add(pool);
    return pool;
  };
  return {
    open(endpoint, { connectionsMax }) {
      assert(!isClosed, 'a closed sender opens nothing', { url: endpoint.url });
      const verdict = deps.addressRules.checkUrl(endpoint.url);
      if (!verdict.ok) {
        const message = `Cannot send to "${endpoint.url}": ${verdict.message}`;
        return failingDestination({ kind: 'error', reason: 'AddressRefused', message });
      }
      const { url } = verdict;
      const trusted = url.protocol === 'https:' ? trust.contextFor(endpoint.caCerts) : null;
      if (trusted !== null && !trusted.ok) {
        return failingDestination({ kind: 'error', reason: 'TlsFailed', message: trusted.message });
      }
      const key = `${url.origin} ${trusted === null ? '' : (endpoint.caCerts ?? '')}`;
      const pool = poolFor(url, trusted?.context ?? null, key);
      const slot = pool.join(url.pathname + url.search, connectionsMax);
      return createDestination(pool, slot, () => {
        if (pool.isLeft && pools.get(key) === pool) pools.delete(key);
      });
    },
    async close() {
      isClosed = true;
      await Promise.all(Array.from(living, (pool) => pool.close()));
      pools.clear();
      living.clear();
    },
  };
}

function createDestination(pool: HostPool, slot: DestinationSlot, onLeft: () => void): Destination {
  return {
    send(message, timeoutMs, done) {
      assert(!slot.isClosed, 'nothing is sent to a closed destination', { path: slot.path });
      return pool.submit(slot, message, timeoutMs, done);
    },
    close() {
      if (slot.isClosed) return;
      pool.leave(slot);
      onLeft();
    },
  };
}

/**
 * For an address that cannot be used at all: every attempt fails with the reason, so that the target
 * costs only itself, and its events reach the dead letters like those of any broken subscriber.
 */
function failingDestination(result: SendError): Destination {
  return {
    send(_message, _timeoutMs, done) {
      let isAborted = false;
      queueMicrotask(() => {
        if (!isAborted) done(result);
      });
      return {
        abort: () => {
          isAborted = true;
        },
      };
    },
    close: () => undefined,
  };
}

function createCounters(
  metrics: Metrics | undefined,
): { readonly resends: CounterSeries; readonly connections: CounterSeries } | null {
  if (metrics === undefined) return null;
  const resends = metrics.counter({
    name: 'millrace.sender.resends',
    description: 'Requests sent again at once because their keep-alive connection was just closed',
    unit: '{request}',
    labels: [],
  });
  const connections = metrics.counter({
    name: 'millrace.sender.connections',
    description: 'Connections begun to subscribers and dead-letter sinks',
    unit: '{connection}',
    labels: [],
  });
  return { resends: resends.with(), connections: connections.with() };
}
