/**
 * From a decoded event to the record that a channel stores: the round counter, the arrival time and
 * the reserved extensions. Used by `exchange.ts` for every event. Invariant: `knativebrokerttl` and
 * `knativearrivaltime` never stay in the extensions; what a producer says about failures
 * (`knativeerror…`) stays as data and is trusted by nobody.
 */
import type { EventRecord } from '#lib/channel/event-record';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import { partitionKey } from '#lib/cloudevents/partition-key';
import type { TopicPolicy } from '#lib/contract/routing';

/** Knative's `MAX_TTL`: rounds through a Broker before a loop is broken. */
export const TTL_MAX = 255;
const TTL_NAME = 'knativebrokerttl';
const ARRIVAL_NAME = 'knativearrivaltime';

/** What is the same for all events of a request. */
export interface IntakeContext {
  readonly policy: TopicPolicy;
  readonly passThrough: readonly string[];
  readonly arrivalMs: number;
}

/** The record, or `null` when the round counter is negative. */
export function recordOf(event: CloudEvent, context: IntakeContext): EventRecord | null {
  const { extensions } = event;
  if (extensions === NO_EXTENSIONS) return plainRecord(event, context);
  const hasTtl = context.policy.countsTtl && extensions.has(TTL_NAME);
  if (!hasTtl && !extensions.has(ARRIVAL_NAME)) return plainRecord(event, context);
  const ttl = hasTtl ? ttlAfter(extensions.get(TTL_NAME)) : TTL_MAX;
  if (ttl === null) return null;
  const cleaned = withoutOurs(event, hasTtl);
  return { ...plainRecord(cleaned, context), ttl };
}

function plainRecord(event: CloudEvent, context: IntakeContext): EventRecord {
  return {
    kind: 'event',
    event,
    passThrough: context.passThrough,
    ttl: TTL_MAX,
    arrivalMs: context.arrivalMs,
    key: event.extensions === NO_EXTENSIONS ? null : partitionKey(event),
  };
}

/**
 * The rounds left after this one: absent or unreadable counts as a new event, more than the maximum
 * is cut. 0 is stored, and goes to the dead letters from there. `null`: negative.
 */
export function ttlAfter(given: AttributeValue | undefined): number | null {
  const rounds = integerOf(given);
  if (rounds === null) return TTL_MAX;
  if (rounds < 0) return null;
  return Math.max(0, Math.min(rounds, TTL_MAX) - 1);
}

/** A 32-bit integer as CloudEvents write it, or `null`. */
function integerOf(given: AttributeValue | undefined): number | null {
  if (typeof given === 'number') return given;
  if (typeof given !== 'string' || !/^[+-]?\d{1,10}$/.test(given)) return null;
  const value = Number(given);
  return value === (value | 0) ? value : null;
}

function withoutOurs(event: CloudEvent, withoutTtl: boolean): CloudEvent {
  const extensions = new Map(event.extensions);
  extensions.delete(ARRIVAL_NAME);
  if (withoutTtl) extensions.delete(TTL_NAME);
  return { ...event, extensions: extensions.size === 0 ? NO_EXTENSIONS : extensions };
}
