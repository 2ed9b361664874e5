/**
 * The child's half of `child-protocol.ts`: takes the parent's messages and drives an `EventSide`. Used
 * by `event-process.ts` with the real one, by tests with a small one. Invariant: when the parent is
 * gone, however it ended, this process ends within {@link ORPHAN_DRAIN_MS} and a little.
 */
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import {
  EXIT_CLEAN,
  EXIT_FATAL,
  faultOf,
  TAIL_BATCH_MAX,
  TAIL_PENDING_MAX,
} from '../child-protocol.ts';
import type { ChildCall, ChildMessage, ParentMessage } from '../child-protocol.ts';
import type { EventSide, TailEntry } from '../event-side.ts';

/** The way to the parent. */
export interface ParentChannel {
  /** `done` is called when the message is on its way, or lost with the parent. */
  send(message: ChildMessage, done?: () => void): void;
  onMessage(listener: (message: ParentMessage) => void): void;
  onDisconnect(listener: () => void): void;
}

export interface ServerDeps {
  readonly clock: Clock;
  readonly parent: ParentChannel;
  readonly create: (
    start: Extract<ParentMessage, { readonly kind: 'start' }>,
    onFatal: (error: unknown) => void,
  ) => Promise<{ readonly side: EventSide; readonly log: Logger }>;
  readonly exit: (code: number) => void;
}

/** Without a parent there is nobody to wait for; what is open is finished or left for the next start. */
export const ORPHAN_DRAIN_MS = 2_000;
const TAIL_FLUSH_MS = 50;

export function serveEventSide(deps: ServerDeps): { terminate(drainMs: number): void } {
  const server = new Server(deps);
  deps.parent.onMessage((message) => server.take(message));
  deps.parent.onDisconnect(() => void server.end(ORPHAN_DRAIN_MS));
  return { terminate: (drainMs) => void server.end(drainMs) };
}

class Server {
  readonly #deps: ServerDeps;
  readonly #tail: TailSender;
  #side: EventSide | null = null;
  #log: Logger | null = null;
  #isEnding = false;

  constructor(deps: ServerDeps) {
    this.#deps = deps;
    this.#tail = new TailSender(deps.clock, deps.parent);
  }

  /** Messages are taken in order; only `start` is waited for by the parent before it sends more. */
  take(message: ParentMessage): void {
    switch (message.kind) {
      case 'start':
        void this.#start(message);
        break;
      case 'request':
        void this.#answer(message.id, message.call);
        break;
      case 'routing':
        this.#side?.apply(message.patches, message.revision);
        if (message.isLast) this.#send({ kind: 'applied', revision: message.revision });
        break;
      case 'synced':
        void this.#sync();
        break;
      case 'drain':
        void this.#drain(message.deadlineMs);
        break;
      case 'close':
        void this.end(0);
        break;
    }
  }

  /** Drains for at most `drainMs`, closes, exits. */
  async end(drainMs: number): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    // Whatever hangs in the end must not keep an orphan alive.
    this.#deps.clock.after(drainMs + ORPHAN_DRAIN_MS, () => this.#deps.exit(EXIT_CLEAN));
    try {
      if (drainMs > 0) await this.#side?.drain(drainMs);
      await this.#side?.close();
    } catch (error) {
      this.#log?.error('the end was not clean', { error: messageOf(error) });
    }
    this.#deps.exit(EXIT_CLEAN);
  }

  async #start(message: Extract<ParentMessage, { readonly kind: 'start' }>): Promise<void> {
    try {
      const { side, log } = await this.#deps.create(message, (error) => this.fail(error));
      this.#side = side;
      this.#log = log;
      const started = await side.start();
      if (!this.#isEnding) this.#send({ kind: 'opened', ...started });
    } catch (error) {
      this.fail(error);
    }
  }

  /** Tells the parent why, and exits when the message is out. */
  fail(error: unknown): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#log?.error('this process cannot go on', { error: messageOf(error) });
    const exit = (): void => this.#deps.exit(EXIT_FATAL);
    this.#deps.clock.after(ORPHAN_DRAIN_MS, exit);
    this.#deps.parent.send({ kind: 'fatal', fault: faultOf(error) }, () => {
      void (this.#side?.close() ?? Promise.resolve()).then(exit, exit);
    });
  }

  async #sync(): Promise<void> {
    try {
      await this.#side?.markSynced();
      this.#send({ kind: 'ready' });
    } catch (error) {
      this.fail(error);
    }
  }

  async #drain(deadlineMs: number): Promise<void> {
    try {
      await this.#side?.drain(deadlineMs);
    } catch (error) {
      this.#log?.error('the drain was not clean', { error: messageOf(error) });
    }
    this.#send({ kind: 'drained' });
  }

  async #answer(id: number, call: ChildCall): Promise<void> {
    try {
      const side = this.#side;
      if (side === null) throw new TypeError('a request before the start');
      this.#send({ kind: 'answer', id, value: await this.#invoke(side, call) });
    } catch (error) {
      this.#send({ kind: 'failed', id, fault: faultOf(error) });
    }
  }

  #invoke(side: EventSide, call: ChildCall): Promise<unknown> {
    switch (call.method) {
      case 'ensure':
        return side.ensure(call.params).then(() => null);
      case 'status':
        return side.status();
      case 'metrics':
        return Promise.resolve(side.metrics());
      case 'tail':
        side.tail(call.params.isOn ? (entry) => this.#tail.add(entry) : null);
        return Promise.resolve(null);
      case 'replay':
        return side.replay(call.params);
      case 'parkedList':
        return side.parkedList(call.params);
      case 'parkedShow':
        return side.parkedShow(call.params.id);
      case 'parkedRedrive':
        return side.parkedRedrive(call.params.ids);
      case 'parkedDrop':
        return side.parkedDrop(call.params.ids);
    }
  }

  #send(message: ChildMessage): void {
    this.#deps.parent.send(message);
  }
}

/** Batches tail entries; when the parent is slow, they are counted instead of kept. */
class TailSender {
  readonly #clock: Clock;
  readonly #parent: ParentChannel;
  #batch: TailEntry[] = [];
  #pendingCount = 0;
  #skippedCount = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, parent: ParentChannel) {
    this.#clock = clock;
    this.#parent = parent;
  }

  add(entry: TailEntry): void {
    if (this.#pendingCount + this.#batch.length >= TAIL_PENDING_MAX) {
      this.#skippedCount++;
      return;
    }
    this.#batch.push(entry);
    if (this.#batch.length >= TAIL_BATCH_MAX) this.#flush();
    else this.#timer ??= this.#clock.after(TAIL_FLUSH_MS, () => this.#flush());
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const entries = this.#batch;
    const skippedCount = this.#skippedCount;
    if (entries.length === 0) return;
    this.#batch = [];
    this.#skippedCount = 0;
    this.#pendingCount += entries.length;
    this.#parent.send({ kind: 'tail', entries, skippedCount }, () => {
      this.#pendingCount -= entries.length;
    });
  }
}
