/**
 * Ingress: takes events over HTTP, stores them, says 202. It authenticates nobody yet, evaluates no
 * filter and waits for no subscriber. Started by a composition root (`local/`, or a process of its
 * own). Invariant: a 202 means that the channel gave a receipt (see `accept.ts`).
 *
 *   start -> ready (routing table synced) -> drain -> close
 */
import type { AddressInfo } from 'node:net';
import type { CursorStore } from '#lib/channel/cursor-store';
import type { RoutingTable } from '#lib/contract/routing-table';
import { createHttpListener } from '#lib/http/listener';
import type { HttpListener, RequestHandler } from '#lib/http/listener';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Metrics } from '#lib/telemetry/metrics';
import { sleep } from '#lib/time/clock';
import type { Clock, Timer } from '#lib/time/clock';
import { BacklogGate } from './backlog-gate.ts';
import { BrokerPorts } from './broker-ports.ts';
import { Exchange } from './exchange.ts';
import { IngressCore } from './ingress-core.ts';
import type { IngressObserver, LogSource } from './ingress-core.ts';
import { IngressMetrics } from './ingress-metrics.ts';
import { INGRESS_DEFAULTS } from './ingress-settings.ts';
import type { IngressSettings } from './ingress-settings.ts';
import { CONNECTIONS_LEVEL_MAX, createMemoryReader, createPressure } from './pressure.ts';

export interface IngressDeps {
  readonly routing: RoutingTable;
  readonly log: LogSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly observer?: IngressObserver;
  /** Where a dispatcher says that a Trigger is past its backlog quota; without it nobody is refused for that. */
  readonly cursors?: CursorStore;
  /** The used share of the process' memory; the default reads it from the system. */
  readonly readMemory?: () => number;
  /** A broken invariant; the request was answered 500. The default ends the process with it. */
  readonly onBug?: (error: unknown) => void;
}

export interface IngressOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly settings?: Partial<IngressSettings>;
}

export interface Ingress {
  /** @throws HTTP_LISTEN_FAILED when the address cannot be used. */
  start(): Promise<AddressInfo>;
  /** For `/readyz`: listening, synced, and not on the way out. */
  readonly isReady: boolean;
  /** Readiness off, no new connections, open requests answered; what is left is cut at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  /** Ends everything at once; after a drain there is nothing left to end. Idempotent, never throws. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const STORE_CHECK_MS = 250;
const TIMEOUT_CHECK_MS_MAX = 1_000;

export function createIngress(deps: IngressDeps, options: IngressOptions): Ingress {
  return new HttpIngress(deps, { ...INGRESS_DEFAULTS, ...options.settings }, options);
}

class HttpIngress implements Ingress {
  readonly #clock: Clock;
  readonly #routing: RoutingTable;
  readonly #settings: IngressSettings;
  readonly #core: IngressCore;
  readonly #listener: HttpListener;
  readonly #stops: (() => void)[];
  #storeCheck: Timer | null = null;
  #isLeaving = false;

  constructor(deps: IngressDeps, settings: IngressSettings, options: IngressOptions) {
    const { clock, routing, random, logger } = deps;
    this.#clock = clock;
    this.#routing = routing;
    this.#settings = settings;
    const readMemory = deps.readMemory ?? createMemoryReader(settings.memoryBytesMax);
    const pressure = createPressure({ clock, readMemory }, settings.loopDelayMsMax);
    const metrics = new IngressMetrics(deps.metrics, () => ({
      bytesInFlight: this.#core.admission.bytesInFlight,
      connections: this.#listener.connectionCount,
      pressure: pressure.level,
    }));
    const ports = new BrokerPorts(routing, metrics);
    const { cursors } = deps;
    const gate =
      cursors === undefined ? null : new BacklogGate({ clock, logger, routing, cursors });
    const core = new IngressCore(
      {
        ...{ routing, clock, random, logger, ports, metrics, pressure },
        log: deps.log,
        gate,
        observer: deps.observer ?? {},
        onBug: deps.onBug ?? ((error) => clock.soon(() => rethrow(error))),
        isDraining: () => this.#listener.isDraining,
      },
      settings,
    );
    this.#core = core;
    this.#stops = [
      () => pressure.stop(),
      () => ports.stop(),
      () => metrics.stop(),
      () => gate?.stop(),
    ];
    const handler = requestHandler(core, () => pressure.level < CONNECTIONS_LEVEL_MAX);
    this.#listener = createHttpListener(
      { clock, handler },
      {
        host: options.host,
        port: options.port,
        allow: 'POST, OPTIONS',
        connectionsMax: settings.connectionsMax,
        connectionsPerSourceMax: settings.connectionsPerSourceMax,
        headerBytesMax: settings.headerBytesMax,
        headersTimeoutMs: Math.min(settings.headersTimeoutMs, settings.requestTimeoutMs),
        requestTimeoutMs: settings.requestTimeoutMs,
        idleTimeoutMs: settings.idleTimeoutMs,
        timeoutCheckMs: Math.min(TIMEOUT_CHECK_MS_MAX, Math.ceil(settings.headersTimeoutMs / 4)),
      },
    );
  }

  get isReady(): boolean {
    return this.#listener.isListening && this.#routing.isSynced && !this.#isLeaving;
  }

  async start(): Promise<AddressInfo> {
    const address = await this.#listener.start();
    this.#storeCheck = this.#clock.every(STORE_CHECK_MS, () => this.#endLateStores());
    return address;
  }

  async drain(deadlineMs: number): Promise<void> {
    const isFirst = !this.#isLeaving;
    this.#isLeaving = true;
    const { drainDelayMs } = this.#settings;
    if (isFirst && drainDelayMs > 0) await sleep(this.#clock, drainDelayMs);
    await this.#listener.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.#isLeaving = true;
    this.#storeCheck?.cancel();
    for (const stop of this.#stops.splice(0)) stop();
    await this.#listener.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** All have the same time, so the oldest come first and the rest need no look. */
  #endLateStores(): void {
    const oldestMs = this.#clock.monotonicMs() - this.#settings.storeTimeoutMs;
    for (const exchange of this.#core.storing) {
      if (exchange.storingSinceMs > oldestMs) break;
      this.#core.storing.delete(exchange);
      exchange.timeOut();
    }
  }
}

function requestHandler(core: IngressCore, isTakingConnections: () => boolean): RequestHandler {
  return {
    handle(request, response, connection, expectation) {
      const exchange = new Exchange(core, request, response, connection);
      exchange.begin(expectation);
      return exchange;
    },
    isTakingConnections,
    refused: (code) => core.metrics.refused(code),
  };
}

function rethrow(error: unknown): never {
  throw error;
}
