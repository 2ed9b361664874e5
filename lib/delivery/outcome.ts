/**
 * What the answer of a subscriber or a dead-letter sink means: the table of status × body → outcome.
 * Used by the engine after every attempt; pure. `docs/delivery-outcomes.md` is this table for readers,
 * and a test compares the two. Invariant: only a 2xx ends a delivery well, and only a 200 carries a
 * reply.
 *
 * | status                  | no body   | an event                  | another body                 |
 * | ----------------------- | --------- | ------------------------- | ---------------------------- |
 * | 200                     | delivered | reply (malformed: retry)  | retry, or delivered (ignore) |
 * | other 2xx               | delivered | delivered, never read     | retry, or delivered (ignore) |
 * | 404, 408, 409, 429, 5xx | retry     | retry                     | retry                        |
 * | 1xx, 3xx, other 4xx     | failed    | failed                    | failed                       |
 * | no response             | retry     |                           |                              |
 *
 * A dead-letter sink is asked for no reply: each of its 2xx is delivered, whatever the body. "An event"
 * is what says that it is one: a header `ce-specversion`, or a Content-Type `application/cloudevents…`
 * with a body. One that cannot be read in a 200 (a batch too: a reply is one event) is a failure even
 * under `ignore`, because it would be lost in silence.
 */
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import type { CloudEventLimits } from '#lib/cloudevents/limits';
import { contentMode } from '#lib/cloudevents/media-type';
import type { SendError, SendResponse, SendResult } from './http-sender.ts';
import { parseRetryAfter } from './retry-after.ts';

export interface JudgeContext {
  readonly stage: 'subscriber' | 'deadLetter';
  /** The URL of the call; goes into the failure. */
  readonly destination: string | null;
  readonly nonEventReply: 'fail' | 'ignore';
  /** The request said `Prefer: reply`; without it an event in the response only acknowledges. */
  readonly acceptsReply: boolean;
  /** For dates in `Retry-After`. */
  readonly nowWallMs: number;
  readonly limits?: CloudEventLimits;
}

export type Outcome =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'reply';
      readonly event: CloudEvent;
      /** The headers of the response, flat, for {@link makeReply}. */
      readonly rawHeaders: readonly string[];
    }
  | {
      readonly kind: 'retry';
      readonly failure: DeliveryFailure;
      /** What `Retry-After` asks for on a 429 or 503, not capped; else `null`. */
      readonly retryAfterMs: number | null;
    }
  | { readonly kind: 'failed'; readonly failure: DeliveryFailure };

/** First bytes of a response that go into a dead letter: 768 make 1,024 characters of base64. */
export const ERROR_BODY_BYTES_MAX = 768;

/** What Knative's filter answers for a subscriber whose 2xx makes no sense; reported as its status. */
const BAD_REPLY_STATUS = 502;
const RETRIED_CLIENT_ERRORS: readonly number[] = [404, 408, 409, 429];
const NO_BYTES = Buffer.alloc(0);
const DELIVERED: Outcome = { kind: 'delivered' };

/** True when the table says that such a status is tried again. */
export function isRetriedStatus(status: number): boolean {
  return status >= 500 || RETRIED_CLIENT_ERRORS.includes(status);
}

/** What the end of an attempt means for the delivery. */
export function judge(result: SendResult, context: JudgeContext): Outcome {
  if (result.kind === 'error') return judgeError(result, context);
  const { status } = result;
  if (status >= 200 && status <= 299) return judgeSuccess(result, context);
  const failure = failureOf(result, context, status, 'StatusCode');
  if (!isRetriedStatus(status)) return { kind: 'failed', failure };
  return { kind: 'retry', failure, retryAfterMs: retryAfterOf(result, context) };
}

function retryAfterOf(response: SendResponse, context: JudgeContext): number | null {
  if (response.status !== 429 && response.status !== 503) return null;
  const value = headerValue(response.rawHeaders, 'retry-after');
  return value === null ? null : parseRetryAfter(value, context.nowWallMs);
}

function judgeError(result: SendError, context: JudgeContext): Outcome {
  const { reason } = result;
  const { destination } = context;
  const failure: DeliveryFailure = { destination, status: null, body: NO_BYTES, reason };
  // The same bytes can never be sent: only an edit of the target or the event could change that.
  if (reason === 'InvalidRequest') return { kind: 'failed', failure };
  return { kind: 'retry', failure, retryAfterMs: null };
}

function judgeSuccess(response: SendResponse, context: JudgeContext): Outcome {
  if (context.stage === 'deadLetter') return DELIVERED;
  const isEmpty = response.body.length === 0 && !response.bodyTruncated;
  if (isEmpty && response.rawHeaders.length === 0) return DELIVERED;
  if (!saysEvent(response, isEmpty)) {
    if (isEmpty || context.nonEventReply === 'ignore') return DELIVERED;
    return badReply(response, context, 'NonEventReply');
  }
  if (response.status !== 200 || !context.acceptsReply) return DELIVERED;
  if (response.bodyTruncated) return badReply(response, context, 'ReplyTooLarge');
  return judgeReply(response, context);
}

/** True when the response claims to carry an event, whether it can be read or not. */
export function saysEvent(response: SendResponse, isEmpty: boolean): boolean {
  const isStructured = contentMode(response.contentType) !== 'binary';
  if (isStructured) return !isEmpty;
  return headerValue(response.rawHeaders, 'ce-specversion') !== null;
}

function judgeReply(response: SendResponse, context: JudgeContext): Outcome {
  const { rawHeaders, body } = response;
  const encoding = headerValue(rawHeaders, 'content-encoding');
  const isPlain = encoding === null || encoding.trim().toLowerCase() === 'identity';
  if (!isPlain) return badReply(response, context, 'MalformedReply');
  const limits = context.limits ?? DEFAULT_CLOUD_EVENT_LIMITS;
  const decoded = decodeHttp({ rawHeaders, body, limits });
  const event = decoded.ok && decoded.mode !== 'batch' ? decoded.events[0] : undefined;
  if (event === undefined) return badReply(response, context, 'MalformedReply');
  return { kind: 'reply', event, rawHeaders };
}

function badReply(response: SendResponse, context: JudgeContext, reason: string): Outcome {
  const failure = failureOf(response, context, BAD_REPLY_STATUS, reason);
  return { kind: 'retry', failure, retryAfterMs: null };
}

function failureOf(
  response: SendResponse,
  context: JudgeContext,
  status: number,
  reason: string,
): DeliveryFailure {
  // A copy: a failure may wait for hours and must not hold a megabyte for its first 768 bytes.
  const body =
    response.body.length === 0
      ? NO_BYTES
      : Buffer.from(response.body.subarray(0, ERROR_BODY_BYTES_MAX));
  return { destination: context.destination, status, body, reason };
}

/** The first value of a header, by lower-case name, or `null`. */
export function headerValue(rawHeaders: readonly string[], name: string): string | null {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const header = rawHeaders[index] ?? '';
    if (header.length === name.length && header.toLowerCase() === name) {
      return rawHeaders[index + 1] ?? null;
    }
  }
  return null;
}
