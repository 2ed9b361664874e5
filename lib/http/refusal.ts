/**
 * Answers that say no: a small JSON object `{"code", "message"}`, made once per code where the text
 * is fixed. Used by every listener of ours on plain node:http. Invariant: no stack, no value of the
 * request, no host name.
 */
import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { ErrorDefinition } from '#lib/errors/mesh-error';

export interface Refusal {
  readonly code: string;
  readonly status: number;
  readonly body: Buffer;
}

export interface RefusalOptions {
  /** The methods for the header `Allow`, which goes with every answer as Knative's brokers do it. */
  readonly allow: string;
  /** Whole seconds for `Retry-After`, or `null` for none. */
  readonly retryAfterS: number | null;
  /** The connection ends with this answer. */
  readonly isLast: boolean;
}

export function createRefusal(code: string, status: number, message: string): Refusal {
  return { code, status, body: Buffer.from(`${JSON.stringify({ code, message })}\n`) };
}

/** A refusal for each code of a table that has an HTTP status; its meaning is the message. */
export function refusalsOf<Code extends string>(
  table: Readonly<Record<Code, ErrorDefinition>>,
): ReadonlyMap<string, Refusal> {
  const refusals = new Map<string, Refusal>();
  for (const [code, definition] of Object.entries<ErrorDefinition>(table)) {
    if (definition.httpStatus === undefined) continue;
    refusals.set(code, createRefusal(code, definition.httpStatus, definition.meaning));
  }
  return refusals;
}

function refusalHeaders(refusal: Refusal, options: RefusalOptions): string[] {
  const headers = [
    ...['Allow', options.allow],
    ...['Content-Type', 'application/json'],
    ...['Content-Length', String(refusal.body.length)],
  ];
  if (options.retryAfterS !== null) headers.push('Retry-After', String(options.retryAfterS));
  if (options.isLast) headers.push('Connection', 'close');
  return headers;
}

/**
 * Writes the whole answer, and does not end it: with the length announced the client has all of it,
 * and the caller ends the response when the rest of the request's body has been dealt with.
 */
export function writeRefusal(
  response: ServerResponse,
  refusal: Refusal,
  options: RefusalOptions,
): void {
  response.writeHead(refusal.status, refusalHeaders(refusal, options));
  response.write(refusal.body);
}

/** The same as bytes, for a socket whose parser gave up before there was a response to write to. */
export function refusalBytes(refusal: Refusal, options: RefusalOptions): Buffer {
  const headers = refusalHeaders(refusal, options);
  let head = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  }
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), refusal.body]);
}
