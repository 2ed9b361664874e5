/**
 * The server's end of one connection: greets, runs what it is asked for, answers, and announces how far
 * the log is durable. Made by `store-server.ts`. Invariants: nothing is run before a greeting of the
 * same protocol; the end that a receipt or a reply implies is announced before it; what is under way
 * is bounded, then nothing more is read until some of it is done.
 */
import type { Socket } from 'node:net';
import type { DurableEnd } from './embedded-log.ts';
import { AssertionFailure } from '#lib/assert/assert';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Receipt } from '#lib/channel/receipt';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { EmbeddedDriver } from './embedded-driver.ts';
import { FrameReader, FrameWriter } from './store-frames.ts';
import type { Frame } from './store-frames.ts';
import {
  FRAME_APPEND,
  FRAME_APPEND_ALL,
  FRAME_CALL,
  FRAME_ENDS,
  FRAME_ERROR,
  FRAME_HELLO,
  FRAME_RECEIPTS,
  FRAME_REQUEST,
  FRAME_RESULT,
  FRAME_TOPIC_REMOVED,
  FRAME_WELCOME,
  RECEIPT_BYTES,
  STORE_PROTOCOL,
  readAppend,
  readJson,
  readRequest,
  writeReply,
} from './store-protocol.ts';
import type { AnnouncedEnds, Welcome, WireError } from './store-protocol.ts';
import { readCall, readHello } from './store-messages.ts';
import type { StoreCall } from './store-protocol.ts';
import type { StoreOp } from './store-request.ts';

export interface SessionDeps {
  readonly driver: EmbeddedDriver;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The topic is gone: all sessions tell their clients. */
  readonly onTopicRemoved: (topic: string) => void;
  readonly onClose: (session: StoreSession) => void;
}

/** What only the owner itself may ask the database for. */
const OWNER_OPS: ReadonlySet<StoreOp> = new Set(['topicRemove', 'cursorMarks', 'status', 'tidy']);

const HELLO_WAIT_MS = 5000;
const HANG_UP_WAIT_MS = 2000;
const OPEN_COUNT_MAX = 8192;
const OPEN_BYTES_MAX = 64 * 1024 * 1024;
const UNREAD_BYTES_MAX = 64 * 1024 * 1024;

export class StoreSession {
  readonly #socket: Socket;
  readonly #deps: SessionDeps;
  readonly #writer: FrameWriter;
  readonly #helloTimer: Timer;
  #state: 'new' | 'greeting' | 'greeted' = 'new';
  /** Announcements while the welcome is being written; they come behind it. */
  #missed: DurableEnd[] = [];
  #openCount = 0;
  #openBytes = 0;
  #onIdle: (() => void) | null = null;

  constructor(socket: Socket, deps: SessionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#writer = new FrameWriter(socket, deps.clock);
    const reader = new FrameReader((frame) => this.#onFrame(frame));
    this.#helloTimer = deps.clock.after(HELLO_WAIT_MS, () => {
      if (this.#state === 'new') this.#breakOff('no greeting came');
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#breakOff(messageOf(error));
      }
    });
    socket.on('drain', () => this.#resume());
    socket.on('error', (error) => deps.logger.debug('A client went', { error: messageOf(error) }));
    socket.on('close', () => {
      this.#helloTimer.cancel();
      this.#onIdle?.();
      deps.onClose(this);
    });
  }

  announce(ends: readonly DurableEnd[]): void {
    if (this.#state === 'greeting') this.#missed.push(...ends);
    if (this.#state !== 'greeted' || ends.length === 0) return;
    const announced = ends.map(({ topic, partition, next }) => [topic, partition, next]);
    this.#writer.json(FRAME_ENDS, 0, announced);
  }

  announceRemoval(topic: string): void {
    if (this.#state === 'greeted') this.#writer.json(FRAME_TOPIC_REMOVED, 0, topic);
  }

  /** Takes nothing more, answers what is under way, and hangs up. */
  async close(): Promise<void> {
    this.#socket.pause();
    if (this.#openCount > 0 && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#writer.flush();
    await this.#hangUp();
    this.#socket.destroy();
  }

  /** Until the client has got everything, or does not take it. */
  async #hangUp(): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const deadline = this.#deps.clock.after(HANG_UP_WAIT_MS, resolve);
      const onGone = (): void => {
        deadline.cancel();
        resolve();
      };
      this.#socket.once('close', onGone);
      this.#socket.end(onGone);
    });
  }

  #onFrame(frame: Frame): void {
    if (this.#state !== 'greeted') {
      if (this.#state === 'greeting') this.#breakOff('it spoke before it was welcomed');
      else this.#greet(frame).catch((error: unknown) => this.#breakOff(messageOf(error)));
      return;
    }
    switch (frame.kind) {
      case FRAME_APPEND:
      case FRAME_APPEND_ALL:
        this.#append(frame);
        break;
      case FRAME_REQUEST:
        this.#run(frame, () => this.#request(frame));
        break;
      case FRAME_CALL:
        this.#run(frame, () => this.#call(frame));
        break;
      default:
        this.#breakOff(`a frame of kind ${frame.kind} came`);
    }
  }

  async #greet(frame: Frame): Promise<void> {
    const hello = frame.kind === FRAME_HELLO ? readHello(readJson(frame)) : null;
    if (hello?.protocol !== STORE_PROTOCOL) {
      const found = hello?.protocol ?? 'none';
      this.#sendError(frame.id, {
        code: 'STORE_PROTOCOL_MISMATCH',
        message: `Cannot serve the store: the client speaks protocol ${found}, this is ${STORE_PROTOCOL}`,
      });
      this.#writer.flush();
      this.#socket.end();
      return;
    }
    this.#state = 'greeting';
    this.#helloTimer.cancel();
    const { driver } = this.#deps;
    const welcome: Welcome = {
      protocol: STORE_PROTOCOL,
      pid: process.pid,
      logDirectory: driver.logDirectory,
      ends: await allEnds(driver),
    };
    this.#writer.json(FRAME_WELCOME, frame.id, welcome);
    this.#state = 'greeted';
    const missed = this.#missed;
    this.#missed = [];
    this.announce(missed);
  }

  #append(frame: Frame): void {
    const { log } = this.#deps.driver;
    const { topic, options, records } = readAppend(frame);
    const sizeBytes = frame.end - frame.start;
    this.#begin(sizeBytes);
    const [only] = records;
    const appended: Promise<Receipt | readonly Receipt[]> =
      frame.kind === FRAME_APPEND && only !== undefined
        ? log.append(topic, only, options)
        : log.appendAll(topic, records, options);
    appended.then(
      (receipts) => {
        this.#sendReceipts(frame.id, receipts);
        this.#end(sizeBytes);
      },
      (error: unknown) => {
        this.#sendError(frame.id, wireError(error));
        this.#end(sizeBytes);
      },
    );
  }

  #run(frame: Frame, run: () => Promise<void>): void {
    const sizeBytes = frame.end - frame.start;
    this.#begin(sizeBytes);
    run().then(
      () => this.#end(sizeBytes),
      (error: unknown) => {
        this.#sendError(frame.id, wireError(error));
        this.#end(sizeBytes);
      },
    );
  }

  async #request(frame: Frame): Promise<void> {
    const request = readRequest(frame);
    if (OWNER_OPS.has(request.op)) throw new RangeError(`"${request.op}" is the owner's own`);
    writeReply(this.#writer, frame.id, await this.#deps.driver.store.request(request));
  }

  async #call(frame: Frame): Promise<void> {
    const call = readCall(readJson(frame));
    this.#writer.json(FRAME_RESULT, frame.id, await this.#result(call));
  }

  async #result(call: StoreCall): Promise<unknown> {
    const { admin, log } = this.#deps.driver;
    switch (call.call) {
      case 'ensureTopic':
        await admin.ensureTopic(call.topic, { partitions: call.partitions });
        return null;
      case 'removeTopic':
        await admin.removeTopic(call.topic);
        this.#deps.onTopicRemoved(call.topic);
        return null;
      case 'topics':
        return admin.topics();
      case 'verify':
        return admin.verify();
      case 'usage':
        return admin.usage();
      case 'ends':
        return log.ends(call.topic);
      case 'backlogBytes':
        return admin.backlogBytes(call.topic, call.partition, call.from);
      case 'seekTime':
        return log.seekTime(call.topic, call.partition, call.timeMs);
    }
  }

  #sendReceipts(id: number, receipts: Receipt | readonly Receipt[]): void {
    const list = 'length' in receipts ? receipts : [receipts];
    const { bytes, start } = this.#writer.frame(FRAME_RECEIPTS, id, RECEIPT_BYTES * list.length);
    let at = start;
    for (const { partition, offset } of list) {
      at = bytes.writeUInt32LE(partition, at);
      at = bytes.writeDoubleLE(offset, at);
    }
  }

  #sendError(id: number, error: WireError): void {
    this.#writer.json(FRAME_ERROR, id, error);
  }

  #begin(sizeBytes: number): void {
    this.#openCount++;
    this.#openBytes += sizeBytes;
    if (this.#isBusy()) this.#socket.pause();
  }

  #end(sizeBytes: number): void {
    this.#openCount--;
    this.#openBytes -= sizeBytes;
    if (this.#openCount === 0) this.#onIdle?.();
    this.#resume();
  }

  #resume(): void {
    const isClosing = this.#onIdle !== null;
    if (!isClosing && this.#socket.isPaused() && !this.#isBusy()) this.#socket.resume();
  }

  #isBusy(): boolean {
    return (
      this.#openCount >= OPEN_COUNT_MAX ||
      this.#openBytes >= OPEN_BYTES_MAX ||
      this.#writer.waitingBytes >= UNREAD_BYTES_MAX
    );
  }

  #breakOff(reason: string): void {
    this.#deps.logger.warn('A client of the store is cut off', { reason });
    this.#socket.destroy();
  }
}

async function allEnds({ admin, log }: EmbeddedDriver): Promise<AnnouncedEnds> {
  const all: (readonly [string, number, number])[] = [];
  for (const topic of await admin.topics()) {
    try {
      for (const { partition, next } of await log.ends(topic)) all.push([topic, partition, next]);
    } catch (error) {
      // Removed since the list was made.
      if (!isMeshError(error, 'CHANNEL_TOPIC_UNKNOWN')) throw error;
    }
  }
  return all;
}

function wireError(error: unknown): WireError {
  if (isMeshError(error)) return { code: error.code, message: error.message };
  const isOfRequest =
    error instanceof RangeError ||
    error instanceof SyntaxError ||
    error instanceof AssertionFailure;
  if (!isOfRequest) throw error;
  return { code: 'STORE_REQUEST_INVALID', message: messageOf(error) };
}
