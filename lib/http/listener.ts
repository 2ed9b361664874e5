/**
 * A plain node:http listener with everything that a public port needs around its handler: limits on
 * connections and time, right answers to what is not HTTP, and a drain that finishes what is open.
 * Used by ingress. Invariants: no input ends the process; every refused byte stream is counted with a
 * code; after `drain` resolves no connection is open.
 *
 *   start -> listening -> drain (no new connections, open ones answered, idle ones closed) -> closed
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { assert } from '#lib/assert/assert';
import { messageOf } from '#lib/errors/mesh-error';
import type { Clock } from '#lib/time/clock';
import { ConnectionTable } from './connection-table.ts';
import type { Connection, OpenRequest } from './connection-table.ts';
import { HTTP_ERRORS, httpError } from './http-errors.ts';
import type { HttpErrorCode } from './http-errors.ts';
import { LeanRequest } from './lean-request.ts';
import { refusalBytes, refusalsOf } from './refusal.ts';

/** What the header `Expect` asks for; anything but `100-continue` must be answered with 417. */
export type Expectation = 'nothing' | 'continue' | 'unknown';

export interface RequestHandler {
  /**
   * Takes a request whose head is complete. It must count `connection.openCount` up, and down again
   * when it has answered. Headers are in `request.rawHeaders` (see `lean-request.ts`).
   */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    expectation: Expectation,
  ): OpenRequest;
  /** False: new connections are reset at once (the process is about to run out of memory). */
  isTakingConnections(): boolean;
  /** A connection or a request that never reached `handle` was refused. */
  refused(code: HttpErrorCode): void;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** For the header `Allow` of answers that the handler has no part in. */
  readonly allow: string;
  readonly connectionsMax: number;
  readonly connectionsPerSourceMax: number;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** How often the two request time-outs are looked at: they are late by up to this. */
  readonly timeoutCheckMs: number;
}

export interface ListenerDeps {
  readonly clock: Clock;
  readonly handler: RequestHandler;
}

export interface HttpListener {
  /** @throws HTTP_LISTEN_FAILED when the address cannot be used. */
  start(): Promise<AddressInfo>;
  readonly isListening: boolean;
  readonly isDraining: boolean;
  readonly connectionCount: number;
  /** Stops listening, lets open requests finish, and cuts what is left after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

/** How long a socket that was answered may go on sending what nobody reads, before it is cut. */
export const LINGER_MS = 1_000;
const DRAIN_CHECK_MS = 20;
/** A connection that was made just before a drain may still send its first request. */
const SILENT_GRACE_MS = 500;
const TLS_HANDSHAKE_BYTE = 0x16;
const REFUSALS = refusalsOf(HTTP_ERRORS);

/** Node's codes of what its parser and its timers refuse; anything else is malformed. */
const FAULT_CODES: ReadonlyMap<string, HttpErrorCode> = new Map<string, HttpErrorCode>([
  ['HPE_HEADER_OVERFLOW', 'HTTP_HEADERS_TOO_LARGE'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 'HTTP_CHUNK_EXTENSIONS_TOO_LARGE'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'HTTP_REQUEST_TIMEOUT'],
]);

/** What Node adds to an error of its parser. */
interface ClientFault extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

export function createHttpListener(deps: ListenerDeps, options: ListenerOptions): HttpListener {
  return new NodeHttpListener(deps, options);
}

class NodeHttpListener implements HttpListener {
  readonly #deps: ListenerDeps;
  readonly #options: ListenerOptions;
  readonly #server: Server<typeof LeanRequest, typeof ServerResponse>;
  readonly #table: ConnectionTable;
  #isDraining = false;
  #closed: Promise<void> | null = null;

  constructor(deps: ListenerDeps, options: ListenerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#table = new ConnectionTable(options.connectionsPerSourceMax);
    this.#server = createServer({
      IncomingMessage: LeanRequest,
      keepAlive: true,
      noDelay: true,
      // Host is checked by the handler, which answers in our form.
      requireHostHeader: false,
      maxHeaderSize: options.headerBytesMax,
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: options.timeoutCheckMs,
    });
    this.#server.maxConnections = options.connectionsMax;
    // A client may end its half after the request (`nc`, HTTP/1.0); its answer must still go out.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    // No limit by number here: Node would drop the rest in silence. The handler counts.
    this.#server.maxHeadersCount = 0;
    this.#listenToServer();
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get connectionCount(): number {
    return this.#table.size;
  }

  start(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (cause: Error): void => {
        const message = `Cannot listen on "${host}:${port}": ${messageOf(cause)}`;
        reject(httpError('HTTP_LISTEN_FAILED', message, { cause }));
      };
      this.#server.once('error', onError);
      this.#server.listen({ host, port, backlog: 1_024 }, () => {
        this.#server.removeListener('error', onError);
        const address = this.#server.address();
        assert(address !== null && typeof address === 'object', 'a TCP listener has a port');
        resolve(address);
      });
    });
  }

  async drain(deadlineMs: number): Promise<void> {
    const closed = this.#stopListening();
    const { clock } = this.#deps;
    const silentUntilMs = clock.monotonicMs() + SILENT_GRACE_MS;
    const idle = clock.every(DRAIN_CHECK_MS, () => {
      // An answer that was on its way when the drain began may have left its connection open.
      this.#server.closeIdleConnections();
      if (clock.monotonicMs() >= silentUntilMs) this.#closeSilent();
    });
    const deadline = clock.after(deadlineMs, () => this.#server.closeAllConnections());
    await closed;
    idle.cancel();
    deadline.cancel();
  }

  async close(): Promise<void> {
    const closed = this.#stopListening();
    this.#server.closeAllConnections();
    await closed;
  }

  #stopListening(): Promise<void> {
    this.#isDraining = true;
    // The error of `close` says that it was never open, which is closed enough.
    this.#closed ??= new Promise((resolve) => this.#server.close(() => resolve()));
    return this.#closed;
  }

  /** Node does not count a connection as idle before its first request. */
  #closeSilent(): void {
    for (const { socket, latestRequest } of this.#table.all()) {
      if (latestRequest === null) socket.destroy();
    }
  }

  #listenToServer(): void {
    const server = this.#server;
    server.on('connection', (socket) => this.#onConnection(socket));
    server.on('request', (request, response) => this.#onRequest(request, response, 'nothing'));
    server.on('checkContinue', (request, response) =>
      this.#onRequest(request, response, 'continue'),
    );
    server.on('checkExpectation', (request, response) =>
      this.#onRequest(request, response, 'unknown'),
    );
    server.on('clientError', (error, socket) => this.#onClientError(error, socket as Socket));
    server.on('connect', (_request, socket) => this.#onConnect(socket as Socket));
    server.on('drop', () => this.#deps.handler.refused('HTTP_CONNECTIONS_TOO_MANY'));
  }

  #onConnection(socket: Socket): void {
    const connection = this.#deps.handler.isTakingConnections()
      ? this.#table.add(socket, (oldest) => this.#reset(oldest.socket))
      : null;
    if (connection === null) return this.#reset(socket);
    socket.once('close', () => {
      this.#table.remove(connection);
      if (connection.latestRequest?.complete === false) connection.latest?.abort();
    });
  }

  #reset(socket: Socket): void {
    this.#deps.handler.refused('HTTP_CONNECTIONS_TOO_MANY');
    socket.resetAndDestroy();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, expectation: Expectation): void {
    const connection = this.#table.get(request.socket);
    if (connection === undefined) return; // Evicted in this very turn: the socket is gone.
    if (connection.latestRequest === null) this.#table.spoke(connection);
    connection.latestRequest = request;
    connection.latestResponse = response;
    const { handler } = this.#deps;
    connection.latest = handler.handle(request, response, connection, expectation);
  }

  /** The parser or a timer gave up on a connection; Node leaves the answer and the end to us. */
  #onClientError(error: ClientFault, socket: Socket): void {
    const connection = this.#table.get(socket);
    const isTls = error.rawPacket?.[0] === TLS_HANDSHAKE_BYTE;
    if (connection === undefined || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    if (connection.isBroken) return;
    connection.isBroken = true;
    const code = FAULT_CODES.get(error.code ?? '') ?? 'HTTP_REQUEST_MALFORMED';
    const { latest, latestRequest, latestResponse } = connection;
    if (latest !== null && latestRequest?.complete === false) {
      // It happened in the body of a request, so that request's answer says it, in its turn.
      latest.fail(code);
      return;
    }
    this.#deps.handler.refused(code);
    if (isTls) {
      socket.destroy(); // No plain text to a client that speaks TLS.
    } else if (latestResponse !== null && !latestResponse.writableFinished) {
      // Earlier requests of this connection are still being answered: theirs goes first.
      latestResponse.once('close', () => this.#answerSocket(socket, code));
    } else {
      this.#answerSocket(socket, code);
    }
  }

  #onConnect(socket: Socket): void {
    // Node has taken its own listeners off this socket.
    socket.on('error', () => socket.destroy());
    this.#deps.handler.refused('HTTP_METHOD_NOT_ALLOWED');
    this.#answerSocket(socket, 'HTTP_METHOD_NOT_ALLOWED');
  }

  /** Answers without a response object, then reads on for a moment so that the answer gets through. */
  #answerSocket(socket: Socket, code: HttpErrorCode): void {
    const refusal = REFUSALS.get(code);
    assert(refusal !== undefined, 'every fault of a connection has a status', { code });
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const { allow } = this.#options;
    socket.end(refusalBytes(refusal, { allow, retryAfterS: null, isLast: true }));
    socket.removeAllListeners('data');
    socket.on('data', ignore);
    socket.once('end', () => socket.destroy());
    socket.resume();
    const linger = this.#deps.clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', () => linger.cancel());
  }
}

function ignore(): void {}
