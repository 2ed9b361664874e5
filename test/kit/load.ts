/**
 * A load generator: N keep-alive connections, closed loop (each connection sends again when it has its
 * answer) or open loop at a rate. Survives a server that is killed: an open request without an answer
 * has an unknown outcome, the connection is made anew. Used by `producer.ts` and by the bench.
 */
import { HttpConnection } from './http-connection.ts';

/** Where requests come from and where their outcomes go. Called on the load's own turn; keep it cheap. */
export interface RequestSource {
  /**
   * The next request for connection `slot`, or `null` for none now; the slot is asked again after
   * `wake`. The bytes stay untouched until `settled` of the slot.
   *
   * @param lateMs open loop: how long the request has been due because no connection was free.
   */
  next(slot: number, lateMs: number): Buffer | null;
  /** @param status `null`: unknown, the connection broke. */
  settled(slot: number, status: number | null): void;
}

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly connectionCount: number;
  /** Open loop at this rate; `null` for the closed loop. */
  readonly ratePerSecond: number | null;
}

const RECONNECT_MS = 20;
/** Open loop: how often it is looked what is due, at most. */
const TICK_MS_MIN = 1;
/** Requests that are due and find no connection; more are not owed any more. */
const OWED_MAX = 100_000;

export class Load {
  readonly #source: RequestSource;
  readonly #options: LoadOptions;
  readonly #connections: (HttpConnection | null)[] = [];
  /** Slots that are connected and have nothing to do. */
  readonly #idle: number[] = [];
  #isRunning = false;
  #isClosed = false;
  #openCount = 0;
  /** Open loop: what was due up to now, and what of it was sent. */
  #startedMs = 0;
  #dueCount = 0;
  #sentCount = 0;
  #timer: NodeJS.Timeout | null = null;
  #quiet: (() => void) | null = null;
  /** How often a connection broke or could not be made. */
  breakCount = 0;

  constructor(source: RequestSource, options: LoadOptions) {
    this.#source = source;
    this.#options = options;
  }

  start(): void {
    this.#isRunning = true;
    for (let slot = 0; slot < this.#options.connectionCount; slot++) {
      if (this.#connections[slot] === undefined) this.#connect(slot);
    }
    if (this.#options.ratePerSecond !== null) {
      this.#startedMs = performance.now();
      this.#dueCount = 0;
      this.#sentCount = 0;
      const tickMs = Math.max(TICK_MS_MIN, 1_000 / this.#options.ratePerSecond);
      this.#timer = setInterval(() => this.#tick(), tickMs);
    }
    this.wake();
  }

  /** Idle slots ask their source again. */
  wake(): void {
    const slots = this.#idle.splice(0);
    for (const slot of slots) this.#offer(slot);
  }

  /** Sends no more; resolves when no request is open. `start` goes on. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (this.#openCount === 0) return;
    await new Promise<void>((resolve) => {
      this.#quiet = resolve;
    });
  }

  /** Drops the connections; open requests become unknown. */
  close(): void {
    this.#isClosed = true;
    this.#isRunning = false;
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const [slot, connection] of this.#connections.entries()) {
      if (connection === null) continue;
      if (connection.isAwaiting) this.#settle(slot, null);
      connection.close();
    }
    this.#connections.length = 0;
  }

  #connect(slot: number): void {
    const { host, port } = this.#options;
    this.#connections[slot] = new HttpConnection(host, port, {
      opened: () => this.#offer(slot),
      answered: (status, isReusable) => {
        this.#settle(slot, status);
        if (isReusable) this.#offer(slot, this.#lateMs());
      },
      closed: (error) => this.#broken(slot, error),
    });
  }

  #broken(slot: number, error: Error | null): void {
    const connection = this.#connections[slot];
    const wasAwaiting = connection?.isAwaiting === true;
    this.#connections[slot] = null;
    const idleAt = this.#idle.indexOf(slot);
    if (idleAt >= 0) this.#idle.splice(idleAt, 1);
    if (error !== null || wasAwaiting) this.breakCount += 1;
    if (wasAwaiting) this.#settle(slot, null);
    if (this.#isClosed) return;
    const timer = setTimeout(() => {
      if (!this.#isClosed) this.#connect(slot);
    }, RECONNECT_MS);
    timer.unref();
  }

  #settle(slot: number, status: number | null): void {
    this.#openCount -= 1;
    this.#source.settled(slot, status);
    if (this.#openCount > 0) return;
    this.#quiet?.();
    this.#quiet = null;
  }

  /** Gives the free slot something to do, if there is something now. */
  #offer(slot: number, lateMs = 0): void {
    const connection = this.#connections[slot];
    if (connection === undefined || connection === null) return;
    const { ratePerSecond } = this.#options;
    const isOwed = ratePerSecond === null || this.#sentCount < this.#dueCount;
    const bytes = this.#isRunning && isOwed ? this.#source.next(slot, lateMs) : null;
    if (bytes === null) {
      this.#idle.push(slot);
      return;
    }
    this.#sentCount += 1;
    this.#openCount += 1;
    connection.send(bytes);
  }

  /** Of the request that a connection takes up when it becomes free. */
  #lateMs(): number {
    const { ratePerSecond } = this.#options;
    if (ratePerSecond === null || this.#sentCount >= this.#dueCount) return 0;
    const dueMs = this.#startedMs + ((this.#sentCount + 1) * 1000) / ratePerSecond;
    return Math.max(0, performance.now() - dueMs);
  }

  #tick(): void {
    const { ratePerSecond } = this.#options;
    if (ratePerSecond === null) return;
    const elapsedMs = performance.now() - this.#startedMs;
    const due = Math.floor((elapsedMs * ratePerSecond) / 1000);
    this.#dueCount = Math.min(due, this.#sentCount + OWED_MAX);
    for (let left = this.#idle.length; left > 0 && this.#sentCount < this.#dueCount; left--) {
      const slot = this.#idle.shift();
      if (slot !== undefined) this.#offer(slot);
    }
  }
}
