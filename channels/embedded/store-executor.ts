/**
 * Runs batches of requests against the database: all of a batch share one transaction and one sync.
 * Runs in the worker. A refusal (stale epoch) is an answer like any other. When a statement fails, the
 * transaction is rolled back and nothing of the batch has happened; the failure is then pinned to its
 * request by running each in a transaction of its own.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { AssertionFailure } from '#lib/assert/assert';
import { messageOf } from '#lib/errors/mesh-error';
import { CursorTable } from './cursor-table.ts';
import { columnsOf, numberAt, prepare } from './store-columns.ts';
import { StoreHolders } from './store-holders.ts';
import { StoreNames } from './store-names.ts';
import { CellReader, refusal, reply } from './store-request.ts';
import type { StoreReply, StoreRequest } from './store-request.ts';
import { SQLITE_FULL, durabilityProblem, numberPragma, primaryCodeOf } from './store-schema.ts';
import { WaitingCounts } from './waiting-counts.ts';
import { WaitingLeases } from './waiting-leases.ts';
import { WaitingQueries } from './waiting-queries.ts';
import { WaitingTable } from './waiting-table.ts';

/** `together`: one transaction, and `full` when there is no room. `each`: one by one, full is refused. */
export type BatchMode = 'together' | 'each';

export type BatchOutcome =
  /** `usedBytes`: pages of the file that hold something. */
  | {
      readonly kind: 'done';
      readonly replies: readonly StoreReply[];
      readonly usedBytes: number;
    }
  /** Nothing was done: the disk, or the bound of the file, is full. */
  | { readonly kind: 'full' }
  /** The disk failed, or the file is damaged: nothing more may be tried. */
  | { readonly kind: 'failed'; readonly message: string };

/** Free pages that the file keeps for the next outage: 32 MiB. */
const KEPT_PAGES = 8192;

export class StoreExecutor {
  readonly #database: DatabaseSync;
  readonly #names: StoreNames;
  readonly #holders: StoreHolders;
  readonly #counts: WaitingCounts;
  readonly #waiting: WaitingTable;
  readonly #leases: WaitingLeases;
  readonly #queries: WaitingQueries;
  readonly #cursors: CursorTable;
  readonly #pageCount: StatementSync;
  readonly #freeCount: StatementSync;
  readonly #pageBytes: number;
  #wantsCheckpoint = false;

  constructor(database: DatabaseSync, options: { readonly dueAheadMsMax: number }) {
    this.#database = database;
    this.#names = new StoreNames(database);
    this.#holders = new StoreHolders(database, this.#names);
    this.#counts = new WaitingCounts(database);
    const parts = { names: this.#names, holders: this.#holders, counts: this.#counts };
    this.#waiting = new WaitingTable(database, parts);
    this.#leases = new WaitingLeases(database, parts, options.dueAheadMsMax);
    this.#queries = new WaitingQueries(database, this.#names, this.#counts);
    this.#cursors = new CursorTable(database);
    this.#pageCount = prepare(database, 'PRAGMA page_count');
    this.#freeCount = prepare(database, 'PRAGMA freelist_count');
    this.#pageBytes = numberPragma(database, 'page_size');
  }

  runBatch(requests: readonly StoreRequest[], mode: BatchMode): BatchOutcome {
    if (mode === 'each') return this.#runEach(requests);
    const outcome = this.#attempt(() => requests.map((request) => this.#run(request)));
    if (outcome.kind === 'value') return this.#done(outcome.value);
    if (outcome.kind === 'invalid') return this.#runEach(requests);
    return outcome;
  }

  #runEach(requests: readonly StoreRequest[]): BatchOutcome {
    const replies: StoreReply[] = [];
    for (const request of requests) {
      const outcome = this.#attempt(() => this.#run(request));
      if (outcome.kind === 'failed') return outcome;
      if (outcome.kind === 'value') replies.push(outcome.value);
      else if (outcome.kind === 'full') replies.push(refusal('CHANNEL_FULL', fullText(request)));
      else replies.push(refusal('STORE_REQUEST_INVALID', outcome.message));
    }
    return this.#done(replies);
  }

  #done(replies: readonly StoreReply[]): BatchOutcome {
    return { kind: 'done', replies, usedBytes: this.#usedBytes() };
  }

  #attempt<Value>(run: () => Value): AttemptOutcome<Value> {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      const value = run();
      this.#database.exec('COMMIT');
      if (this.#wantsCheckpoint) this.#checkpoint();
      return { kind: 'value', value };
    } catch (error) {
      this.#rollback();
      const code = primaryCodeOf(error);
      if (code === SQLITE_FULL) return { kind: 'full' };
      const isOfRequest = error instanceof AssertionFailure || error instanceof TypeError;
      return { kind: isOfRequest ? 'invalid' : 'failed', message: messageOf(error) };
    }
  }

  /** The file only becomes shorter when the write-ahead log has been carried into it. */
  #checkpoint(): void {
    this.#wantsCheckpoint = false;
    try {
      this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      // What is committed is safe in the log; it is carried over when there is room.
      if (primaryCodeOf(error) !== SQLITE_FULL) throw error;
    }
  }

  #rollback(): void {
    // SQLite rolls some failures back by itself.
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    this.#names.forgetAll();
    this.#holders.forgetAll();
    this.#counts.forgetAll();
    this.#leases.forgetAll();
  }

  #run(request: StoreRequest): StoreReply {
    const cells = new CellReader(request.cells);
    switch (request.op) {
      case 'put':
        return this.#waiting.put(cells, request.bytes);
      case 'lease':
        return this.#leases.lease(cells);
      case 'settle':
        return this.#waiting.settle(cells);
      case 'renew':
        return this.#holders.renew(cells);
      case 'recover':
        return this.#holders.recover(cells);
      case 'release':
        return this.#holders.release(cells);
      case 'summary':
        return this.#queries.summary(cells);
      case 'keys':
        return this.#queries.keys(cells);
      case 'peek':
        return this.#queries.peek(cells);
      case 'redrive':
        return this.#waiting.redrive(cells);
      case 'retarget':
        return this.#waiting.retarget(cells);
      case 'drop':
        return this.#waiting.drop(cells);
      case 'cursorLoad':
        return this.#cursors.load(cells);
      case 'cursorCommit':
        return this.#cursors.commit(cells);
      case 'cursorCreate':
        return this.#cursors.create(cells);
      case 'cursorRemove':
        return this.#cursors.remove(cells);
      case 'cursorAcquire':
        return this.#cursors.acquire(cells);
      case 'cursorMarks':
        return this.#cursors.marks();
      case 'topicRemove':
        return this.#removeTopic(cells);
      case 'status':
        return this.#status();
      case 'tidy':
        return this.#tidy(cells);
    }
  }

  #removeTopic(cells: CellReader): StoreReply {
    const topic = cells.text();
    this.#cursors.removeTopic(topic);
    this.#waiting.removeTopic(topic);
    return reply();
  }

  /** Why the file is not durable, or null. */
  #status(): StoreReply {
    return reply([durabilityProblem(this.#database)]);
  }

  #usedBytes(): number {
    const pages = numberAt(columnsOf(this.#pageCount.get()), 0);
    return (pages - numberAt(columnsOf(this.#freeCount.get()), 0)) * this.#pageBytes;
  }

  /**
   * Gives free pages back to the file system, at most so many, and answers how many went. Few are kept
   * for the next outage, unless the disk is full (`keeps` is 0).
   */
  #tidy(cells: CellReader): StoreReply {
    const pagesMax = cells.number();
    const kept = cells.number() === 1 ? KEPT_PAGES : 0;
    const free = numberAt(columnsOf(this.#freeCount.get()), 0);
    const pages = Math.max(0, Math.min(pagesMax, free - kept));
    if (pages > 0) this.#database.exec(`PRAGMA incremental_vacuum(${pages})`);
    this.#wantsCheckpoint = true;
    return reply([pages]);
  }
}

type AttemptOutcome<Value> =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'full' }
  | { readonly kind: 'invalid'; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string };

function fullText({ op }: StoreRequest): string {
  return `Cannot run "${op}" on the embedded database: there is no space left, the reserve included`;
}
