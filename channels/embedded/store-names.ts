/**
 * Names as small numbers: topics, UIDs, keys and holders are long and repeat in every row and index.
 * Used by the worker. What it remembers is forgotten after a rollback, which may have undone inserts.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare, textAt } from './store-columns.ts';

export class StoreNames {
  readonly #select: StatementSync;
  readonly #selectText: StatementSync;
  readonly #insert: StatementSync;
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();

  constructor(database: DatabaseSync) {
    // Names that nothing refers to any more; holders are in use by name only.
    database.exec(`DELETE FROM names WHERE id NOT IN (
      SELECT topic FROM waiting UNION SELECT target FROM waiting UNION
      SELECT target_key FROM waiting UNION
      SELECT holder FROM waiting WHERE holder IS NOT NULL UNION SELECT topic FROM bodies)`);
    this.#select = prepare(database, 'SELECT id FROM names WHERE text = ?');
    this.#selectText = prepare(database, 'SELECT text FROM names WHERE id = ?');
    this.#insert = prepare(database, 'INSERT INTO names (text) VALUES (?) RETURNING id');
  }

  /** The number of the name; made when there is none. */
  idOf(text: string): number {
    return this.find(text) ?? this.#remember(text, numberAt(columnsOf(this.#insert.get(text)), 0));
  }

  /** The number of the name, or `null` when nothing is stored under it. */
  find(text: string): number | null {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const row = this.#select.get(text);
    return row === undefined ? null : this.#remember(text, numberAt(columnsOf(row), 0));
  }

  textOf(id: number): string {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const text = textAt(columnsOf(this.#selectText.get(id)), 0);
    this.#remember(text, id);
    return text;
  }

  forgetAll(): void {
    this.#ids.clear();
    this.#texts.clear();
  }

  #remember(text: string, id: number): number {
    if (this.#ids.size >= NAMES_REMEMBERED_MAX) this.forgetAll();
    this.#ids.set(text, id);
    this.#texts.set(id, text);
    return id;
  }
}

/** 10,000 Triggers with UID and key, and some to spare; about 5 MiB at most. */
const NAMES_REMEMBERED_MAX = 32_768;
