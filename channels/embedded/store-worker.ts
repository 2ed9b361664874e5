/**
 * The worker thread that holds the embedded database: opens it, runs batches, closes it. Started by
 * `store-thread.ts` only; imports nothing but what it needs, since every byte of it is resident.
 * It never takes the time by itself: clocks live with the callers.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '#lib/assert/assert';
import { messageOf } from '#lib/errors/mesh-error';
import { StoreExecutor } from './store-executor.ts';
import type { BatchMode, BatchOutcome } from './store-executor.ts';
import type { StoreRequest } from './store-request.ts';
import { openDatabase } from './store-schema.ts';
import type { OpenDatabaseOptions } from './store-schema.ts';
import type { DatabaseSync } from 'node:sqlite';

export interface WorkerSettings extends OpenDatabaseOptions {
  readonly dueAheadMsMax: number;
}

export type ToWorker =
  | { readonly kind: 'open' }
  | { readonly kind: 'batch'; readonly requests: readonly StoreRequest[]; readonly mode: BatchMode }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'opened' }
  | { readonly kind: 'locked' }
  | { readonly kind: 'refused'; readonly reason: string; readonly isFormat: boolean }
  | { readonly kind: 'batch'; readonly outcome: BatchOutcome };

const port = parentPort;
assert(port !== null, 'the store worker runs in a worker thread');
const settings = workerData as WorkerSettings;

let database: DatabaseSync | null = null;
let executor: StoreExecutor | null = null;

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'open':
      port.postMessage(open());
      break;
    case 'batch':
      answer(run(message.requests, message.mode));
      break;
    case 'close':
      close();
      break;
  }
});

function open(): FromWorker {
  try {
    const opened = openDatabase(settings);
    switch (opened.kind) {
      case 'open':
        database = opened.database;
        executor = new StoreExecutor(database, settings);
        return { kind: 'opened' };
      case 'locked':
        return { kind: 'locked' };
      case 'formatUnknown':
        return { kind: 'refused', reason: `its format is ${opened.found}`, isFormat: true };
      case 'notOurs':
        return { kind: 'refused', reason: 'it is no database of Millrace', isFormat: true };
      case 'notDurable':
        return { kind: 'refused', reason: opened.reason, isFormat: false };
    }
  } catch (error) {
    return { kind: 'refused', reason: messageOf(error), isFormat: false };
  }
}

function run(requests: readonly StoreRequest[], mode: BatchMode): BatchOutcome {
  assert(executor !== null, 'the database is open');
  return executor.runBatch(requests, mode);
}

function answer(outcome: BatchOutcome): void {
  const transfer: ArrayBuffer[] = [];
  if (outcome.kind === 'done') {
    for (const { bytes } of outcome.replies) if (bytes !== null) transfer.push(bytes.buffer);
  }
  const message: FromWorker = { kind: 'batch', outcome };
  port?.postMessage(message, transfer);
}

function close(): void {
  database?.close();
  database = null;
  executor = null;
  port?.close();
}
