/**
 * The subscribers of the bench in one server on bare sockets: counts each event at each path, checks
 * its bytes, notes how long it travelled, answers 200. Written by hand so that it costs less than what
 * it measures. Paths: `/t/<n>` counts for Trigger n, `/miss` must never be called, `/dead` answers 500,
 * `/slow` answers after 500 ms.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import {
  DATA_BYTES,
  DATA_REST,
  ID_DIGITS,
  nowMicros,
  readDigits,
  STAMP_DIGITS,
  STAMP_MARK,
} from '../bench-event.ts';

const OK = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
const FAILED = Buffer.from('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n');
const HEAD_END = '\r\n\r\n';
const SLOW_MS = 500;
const IDS_MAX = 8_000_000;
const LATENCIES_MAX = 2_000_000;
const REST = Buffer.from(DATA_REST);

/** What arrived since `begin`. */
export interface SinkCounts {
  /** Different (Trigger, id) pairs. */
  pairCount: number;
  duplicateCount: number;
  /** Wrong length or bytes, or an id that cannot be. */
  corruptCount: number;
  /** At `/miss`, or at a Trigger that is not counted. */
  misroutedCount: number;
  lastMicros: number;
}

export class CountingServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** By Trigger, by id. */
  readonly #seen: Uint8Array[] = [];
  readonly #latencies = new Float64Array(LATENCIES_MAX);
  #latencyCount = 0;
  #wanted: { readonly pairCount: number; readonly resolve: () => void } | null = null;
  counts: SinkCounts = emptyCounts();

  constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** @returns the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  begin(triggerCount: number): void {
    for (const seen of this.#seen) seen.fill(0);
    while (this.#seen.length < triggerCount) this.#seen.push(new Uint8Array(IDS_MAX));
    this.#seen.length = triggerCount;
    this.#latencyCount = 0;
    this.counts = emptyCounts();
  }

  /** Resolves when so many pairs are there, or at the limit. */
  async settled(pairCount: number, limitMs: number): Promise<void> {
    if (this.counts.pairCount >= pairCount) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    this.#wanted = { pairCount, resolve };
    await promise;
    clearTimeout(timer);
    this.#wanted = null;
  }

  /** Pairs of accepted events that did not come. */
  lostCount(accepted: Uint8Array): number {
    let lost = 0;
    for (const seen of this.#seen) {
      for (let id = 0; id < accepted.length; id++) if (accepted[id] === 1 && seen[id] === 0) lost++;
    }
    return lost;
  }

  /** In milliseconds; `null` when nothing came. */
  percentiles(shares: readonly number[]): readonly (number | null)[] {
    const sorted = this.#latencies.slice(0, this.#latencyCount).sort();
    return shares.map((share) => {
      const micros = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
      return micros === undefined ? null : micros / 1_000;
    });
  }

  #serve(socket: Socket): void {
    let pending: Buffer | null = null;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined); // The mesh ended: what is missing is counted.
    socket.on('data', (chunk) => {
      let bytes = pending === null ? chunk : Buffer.concat([pending, chunk]);
      pending = null;
      while (bytes.length > 0) {
        const byteCount = this.#take(bytes, socket);
        if (byteCount === 0) {
          pending = bytes;
          return;
        }
        bytes = bytes.subarray(byteCount);
      }
    });
  }

  /** Handles the first request of `bytes`; 0 when it is not complete. */
  #take(bytes: Buffer, socket: Socket): number {
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return 0;
    const head = bytes.toString('latin1', 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) throw new Error(`Cannot read a request without a length: ${head}`);
    const bodyAt = headEnd + HEAD_END.length;
    const end = bodyAt + Number(length);
    if (end > bytes.length) return 0;
    // "POST /t/0 HTTP/1.1"
    const path = head.slice(5, head.indexOf(' ', 5));
    if (path.startsWith('/t/')) {
      this.#count(Number(path.slice(3)), head, bytes.subarray(bodyAt, end));
      socket.write(OK);
    } else if (path === '/dead') {
      socket.write(FAILED);
    } else if (path === '/slow') {
      setTimeout(() => socket.write(OK), SLOW_MS);
    } else {
      this.counts.misroutedCount += 1;
      socket.write(OK);
    }
    return end;
  }

  #count(trigger: number, head: string, body: Buffer): void {
    const { counts } = this;
    const seen = this.#seen[trigger];
    if (seen === undefined) {
      counts.misroutedCount += 1;
      return;
    }
    const now = nowMicros();
    const isBinary = body.length === DATA_BYTES;
    const stampAt = (isBinary ? 0 : body.indexOf(STAMP_MARK)) + STAMP_MARK.length;
    const restAt = stampAt + STAMP_DIGITS;
    const id = isBinary ? headerId(head) : bodyId(body);
    const isWhole = REST.compare(body, restAt, restAt + REST.length) === 0;
    if (!isWhole || !(id >= 0 && id < IDS_MAX)) {
      counts.corruptCount += 1;
      return;
    }
    counts.lastMicros = now;
    if (seen[id] !== 0) {
      counts.duplicateCount += 1;
      return;
    }
    seen[id] = 1;
    counts.pairCount += 1;
    if (this.#latencyCount < LATENCIES_MAX) {
      this.#latencies[this.#latencyCount++] = now - readDigits(body, stampAt, STAMP_DIGITS);
    }
    if (this.#wanted !== null && counts.pairCount >= this.#wanted.pairCount) this.#wanted.resolve();
  }
}

function emptyCounts(): SinkCounts {
  return { pairCount: 0, duplicateCount: 0, corruptCount: 0, misroutedCount: 0, lastMicros: 0 };
}

function headerId(head: string): number {
  return Number(/\r\nce-id: *(\d+)/i.exec(head)?.[1] ?? -1);
}

function bodyId(body: Buffer): number {
  const at = body.indexOf('"id":"');
  return at < 0 ? -1 : readDigits(body, at + 6, ID_DIGITS);
}
