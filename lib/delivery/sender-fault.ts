/**
 * What undici and sockets throw, as reasons of a failed attempt: the one place that reads their codes.
 * Used by exchanges. Invariant: every error has a reason, and messages hold no event data.
 */
import type { SendResult } from './http-sender.ts';
import { ConnectFault } from './sender-connect.ts';

const LOST_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);
const MESSAGE_LENGTH_MAX = 200;

/** The connection went away, as a keep-alive connection does that the other side has closed. */
export function isLostConnection(error: Error & { readonly code?: string }): boolean {
  return error.code !== undefined && LOST_CODES.has(error.code) && !isBadAnswer(error);
}

/** undici gives the code of a lost connection to two answers that break the protocol. */
function isBadAnswer(error: Error): boolean {
  return error.message === 'bad response' || error.message === 'bad upgrade';
}

export function sendErrorOf(error: Error & { readonly code?: string }): SendResult {
  const message = error.message.slice(0, MESSAGE_LENGTH_MAX);
  if (error instanceof ConnectFault) return { kind: 'error', reason: error.reason, message };
  // Nobody asked for another protocol: a final answer with a status of its own, and without a body.
  if (error.message === 'bad upgrade') return switchedProtocols();
  const code = error.code ?? '';
  if (isBadAnswer(error) || error.name === 'HTTPParserError') {
    return { kind: 'error', reason: 'BadResponse', message };
  }
  switch (code) {
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { kind: 'error', reason: 'BadResponse', message: 'the headers are too large' };
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
      return { kind: 'error', reason: 'InvalidRequest', message };
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return { kind: 'error', reason: 'SenderClosed', message };
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return { kind: 'error', reason: 'ConnectionReset', message: 'closed amid the body' };
    default:
      return { kind: 'error', reason: 'ConnectionReset', message };
  }
}

function switchedProtocols(): SendResult {
  return {
    kind: 'response',
    status: 101,
    contentType: null,
    rawHeaders: [],
    body: Buffer.alloc(0),
    bodyTruncated: false,
  };
}
