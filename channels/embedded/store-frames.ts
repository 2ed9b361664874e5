/**
 * Frames on the local socket, in both directions: gathered per loop turn into one write, and cut out
 * of whatever chunks arrive. Used by `store-session.ts` and `store-link.ts`.
 *
 *   0 u32 bytes behind this field   4 u8 kind   5 u32 request id   9 payload          little endian
 */
import type { Socket } from 'node:net';
import { assert } from '#lib/assert/assert';
import type { Clock } from '#lib/time/clock';

export const FRAME_HEAD_BYTES = 9;
/** Above this a length is taken for damage, on both sides; senders cut their work below it. */
export const FRAME_BYTES_MAX = 160 * 1024 * 1024;

const CHUNK_BYTES = 32 * 1024;

/** Where a frame is being written. */
export interface FrameSlot {
  readonly bytes: Buffer;
  /** First byte of the payload. */
  readonly start: number;
}

/** Writes frames of a known size into shared buffers, and sends them once per loop turn. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** What is filled of the chunk, and what of that has been handed to the socket. */
  #end = 0;
  #sent = 0;
  #isPlanned = false;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Bytes that wait for the other side to read. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#end - this.#sent;
  }

  /** Begins a frame; the caller fills exactly `payloadBytes` from `start` on before anything else. */
  frame(kind: number, id: number, payloadBytes: number): FrameSlot {
    const frameBytes = FRAME_HEAD_BYTES + payloadBytes;
    assert(frameBytes <= FRAME_BYTES_MAX, 'a frame has a bounded size', { kind, payloadBytes });
    this.#makeRoom(frameBytes);
    const at = this.#end;
    const bytes = this.#chunk;
    bytes.writeUInt32LE(frameBytes - 4, at);
    bytes[at + 4] = kind;
    bytes.writeUInt32LE(id, at + 5);
    this.#end = at + frameBytes;
    if (!this.#isPlanned) {
      this.#isPlanned = true;
      this.#clock.soon(() => this.flush());
    }
    return { bytes, start: at + FRAME_HEAD_BYTES };
  }

  /** A frame whose payload is JSON. */
  json(kind: number, id: number, value: unknown): void {
    const text = JSON.stringify(value);
    const slot = this.frame(kind, id, Buffer.byteLength(text));
    slot.bytes.write(text, slot.start);
  }

  /** Hands over what has been written; called once per loop turn by itself. */
  flush(): void {
    this.#isPlanned = false;
    this.#send();
  }

  #send(): void {
    if (this.#end === this.#sent) return;
    if (!this.#socket.destroyed) this.#socket.write(this.#chunk.subarray(this.#sent, this.#end));
    this.#sent = this.#end;
  }

  /** A chunk that was handed over is never written to again where it was sent from. */
  #makeRoom(frameBytes: number): void {
    if (this.#chunk.length - this.#end >= frameBytes) return;
    this.#send();
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, frameBytes));
    this.#end = 0;
    this.#sent = 0;
  }
}

/** One received frame; the payload lies between `start` and `end` and stays as it is. */
export interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Cuts frames out of chunks. A frame over several chunks is put together once, when it is whole. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Bytes that must be there before it is worth looking again. */
  #wantedBytes = FRAME_HEAD_BYTES;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws RangeError when a length is impossible: the connection is beyond use. */
  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#partsBytes += chunk.length;
    if (this.#partsBytes < this.#wantedBytes) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const rest = this.#cut(bytes);
    this.#parts = rest === bytes.length ? [] : [bytes.subarray(rest)];
    this.#partsBytes = bytes.length - rest;
  }

  /** Answers where the first frame that is not whole begins. */
  #cut(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      if (left < FRAME_HEAD_BYTES) {
        this.#wantedBytes = FRAME_HEAD_BYTES;
        return at;
      }
      const frameBytes = bytes.readUInt32LE(at) + 4;
      if (frameBytes < FRAME_HEAD_BYTES || frameBytes > FRAME_BYTES_MAX) {
        throw new RangeError(`a frame of ${frameBytes} bytes cannot be`);
      }
      if (left < frameBytes) {
        this.#wantedBytes = frameBytes;
        return at;
      }
      this.#onFrame({
        kind: bytes[at + 4] ?? 0,
        id: bytes.readUInt32LE(at + 5),
        bytes,
        start: at + FRAME_HEAD_BYTES,
        end: at + frameBytes,
      });
      at += frameBytes;
    }
  }
}
