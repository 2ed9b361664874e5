/**
 * Leasing in the database: earliest due first, so that nothing starves, handed out in order of
 * position. Runs in the worker. A lease counts while `now < until`; a clock that was set back far
 * voids what was leased before, and no due time lies further ahead than the cap.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare } from './store-columns.ts';
import type { Columns } from './store-columns.ts';
import type { StoreHolders } from './store-holders.ts';
import type { StoreNames } from './store-names.ts';
import { reply } from './store-request.ts';
import type { CellReader, StoreReply } from './store-request.ts';
import { LEASE_AHEAD_MS_MAX, LEASE_MS } from './waiting-cells.ts';
import { PAIR_COLUMNS, PairCollector } from './waiting-pairs.ts';

/** A smaller step back of the wall clock changes nothing worth a look at the whole table. */
const CLOCK_STEP_MS_MIN = 60_000;

const LEASABLE = 'w.target = ? AND w.is_behind = 0 AND w.stage < 3';

export class WaitingLeases {
  readonly #names: StoreNames;
  readonly #holders: StoreHolders;
  readonly #dueAheadMsMax: number;
  readonly #due: StatementSync;
  readonly #take: StatementSync;
  readonly #nextFree: StatementSync;
  readonly #clampDue: StatementSync;
  readonly #voidFarLeases: StatementSync;
  /** The latest wall clock that a lease came with; the first one looks at the table in any case. */
  #latestMs = Number.POSITIVE_INFINITY;

  constructor(
    database: DatabaseSync,
    parts: { readonly names: StoreNames; readonly holders: StoreHolders },
    dueAheadMsMax: number,
  ) {
    this.#names = parts.names;
    this.#holders = parts.holders;
    this.#dueAheadMsMax = dueAheadMsMax;
    const sql = (text: string): StatementSync => prepare(database, text);
    this.#due = sql(`SELECT ${PAIR_COLUMNS} FROM waiting w INDEXED BY waiting_free
      CROSS JOIN bodies b ON b.topic = w.topic AND b.partition = w.partition AND b.offset = w.offset
      WHERE ${LEASABLE} AND w.free_ms <= ?
      ORDER BY w.free_ms, w.topic, w.partition, w.offset LIMIT ?`);
    this.#take = sql(`UPDATE waiting SET attempt = attempt + 1, holder = ?, lease_until_ms = ?2,
      free_ms = max(?2, due_ms) WHERE id = ?`);
    this.#nextFree = sql(`SELECT w.free_ms FROM waiting w INDEXED BY waiting_free
      WHERE ${LEASABLE} AND (w.holder IS NULL OR w.holder <> ? OR w.lease_until_ms <= ?)
      ORDER BY w.free_ms LIMIT 1`);
    this.#clampDue = sql(`UPDATE waiting AS w INDEXED BY waiting_free SET due_ms = ?1, free_ms = ?1
      WHERE w.target = ?2 AND w.is_behind = 0 AND w.stage < 3
        AND w.free_ms > ?1 AND (w.holder IS NULL OR w.lease_until_ms <= ?3)`);
    this.#voidFarLeases = sql(`UPDATE waiting SET holder = NULL, lease_until_ms = 0,
      free_ms = due_ms WHERE holder IS NOT NULL AND lease_until_ms > ?`);
  }

  lease(cells: CellReader): StoreReply {
    const target = this.#names.find(cells.text());
    const holderName = cells.text();
    const nowMs = cells.number();
    const countMax = cells.number();
    const bytesMax = cells.number();
    this.#watchClock(nowMs);
    const holder = this.#holders.begin(holderName);
    if (target === null) return reply([null]);
    this.#clampDue.run(nowMs + this.#dueAheadMsMax, target, nowMs);
    const rows = this.#dueRows({ target, nowMs, countMax, bytesMax });
    const pairs = new PairCollector(this.#names);
    for (const row of this.#inOrder(rows)) {
      this.#take.run(holder, nowMs + LEASE_MS, numberAt(row, 0));
      pairs.add(row, 1);
    }
    const next = this.#nextFree.get(target, holder, nowMs);
    return pairs.reply([next === undefined ? null : numberAt(columnsOf(next), 0)]);
  }

  /** After a rollback the look at the table may have been undone. */
  forgetAll(): void {
    this.#latestMs = Number.POSITIVE_INFINITY;
  }

  #dueRows(request: {
    readonly target: number;
    readonly nowMs: number;
    readonly countMax: number;
    readonly bytesMax: number;
  }): Columns[] {
    const { target, nowMs, countMax, bytesMax } = request;
    const rows: Columns[] = [];
    let bytes = 0;
    for (const raw of this.#due.iterate(target, nowMs, countMax)) {
      const row = columnsOf(raw);
      bytes += numberAt(row, SIZE_COLUMN);
      if (rows.length > 0 && bytes > bytesMax) break;
      rows.push(row);
    }
    return rows;
  }

  #inOrder(rows: Columns[]): Columns[] {
    return rows.sort((a, b) => {
      const [topicA, topicB] = [numberAt(a, 1), numberAt(b, 1)];
      if (topicA !== topicB) {
        return this.#names.textOf(topicA) < this.#names.textOf(topicB) ? -1 : 1;
      }
      return numberAt(a, 2) - numberAt(b, 2) || numberAt(a, 3) - numberAt(b, 3);
    });
  }

  #watchClock(nowMs: number): void {
    if (nowMs < this.#latestMs - CLOCK_STEP_MS_MIN) {
      this.#voidFarLeases.run(nowMs + LEASE_AHEAD_MS_MAX);
      this.#latestMs = nowMs;
    }
    this.#latestMs = Math.max(this.#latestMs, nowMs);
  }
}

/** `size_bytes` is the last of {@link PAIR_COLUMNS}. */
const SIZE_COLUMN = 16;
