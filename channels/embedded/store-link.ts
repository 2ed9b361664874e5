/**
 * The client's end of the local socket: one connection, kept up with back-off, and the calls that wait
 * for an answer over it. Used by `store-client.ts`. Invariant: every call ends: with its answer, or
 * with CHANNEL_NOT_CONNECTED when the connection goes or the owner says nothing for a minute. Calls
 * are never repeated here: whether one was carried out before the connection broke is not known.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { channelError } from '#lib/channel/channel-errors';
import { messageOf } from '#lib/errors/mesh-error';
import type { MeshError } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import { errorOfCode } from './embedded-errors.ts';
import { FrameReader, FrameWriter } from './store-frames.ts';
import type { Frame } from './store-frames.ts';
import { readAnnounced, readWelcome, readWireError, textOf } from './store-messages.ts';
import {
  FRAME_ENDS,
  FRAME_ERROR,
  FRAME_HELLO,
  FRAME_TOPIC_REMOVED,
  FRAME_WELCOME,
  STORE_PROTOCOL,
  readJson,
} from './store-protocol.ts';
import type { AnnouncedEnds, Hello, Welcome } from './store-protocol.ts';

export interface StoreLinkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface StoreLinkOptions {
  readonly socketPath: string;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onEnds: (ends: AnnouncedEnds) => void;
  readonly onTopicRemoved: (topic: string) => void;
}

/** What a call does with its answer: a frame of any kind but an error. */
export interface PendingCall {
  onAnswer(frame: Frame): void;
  onError(error: MeshError): void;
}

const PENDING_COUNT_MAX = 65_536;
const UNSENT_BYTES_MAX = 128 * 1024 * 1024;
const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 1000;
const SILENCE_LOOK_MS = 5000;
const SILENCE_MS_MAX = 60_000;

export class StoreLink {
  readonly #deps: StoreLinkDeps;
  readonly #options: StoreLinkOptions;
  readonly #pending = new Map<number, PendingCall>();
  readonly #watch: Timer;
  #socket: Socket | null = null;
  /** Present only when the owner has welcomed us. */
  #writer: FrameWriter | null = null;
  #lastId = 0;
  #heardMs: number;
  #backoffMs = BACKOFF_MS_MIN;
  #retry: Timer | null = null;
  #isClosed = false;
  /** The reason why the last connection or the last try ended. */
  #lastReason = 'not tried yet';
  /** A greeting that can never succeed: another protocol. */
  #refusal: MeshError | null = null;
  #onChange: (() => void)[] = [];

  constructor(deps: StoreLinkDeps, options: StoreLinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#heardMs = deps.clock.monotonicMs();
    this.#watch = deps.clock.every(SILENCE_LOOK_MS, () => this.#lookForSilence());
    this.#connect();
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Sends one call: `write` gets the writer and the id of the call, and writes exactly one frame.
   * A call that cannot be sent ends at once.
   */
  send(call: PendingCall, write: (writer: FrameWriter, id: number) => void): void {
    const writer = this.#writer;
    const refusal = this.#whyNot(writer);
    if (writer === null || refusal !== null) {
      call.onError(refusal ?? this.#notConnected());
      return;
    }
    this.#lastId = this.#lastId === 0xffff_ffff ? 1 : this.#lastId + 1;
    this.#pending.set(this.#lastId, call);
    write(writer, this.#lastId);
  }

  /** Resolves when the owner has welcomed us. @throws CHANNEL_NOT_CONNECTED after `waitMs`. */
  async waitForWelcome(waitMs: number): Promise<void> {
    const deadline = this.#deps.clock.after(waitMs, () => this.#changed());
    const endMs = this.#deps.clock.monotonicMs() + waitMs;
    try {
      while (this.#writer === null) {
        if (this.#refusal !== null) throw this.#refusal;
        if (this.#isClosed || this.#deps.clock.monotonicMs() >= endMs) throw this.#notConnected();
        await new Promise<void>((resolve) => this.#onChange.push(resolve));
      }
    } finally {
      deadline.cancel();
    }
  }

  /** Waits for open calls, `waitMs` at most, then hangs up for good. Never throws. */
  async close(waitMs: number): Promise<void> {
    const endMs = this.#deps.clock.monotonicMs() + waitMs;
    const deadline = this.#deps.clock.after(waitMs, () => this.#changed());
    this.#isClosed = true;
    while (this.#pending.size > 0 && this.#deps.clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => this.#onChange.push(resolve));
    }
    deadline.cancel();
    this.#retry?.cancel();
    this.#watch.cancel();
    const socket = this.#socket;
    if (socket === null || socket.destroyed) return;
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.destroy();
    });
  }

  #whyNot(writer: FrameWriter | null): MeshError | null {
    if (this.#isClosed) {
      return channelError('CHANNEL_CLOSED', 'Cannot use the store: this client of it is closed');
    }
    if (this.#refusal !== null) return this.#refusal;
    if (writer === null) return this.#notConnected();
    const isFull =
      this.#pending.size >= PENDING_COUNT_MAX || writer.waitingBytes >= UNSENT_BYTES_MAX;
    if (!isFull) return null;
    return channelError(
      'CHANNEL_FULL',
      `Cannot call the owner of the store: ${this.#pending.size} calls and ${writer.waitingBytes} ` +
        `bytes wait for it, limits are ${PENDING_COUNT_MAX} and ${UNSENT_BYTES_MAX}`,
    );
  }

  #notConnected(): MeshError {
    return channelError(
      'CHANNEL_NOT_CONNECTED',
      `Cannot reach the owner of the store at "${this.#options.socketPath}": ${this.#lastReason}`,
    );
  }

  #connect(): void {
    this.#retry = null;
    const socket = createConnection(this.#options.socketPath);
    this.#socket = socket;
    this.#heardMs = this.#deps.clock.monotonicMs();
    const writer = new FrameWriter(socket, this.#deps.clock);
    const reader = new FrameReader((frame) => this.#onFrame(frame, writer));
    socket.on('connect', () => {
      const hello: Hello = { protocol: STORE_PROTOCOL, pid: process.pid };
      writer.json(FRAME_HELLO, 0, hello);
    });
    socket.on('data', (chunk: Buffer) => {
      this.#heardMs = this.#deps.clock.monotonicMs();
      try {
        reader.push(chunk);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      }
    });
    let reason = 'it hung up';
    socket.on('error', (error) => {
      reason = messageOf(error);
    });
    socket.on('close', () => this.#onLost(reason));
  }

  #onFrame(frame: Frame, writer: FrameWriter): void {
    switch (frame.kind) {
      case FRAME_WELCOME:
        this.#options.onWelcome(readWelcome(readJson(frame)));
        this.#backoffMs = BACKOFF_MS_MIN;
        this.#writer = writer;
        this.#changed();
        break;
      case FRAME_ENDS:
        this.#options.onEnds(readAnnounced(readJson(frame)));
        break;
      case FRAME_TOPIC_REMOVED:
        this.#options.onTopicRemoved(textOf(readJson(frame)));
        break;
      case FRAME_ERROR: {
        const { code, message } = readWireError(readJson(frame));
        if (this.#writer === null) {
          this.#refusal = errorOfCode(code, message);
          this.#socket?.destroy();
        } else {
          this.#take(frame.id)?.onError(errorOfCode(code, message));
        }
        break;
      }
      default:
        this.#take(frame.id)?.onAnswer(frame);
    }
  }

  #take(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#isClosed && this.#pending.size === 0) this.#changed();
    return call;
  }

  #onLost(reason: string): void {
    this.#lastReason = reason;
    this.#socket = null;
    if (this.#writer !== null && !this.#isClosed) {
      this.#deps.logger.warn('The owner of the store is gone; trying again', { reason });
    }
    this.#writer = null;
    const error = this.#notConnected();
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of lost) call.onError(error);
    this.#changed();
    if (this.#isClosed || this.#refusal !== null) return;
    const delayMs = this.#backoffMs * (0.5 + this.#deps.random.float());
    this.#backoffMs = Math.min(BACKOFF_MS_MAX, this.#backoffMs * 2);
    this.#retry = this.#deps.clock.after(delayMs, () => this.#connect());
  }

  /** An owner that is stopped keeps the connection open and never answers. */
  #lookForSilence(): void {
    const isWaiting = this.#pending.size > 0 || this.#writer === null;
    const silentMs = this.#deps.clock.monotonicMs() - this.#heardMs;
    if (!isWaiting) this.#heardMs = this.#deps.clock.monotonicMs();
    else if (silentMs >= SILENCE_MS_MAX) {
      this.#socket?.destroy(new Error(`it said nothing for ${Math.round(silentMs)} ms`));
    }
  }

  #changed(): void {
    const waiters = this.#onChange;
    this.#onChange = [];
    for (const resolve of waiters) resolve();
  }
}
