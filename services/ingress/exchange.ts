/**
 * One request on its way to an answer. The hot path of ingress: an object per request, no closures
 * but the two that hear the body, no parsing that can be kept from the last request.
 * Invariants: one answer per request; its memory is given back exactly once, and not before the store
 * has let go of the event; a 202 is only given by `acceptWith`.
 *
 *   begin: head, target, limits ─► body ─► complete: decode ─► (wait for the Broker) ─► store ─► answer
 *      └──────── refuse ◄───────────┴──────────────┴───────────────────┴─────────────────┘
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '#lib/errors/mesh-error';
import type { Receipt } from '#lib/channel/receipt';
import type { EventRecord } from '#lib/channel/event-record';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeBinaryHeaders, withData } from '#lib/cloudevents/http-decode';
import { decodeJsonBatch, decodeJsonEvent } from '#lib/cloudevents/json-decode';
import type { ContentMode } from '#lib/cloudevents/media-type';
import type { CloudEventProblem } from '#lib/cloudevents/problem';
import { objectKey } from '#lib/contract/routing';
import type { Connection, OpenRequest } from '#lib/http/connection-table';
import type { HttpErrorCode } from '#lib/http/http-errors';
import { LINGER_MS } from '#lib/http/listener';
import type { Expectation } from '#lib/http/listener';
import { createRefusal, writeRefusal } from '#lib/http/refusal';
import type { Refusal } from '#lib/http/refusal';
import { parseTarget } from '#lib/http/request-target';
import { startTraceparent } from '#lib/telemetry/trace-context';
import { acceptWith } from './accept.ts';
import type { Stored } from './accept.ts';
import { REQUEST_OVERHEAD_BYTES } from './admission.ts';
import type { Share } from './admission.ts';
import type { BrokerPort } from './broker-ports.ts';
import { recordOf } from './event-intake.ts';
import type { IntakeContext } from './event-intake.ts';
import type { IngressCore, RefusalCode } from './ingress-core.ts';
import { readRequestHead } from './request-head.ts';
import type { RequestHead } from './request-head.ts';

const OPTIONS_HEADERS: string[] = [
  ...['Allow', 'POST, OPTIONS'],
  ...['WebHook-Allowed-Origin', '*'],
  ...['WebHook-Allowed-Rate', '*'],
  ...['Content-Length', '0'],
];
const ALLOW = 'POST, OPTIONS';
const NO_BYTES = Buffer.alloc(0);
/** What is left of a refused body up to this size is read and thrown away; beyond it the connection ends. */
const DISCARDED_BYTES_MAX = 65_536;

type State = 'head' | 'body' | 'storing' | 'answered';

export class Exchange implements OpenRequest {
  readonly #core: IngressCore;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: Connection;
  readonly #startedMs: number;
  #storingSinceMs = 0;
  #state: State = 'head';
  #head: RequestHead | null = null;
  #mode: ContentMode = 'binary';
  /** Of a request in binary mode, from its headers; the data comes with the body. */
  #event: CloudEvent | null = null;
  /** `null`: the Broker is not known (yet). */
  #port: BrokerPort | null = null;
  #brokerKey = '';
  /** Whose memory it uses, and how much; `null` before it has any and after it gave it back. */
  #share: Share | null = null;
  #heldBytes = 0;
  #bodyBytesMax = 0;
  #bodyBytes = 0;
  #firstChunk: Buffer | null = null;
  #moreChunks: Buffer[] | null = null;
  #eventType = '';

  constructor(
    core: IngressCore,
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
  ) {
    this.#core = core;
    this.#request = request;
    this.#response = response;
    this.#connection = connection;
    this.#startedMs = core.clock.monotonicMs();
    connection.openCount += 1;
  }

  /** When the store was asked; for the time-out. */
  get storingSinceMs(): number {
    return this.#storingSinceMs;
  }

  begin(expectation: Expectation): void {
    try {
      this.#begin(expectation);
    } catch (error) {
      this.#crash(error);
    }
  }

  #begin(expectation: Expectation): void {
    const head = readRequestHead(this.#request.rawHeaders, this.#core.headLimits);
    this.#head = head;
    const fault = this.#headFault(head, expectation);
    if (fault !== null) return this.#refuse(fault);
    if (this.#request.method === 'OPTIONS') return this.#answerOptions();
    const obstacle = this.#findTarget() ?? this.#obstacle(head);
    if (obstacle !== null) return this.#refuse(obstacle);
    if (!this.#readContentType(head)) return;
    if (!this.#isSmallEnough(head)) return this.#refuse('INGRESS_BODY_TOO_LARGE');
    const share = this.#port ?? this.#core.unknownShare;
    const full = this.#core.admission.refusal(share, REQUEST_OVERHEAD_BYTES + head.contentLength);
    if (full !== null) return this.#refuse(full);
    this.#share = share;
    this.#hold(REQUEST_OVERHEAD_BYTES);
    if (expectation === 'continue') this.#response.writeContinue();
    this.#state = 'body';
    this.#request.on('data', (chunk: Buffer) => this.#takeChunk(chunk));
    this.#request.on('end', () => this.#takeEnd());
  }

  /** The rest of the body will not come: an answer if there was none yet, and the end. */
  fail(code: HttpErrorCode): void {
    if (this.#state === 'answered') return this.#endBehindAnswer();
    if (this.#state === 'storing') {
      this.#connection.socket.destroy();
      return;
    }
    this.#answerWith(this.#core.refusalFor(code), true);
    this.#response.end();
  }

  /** Refused before, and what followed is no body: the answer still goes out, in its turn. */
  #endBehindAnswer(): void {
    const { socket } = this.#connection;
    if (this.#response.writableFinished) return socket.destroySoon();
    this.#response.once('finish', () => socket.destroySoon());
    this.#response.end();
  }

  /** The client is gone. An event that is on its way into the store goes on; its answer is lost. */
  abort(): void {
    if (this.#state === 'answered' || this.#state === 'storing') return;
    this.#settle();
    this.#letGo();
  }

  /** The store took too long. The event may yet be stored, so its memory stays taken. */
  timeOut(): void {
    if (this.#state === 'storing') this.#refuse('INGRESS_STORE_TIMEOUT');
  }

  #headFault(head: RequestHead, expectation: Expectation): RefusalCode | null {
    const { httpVersionMajor, httpVersionMinor, method } = this.#request;
    if (httpVersionMajor !== 1 || httpVersionMinor > 1) return 'HTTP_VERSION_UNSUPPORTED';
    if (head.fault !== null) return head.fault;
    // HTTP/1.0 has no chunks: whoever stands between may have seen another end of the request.
    if (httpVersionMinor === 0 && head.contentLength < 0) return 'HTTP_REQUEST_MALFORMED';
    if (expectation === 'unknown') return 'HTTP_EXPECTATION_UNKNOWN';
    return method === 'POST' || method === 'OPTIONS' ? null : 'HTTP_METHOD_NOT_ALLOWED';
  }

  #answerOptions(): void {
    this.#settle();
    this.#response.writeHead(200, OPTIONS_HEADERS);
    this.#response.end();
  }

  #findTarget(): RefusalCode | null {
    const target = this.#request.url ?? '';
    const port = this.#core.ports.forTarget(target);
    if (port !== undefined) {
      this.#port = port;
      return null;
    }
    const parsed = parseTarget(target);
    if (parsed.kind === 'invalid') return 'HTTP_TARGET_INVALID';
    if (parsed.kind === 'root') return 'INGRESS_PATH_EMPTY';
    this.#brokerKey = objectKey(parsed.namespace, parsed.name);
    this.#port = this.#core.ports.get(this.#brokerKey) ?? null;
    return null;
  }

  /** What stands in the way of any event now, whatever it is. */
  #obstacle(head: RequestHead): RefusalCode | null {
    const core = this.#core;
    if (head.isEncoded) return 'HTTP_CONTENT_ENCODING_UNSUPPORTED';
    if (!core.routing.isSynced) return 'INGRESS_NOT_SYNCED';
    const topic = this.#port?.route.topic;
    if (topic !== undefined && core.isBacklogFull(topic)) return 'INGRESS_BACKLOG_FULL';
    if (core.isUnderPressure) return 'INGRESS_PRESSURE_HIGH';
    if (this.#connection.openCount > core.settings.pipelinedMax) return 'INGRESS_PIPELINE_TOO_LONG';
    return null;
  }

  /** Mode and, in binary mode, the attributes. False: refused. */
  #readContentType(head: RequestHead): boolean {
    const { contentTypes, eventLimits, settings } = this.#core;
    const found = contentTypes.decode(head.contentType);
    if (!found.ok) {
      this.#refuseProblem(found.error);
      return false;
    }
    this.#mode = found.mode;
    this.#bodyBytesMax = found.mode === 'batch' ? settings.batchBytesMax : settings.eventBytesMax;
    if (found.mode !== 'binary') return true;
    const decoded = decodeBinaryHeaders(this.#request.rawHeaders, head.contentType, eventLimits);
    if (!decoded.ok) {
      this.#refuseProblem(decoded.error);
      return false;
    }
    this.#event = decoded.event;
    this.#bodyBytesMax -= decoded.attributeBytes + head.passThroughBytes;
    return true;
  }

  #isSmallEnough(head: RequestHead): boolean {
    return this.#bodyBytesMax >= 0 && head.contentLength <= this.#bodyBytesMax;
  }

  #takeChunk(chunk: Buffer): void {
    if (this.#state !== 'body' || this.#share === null) return; // Refused: the rest is thrown away.
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > this.#bodyBytesMax) return this.#refuse('INGRESS_BODY_TOO_LARGE');
    const full = this.#core.admission.refusal(this.#share, chunk.length);
    if (full !== null) return this.#refuse(full);
    this.#hold(chunk.length);
    if (this.#firstChunk === null) {
      this.#firstChunk = chunk;
    } else {
      this.#moreChunks ??= [this.#firstChunk];
      this.#moreChunks.push(chunk);
    }
  }

  #takeEnd(): void {
    if (this.#state !== 'body') return;
    try {
      this.#complete();
    } catch (error) {
      this.#crash(error);
    }
  }

  /** The body, without a copy when it came in one piece. */
  #body(): Buffer {
    if (this.#moreChunks !== null) return Buffer.concat(this.#moreChunks, this.#bodyBytes);
    return this.#firstChunk ?? NO_BYTES;
  }

  #complete(): void {
    const { eventLimits } = this.#core;
    const body = this.#body();
    this.#firstChunk = null;
    this.#moreChunks = null;
    if (this.#event !== null) {
      this.#storeOne(withData(this.#event, body));
    } else if (this.#mode === 'structured') {
      const decoded = decodeJsonEvent(body, eventLimits);
      if (decoded.ok) this.#storeOne(decoded.event);
      else this.#refuseProblem(decoded.error);
    } else {
      const decoded = decodeJsonBatch(body, eventLimits);
      if (decoded.ok) this.#storeAll(decoded.events);
      else this.#refuseProblem(decoded.error);
    }
  }

  #storeOne(event: CloudEvent): void {
    this.#eventType = event.type;
    const port = this.#port;
    if (port === null) {
      void this.#awaitBroker([event]);
      return;
    }
    const record = recordOf(event, this.#intakeContext(port));
    if (record === null) return this.#refuse('INGRESS_TTL_INVALID');
    void this.#append(port, record);
  }

  #storeAll(events: readonly CloudEvent[]): void {
    this.#eventType = events[0]?.type ?? '';
    const port = this.#port;
    if (port === null) {
      void this.#awaitBroker(events);
      return;
    }
    const context = this.#intakeContext(port);
    const records: EventRecord[] = [];
    for (const event of events) {
      const record = recordOf(event, context);
      if (record === null) return this.#refuse('INGRESS_TTL_INVALID');
      records.push(record);
    }
    if (records.length === 0) return this.#accept(port, [], 0);
    void this.#appendAll(port, records);
  }

  #intakeContext(port: BrokerPort): IntakeContext {
    const { settings, random, clock } = this.#core;
    let passThrough = this.#head?.passThrough ?? [];
    if (settings.tracing && this.#head?.traceparent === null) {
      passThrough = [...passThrough, 'traceparent', startTraceparent(random, true)];
    }
    return { policy: port.route.policy, passThrough, arrivalMs: clock.wallMs() };
  }

  /** The routing table may be a moment behind; a bounded number of requests gives it that moment. */
  async #awaitBroker(events: readonly CloudEvent[]): Promise<void> {
    const core = this.#core;
    if (core.waiterCount >= core.settings.brokerWaitersMax) {
      return this.#refuse('INGRESS_WAITERS_TOO_MANY');
    }
    core.waiterCount += 1;
    await core.routing.waitForBroker(this.#brokerKey, core.settings.brokerWaitMs);
    core.waiterCount -= 1;
    if (this.#state !== 'body') return; // The client went meanwhile.
    try {
      const port = core.ports.get(this.#brokerKey);
      if (port === undefined) return this.#refuse('INGRESS_BROKER_UNKNOWN');
      this.#moveTo(port);
      const [first] = events;
      if (this.#mode === 'batch' || first === undefined) this.#storeAll(events);
      else this.#storeOne(first);
    } catch (error) {
      this.#crash(error);
    }
  }

  async #append(port: BrokerPort, record: EventRecord): Promise<void> {
    this.#startStoring();
    let receipt: Receipt;
    try {
      receipt = await this.#core.logOf(port.route.topic).append(port.route.topic, record);
    } catch (error) {
      return this.#refuseStore(error);
    }
    this.#accept(port, receipt, 1);
    this.#core.observer.accepted?.(port.route, record, receipt);
  }

  async #appendAll(port: BrokerPort, records: readonly EventRecord[]): Promise<void> {
    this.#startStoring();
    let receipts: readonly Receipt[];
    try {
      receipts = await this.#core.logOf(port.route.topic).appendAll(port.route.topic, records);
    } catch (error) {
      return this.#refuseStore(error);
    }
    this.#accept(port, receipts, records.length);
    const { observer } = this.#core;
    if (observer.accepted === undefined) return;
    for (const [index, record] of records.entries()) {
      const receipt = receipts[index];
      if (receipt !== undefined) observer.accepted(port.route, record, receipt);
    }
  }

  #startStoring(): void {
    this.#state = 'storing';
    this.#storingSinceMs = this.#core.clock.monotonicMs();
    this.#core.storing.add(this);
  }

  /** Stored: answer first, everything else afterwards. */
  #accept(port: BrokerPort, stored: Stored, eventCount: number): void {
    const isLate = this.#state === 'answered';
    if (!isLate) {
      try {
        acceptWith(this.#response, stored, eventCount, this.#core.isLastAnswer);
      } catch (error) {
        this.#crash(error);
        return;
      }
      this.#settle();
      port.meter.accepted(eventCount);
      port.meter.answered(this.#response.statusCode, this.#eventType, this.#elapsedMs());
    }
    this.#core.storing.delete(this);
    this.#letGo();
  }

  #refuseStore(error: unknown): void {
    const refusal = this.#core.storeRefusal(error);
    if (refusal === null) return this.#crash(error);
    this.#core.storing.delete(this);
    if (this.#state === 'answered') {
      this.#letGo(); // The answer was the time-out.
    } else {
      this.#port?.meter.answered(refusal.status, this.#eventType, this.#elapsedMs());
      this.#refuseWith(refusal);
    }
  }

  #refuse(code: RefusalCode): void {
    this.#refuseWith(this.#core.refusalFor(code));
  }

  #refuseProblem({ code, httpStatus, message }: CloudEventProblem): void {
    this.#refuseWith(createRefusal(code, httpStatus, message));
  }

  #refuseWith(refusal: Refusal): void {
    const isBodyLong = this.#isRestLong();
    const isLast = isBodyLong || this.#core.isLastAnswer;
    this.#answerWith(refusal, isLast);
    if (isBodyLong) this.#linger();
    else this.#response.end();
  }

  /** The body is not all there, and what is missing is more than is worth reading. */
  #isRestLong(): boolean {
    if (this.#request.complete || this.#head === null) return false;
    const { contentLength } = this.#head;
    return contentLength < 0 || contentLength - this.#bodyBytes > DISCARDED_BYTES_MAX;
  }

  #answerWith(refusal: Refusal, isLast: boolean): void {
    const isStoring = this.#state === 'storing';
    this.#settle();
    if (!isStoring || refusal.code !== 'INGRESS_STORE_TIMEOUT') this.#letGo();
    this.#core.metrics.refused(refusal.code);
    const retryAfterS = this.#core.retryAfterS(refusal.status);
    writeRefusal(this.#response, refusal, { allow: ALLOW, retryAfterS, isLast });
  }

  /**
   * The answer is out. Reads on for a moment before the connection ends: a client that is still
   * sending would otherwise see a reset instead of the answer.
   */
  #linger(): void {
    const response = this.#response;
    const timer = this.#core.clock.after(LINGER_MS, () => response.end());
    response.once('close', () => timer.cancel());
    this.#request.once('end', () => response.end());
    this.#request.resume();
  }

  /** From here on there is an answer, or nobody to answer. */
  #settle(): void {
    this.#state = 'answered';
    this.#connection.openCount -= 1;
    this.#firstChunk = null;
    this.#moreChunks = null;
  }

  #hold(sizeBytes: number): void {
    if (this.#share === null) return;
    this.#heldBytes += sizeBytes;
    this.#core.admission.take(this.#share, sizeBytes);
  }

  #letGo(): void {
    if (this.#share === null) return;
    this.#core.admission.release(this.#share, this.#heldBytes);
    this.#share = null;
  }

  /** The Broker has become known: its share takes over. */
  #moveTo(port: BrokerPort): void {
    const { admission } = this.#core;
    if (this.#share !== null) admission.release(this.#share, this.#heldBytes);
    admission.take(port, this.#heldBytes);
    this.#share = port;
    this.#port = port;
  }

  #elapsedMs(): number {
    return this.#core.clock.monotonicMs() - this.#startedMs;
  }

  /** A bug. The client gets 500, and the process what it does about bugs. */
  #crash(error: unknown): void {
    this.#core.storing.delete(this);
    if (this.#state !== 'answered') this.#refuse('INGRESS_INTERNAL');
    this.#letGo();
    this.#core.logger.error('ingress has a bug', { error: messageOf(error) });
    this.#core.onBug(error);
  }
}
