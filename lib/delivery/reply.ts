/**
 * A subscriber's reply as a record for the Broker's log. Used by the engine in stage `reply`.
 * Invariant: a reply has fewer rounds left than the event it answers, whatever it says itself, so every
 * loop of Triggers ends (the loop's last event is dead-lettered, not dropped).
 */
import type { EventRecord } from '#lib/channel/event-record';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';
import { partitionKey } from '#lib/cloudevents/partition-key';
import { passThroughHeaders } from '#lib/http/pass-through';

/** Extensions that Millrace keeps as fields of the record, not in the event. */
export const TTL_EXTENSION = 'knativebrokerttl';
export const ARRIVAL_EXTENSION = 'knativearrivaltime';

export interface Reply {
  readonly event: CloudEvent;
  /** The headers of the response, flat. */
  readonly rawHeaders: readonly string[];
}

/**
 * @param original the record that was delivered.
 * @param arrivalMs wall clock: when the reply came.
 */
export function makeReply(original: EventRecord, reply: Reply, arrivalMs: number): EventRecord {
  const { event } = reply;
  return {
    kind: 'event',
    event: withoutOwnNames(event),
    passThrough: withTrace(passThroughHeaders(reply.rawHeaders), original.passThrough),
    ttl: replyTtl(event.extensions.get(TTL_EXTENSION), original.ttl),
    arrivalMs,
    key: partitionKey(event),
  };
}

/** One round less than the original; less still when the reply itself asks for it. */
function replyTtl(own: AttributeValue | undefined, originalTtl: number): number {
  const left = Math.max(0, originalTtl - 1);
  const asked = typeof own === 'string' && /^\d{1,10}$/.test(own) ? Number(own) : own;
  if (typeof asked !== 'number') return left;
  return Math.max(0, Math.min(left, asked));
}

function withoutOwnNames(event: CloudEvent): CloudEvent {
  const { extensions } = event;
  if (!extensions.has(TTL_EXTENSION) && !extensions.has(ARRIVAL_EXTENSION)) return event;
  const kept = new Map(extensions);
  kept.delete(TTL_EXTENSION);
  kept.delete(ARRIVAL_EXTENSION);
  return { ...event, extensions: kept.size === 0 ? NO_EXTENSIONS : kept };
}

/** A reply without trace context of its own belongs to the trace of the event that it answers. */
function withTrace(own: readonly string[], original: readonly string[]): readonly string[] {
  if (hasName(own, 'traceparent') || !hasName(original, 'traceparent')) return own;
  const kept = [...own];
  for (let index = 0; index + 1 < original.length; index += 2) {
    const name = original[index] ?? '';
    if (name === 'traceparent' || (name === 'tracestate' && !hasName(own, 'tracestate'))) {
      kept.push(name, original[index + 1] ?? '');
    }
  }
  return kept;
}

function hasName(flat: readonly string[], name: string): boolean {
  for (let index = 0; index < flat.length; index += 2) if (flat[index] === name) return true;
  return false;
}
