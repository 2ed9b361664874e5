/**
 * Real HTTP subscribers that do what a test says: one server, a sink per path, an answer per request.
 * On `node:http`, whose strict parser is part of the test. What it reads of an event it decodes itself,
 * without our codec.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it arrived, with the event in it. */
export interface SinkRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Decoded attributes, extensions too; without `specversion` the request held no event. */
  readonly attributes: Readonly<Record<string, string>>;
  /** The data of the event, also out of the JSON format. */
  readonly data: Buffer;
  /** From 1: which arrival of this event (source and id) at this sink. */
  readonly attempt: number;
  readonly atMs: number;
}

/** What the sink does with a request. */
export interface SinkAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Before anything goes back. */
  readonly delayMs?: number;
  /**
   * `hang`: never answers. `close`: ends the connection without an answer. `reset`: RST after the
   * head. `closeMidBody`: promises twice the body and ends after it.
   */
  readonly fault?: 'hang' | 'close' | 'reset' | 'closeMidBody';
}

export type SinkScript = (request: SinkRequest) => SinkAnswer;

/** 204, or the given status without a body. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): SinkAnswer {
  return { status: code, headers };
}

/** 200 with an event in binary mode. */
export function replyEvent(
  attributes: Readonly<Record<string, string>>,
  data: Buffer | string = '',
): SinkAnswer {
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
  for (const [name, value] of Object.entries({ specversion: '1.0', ...attributes })) {
    headers[`ce-${name}`] = value;
  }
  return { status: 200, headers, body: data };
}

export function fault(kind: NonNullable<SinkAnswer['fault']>): SinkAnswer {
  return { status: 200, fault: kind, body: 'half' };
}

const OK = status(204);

export interface SinkOptions {
  /** For every request without a script of its own. */
  readonly script?: SinkScript;
  readonly onRequest?: (request: SinkRequest, answer: SinkAnswer) => void;
  /** False: nothing is kept but attempt counts; for loads. */
  readonly isKeeping?: boolean;
}

export class Sink {
  readonly url: string;
  readonly #options: SinkOptions;
  readonly #scripts = new Map<string, readonly SinkAnswer[]>();
  readonly #attempts = new Map<string, number>();
  /** In order of arrival. */
  readonly requests: SinkRequest[] = [];
  requestCount = 0;

  constructor(url: string, options: SinkOptions) {
    this.url = url;
    this.#options = options;
  }

  /** The answers to the arrivals of one event, whatever its source; the last one holds for all further. */
  script(id: string, answers: readonly SinkAnswer[]): void {
    this.#scripts.set(id, answers);
  }

  /** Arrivals of the event. */
  attemptCount(id: string, source: string): number {
    return this.#attempts.get(`${source} ${id}`) ?? 0;
  }

  /** Notes the arrival and decides. */
  take(message: IncomingMessage, body: Buffer): SinkAnswer {
    const { attributes, data } = decode(message.headers, body);
    const id = attributes['id'] ?? '';
    const key = `${attributes['source'] ?? ''} ${id}`;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    const { headers } = message;
    const atMs = performance.now();
    const request: SinkRequest = { headers, body, attributes, data, attempt, atMs };
    this.requestCount += 1;
    if (this.#options.isKeeping !== false) this.requests.push(request);
    const answers = this.#scripts.get(id);
    const scripted = answers?.[Math.min(attempt, answers.length) - 1];
    const answer = scripted ?? this.#options.script?.(request) ?? OK;
    this.#options.onRequest?.(request, answer);
    return answer;
  }
}

export class Subscriber implements AsyncDisposable {
  readonly #server: Server;
  readonly #sinks = new Map<string, Sink>();
  #origin = '';
  /** Requests to paths without a sink. */
  strayCount = 0;

  constructor() {
    this.#server = createServer((message, response) => this.#take(message, response));
    // The other end decides how long a connection lives.
    this.#server.keepAliveTimeout = 0;
    this.#server.requestTimeout = 0;
  }

  /** @param port 0: any; a given one for subscribers that go and come back. */
  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A sink at `/name`. */
  sink(name: string, options: SinkOptions = {}): Sink {
    const sink = new Sink(`${this.#origin}/${name}`, options);
    this.#sinks.set(`/${name}`, sink);
    return sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #take(message: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('error', () => undefined); // The sender gave up: it did not arrive.
    message.on('end', () => {
      const sink = this.#sinks.get(message.url ?? '');
      if (sink === undefined) {
        this.strayCount += 1;
        response.writeHead(404).end();
        return;
      }
      const [first = Buffer.alloc(0)] = chunks;
      const answer = sink.take(message, chunks.length > 1 ? Buffer.concat(chunks) : first);
      if (answer.delayMs === undefined) respond(response, answer);
      else setTimeout(() => respond(response, answer), answer.delayMs).unref();
    });
  }
}

export async function startSubscriber(port = 0): Promise<Subscriber> {
  const subscriber = new Subscriber();
  await subscriber.listen(port);
  return subscriber;
}

function respond(response: ServerResponse, answer: SinkAnswer): void {
  const body = Buffer.from(answer.body ?? '');
  const { status: code, headers = {} } = answer;
  switch (answer.fault) {
    case 'hang':
      return;
    case 'close':
      response.socket?.destroy();
      return;
    case 'reset':
      response.writeHead(code, { ...headers, 'content-length': body.length + 1 });
      response.write(body, () => response.socket?.resetAndDestroy());
      return;
    case 'closeMidBody':
      response.writeHead(code, { ...headers, 'content-length': body.length * 2 });
      response.write(body, () => response.socket?.destroy());
      return;
    default:
      if (code === 204 || code === 304) response.writeHead(code, headers).end();
      else response.writeHead(code, { 'content-length': body.length, ...headers }).end(body);
  }
}

function decode(
  headers: IncomingHttpHeaders,
  body: Buffer,
): { readonly attributes: Record<string, string>; readonly data: Buffer } {
  const attributes: Record<string, string> = {};
  if ((headers['content-type'] ?? '').startsWith('application/cloudevents')) {
    const { data, data_base64, ...rest } = JSON.parse(body.toString()) as Record<string, unknown>;
    for (const [name, value] of Object.entries(rest)) attributes[name] = String(value);
    if (typeof data_base64 === 'string') {
      return { attributes, data: Buffer.from(data_base64, 'base64') };
    }
    return { attributes, data: Buffer.from(data === undefined ? '' : JSON.stringify(data)) };
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue;
    attributes[name.slice(3)] = value.includes('%') ? decodeURIComponent(value) : value;
  }
  const contentType = headers['content-type'];
  if (contentType !== undefined) attributes['datacontenttype'] = contentType;
  return { attributes, data: body };
}
