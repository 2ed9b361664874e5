/**
 * Keeps `is_behind` true to the lanes: of the pairs of one lane in stage subscriber exactly the one
 * with the lowest offset is not behind. Used by the worker's waiting table, around every change of
 * a row that is in a lane, or was, or will be.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare } from './store-columns.ts';

/** The lane of a row, by the numbers of its names. */
export interface Lane {
  readonly target: number;
  readonly topic: number;
  readonly partition: number;
  readonly lane: string;
}

const WHERE_LANE =
  'target = ? AND topic = ? AND partition = ? AND lane = ? AND lane IS NOT NULL AND stage = 0';

export class WaitingLanes {
  readonly #lowest: StatementSync;
  readonly #demote: StatementSync;
  readonly #promote: StatementSync;

  constructor(database: DatabaseSync) {
    this.#lowest = prepare(
      database,
      `SELECT id, offset FROM waiting INDEXED BY waiting_lane
       WHERE ${WHERE_LANE} ORDER BY offset LIMIT 1`,
    );
    this.#demote = prepare(database, 'UPDATE waiting SET is_behind = 1 WHERE id = ?');
    this.#promote = prepare(database, 'UPDATE waiting SET is_behind = 0 WHERE id = ?');
  }

  /**
   * A row is about to enter the lane, and is not in it yet. Returns its `is_behind`; a head above it
   * is put behind.
   */
  enter(lane: Lane, offset: number): 0 | 1 {
    const row = this.#lowest.get(lane.target, lane.topic, lane.partition, lane.lane);
    if (row === undefined) return 0;
    const columns = columnsOf(row);
    if (numberAt(columns, 1) < offset) return 1;
    this.#demote.run(numberAt(columns, 0));
    return 0;
  }

  /** The head of the lane has left it: the next one is no longer behind. */
  leave(lane: Lane): void {
    const row = this.#lowest.get(lane.target, lane.topic, lane.partition, lane.lane);
    if (row !== undefined) this.#promote.run(numberAt(columnsOf(row), 0));
  }
}
