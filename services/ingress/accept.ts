/**
 * The one place of ingress that answers 202, and it does so for receipts only: what is stored to the
 * channel's durability level. A promise of a receipt does not compile here, and anything that only
 * looks like a receipt fails the assertion, so a forgotten `await` cannot become a lost event.
 */
import type { ServerResponse } from 'node:http';
import { assert } from '#lib/assert/assert';
import { isReceipt } from '#lib/channel/receipt';
import type { Receipt } from '#lib/channel/receipt';

const ACCEPTED = 202;
/** Made once, and only read by Node. */
const HEADERS: string[] = ['Allow', 'POST, OPTIONS', 'Content-Length', '0'];
const LAST_HEADERS: string[] = [...HEADERS, 'Connection', 'close'];

/** What was stored: one event, or every event of a batch. */
export type Stored = Receipt | readonly Receipt[];

/**
 * @param stored the receipts, as many as the request had events.
 * @param isLast the connection ends with this answer.
 */
export function acceptWith(
  response: ServerResponse,
  stored: Stored,
  eventCount: number,
  isLast: boolean,
): void {
  assert(isProof(stored, eventCount), 'every accepted event has a receipt', { eventCount });
  response.writeHead(ACCEPTED, isLast ? LAST_HEADERS : HEADERS);
  response.end();
}

function isProof(stored: Stored, eventCount: number): boolean {
  if (!isList(stored)) return eventCount === 1 && isReceipt(stored);
  return stored.length === eventCount && stored.every(isReceipt);
}

function isList(stored: Stored): stored is readonly Receipt[] {
  return Array.isArray(stored);
}
