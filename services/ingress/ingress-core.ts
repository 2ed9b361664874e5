/**
 * What all requests of one ingress share: its parts, its limits, and the answers made in advance.
 * Built by `ingress.ts`, used by `exchange.ts`. Invariant: every refusal has a code from a table.
 */
import type { EventLog } from '#lib/channel/channel-driver';
import { CHANNEL_ERRORS, channelError } from '#lib/channel/channel-errors';
import type { EventRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import type { CloudEventLimits } from '#lib/cloudevents/limits';
import type { BrokerRoute } from '#lib/contract/routing';
import type { RoutingTable } from '#lib/contract/routing-table';
import { assert } from '#lib/assert/assert';
import { isMeshError } from '#lib/errors/mesh-error';
import type { MeshError } from '#lib/errors/mesh-error';
import { HTTP_ERRORS } from '#lib/http/http-errors';
import type { HttpErrorCode } from '#lib/http/http-errors';
import { refusalsOf } from '#lib/http/refusal';
import type { Refusal } from '#lib/http/refusal';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { Admission } from './admission.ts';
import type { Share } from './admission.ts';
import type { BacklogGate } from './backlog-gate.ts';
import type { BrokerPorts } from './broker-ports.ts';
import { ContentTypes } from './content-types.ts';
import type { Exchange } from './exchange.ts';
import { INGRESS_ERRORS } from './ingress-errors.ts';
import type { IngressErrorCode } from './ingress-errors.ts';
import type { IngressMetrics } from './ingress-metrics.ts';
import type { IngressSettings } from './ingress-settings.ts';
import { EVENTS_LEVEL_MAX, KEEP_ALIVE_LEVEL_MAX } from './pressure.ts';
import type { Pressure } from './pressure.ts';
import { HEADER_VALUE_LENGTH_MAX } from './request-head.ts';
import type { HeadLimits } from './request-head.ts';

export type RefusalCode = HttpErrorCode | IngressErrorCode;

/** Who watches accepted events (`millrace tail`). Set and unset `accepted` at will. */
export interface IngressObserver {
  accepted?: ((broker: BrokerRoute, record: EventRecord, receipt: Receipt) => void) | undefined;
}

/** One log for all topics, or the way to find a topic's (`undefined`: not open yet). */
export type LogSource = EventLog | ((topic: string) => EventLog | undefined);

export interface CoreDeps {
  readonly routing: RoutingTable;
  /** `null`: nobody says that a Broker's backlog is past its quota. */
  readonly gate: BacklogGate | null;
  readonly log: LogSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: IngressObserver;
  readonly onBug: (error: unknown) => void;
  readonly ports: BrokerPorts;
  readonly metrics: IngressMetrics;
  readonly pressure: Pressure;
  /** The connections are to end: a drain has begun. */
  readonly isDraining: () => boolean;
}

const REFUSALS: ReadonlyMap<string, Refusal> = new Map([
  ...refusalsOf(HTTP_ERRORS),
  ...refusalsOf(INGRESS_ERRORS),
  ...refusalsOf(CHANNEL_ERRORS),
]);

/** Of one kind of store failure, one line in this time. */
const LOG_EVERY_MS = 10_000;
const RETRY_AFTER_S_MIN = 1;
const RETRY_AFTER_S_MAX = 5;

export class IngressCore {
  readonly routing: RoutingTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: IngressObserver;
  readonly onBug: (error: unknown) => void;
  readonly ports: BrokerPorts;
  readonly metrics: IngressMetrics;
  readonly settings: IngressSettings;
  readonly headLimits: HeadLimits;
  readonly eventLimits: CloudEventLimits;
  readonly admission: Admission;
  readonly contentTypes = new ContentTypes();
  readonly unknownShare: Share = { bytesInFlight: 0 };
  /** Requests whose event the store has not confirmed yet, oldest first. */
  readonly storing = new Set<Exchange>();
  /** Requests that wait for a Broker to become known. */
  waiterCount = 0;
  readonly #log: LogSource;
  readonly #gate: BacklogGate | null;
  readonly #pressure: Pressure;
  readonly #isDraining: () => boolean;
  readonly #failures = new Map<string, { loggedMs: number; count: number }>();

  constructor(deps: CoreDeps, settings: IngressSettings) {
    this.routing = deps.routing;
    this.clock = deps.clock;
    this.random = deps.random;
    this.logger = deps.logger;
    this.observer = deps.observer;
    this.onBug = deps.onBug;
    this.ports = deps.ports;
    this.metrics = deps.metrics;
    this.settings = settings;
    this.#log = deps.log;
    this.#gate = deps.gate;
    this.#pressure = deps.pressure;
    this.#isDraining = deps.isDraining;
    this.headLimits = {
      headerCountMax: settings.headerCountMax,
      headerValueLengthMax: HEADER_VALUE_LENGTH_MAX,
      hosts: settings.hosts.length === 0 ? null : new Set(settings.hosts.map(toLowerCase)),
    };
    this.eventLimits = {
      ...DEFAULT_CLOUD_EVENT_LIMITS,
      eventBytesMax: settings.eventBytesMax,
      batchBytesMax: settings.batchBytesMax,
      batchEventsMax: settings.batchEventsMax,
    };
    this.admission = new Admission({
      bytesMax: settings.bytesInFlightMax,
      shareBytesMax: settings.brokerBytesInFlightMax,
    });
  }

  /** A Trigger of the Broker is past the backlog that it allows. */
  isBacklogFull(topic: string): boolean {
    return this.#gate !== null && this.#gate.isFull(topic);
  }

  get isUnderPressure(): boolean {
    return this.#pressure.level >= EVENTS_LEVEL_MAX;
  }

  /** Every answer now ends its connection. */
  get isLastAnswer(): boolean {
    return this.#pressure.level >= KEEP_ALIVE_LEVEL_MAX || this.#isDraining();
  }

  /** @throws CHANNEL_TOPIC_UNKNOWN when no open driver has the topic. */
  logOf(topic: string): EventLog {
    if (typeof this.#log !== 'function') return this.#log;
    const log = this.#log(topic);
    if (log === undefined) {
      throw channelError('CHANNEL_TOPIC_UNKNOWN', `Cannot append to "${topic}": it is not open`);
    }
    return log;
  }

  refusalFor(code: RefusalCode): Refusal {
    const refusal = REFUSALS.get(code);
    assert(refusal !== undefined, 'every refusal of a request has a status', { code });
    return refusal;
  }

  /** Whole seconds, spread so that producers do not all come back at once; `null` for other statuses. */
  retryAfterS(status: number): number | null {
    if (status !== 503 && status !== 429) return null;
    return RETRY_AFTER_S_MIN + this.random.below(RETRY_AFTER_S_MAX - RETRY_AFTER_S_MIN + 1);
  }

  /** The answer to a failed append; `null` when the failure is none that a driver may have. */
  storeRefusal(error: unknown): Refusal | null {
    if (!isMeshError(error)) return null;
    this.#logFailure(error);
    const refusal = REFUSALS.get(error.code);
    if (refusal !== undefined) return refusal;
    // A code of a driver's own. The event is not stored, so the producer must keep it.
    const code = error.httpStatus === 413 ? 'CHANNEL_RECORD_TOO_LARGE' : 'CHANNEL_NOT_CONNECTED';
    return REFUSALS.get(code) ?? null;
  }

  #logFailure(error: MeshError): void {
    const nowMs = this.clock.monotonicMs();
    const failure = this.#failures.get(error.code) ?? { loggedMs: -LOG_EVERY_MS, count: 0 };
    this.#failures.set(error.code, failure);
    failure.count += 1;
    if (nowMs - failure.loggedMs < LOG_EVERY_MS) return;
    this.logger.warn('the store refused events', {
      code: error.code,
      error: error.message,
      count: failure.count,
    });
    failure.loggedMs = nowMs;
    failure.count = 0;
  }
}

function toLowerCase(text: string): string {
  return text.toLowerCase();
}
