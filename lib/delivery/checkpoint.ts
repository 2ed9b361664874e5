/**
 * When a reader's position is written down: every 250 ms or 1,000 events, one write at a time, and
 * never further than what is settled or durable. Used by shared and own readers alike. A reader
 * that is {@link SPAN_COUNT_MAX} events ahead of its last checkpoint waits for the next one, which
 * bounds what a crash repeats.
 */
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';

export const CHECKPOINT_MS = 250;
export const CHECKPOINT_COUNT = 1_000;
/**
 * The first writes of a life come in small steps, so that a process that dies again and again within a
 * moment still gets on instead of repeating the same events.
 */
const FIRST_WRITES = 20;
const FIRST_MS = 50;
const FIRST_COUNT = 64;
/** Events that may be ahead of the last durable position. */
export const SPAN_COUNT_MAX = 4_000;

export interface CheckpointDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes everything below `offset` durable, then writes the position. */
  readonly write: (offset: number) => Promise<void>;
  /** Another owner has taken over: the reader must stop. */
  readonly onStale: () => void;
}

export class Checkpoint {
  readonly #deps: CheckpointDeps;
  #committed: number;
  #position: number;
  #isWriting = false;
  #writeCount = 0;
  #isClosed = false;
  #timer: Timer | null = null;
  #waiters: (() => void)[] = [];

  constructor(deps: CheckpointDeps, committed: number) {
    this.#deps = deps;
    this.#committed = committed;
    this.#position = committed;
  }

  get committed(): number {
    return this.#committed;
  }

  /** The reader has come to `position`: everything below it was handed on. */
  advance(position: number): void {
    if (position <= this.#position) return;
    this.#position = position;
    this.#schedule();
  }

  /** The reader is as far ahead of the last durable position as it may be. */
  get isFull(): boolean {
    return !this.#isClosed && this.#position - this.#committed >= SPAN_COUNT_MAX;
  }

  /** `null` when the reader may go on; else resolves when it should look again. */
  room(): Promise<void> | null {
    if (!this.isFull) return null;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Writes the present position now; resolves when it is durable. @throws what `write` throws. */
  async flush(): Promise<void> {
    while (this.#isWriting) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#committed < this.#position) await this.#write();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#wake();
  }

  #start(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#isWriting) return;
    void this.#write().catch((error: unknown) => this.#failed(error));
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    const position = this.#position;
    try {
      await this.#deps.write(position);
      this.#committed = position;
      this.#writeCount++;
    } finally {
      this.#isWriting = false;
      this.#wake();
    }
    if (this.#position > this.#committed) this.#schedule(); // what came meanwhile
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const isFirst = this.#writeCount < FIRST_WRITES;
    const count = isFirst ? FIRST_COUNT : CHECKPOINT_COUNT;
    const delayMs = isFirst ? FIRST_MS : CHECKPOINT_MS;
    if (this.#position - this.#committed >= count) this.#start();
    else this.#timer ??= this.#deps.clock.after(delayMs, () => this.#start());
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return; // whoever closed it goes by the last position that was written
    if (isMeshError(error, 'CHANNEL_EPOCH_STALE')) {
      this.#deps.onStale();
      return;
    }
    this.#deps.logger.warn('Cannot write a checkpoint: it is tried again', {
      error: messageOf(error),
    });
    this.#timer ??= this.#deps.clock.after(CHECKPOINT_MS, () => this.#start());
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
