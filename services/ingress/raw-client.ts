/**
 * For tests: an HTTP client on a bare socket that sends exactly the bytes it is told, however wrong,
 * and reads answers by their Content-Length.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class RawClient {
  readonly socket: Socket;
  readonly #closing: Promise<void>;
  #received = '';
  #isClosed = false;
  #wake: (() => void) | null = null;

  static open(port: number, host = '127.0.0.1', localAddress?: string): Promise<RawClient> {
    const options = localAddress === undefined ? { port, host } : { port, host, localAddress };
    const socket = connect(options);
    return new Promise((resolve, reject) => {
      const onError = (error: Error & { readonly code?: string }): void => {
        // Reset before the connection was known to be made: it is closed, as it may be afterwards.
        if (error.code === 'ECONNRESET') resolve(new RawClient(socket));
        else reject(error);
      };
      socket.once('error', onError);
      socket.once('connect', () => {
        socket.off('error', onError);
        resolve(new RawClient(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake?.();
    });
    // A reset is an end like any other here; what came before it counts.
    socket.on('error', () => socket.destroy());
    this.#isClosed = socket.closed;
    this.#closing = new Promise((resolve) => {
      if (socket.closed) resolve();
      socket.on('close', () => {
        this.#isClosed = true;
        this.#wake?.();
        resolve();
      });
    });
  }

  /** Resolves when the other side has closed or reset the connection; with all that was not read. */
  get closed(): Promise<string> {
    return this.#closing.then(() => this.#received);
  }

  /** One byte per character. */
  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** The next answer, or `null` when the connection ended without one. */
  async answer(): Promise<RawAnswer | null> {
    for (;;) {
      const answer = this.#takeAnswer();
      if (answer !== null) return answer;
      if (this.#isClosed) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): void {
    this.socket.destroy();
  }

  #takeAnswer(): RawAnswer | null {
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return null;
    const [statusLine = '', ...lines] = this.#received.slice(0, headEnd).split('\r\n');
    const headers = new Map(lines.map(headerOf));
    const bodyStart = headEnd + 4;
    const length = Number(headers.get('content-length') ?? 0);
    if (this.#received.length < bodyStart + length) return null;
    const body = this.#received.slice(bodyStart, bodyStart + length);
    this.#received = this.#received.slice(bodyStart + length);
    return { status: Number(statusLine.split(' ')[1]), headers, body };
  }
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

/** Sends on a connection of its own and gives the first answer. */
export async function sendOnce(port: number, text: string): Promise<RawAnswer | null> {
  const client = await RawClient.open(port);
  client.send(text);
  const answer = await client.answer();
  client.end();
  return answer;
}

export interface RawRequest {
  readonly method?: string;
  readonly target?: string;
  readonly version?: string;
  /** Headers to leave out of the usual ones, lower case. */
  readonly without?: readonly string[];
  /** Whole lines, added behind. */
  readonly lines?: readonly string[];
  /** One byte per character. */
  readonly body?: string;
}

const USUAL_HEADERS: readonly string[] = [
  'Host: 127.0.0.1',
  'Content-Type: application/json',
  'ce-specversion: 1.0',
  'ce-id: 1',
  'ce-source: /test',
  'ce-type: com.example.test',
];

/** The bytes of a request; without changes it is a valid event in binary mode. */
export function rawRequest(request: RawRequest = {}): string {
  const { method = 'POST', target = '/ns/b', version = 'HTTP/1.1', body = '{}' } = request;
  const without = request.without ?? [];
  const usual = [...USUAL_HEADERS, `Content-Length: ${body.length}`].filter(
    (line) => !without.includes(headerOf(line)[0]),
  );
  const lines = [`${method} ${target} ${version}`, ...usual, ...(request.lines ?? [])];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

const BINARY_ONLY = ['content-type', 'ce-specversion', 'ce-id', 'ce-source', 'ce-type'];

/** A request whose body is the event, or a batch of them. */
export function rawJsonRequest(body: string, contentType = 'application/cloudevents+json'): string {
  return rawRequest({ without: BINARY_ONLY, lines: [`Content-Type: ${contentType}`], body });
}
