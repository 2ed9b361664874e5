/**
 * Cursors and epochs in the database. Runs in the worker, inside the transaction of a batch.
 * Invariant: epochs only rise, and outlive their topic, so that a former owner's late write can
 * never reach a topic that was made again under the same name.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { EVERY_PARTITION } from './cursor-store.ts';
import { columnsOf, numberAt, prepare, textAt } from './store-columns.ts';
import type { Columns } from './store-columns.ts';
import { refusal, reply } from './store-request.ts';
import type { Cell, CellReader, StoreReply } from './store-request.ts';

interface CursorRow {
  readonly name: string;
  readonly partition: number;
  readonly offset: number;
  readonly role: string;
  readonly epoch: number;
  readonly pins: number;
  readonly metadata: string;
}

const COLUMNS = 'name, partition, offset, role, epoch, pins, metadata';

export class CursorTable {
  readonly #load: StatementSync;
  readonly #loadMarks: StatementSync;
  readonly #epoch: StatementSync;
  readonly #write: StatementSync;
  readonly #create: StatementSync;
  readonly #remove: StatementSync;
  readonly #removeTopic: StatementSync;
  readonly #raiseTopic: StatementSync;
  readonly #raise: StatementSync;

  constructor(database: DatabaseSync) {
    const sql = (text: string): StatementSync => prepare(database, text);
    this.#load = sql(`SELECT ${COLUMNS} FROM cursors
      WHERE topic = ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY name, partition`);
    this.#loadMarks = sql('SELECT topic, name, partition, offset, pins FROM cursors');
    this.#epoch = sql('SELECT epoch FROM epochs WHERE topic = ? AND partition = ? AND role = ?');
    this.#write = sql(`INSERT INTO cursors (topic, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (topic, name, partition) DO UPDATE SET offset = excluded.offset,
        role = excluded.role, epoch = excluded.epoch, pins = excluded.pins,
        metadata = excluded.metadata`);
    this.#create = sql(`INSERT OR IGNORE INTO cursors (topic, ${COLUMNS})
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#remove = sql(`DELETE FROM cursors
      WHERE topic = ?1 AND name = ?3 AND (?2 = ${EVERY_PARTITION} OR partition = ?2)`);
    this.#removeTopic = sql('DELETE FROM cursors WHERE topic = ?');
    this.#raiseTopic = sql('UPDATE epochs SET epoch = epoch + 1 WHERE topic = ?');
    this.#raise = sql(`INSERT INTO epochs (topic, partition, role, epoch) VALUES (?, ?, ?, 1)
      ON CONFLICT (topic, partition, role) DO UPDATE SET epoch = epoch + 1 RETURNING epoch`);
  }

  load(cells: CellReader): StoreReply {
    const rows = this.#load.all(cells.text(), cells.text());
    return reply(rows.flatMap((row) => cursorCells(columnsOf(row))));
  }

  /** Every cursor of every topic without its metadata, for the mirror that retention asks. */
  marks(): StoreReply {
    const rows = this.#loadMarks.all();
    return reply(
      rows.flatMap((raw) => {
        const row = columnsOf(raw);
        const key = [textAt(row, 0), textAt(row, 1), numberAt(row, 2)];
        return [...key, numberAt(row, 3), numberAt(row, 4)];
      }),
    );
  }

  commit(cells: CellReader): StoreReply {
    const topic = cells.text();
    const cursors = readCursors(cells);
    for (const cursor of cursors) {
      const epoch = this.#epochOf(topic, cursor);
      if (cursor.epoch < epoch)
        return refusal('CHANNEL_EPOCH_STALE', staleText(topic, cursor, epoch));
    }
    for (const cursor of cursors) run(this.#write, topic, cursor);
    return reply();
  }

  create(cells: CellReader): StoreReply {
    const topic = cells.text();
    for (const cursor of readCursors(cells)) run(this.#create, topic, cursor);
    return reply();
  }

  remove(cells: CellReader): StoreReply {
    const topic = cells.text();
    const partition = cells.number();
    while (cells.hasMore) this.#remove.run(topic, partition, cells.text());
    return reply();
  }

  acquire(cells: CellReader): StoreReply {
    const row = this.#raise.get(cells.text(), cells.number(), cells.text());
    return reply([numberAt(columnsOf(row), 0)]);
  }

  removeTopic(topic: string): void {
    this.#removeTopic.run(topic);
    this.#raiseTopic.run(topic);
  }

  #epochOf(topic: string, cursor: CursorRow): number {
    if (cursor.role === 'control') return 0;
    const row = this.#epoch.get(topic, cursor.partition, cursor.role);
    return row === undefined ? 0 : numberAt(columnsOf(row), 0);
  }
}

function cursorCells(row: Columns): Cell[] {
  return [
    textAt(row, 0),
    numberAt(row, 1),
    numberAt(row, 2),
    textAt(row, 3),
    numberAt(row, 4),
    numberAt(row, 5),
    textAt(row, 6),
  ];
}

function readCursors(cells: CellReader): readonly CursorRow[] {
  const cursors: CursorRow[] = [];
  while (cells.hasMore) {
    cursors.push({
      name: cells.text(),
      partition: cells.number(),
      offset: cells.number(),
      role: cells.text(),
      epoch: cells.number(),
      pins: cells.number(),
      metadata: cells.text(),
    });
  }
  return cursors;
}

function run(statement: StatementSync, topic: string, cursor: CursorRow): void {
  const { name, partition, offset, role, epoch, pins, metadata } = cursor;
  statement.run(topic, name, partition, offset, role, epoch, pins, metadata);
}

function staleText(topic: string, cursor: CursorRow, epoch: number): string {
  return (
    `Cannot commit cursor "${cursor.name}" of "${topic}" partition ${cursor.partition}: ` +
    `epoch ${cursor.epoch} of ${cursor.role}, present owner has ${epoch}`
  );
}
