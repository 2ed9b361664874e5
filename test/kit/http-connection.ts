/**
 * One keep-alive HTTP/1.1 connection of a load generator, written on the bare socket so that the load
 * costs little of the machine that it measures. One request at a time, and only answers that say
 * their length; anything else is an error, never a guess.
 */
import net from 'node:net';

export interface ConnectionEvents {
  /** Requests can be sent. */
  opened(): void;
  /** The whole answer is there. Without `isReusable` the server ends the connection: `closed` follows. */
  answered(status: number, isReusable: boolean): void;
  /** The socket is gone; an open request has no answer. Called once. */
  closed(error: Error | null): void;
}

const READ_BYTES = 16 * 1024;
const HEAD_BYTES_MAX = 64 * 1024;
const HEAD_END = '\r\n\r\n';
/** `HTTP/1.1 202`: the digits of the status. */
const STATUS_AT = 9;

export class HttpConnection {
  readonly #socket: net.Socket;
  readonly #events: ConnectionEvents;
  #isOpen = true;
  #isAwaiting = false;
  /** The head of the answer as far as it came; empty between answers. */
  #head = '';
  #status = 0;
  #isLast = false;
  #bodyBytesLeft = 0;
  /** The last head that was read; `#status` and `#isLast` are still its. */
  #knownHead: string | null = null;
  #knownLength = 0;
  #error: Error | null = null;

  constructor(host: string, port: number, events: ConnectionEvents) {
    this.#events = events;
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const onread: net.OnReadOpts = {
      buffer,
      callback: (byteCount: number): boolean => {
        this.#take(buffer, byteCount);
        return true;
      },
    };
    this.#socket = net.connect({ host, port, noDelay: true, onread });
    this.#socket.on('connect', () => events.opened());
    this.#socket.on('error', (error) => {
      this.#error = error;
    });
    this.#socket.on('close', () => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      events.closed(this.#error);
    });
  }

  /** True while an answer is due. */
  get isAwaiting(): boolean {
    return this.#isAwaiting;
  }

  /** Sends one whole request. `bytes` belongs to the connection until the answer. */
  send(bytes: Buffer): void {
    if (this.#isAwaiting) throw new Error('Cannot send: the last request has no answer yet');
    this.#isAwaiting = true;
    this.#socket.write(bytes);
  }

  /** Ends without `closed`. */
  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #take(buffer: Buffer, byteCount: number): void {
    let offset = 0;
    if (this.#bodyBytesLeft === 0) {
      this.#head += buffer.toString('latin1', 0, byteCount);
      const headEnd = this.#head.indexOf(HEAD_END);
      if (headEnd < 0) {
        if (this.#head.length > HEAD_BYTES_MAX) this.#fail('the head of the answer has no end');
        return;
      }
      // What came of the body in the same read, after the head.
      offset = byteCount - (this.#head.length - headEnd - HEAD_END.length);
      if (!this.#readHead(this.#head.slice(0, headEnd))) return;
      this.#head = '';
    }
    this.#bodyBytesLeft -= byteCount - offset;
    if (this.#bodyBytesLeft < 0) this.#fail('bytes after the answer');
    else if (this.#bodyBytesLeft === 0) this.#finish();
  }

  #readHead(head: string): boolean {
    if (!this.#isAwaiting) return this.#fail('an answer without a request');
    // Servers say the same again and again, but for the date: what was read once is known.
    if (head === this.#knownHead) {
      this.#bodyBytesLeft = this.#knownLength;
      return true;
    }
    this.#status = Number(head.slice(STATUS_AT, STATUS_AT + 3));
    if (!head.startsWith('HTTP/1.1 ') || !(this.#status >= 200)) {
      return this.#fail(`not a final answer: ${head.slice(0, 40)}`);
    }
    const fields = head.toLowerCase();
    this.#isLast = fields.includes('\r\nconnection: close');
    const hasNoBody = this.#status === 204 || this.#status === 304;
    const length = hasNoBody ? '0' : /\r\ncontent-length: *(\d+)/.exec(fields)?.[1];
    if (length === undefined) return this.#fail(`an answer without Content-Length: ${head}`);
    this.#bodyBytesLeft = Number(length);
    this.#knownHead = head;
    this.#knownLength = this.#bodyBytesLeft;
    return true;
  }

  #finish(): void {
    this.#isAwaiting = false;
    const isReusable = !this.#isLast;
    if (!isReusable) this.close();
    this.#events.answered(this.#status, isReusable);
    if (!isReusable) this.#events.closed(null);
  }

  #fail(reason: string): false {
    this.#error = new Error(`Cannot read the answer: ${reason}`);
    this.#socket.destroy();
    return false;
  }
}
