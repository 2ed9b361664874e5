/**
 * The open connections of a listener, with a bound per source address. Used by `listener.ts`.
 * When an address is at its bound, its oldest connection that never sent a whole request head makes
 * room; so a crowd of silent sockets pushes out its own members and not those that work. Only when
 * there is none the newcomer is refused.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpErrorCode } from './http-errors.ts';

/** The latest request of a connection, as the listener must know it when the connection breaks. */
export interface OpenRequest {
  /** The rest of the body will never come: answer with that code, and the connection ends. */
  fail(code: HttpErrorCode): void;
  /** The client is gone before its body was complete. */
  abort(): void;
}

export interface Connection {
  readonly socket: Socket;
  readonly address: string;
  /** Requests on it that have no answer yet; kept by the handler. More than one when pipelined. */
  openCount: number;
  latest: OpenRequest | null;
  latestRequest: IncomingMessage | null;
  latestResponse: ServerResponse | null;
  /** The parser gave up; what still comes in is thrown away. */
  isBroken: boolean;
}

interface Source {
  count: number;
  /** Those without a request yet, oldest first. */
  readonly silent: Set<Connection>;
}

export class ConnectionTable {
  readonly #connections = new Map<Socket, Connection>();
  readonly #sources = new Map<string, Source>();
  readonly #perSourceMax: number;

  constructor(perSourceMax: number) {
    this.#perSourceMax = perSourceMax;
  }

  get size(): number {
    return this.#connections.size;
  }

  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  all(): Iterable<Connection> {
    return this.#connections.values();
  }

  /** Takes the connection in, or returns `null` when it must be refused. `evict` closes another one. */
  add(socket: Socket, evict: (connection: Connection) => void): Connection | null {
    const address = socket.remoteAddress ?? '';
    let source = this.#sources.get(address);
    if (source === undefined) {
      source = { count: 0, silent: new Set() };
      this.#sources.set(address, source);
    }
    if (source.count >= this.#perSourceMax) {
      const [oldest] = source.silent;
      if (oldest === undefined) return null;
      this.remove(oldest);
      evict(oldest);
      this.#sources.set(address, source);
    }
    const connection: Connection = {
      socket,
      address,
      openCount: 0,
      latest: null,
      latestRequest: null,
      latestResponse: null,
      isBroken: false,
    };
    source.count += 1;
    source.silent.add(connection);
    this.#connections.set(socket, connection);
    return connection;
  }

  /** It has sent a whole head, so it is no longer the first to go. */
  spoke(connection: Connection): void {
    this.#sources.get(connection.address)?.silent.delete(connection);
  }

  remove(connection: Connection): void {
    if (!this.#connections.delete(connection.socket)) return;
    const source = this.#sources.get(connection.address);
    if (source === undefined) return;
    source.silent.delete(connection);
    source.count -= 1;
    if (source.count === 0) this.#sources.delete(connection.address);
  }
}
