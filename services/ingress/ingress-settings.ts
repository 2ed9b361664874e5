/**
 * The settings of ingress. Read by the composition root that starts it; `INGRESS_DEFAULTS` serves
 * tests and callers that change only a few.
 */
import { requireSettings } from '#lib/config/parse-settings';
import { defineSettings } from '#lib/config/settings';
import type { SettingsOf } from '#lib/config/settings';

const KIB = 1_024;
const MIB = 1_024 * KIB;
const SECOND = 1_000;

const BROKER_RULES = 'ours: limits on everything, docs/adr; Knative has none';
const TIMES = 'ours: slow clients are cut off; Node has 60 s and 300 s';

export const INGRESS_SETTINGS = defineSettings('ingress', {
  eventBytesMax: {
    type: 'bytes',
    default: MIB,
    min: 64 * KIB,
    max: 64 * MIB,
    description: 'The largest event, attributes and data together; a larger one is answered 413.',
    source: 'CloudEvents: at least 64 KiB; Kafka and NATS take 1 MiB by default',
  },
  batchBytesMax: {
    type: 'bytes',
    default: 4 * MIB,
    min: 64 * KIB,
    max: 256 * MIB,
    description: 'The largest body of a batch; a larger one is answered 413.',
    source: BROKER_RULES,
  },
  batchEventsMax: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 10_000,
    description: 'The most events of one batch; a larger one is answered 413.',
    source: BROKER_RULES,
  },
  headerBytesMax: {
    type: 'bytes',
    default: 16 * KIB,
    min: KIB,
    max: MIB,
    description: 'The largest request head; a larger one is answered 431.',
    source: 'Node 24: 16 KiB',
  },
  headerCountMax: {
    type: 'integer',
    default: 100,
    min: 8,
    max: 2_000,
    description: 'The most headers of one request; more are answered 431.',
    source: BROKER_RULES,
  },
  bytesInFlightMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: MIB,
    max: 16_384 * MIB,
    description: 'Memory for all events that are not stored yet; beyond it the answer is 503.',
    source: BROKER_RULES,
  },
  brokerBytesInFlightMax: {
    type: 'bytes',
    default: 32 * MIB,
    min: MIB,
    max: 16_384 * MIB,
    description: 'The part of it that one Broker may use; beyond it the answer is 429.',
    source: 'ours: no tenant starves another',
  },
  connectionsMax: {
    type: 'integer',
    default: 10_000,
    min: 16,
    max: 1_000_000,
    description: 'The most open connections; further ones are closed at once.',
    source: BROKER_RULES,
  },
  connectionsPerSourceMax: {
    type: 'integer',
    default: 200,
    min: 1,
    max: 1_000_000,
    description: 'The most open connections from one IP address; silent ones make room first.',
    source: 'ours: one client cannot take all connections; raise it behind a proxy',
  },
  pipelinedMax: {
    type: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    description: 'The most unanswered requests on one connection; more are answered 503.',
    source: BROKER_RULES,
  },
  headersTimeoutMs: {
    type: 'duration',
    default: 10 * SECOND,
    min: 100,
    max: 600 * SECOND,
    description: 'Time for a request head to arrive; then the answer is 408 and the end.',
    source: TIMES,
  },
  requestTimeoutMs: {
    type: 'duration',
    default: 30 * SECOND,
    min: 100,
    max: 3_600 * SECOND,
    description: 'Time for a whole request to arrive; then the answer is 408 and the end.',
    source: TIMES,
  },
  idleTimeoutMs: {
    type: 'duration',
    default: 65 * SECOND,
    min: 100,
    max: 3_600 * SECOND,
    description: 'Time that a connection may be idle between requests before it is closed.',
    source: 'ours: longer than the 60 s of common load balancers',
  },
  storeTimeoutMs: {
    type: 'duration',
    default: 15 * SECOND,
    min: 100,
    max: 600 * SECOND,
    description: 'Time for the store to confirm an event; then the answer is 503.',
    source: 'ours: shorter than what producers usually wait',
  },
  brokerWaitMs: {
    type: 'duration',
    default: SECOND,
    min: 0,
    max: SECOND,
    description: 'Time to wait for a Broker that is not known yet before the answer is 404.',
    source: 'ours: the routing table may be a moment behind the API',
  },
  brokerWaitersMax: {
    type: 'integer',
    default: 256,
    min: 1,
    max: 10_000,
    description: 'The most requests that wait for unknown Brokers; more are answered 503.',
    source: BROKER_RULES,
  },
  loopDelayMsMax: {
    type: 'duration',
    default: SECOND,
    min: 50,
    max: 60 * SECOND,
    description: 'Delay of the event loop that counts as full pressure; at 90 % events get 503.',
    source: 'ours: a process that is late is better left alone',
  },
  memoryBytesMax: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: 1_048_576 * MIB,
    description: 'Memory that counts as full pressure; 0 takes the limit of the container.',
    source: 'ours: shed before the kernel kills',
  },
  drainDelayMs: {
    type: 'duration',
    default: 0,
    min: 0,
    max: 600 * SECOND,
    description: 'Time to go on taking connections after readiness is off; 45 s in a cluster.',
    source: 'Knative: 45 s until endpoints have changed everywhere',
  },
  hosts: {
    type: 'list',
    default: [],
    itemCountMax: 100,
    description: 'Host names that are served, without ports; empty serves any.',
    source: 'ours: against DNS rebinding on a laptop',
  },
  tracing: {
    type: 'boolean',
    default: false,
    description: 'Starts a trace for requests that bring none; a trace that comes is always kept.',
    source: 'ours: no cost unless asked for',
  },
});

export type IngressSettings = SettingsOf<typeof INGRESS_SETTINGS>;

export const INGRESS_DEFAULTS: IngressSettings = requireSettings(
  { ingress: INGRESS_SETTINGS },
  { environment: {} },
).values.ingress;
