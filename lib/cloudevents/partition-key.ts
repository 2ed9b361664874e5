/**
 * The ordering key of an event: events of one key stay in order where a Trigger asks for it. Used by
 * ingress when it makes the record that a channel stores.
 * Source: CloudEvents extension "partitioning".
 */
import type { CloudEvent } from './cloud-event.ts';

/** The text of the extension `partitionkey`, or `null` when there is none or it is empty. */
export function partitionKey(event: CloudEvent): string | null {
  const value = event.extensions.get('partitionkey');
  return value === undefined || value === '' ? null : String(value);
}
