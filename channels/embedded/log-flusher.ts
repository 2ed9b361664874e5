/**
 * Group commit: one flush at a time for the whole store, covering every partition that has something
 * to write, the next one beginning as soon as the former has ended. No lingering: the first flush of a
 * burst begins at the end of the present loop turn. Used by the log only. Invariant: a waiter learns
 * of success only after its partition's sync has returned, and of no success after any failure.
 */
import { channelError } from '#lib/channel/channel-errors';
import { messageOf } from '#lib/errors/mesh-error';
import type { MeshError } from '#lib/errors/mesh-error';
import type { Clock } from '#lib/time/clock';
import { LogBatch } from './log-batch.ts';
import type { LogPartition } from './log-partition.ts';
import type { WriteOutcome } from './segment-writer.ts';

export interface FlusherDeps {
  readonly clock: Clock;
  /** The disk is full: producers stay out, and the ballast is given up. */
  readonly onDiskFull: () => Promise<void>;
  /** The text of a refusal because of it. */
  readonly fullError: (topic: string) => MeshError;
  /** The durable ends of these partitions have moved; once per flush. */
  readonly onDurable: (partitions: readonly LogPartition[], bytes: number) => void;
  /** Writing has failed for good. */
  readonly onFailure: (error: MeshError) => void;
}

interface Work {
  readonly partition: LogPartition;
  batch: LogBatch;
  outcome: WriteOutcome | null;
}

const POOLED_BATCHES_MAX = 8;

export class LogFlusher {
  readonly #deps: FlusherDeps;
  readonly #dirty = new Set<LogPartition>();
  /** Batches for the next records; partitions take from it. */
  readonly pool: LogBatch[] = [];
  #isScheduled = false;
  #isRunning = false;
  #exclusive: (() => Promise<void>)[] = [];
  #failure: MeshError | null = null;
  #pendingBytes = 0;
  #flushCount = 0;

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Rises with every flush. */
  get flushCount(): number {
    return this.#flushCount;
  }

  get failure(): MeshError | null {
    return this.#failure;
  }

  /** The partition has taken a record of that many bytes. */
  note(partition: LogPartition, bytes: number): void {
    this.#pendingBytes += bytes;
    this.#dirty.add(partition);
    if (!this.#isScheduled && !this.#isRunning) this.#schedule();
  }

  /** Runs `work` while nothing is being written. Rejects as it does. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#exclusive.push(() => work().then(resolve, reject));
      if (!this.#isScheduled && !this.#isRunning) void this.#turn();
    });
  }

  /** Writing stops for good: everything that waits is refused, and so is everything after it. */
  fail(cause: unknown): void {
    if (this.#failure !== null) return;
    const message = `Cannot append: the log has stopped because ${messageOf(cause)}`;
    const error = channelError('CHANNEL_FAILED', message, { cause });
    this.#failure = error;
    for (const partition of this.#dirty) {
      for (const batch of partition.takeAll()) this.#reject(batch, error);
    }
    this.#dirty.clear();
    this.#deps.onFailure(error);
  }

  /** The partition goes: what waits for it is refused. */
  drop(partition: LogPartition, error: MeshError): void {
    for (const batch of partition.takeAll()) this.#reject(batch, error);
    this.#dirty.delete(partition);
  }

  #schedule(): void {
    this.#isScheduled = true;
    this.#deps.clock.soon(() => {
      this.#isScheduled = false;
      if (!this.#isRunning) void this.#turn();
    });
  }

  /** Rejects only for a bug, which must end the process. */
  async #turn(): Promise<void> {
    this.#isRunning = true;
    const exclusive = this.#exclusive;
    this.#exclusive = [];
    for (const work of exclusive) await work();
    if (this.#dirty.size > 0) await this.#flush();
    this.#isRunning = false;
    if (this.#dirty.size > 0 || this.#exclusive.length > 0) this.#schedule();
  }

  async #flush(): Promise<void> {
    const works = this.#takeWork();
    this.#flushCount++;
    const [only] = works;
    if (works.length === 1 && only !== undefined) await this.#write(only);
    else await Promise.all(works.map((work) => this.#write(work)));
    this.#settle(works);
  }

  #takeWork(): Work[] {
    const works: Work[] = [];
    for (const partition of this.#dirty) {
      const batch = partition.takeBatch();
      if (batch !== null) works.push({ partition, batch, outcome: null });
      if (!partition.hasPending) this.#dirty.delete(partition);
    }
    return works;
  }

  async #write(work: Work): Promise<void> {
    work.outcome = await work.partition.write(work.batch);
    if (work.outcome.kind === 'full') await this.#writeReserved(work);
  }

  /** Refuses the producers of the batch and tries the rest in the room that is left. */
  async #writeReserved(work: Work): Promise<void> {
    await this.#deps.onDiskFull();
    const { batch, partition } = work;
    const rest = new LogBatch();
    const error = this.#deps.fullError(partition.topic);
    for (let at = 0; at < batch.count; at++) {
      if (batch.reserved[at] === true) rest.addFrom(batch, at);
      else batch.waiters[at]?.failed(error);
    }
    this.#pendingBytes -= batch.usedBytes - rest.usedBytes;
    work.batch = rest;
    if (rest.count > 0) work.outcome = await partition.write(rest);
  }

  #settle(works: readonly Work[]): void {
    const failed = works.find((work) => work.outcome?.kind === 'failed')?.outcome;
    if (failed?.kind === 'failed') this.fail(failed.error);
    const moved: LogPartition[] = [];
    let bytes = 0;
    for (const { partition, batch, outcome } of works) {
      if (this.#failure !== null) {
        this.#reject(batch, this.#failure);
      } else if (outcome?.kind === 'stored') {
        partition.commit(batch, outcome.firstOffset, outcome.timeMs);
        moved.push(partition);
        bytes += batch.usedBytes;
      }
    }
    for (const { partition, batch, outcome } of works) {
      if (outcome?.kind === 'stored') this.#resolve(partition, batch, outcome.firstOffset);
      else if (outcome !== null) this.#reject(batch, this.#errorOf(partition, outcome));
      this.#recycle(batch);
    }
    if (moved.length === 0) return;
    for (const partition of moved) partition.wakeReaders();
    this.#deps.onDurable(moved, bytes);
  }

  #resolve(partition: LogPartition, batch: LogBatch, firstOffset: number): void {
    const { waiters, slots } = batch;
    for (let at = 0; at < waiters.length; at++) {
      waiters[at]?.stored(slots[at] ?? 0, partition.partition, firstOffset + at);
    }
  }

  #errorOf(partition: LogPartition, outcome: WriteOutcome): MeshError {
    if (outcome.kind === 'full') return this.#deps.fullError(partition.topic);
    const cause = outcome.kind === 'stored' ? null : outcome.error;
    const message = `Cannot append to "${partition.topic}": ${messageOf(cause)}`;
    return channelError('CHANNEL_NOT_CONNECTED', message, { cause });
  }

  /** Refuses what the batch holds; it holds nothing any more then. */
  #reject(batch: LogBatch, error: MeshError): void {
    for (const waiter of batch.waiters) waiter.failed(error);
    this.#pendingBytes -= batch.usedBytes;
    batch.clear();
  }

  #recycle(batch: LogBatch): void {
    this.#pendingBytes -= batch.usedBytes;
    if (batch.clear() && this.pool.length < POOLED_BATCHES_MAX) this.pool.push(batch);
  }
}
