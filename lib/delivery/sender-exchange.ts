/**
 * One request and its response: the handler that undici calls, without a promise or a timer of its
 * own. Made by a destination, run by its pool. Invariants: `done` is called exactly once unless the
 * exchange is aborted, and never before `send` has returned; at most the limit of a response is kept.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { assert } from '#lib/assert/assert';
import { contentMode } from '#lib/cloudevents/media-type';
import type { OutgoingMessage, PendingSend, SendResult } from './http-sender.ts';
import { ERROR_BODY_BYTES_MAX } from './outcome.ts';
import type { Connection, DestinationSlot } from './sender-pool.ts';
import { isLostConnection, sendErrorOf } from './sender-fault.ts';
import type { Deadline } from './sender-deadlines.ts';

/** What is read and thrown away of a body that nobody wants, so that the connection can go on. */
export const DRAINED_BYTES_MAX = 65_536;
/**
 * A keep-alive connection that the other side was just closing fails within a round trip of the
 * request. Later than this, the subscriber had the request, and it is an attempt that failed.
 */
export const STALE_WINDOW_MS = 1_000;

const NO_BYTES = Buffer.alloc(0);
const NO_HEADERS: readonly string[] = [];

/** What an exchange needs of its surroundings; one object per pool. */
export interface ExchangeContext {
  readonly monotonicMs: () => number;
  readonly replyBytesMax: number;
  /** The exchange is over; the connection is fit for the next one only when `isReusable`. */
  readonly over: (exchange: Exchange, isReusable: boolean) => void;
  /** Send again, once, on a fresh connection. */
  readonly resend: (exchange: Exchange) => void;
}

export class Exchange implements Dispatcher.DispatchHandler, Deadline, PendingSend {
  readonly destination: DestinationSlot;
  /** Set while a connection works on it. */
  connection: Connection | null = null;
  message: OutgoingMessage | null;
  isDone = false;
  /** It stands in its destination's line. */
  isWaiting = false;
  /** `send` has not returned yet. */
  isSubmitting = true;

  dueTick = 0;
  wheelSlot = -1;
  previous: Deadline | null = null;
  next: Deadline | null = null;

  readonly #context: ExchangeContext;
  readonly #done: (result: SendResult) => void;
  #startedMs = 0;
  #isOnUsedSocket = false;
  #isResent = false;
  #isAborted = false;
  #hasAnswer = false;
  #status = 0;
  #contentType: string | null = null;
  #rawHeaders: readonly string[] = NO_HEADERS;
  #keptBytesMax = ERROR_BODY_BYTES_MAX;
  #firstChunk: Buffer | null = null;
  #moreChunks: Buffer[] | null = null;
  #receivedBytes = 0;

  constructor(
    destination: DestinationSlot,
    context: ExchangeContext,
    message: OutgoingMessage,
    done: (result: SendResult) => void,
  ) {
    this.destination = destination;
    this.#context = context;
    this.message = message;
    this.#done = done;
  }

  abort(): void {
    this.#isAborted = true;
    if (!this.isDone) this.#end(false);
  }

  expire(): void {
    this.fail({ kind: 'error', reason: 'Timeout', message: 'no complete answer in time' });
  }

  /** Ends the exchange from outside: timeout, shutdown, a full queue. */
  fail(result: SendResult): void {
    if (!this.isDone) this.#finish(result, false);
  }

  onRequestStart(_controller: Dispatcher.DispatchController): void {
    const { connection } = this;
    assert(connection !== null, 'a request starts on a connection');
    this.#startedMs = this.#context.monotonicMs();
    this.#isOnUsedSocket = connection.servedCount > 0;
  }

  onResponseStarted(): void {
    this.#hasAnswer = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200 || this.isDone) return;
    this.#status = status;
    const { 'content-type': contentType } = headers;
    // A repeated header is an array, whatever the type says; the decoder refuses it.
    this.#contentType = contentType === undefined ? null : String(contentType);
    const isEvent =
      status < 300 &&
      (headers['ce-specversion'] !== undefined || contentMode(this.#contentType) !== 'binary');
    // One that says itself that it is too large is not read to find out.
    const { replyBytesMax } = this.#context;
    const isTooLarge = Number(headers['content-length'] ?? 0) > replyBytesMax;
    if (isEvent && status === 200 && !isTooLarge) this.#keptBytesMax = replyBytesMax;
    if (isEvent || status === 429 || status === 503) {
      this.#rawHeaders = flatHeaders(controller.rawHeaders);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.isDone) return;
    const room = this.#keptBytesMax - this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    if (room > 0) this.#keep(chunk.length <= room ? chunk : chunk.subarray(0, room));
    // Not one byte more than can be used is waited for; the connection is lost with it.
    if (this.#receivedBytes > Math.max(this.#keptBytesMax, DRAINED_BYTES_MAX)) {
      this.#finish(this.#response(), false);
    }
  }

  onResponseEnd(): void {
    if (!this.isDone) this.#finish(this.#response(), true);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.isDone) return;
    if (this.#isStale(error)) {
      this.#isResent = true;
      this.#context.resend(this);
      return;
    }
    this.#finish(sendErrorOf(error), false);
  }

  #isStale(error: Error): boolean {
    return (
      this.#isOnUsedSocket &&
      !this.#hasAnswer &&
      !this.#isResent &&
      isLostConnection(error) &&
      this.#context.monotonicMs() - this.#startedMs <= STALE_WINDOW_MS
    );
  }

  #keep(chunk: Buffer): void {
    if (this.#firstChunk === null) {
      this.#firstChunk = chunk;
      return;
    }
    this.#moreChunks ??= [];
    this.#moreChunks.push(chunk);
  }

  #response(): SendResult {
    return {
      kind: 'response',
      status: this.#status,
      contentType: this.#contentType,
      rawHeaders: this.#rawHeaders,
      body: this.#body(),
      bodyTruncated: this.#receivedBytes > this.#keptBytesMax,
    };
  }

  /** A copy: the chunks are views of what was read from the socket, up to 64 KiB each. */
  #body(): Buffer {
    if (this.#firstChunk === null) return NO_BYTES;
    if (this.#moreChunks === null) return Buffer.from(this.#firstChunk);
    return Buffer.concat([this.#firstChunk, ...this.#moreChunks]);
  }

  #end(isReusable: boolean): void {
    this.isDone = true;
    this.message = null;
    this.#context.over(this, isReusable);
  }

  #finish(result: SendResult, isReusable: boolean): void {
    this.#end(isReusable);
    if (this.isSubmitting) queueMicrotask(() => this.#report(result));
    else this.#report(result);
  }

  /** undici catches what its handlers throw; a bug of ours must end the process all the same. */
  #report(result: SendResult): void {
    if (this.#isAborted) return;
    try {
      this.#done(result);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function flatHeaders(raw: Dispatcher.DispatchController['rawHeaders']): readonly string[] {
  if (!Array.isArray(raw)) return NO_HEADERS;
  const flat: string[] = [];
  for (const part of raw) flat.push(typeof part === 'string' ? part : part.toString('latin1'));
  return flat;
}
