/**
 * Why ingress does not take an event, beside what is wrong with its HTTP (`lib/http/http-errors.ts`),
 * with the event (`lib/cloudevents`) or with the store (`lib/channel`). The `meaning` is the text of
 * the answer, so it holds no value of the request.
 */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const INGRESS_ERRORS = {
  INGRESS_PATH_EMPTY: {
    meaning: 'The path names no Broker',
    next: 'Send events to /namespace/broker',
    retry: 'never',
    httpStatus: 404,
  },
  INGRESS_BROKER_UNKNOWN: {
    meaning: 'There is no Broker of that namespace and name',
    next: 'Check the address in the status of the Broker, or create the Broker',
    retry: 'backoff',
    httpStatus: 404,
  },
  INGRESS_TTL_INVALID: {
    meaning: 'The extension knativebrokerttl is negative',
    next: 'Leave the extension out: Brokers set it themselves',
    retry: 'never',
    httpStatus: 400,
  },
  INGRESS_BODY_TOO_LARGE: {
    meaning: 'The body is larger than the limit for an event, or for a batch',
    next: 'Send smaller events, or a reference to data stored elsewhere (ingress.eventBytesMax)',
    retry: 'never',
    httpStatus: 413,
  },
  INGRESS_NOT_SYNCED: {
    meaning: 'Ingress has just started and does not know its Brokers yet',
    next: 'Send the event again after the time in Retry-After',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_PRESSURE_HIGH: {
    meaning: 'The process is near its limit of memory or processor time',
    next: 'Send the event again after the time in Retry-After; add replicas if it lasts',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_BYTES_IN_FLIGHT: {
    meaning: 'All memory for events on their way into the store is in use',
    next: 'Send again after the time in Retry-After (ingress.bytesInFlightMax)',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_BROKER_SHARE: {
    meaning: 'Events on their way to this Broker use all of the memory that one Broker may use',
    next: 'Send again after the time in Retry-After (ingress.brokerBytesInFlightMax)',
    retry: 'backoff',
    httpStatus: 429,
  },
  INGRESS_BACKLOG_FULL: {
    meaning: 'A Trigger of this Broker is further behind than its backlog policy allows',
    next: 'Send again after the time in Retry-After; the status of the Triggers names the one behind',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_PIPELINE_TOO_LONG: {
    meaning: 'The connection carries too many requests that have no answer yet',
    next: 'Wait for answers before sending more, or open more connections',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_WAITERS_TOO_MANY: {
    meaning: 'Too many requests are waiting for Brokers that do not exist yet',
    next: 'Send again after the time in Retry-After, or look for a producer with a wrong address',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_STORE_TIMEOUT: {
    meaning: 'The store did not confirm the event in time; it may be stored or not',
    next: 'Send the event again with the same id and source',
    retry: 'backoff',
    httpStatus: 503,
  },
  INGRESS_INTERNAL: {
    meaning: 'Ingress has a bug, and did not take the event',
    next: 'Report it with the log of the process, and send the event again',
    retry: 'backoff',
    httpStatus: 500,
  },
} as const satisfies ErrorTable;

export type IngressErrorCode = keyof typeof INGRESS_ERRORS;

export const ingressError = defineErrors(INGRESS_ERRORS);
