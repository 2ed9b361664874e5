/**
 * A stored event as the request that delivers it. Hot path of the dispatcher: once per attempt.
 * Invariants: the data bytes leave as they are (not copied in binary mode); the TTL stays with us; the
 * subscriber sees when the event arrived.
 */
import type { EventRecord } from '#lib/channel/event-record';
import type { EncodeOptions, ExtraExtension } from '#lib/cloudevents/encode-options';
import { encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import { ERROR_EXTENSION_NAMES } from './error-extensions.ts';
import type { OutgoingMessage } from './http-sender.ts';
import { ARRIVAL_EXTENSION } from './reply.ts';

export interface DeliveryEncoding {
  readonly format: 'binary' | 'json';
  /** Goes into `Kn-Namespace`: the namespace of the Trigger or Subscription. */
  readonly namespace: string;
  /** Says `Prefer: reply`: on the first delivery always, to a dead-letter sink never. */
  readonly prefersReply: boolean;
  /** The error extensions of a dead letter; `null` for a delivery to the subscriber. */
  readonly extra: readonly ExtraExtension[] | null;
}

export function encodeDelivery(record: EventRecord, encoding: DeliveryEncoding): OutgoingMessage {
  const arrival = arrivalText(record.arrivalMs);
  const headers: string[] = [];
  let body: Buffer;
  if (encoding.format === 'json') {
    const message = encodeStructured(record.event, changes(arrival, encoding.extra));
    headers.push('content-type', message.contentType);
    body = message.body;
  } else if (encoding.extra === null) {
    body = encodeBinary(record.event, headers);
    headers.push('ce-knativearrivaltime', arrival);
  } else {
    body = encodeBinary(record.event, headers, changes(arrival, encoding.extra));
  }
  headers.push('kn-namespace', encoding.namespace);
  if (encoding.prefersReply) headers.push('prefer', 'reply');
  const { passThrough } = record;
  for (let index = 0; index < passThrough.length; index += 1)
    headers.push(passThrough[index] ?? '');
  return { headers, body: body.length === 0 ? null : body };
}

function changes(
  arrival: string,
  errorExtensions: readonly ExtraExtension[] | null,
): EncodeOptions {
  const extra: ExtraExtension[] = [[ARRIVAL_EXTENSION, arrival]];
  if (errorExtensions === null) return { extra };
  extra.push(...errorExtensions);
  return { extra, omit: ERROR_EXTENSION_NAMES };
}

let lastArrivalMs = Number.NaN;
let lastArrivalText = '';

/** Events of one batch share their arrival, so the last text is kept. RFC 3339 in UTC. */
function arrivalText(arrivalMs: number): string {
  if (arrivalMs !== lastArrivalMs) {
    lastArrivalMs = arrivalMs;
    lastArrivalText = new Date(arrivalMs).toISOString();
  }
  return lastArrivalText;
}
