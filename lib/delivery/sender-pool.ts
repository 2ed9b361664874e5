/**
 * The connections to one origin, shared by all destinations there, and the line in front of them. Used
 * by the sender. Invariants: never more connections than the limit of the host; never more requests of
 * a destination than its own limit, so one that hangs leaves the others their share; destinations that
 * wait take turns. Own pool over undici's clients, because undici's walks all of its clients at every
 * dispatch, cannot drop a request that waits, and does not tell a fresh connection from a used one.
 */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { Client } from 'undici';
import { assert } from '#lib/assert/assert';
import { Fifo } from '#lib/async/fifo';
import { openConnection } from './sender-connect.ts';
import type { ConnectDeps } from './sender-connect.ts';
import type { Deadlines } from './sender-deadlines.ts';
import { Exchange } from './sender-exchange.ts';
import type { ExchangeContext } from './sender-exchange.ts';
import type { OutgoingMessage, SendResult } from './http-sender.ts';

/** Requests of one destination that may wait for a connection: far above any window. */
export const WAITING_COUNT_MAX = 10_000;
/** Idle connections are closed after this, or 2 s before the time that the other side announces. */
const KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_MS_MAX = 60_000;
const HEADER_BYTES_MAX = 16_384;

const CLOSED: SendResult = {
  kind: 'error',
  reason: 'SenderClosed',
  message: 'the sender is closed',
};
const QUEUE_FULL: SendResult = {
  kind: 'error',
  reason: 'QueueFull',
  message: `more than ${WAITING_COUNT_MAX} requests wait for a connection`,
};

/** One undici client, which has one socket at a time. */
export interface Connection {
  client: Client | null;
  socket: Socket | null;
  exchange: Exchange | null;
  /** Responses that the present socket has carried to their end. */
  servedCount: number;
}

/** A destination's share of a pool. */
export interface DestinationSlot {
  readonly path: string;
  readonly openMax: number;
  /** Some of them may be over already: timed out, aborted. */
  readonly waiting: Fifo<Exchange>;
  overCount: number;
  openCount: number;
  isInLine: boolean;
  isClosed: boolean;
}

export interface PoolDeps extends ConnectDeps {
  readonly deadlines: Deadlines;
  readonly onResend: () => void;
  readonly onConnection: () => void;
  /** Nothing is open, and nobody can open anything any more. */
  readonly onEnd: (pool: HostPool) => void;
}

export interface PoolOptions {
  readonly origin: URL;
  readonly secure: SecureContext | null;
  readonly connectionsMax: number;
  readonly replyBytesMax: number;
}

export class HostPool {
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions;
  readonly #context: ExchangeContext;
  readonly #slots = new Set<DestinationSlot>();
  readonly #connections = new Set<Connection>();
  /** The latest used last: the others may time out. */
  readonly #idle: Connection[] = [];
  /** Destinations with something waiting and room for it, each at most once. */
  readonly #line = new Fifo<DestinationSlot>();
  #ending: Promise<void>[] = [];
  #isClosed = false;

  constructor(deps: PoolDeps, options: PoolOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#context = {
      monotonicMs: () => deps.clock.monotonicMs(),
      replyBytesMax: options.replyBytesMax,
      over: (exchange, isReusable) => this.#over(exchange, isReusable),
      resend: (exchange) => this.#resend(exchange),
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** True when no destination holds it open any more; what is still open goes on to its end. */
  get isLeft(): boolean {
    for (const slot of this.#slots) if (!slot.isClosed) return false;
    return true;
  }

  join(path: string, openMax: number): DestinationSlot {
    const slot: DestinationSlot = {
      path,
      openMax,
      waiting: new Fifo(),
      overCount: 0,
      openCount: 0,
      isInLine: false,
      isClosed: false,
    };
    this.#slots.add(slot);
    return slot;
  }

  leave(slot: DestinationSlot): void {
    slot.isClosed = true;
    this.#forget(slot);
    this.#endWhenLeft();
  }

  submit(
    slot: DestinationSlot,
    message: OutgoingMessage,
    timeoutMs: number,
    done: (result: SendResult) => void,
  ): Exchange {
    const exchange = new Exchange(slot, this.#context, message, done);
    this.#deps.deadlines.add(exchange, timeoutMs);
    if (this.#isClosed) exchange.fail(CLOSED);
    else if (slot.waiting.size >= WAITING_COUNT_MAX) exchange.fail(QUEUE_FULL);
    else this.#admit(slot, exchange);
    exchange.isSubmitting = false;
    return exchange;
  }

  #admit(slot: DestinationSlot, exchange: Exchange): void {
    const hasTurn = this.#line.size === 0 && slot.waiting.size === 0;
    const connection = hasTurn && slot.openCount < slot.openMax ? this.#take() : null;
    if (connection !== null) {
      slot.openCount += 1;
      this.#start(exchange, connection);
      return;
    }
    exchange.isWaiting = true;
    slot.waiting.push(exchange);
    this.#joinLine(slot);
  }

  #joinLine(slot: DestinationSlot): void {
    if (slot.isInLine || slot.waiting.size === 0 || slot.openCount >= slot.openMax) return;
    slot.isInLine = true;
    this.#line.push(slot);
  }

  /** Gives connections to those who wait, one each in turn. */
  #serve(): void {
    while (this.#hasConnection) {
      const exchange = this.#nextInLine();
      if (exchange === null) return;
      const connection = this.#take();
      assert(connection !== null, 'a connection is still there');
      this.#start(exchange, connection);
    }
  }

  get #hasConnection(): boolean {
    return this.#idle.length > 0 || this.#connections.size < this.#options.connectionsMax;
  }

  #nextInLine(): Exchange | null {
    for (let slot = this.#line.shift(); slot !== undefined; slot = this.#line.shift()) {
      slot.isInLine = false;
      let exchange = slot.waiting.shift();
      while (exchange?.isDone === true) {
        slot.overCount -= 1;
        exchange = slot.waiting.shift();
      }
      if (exchange === undefined) continue;
      exchange.isWaiting = false;
      slot.openCount += 1;
      this.#joinLine(slot);
      return exchange;
    }
    return null;
  }

  #take(): Connection | null {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#connections.size >= this.#options.connectionsMax) return null;
    return this.#open();
  }

  #open(): Connection {
    const connection: Connection = { client: null, socket: null, exchange: null, servedCount: 0 };
    const { origin, secure } = this.#options;
    const port = Number(origin.port) || (origin.protocol === 'https:' ? 443 : 80);
    const client = new Client(origin.origin, {
      pipelining: 1,
      allowH2: false,
      // Times are kept by the wheel, for the whole attempt.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS_MAX,
      maxHeaderSize: HEADER_BYTES_MAX,
      connect: (options, callback) => {
        connection.servedCount = 0;
        this.#deps.onConnection();
        const target = { hostname: options.hostname, port, secure };
        connection.socket = openConnection(this.#deps, target, (fault, socket) => {
          if (socket !== null) callback(null, socket);
          else if (fault !== null) callback(fault, null);
        });
      },
    });
    client.on('disconnect', () => this.#disconnected(connection));
    connection.client = client;
    this.#connections.add(connection);
    return connection;
  }

  #start(exchange: Exchange, connection: Connection): void {
    const { client } = connection;
    const { message } = exchange;
    assert(client !== null && message !== null, 'an open request starts on an open connection');
    connection.exchange = exchange;
    exchange.connection = connection;
    client.dispatch(
      {
        path: exchange.destination.path,
        method: 'POST',
        headers: message.headers,
        body: message.body,
      },
      exchange,
    );
  }

  /** From the exchange, when its result is known: whoever waits may go on, then `done` is called. */
  #over(exchange: Exchange, isReusable: boolean): void {
    this.#deps.deadlines.remove(exchange);
    const { connection, destination: slot } = exchange;
    if (connection === null) {
      if (exchange.isWaiting) this.#overInLine(slot);
      return;
    }
    exchange.connection = null;
    connection.exchange = null;
    connection.servedCount += 1;
    slot.openCount -= 1;
    if (isReusable && !this.#isClosed) this.#idle.push(connection);
    else this.#retire(connection);
    this.#joinLine(slot);
    this.#serve();
    if (!slot.isClosed) return;
    this.#forget(slot);
    this.#endWhenLeft();
  }

  /** One that was over before its turn is skipped in line; too many of them are taken out. */
  #overInLine(slot: DestinationSlot): void {
    slot.overCount += 1;
    if (slot.overCount < 64 || slot.overCount * 2 < slot.waiting.size) return;
    for (const waiting of slot.waiting.drain()) if (!waiting.isDone) slot.waiting.push(waiting);
    slot.overCount = 0;
  }

  #forget(slot: DestinationSlot): void {
    if (slot.openCount === 0 && slot.waiting.size <= slot.overCount) this.#slots.delete(slot);
  }

  #endWhenLeft(): void {
    if (!this.isLeft) return;
    for (const connection of this.#idle.splice(0)) this.#retire(connection);
    if (this.#slots.size === 0) this.#deps.onEnd(this);
  }

  /** The client has lost its socket and makes a new one; the request keeps its place and its time. */
  #resend(exchange: Exchange): void {
    const { connection } = exchange;
    assert(connection !== null, 'a request that is sent again has its connection');
    this.#deps.onResend();
    // undici is amid closing the socket; once it has finished, the client connects anew.
    queueMicrotask(() => {
      if (!exchange.isDone) this.#start(exchange, connection);
    });
  }

  #disconnected(connection: Connection): void {
    if (connection.exchange !== null) return; // The client goes on with it, or has reported it.
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#retire(connection);
  }

  #retire(connection: Connection): void {
    const { client } = connection;
    if (client === null) return;
    connection.client = null;
    this.#connections.delete(connection);
    // A socket that is still connecting is not undici's yet.
    connection.socket?.destroy();
    const ended = client.destroy();
    if (this.#isClosed) this.#ending.push(ended);
    else void ended; // Never rejects.
  }

  /** Ends everything; resolves when the sockets are closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const slot of this.#slots) {
      for (const exchange of slot.waiting.drain()) {
        exchange.isWaiting = false;
        exchange.fail(CLOSED);
      }
      slot.overCount = 0;
    }
    for (const connection of [...this.#connections]) {
      if (connection.exchange !== null) connection.exchange.fail(CLOSED);
      else this.#retire(connection);
    }
    this.#idle.length = 0;
    await Promise.all(this.#ending);
    this.#ending = [];
  }
}
