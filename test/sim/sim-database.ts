/**
 * The embedded database without its worker: the real executor over a real SQLite file, asked through
 * virtual time. Batches as the worker's thread does; a batch is durable when it was run, and what was
 * asked for and not run when the process dies has not happened. Invariant: requests run in the order
 * of their calls, one batch at a time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { StoreExecutor } from '#channels/embedded/store-executor';
import { errorOfCode } from '#channels/embedded/embedded-errors';
import type { StoreReply, StoreRequest, StoreTransport } from '#channels/embedded/store-request';
import { openDatabase } from '#channels/embedded/store-schema';
import type { Random } from '#lib/random/random';
import type { Life } from './life.ts';

interface Pending {
  readonly request: StoreRequest;
  readonly resolve: (reply: StoreReply) => void;
  readonly reject: (error: Error) => void;
}

const BATCH_COUNT_MAX = 256;
const DUE_AHEAD_MS_MAX = 3_600_000;

/** The file, which outlives the processes; removed at the end of the run. */
export class SimDatabase {
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'millrace-sim-'));

  /** For one life of the owner; the former one must have ended. */
  open(life: Life, random: Random, commitMs: number): StoreTransport {
    const opened = openDatabase({
      path: path.join(this.#directory, 'store.db'),
      databaseBytesMax: 0,
    });
    if (opened.kind !== 'open') throw new Error(`the database is ${opened.kind}`);
    const { database } = opened;
    database.exec('PRAGMA synchronous = OFF'); // power is lost in the simulation only
    const executor = new StoreExecutor(database, { dueAheadMsMax: DUE_AHEAD_MS_MAX });
    let queue: Pending[] = [];
    let isRunning = false;
    life.onEnd(() => database.close());
    const run = (): void => {
      const batch = queue.slice(0, BATCH_COUNT_MAX);
      queue = queue.slice(batch.length);
      const outcome = executor.runBatch(
        batch.map(({ request }) => request),
        'together',
      );
      if (outcome.kind !== 'done') throw new Error(`the database is ${outcome.kind}`);
      life.later(commitMs * random.float(), () => {
        for (const [index, { resolve, reject }] of batch.entries()) {
          const reply = outcome.replies[index];
          if (reply === undefined) continue;
          if (reply.code === null) resolve(reply);
          else reject(errorOfCode(reply.code, reply.message));
        }
        isRunning = false;
        plan();
      });
    };
    const plan = (): void => {
      if (isRunning || queue.length === 0) return;
      isRunning = true;
      life.later(commitMs * random.float(), run);
    };
    return {
      request: (request) =>
        new Promise((resolve, reject) => {
          queue.push({ request, resolve, reject });
          plan();
        }),
    };
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
