/**
 * Reading the waiting pairs without leasing them: for operators, for metrics, and for a dispatcher
 * that starts. Runs in the worker.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare, textOrNullAt } from './store-columns.ts';
import type { StoreNames } from './store-names.ts';
import { reply } from './store-request.ts';
import type { Cell, CellReader, StoreReply } from './store-request.ts';
import type { WaitingCounts } from './waiting-counts.ts';
import { PAIR_COLUMNS, PairCollector } from './waiting-pairs.ts';

export class WaitingQueries {
  readonly #names: StoreNames;
  readonly #counts: WaitingCounts;
  readonly #nextDue: StatementSync;
  readonly #keys: StatementSync;
  readonly #peek: StatementSync;
  readonly #peekEvent: StatementSync;

  constructor(database: DatabaseSync, names: StoreNames, counts: WaitingCounts) {
    this.#names = names;
    this.#counts = counts;
    const sql = (text: string): StatementSync => prepare(database, text);
    this.#nextDue = sql(`SELECT free_ms FROM waiting INDEXED BY waiting_free
      WHERE target = ? AND is_behind = 0 AND stage < 3 AND topic = ?
        AND (holder IS NULL OR lease_until_ms <= ?) ORDER BY free_ms LIMIT 1`);
    this.#keys = sql(`SELECT id, target, offset, lane, stage FROM waiting INDEXED BY waiting_key
      WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset, id`);
    const join = 'b.topic = w.topic AND b.partition = w.partition AND b.offset = w.offset';
    const filters = `(?2 IS NULL OR w.topic = ?2) AND (?3 IS NULL OR w.target = ?3)
      AND (?4 IS NULL OR w.target_key = ?4) AND (?5 IS NULL OR w.stage = ?5)`;
    this.#peek = sql(`SELECT ${PAIR_COLUMNS} FROM waiting w JOIN bodies b ON ${join}
      WHERE w.id > ?1 AND ${filters} ORDER BY w.id LIMIT ?6`);
    this.#peekEvent = sql(`SELECT ${PAIR_COLUMNS} FROM bodies b INDEXED BY bodies_event
      CROSS JOIN waiting w INDEXED BY waiting_key ON ${join}
      WHERE b.event_id = ?7 AND w.id > ?1 AND ${filters} ORDER BY w.id LIMIT ?6`);
  }

  summary(cells: CellReader): StoreReply {
    const topic = this.#names.find(cells.text());
    const nowMs = cells.number();
    const found: Cell[] = [];
    if (topic === null) return reply(found);
    for (const { target, targetKey, waiting, parked } of this.#counts.of(topic)) {
      const row = waiting === 0 ? undefined : this.#nextDue.get(target, topic, nowMs);
      const nextDueMs = row === undefined ? null : numberAt(columnsOf(row), 0);
      const names = [this.#names.textOf(target), this.#names.textOf(targetKey)];
      found.push(...names, waiting, parked, nextDueMs);
    }
    return reply(found);
  }

  keys(cells: CellReader): StoreReply {
    const topic = this.#names.find(cells.text());
    const found: Cell[] = [];
    if (topic === null) return reply(found);
    for (const raw of this.#keys.iterate(topic, cells.number(), cells.number())) {
      const row = columnsOf(raw);
      found.push(
        numberAt(row, 0),
        this.#names.textOf(numberAt(row, 1)),
        numberAt(row, 2),
        textOrNullAt(row, 3),
        numberAt(row, 4),
      );
    }
    return reply(found);
  }

  /** Cells: topic, target, targetKey, stage, eventId (each or null), countMax, afterId. */
  peek(cells: CellReader): StoreReply {
    const names = [cells.textOrNull(), cells.textOrNull(), cells.textOrNull()];
    const stage = cells.numberOrNull();
    const eventId = cells.textOrNull();
    const countMax = cells.number();
    const afterId = cells.number();
    const pairs = new PairCollector(this.#names);
    const [topic, target, targetKey] = names.map((name) => {
      // A name that was never stored matches nothing; no name matches everything.
      return name === null ? null : (this.#names.find(name) ?? NO_NAME);
    });
    const filters = [afterId, topic ?? null, target ?? null, targetKey ?? null, stage, countMax];
    const rows =
      eventId === null
        ? this.#peek.iterate(...filters)
        : this.#peekEvent.iterate(...filters, eventId);
    for (const row of rows) {
      pairs.add(columnsOf(row), 0);
      // A page of large bodies is shorter than asked for; only an empty one is the last.
      if (pairs.isFull) break;
    }
    return pairs.reply([]);
  }
}

const NO_NAME = -1;
