/**
 * The main thread's side of the embedded database: starts the worker, gathers the requests of a loop
 * turn and of the time that the worker is busy into one batch, and hands replies out. Used by the
 * embedded driver. Invariants: requests are run in the order of their calls; one batch is under way
 * at a time (so all that came meanwhile share the next sync); nothing waits for ever: a worker that
 * dies fails every call with CHANNEL_FAILED.
 */
import { Worker } from 'node:worker_threads';
import { channelError } from '#lib/channel/channel-errors';
import { messageOf } from '#lib/errors/mesh-error';
import { sleep } from '#lib/time/clock';
import type { Clock } from '#lib/time/clock';
import type { Ballast } from './ballast.ts';
import { errorOfCode, storeError } from './embedded-errors.ts';
import type { BatchMode, BatchOutcome } from './store-executor.ts';
import type { StoreReply, StoreRequest, StoreTransport } from './store-request.ts';
import type { FromWorker, ToWorker, WorkerSettings } from './store-worker.ts';

export interface StoreThreadDeps {
  readonly clock: Clock;
  /** Present for as long as the database is open; `null` in tests without a reserve. */
  readonly ballast: Ballast | null;
  /** The database failed for good: the process has to end. Called once. */
  readonly onFatal: (error: Error) => void;
}

export interface StoreThreadOptions extends WorkerSettings {
  /** How long to wait for another process to let the file go. */
  readonly waitMs: number;
  /** Who holds the file, for the message; asked when the wait is over. */
  readonly describeOwner: () => Promise<string>;
}

interface Pending {
  readonly request: StoreRequest;
  readonly resolve: (reply: StoreReply) => void;
  readonly reject: (error: Error) => void;
}

const LOCK_RETRY_MS = 100;
const BATCH_COUNT_MAX = 256;
/** The write-ahead log grows by as much, and the reserve for a full disk has to be larger. */
const BATCH_BYTES_MAX = 1024 * 1024;
const PENDING_COUNT_MAX = 65_536;
const PENDING_BYTES_MAX = 128 * 1024 * 1024;

export class StoreThread implements StoreTransport {
  readonly #deps: StoreThreadDeps;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #queue: Pending[] = [];
  #pendingBytes = 0;
  #databaseBytes = 0;
  #batch: readonly Pending[] = [];
  #isFlushPlanned = false;
  #state: 'open' | 'closing' | 'closed' | 'failed' = 'open';
  #onIdle: (() => void) | null = null;
  #onOpening: ((message: FromWorker) => void) | null = null;

  constructor(deps: StoreThreadDeps, options: WorkerSettings) {
    this.#deps = deps;
    const { path, databaseBytesMax, dueAheadMsMax } = options;
    const settings: WorkerSettings = { path, databaseBytesMax, dueAheadMsMax };
    // The emitted tree has `.js` where the sources have `.ts`.
    const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
    const url = new URL(`./store-worker.${extension}`, import.meta.url);
    this.#worker = new Worker(url, { workerData: settings, name: 'embedded-store' });
    this.#worker.on('message', (message: FromWorker) => this.#onMessage(message));
    this.#worker.on('error', (error) => this.#fail(`its worker failed: ${messageOf(error)}`));
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#fail(`its worker ended with code ${code}`);
        resolve();
      });
    });
  }

  /** Bytes of the file that hold something, as of the last batch. */
  get databaseBytes(): number {
    return this.#databaseBytes;
  }

  /** One try to open the file. */
  tryOpen(): Promise<FromWorker> {
    return new Promise((resolve, reject) => {
      this.#onOpening = resolve;
      void this.#exited.then(() => {
        reject(storeError('STORE_UNUSABLE', 'Cannot open the embedded database: its worker ended'));
      });
      this.#post({ kind: 'open' });
    });
  }

  request(request: StoreRequest): Promise<StoreReply> {
    const refused = this.#refusal(request);
    if (refused !== null) return Promise.reject(refused);
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      this.#pendingBytes += request.bytes?.length ?? 0;
      this.#planFlush();
    });
  }

  /** Runs what was asked for before, then closes the file. Idempotent, never throws. */
  async close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing';
      if (this.#queue.length > 0 || this.#batch.length > 0) {
        await new Promise<void>((resolve) => {
          this.#onIdle = resolve;
        });
      }
      if (this.#isState('closing')) {
        this.#state = 'closed';
        this.#post({ kind: 'close' });
      }
    }
    if (this.#isState('failed')) await this.#worker.terminate();
    await this.#exited;
  }

  /** The worker goes without closing the file, as the crash of the process would leave it. */
  async abandon(): Promise<void> {
    this.#state = 'closed';
    await this.#worker.terminate();
  }

  #isState(state: 'closing' | 'failed'): boolean {
    return this.#state === state;
  }

  #refusal(request: StoreRequest): Error | null {
    if (this.#state === 'failed') return failedError('it failed before');
    if (this.#state !== 'open') {
      return channelError('CHANNEL_CLOSED', 'Cannot use the embedded database: it is closed');
    }
    if (request.op === 'put' && this.#deps.ballast?.isUsedUp === true) return reserveError();
    const bytes = this.#pendingBytes + (request.bytes?.length ?? 0);
    if (this.#queue.length < PENDING_COUNT_MAX && bytes <= PENDING_BYTES_MAX) return null;
    return channelError(
      'CHANNEL_FULL',
      `Cannot queue "${request.op}" for the embedded database: ${this.#queue.length} requests ` +
        `with ${this.#pendingBytes} bytes wait, limits are ${PENDING_COUNT_MAX} and ${PENDING_BYTES_MAX}`,
    );
  }

  #planFlush(): void {
    if (this.#isFlushPlanned || this.#batch.length > 0) return;
    this.#isFlushPlanned = true;
    this.#deps.clock.soon(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#queue.length === 0 || this.#batch.length > 0 || this.#state === 'failed') return;
    let bytes = 0;
    let count = 0;
    for (const { request } of this.#queue) {
      bytes += request.bytes?.length ?? 0;
      if (count > 0 && (count >= BATCH_COUNT_MAX || bytes > BATCH_BYTES_MAX)) break;
      count++;
    }
    this.#batch = this.#queue.splice(0, count);
    this.#send('together');
  }

  /** Bytes are copied, not handed over: a batch that found the disk full is sent again. */
  #send(mode: BatchMode): void {
    this.#post({ kind: 'batch', requests: this.#batch.map(({ request }) => request), mode });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    if (message.kind === 'batch') {
      this.#onOutcome(message.outcome);
      return;
    }
    const onOpening = this.#onOpening;
    this.#onOpening = null;
    onOpening?.(message);
  }

  #onOutcome(outcome: BatchOutcome): void {
    switch (outcome.kind) {
      case 'done':
        this.#databaseBytes = outcome.usedBytes;
        this.#finish(outcome.replies);
        break;
      case 'full':
        void this.#sendAgain();
        break;
      case 'failed':
        this.#fail(outcome.message);
        break;
    }
  }

  /** The batch found no room. The last part of the reserve is not for new pairs. */
  async #sendAgain(): Promise<void> {
    const { ballast } = this.#deps;
    let hasRoom = false;
    try {
      hasRoom = (await ballast?.release()) ?? false;
    } catch (error) {
      this.#fail(`its reserve cannot be released: ${messageOf(error)}`);
      return;
    }
    if (ballast?.isUsedUp === true) this.#refusePuts();
    if (this.#batch.length === 0) this.#afterBatch();
    else this.#send(hasRoom ? 'together' : 'each');
  }

  #refusePuts(): void {
    const others: Pending[] = [];
    for (const pending of this.#batch) {
      if (pending.request.op !== 'put') {
        others.push(pending);
        continue;
      }
      this.#pendingBytes -= pending.request.bytes?.length ?? 0;
      pending.reject(reserveError());
    }
    this.#batch = others;
  }

  #finish(replies: readonly StoreReply[]): void {
    const batch = this.#batch;
    this.#batch = [];
    for (let index = 0; index < batch.length; index++) {
      const pending = batch[index];
      const reply = replies[index];
      if (pending === undefined || reply === undefined) continue;
      this.#pendingBytes -= pending.request.bytes?.length ?? 0;
      if (reply.code === null) pending.resolve(reply);
      else pending.reject(errorOfCode(reply.code, reply.message));
    }
    this.#afterBatch();
  }

  #afterBatch(): void {
    if (this.#queue.length > 0) this.#flush();
    else this.#onIdle?.();
  }

  #fail(reason: string): void {
    if (this.#state === 'failed' || this.#state === 'closed') return;
    this.#state = 'failed';
    const error = failedError(reason);
    const pending = [...this.#batch, ...this.#queue];
    this.#batch = [];
    this.#queue = [];
    for (const { reject } of pending) reject(error);
    this.#onIdle?.();
    this.#deps.onFatal(error);
  }
}

function reserveError(): Error {
  return channelError(
    'CHANNEL_FULL',
    'Cannot store waiting pairs: the disk is full and the reserve is used up',
  );
}

function failedError(reason: string): Error {
  return channelError('CHANNEL_FAILED', `Cannot use the embedded database: ${reason}`);
}

/**
 * Opens the database in a worker of its own, waiting for another owner to let it go.
 * @throws STORE_LOCKED, STORE_FORMAT_UNKNOWN, STORE_UNUSABLE.
 */
export async function openStoreThread(
  deps: StoreThreadDeps,
  options: StoreThreadOptions,
): Promise<StoreThread> {
  const { clock } = deps;
  const thread = new StoreThread(deps, options);
  const deadlineMs = clock.monotonicMs() + options.waitMs;
  for (;;) {
    const message = await thread.tryOpen();
    if (message.kind === 'opened') return thread;
    const isOver = message.kind !== 'locked' || clock.monotonicMs() >= deadlineMs;
    if (!isOver) {
      await sleep(clock, LOCK_RETRY_MS);
      continue;
    }
    await thread.abandon();
    throw await openError(message, options);
  }
}

async function openError(message: FromWorker, options: StoreThreadOptions): Promise<Error> {
  const action = `Cannot open the database "${options.path}"`;
  if (message.kind === 'locked') {
    return storeError(
      'STORE_LOCKED',
      `${action}: it is held by ${await options.describeOwner()}, waited ${options.waitMs} ms`,
    );
  }
  const reason = message.kind === 'refused' ? message.reason : message.kind;
  const isFormat = message.kind === 'refused' && message.isFormat;
  return storeError(isFormat ? 'STORE_FORMAT_UNKNOWN' : 'STORE_UNUSABLE', `${action}: ${reason}`);
}
