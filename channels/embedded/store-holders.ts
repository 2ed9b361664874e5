/**
 * Holders of leases by name: whether their last life ended cleanly, and what they have under lease.
 * Used by the worker. A holder is unclean from its first use until `release`.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare } from './store-columns.ts';
import type { StoreNames } from './store-names.ts';
import { reply } from './store-request.ts';
import type { CellReader, StoreReply } from './store-request.ts';
import { LEASE_MS } from './waiting-cells.ts';

export class StoreHolders {
  readonly #names: StoreNames;
  readonly #select: StatementSync;
  readonly #mark: StatementSync;
  readonly #giveBack: StatementSync;
  readonly #renew: StatementSync;
  /** Holders that are marked as begun in the database, so that it need not be written again. */
  readonly #begun = new Set<string>();

  constructor(database: DatabaseSync, names: StoreNames) {
    this.#names = names;
    this.#select = prepare(database, 'SELECT is_clean FROM holders WHERE name = ?');
    this.#mark = prepare(
      database,
      `INSERT INTO holders (name, is_clean) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET is_clean = excluded.is_clean`,
    );
    this.#giveBack = prepare(
      database,
      `UPDATE waiting SET holder = NULL, lease_until_ms = 0, free_ms = due_ms,
         deaths = deaths + (attempt >= 1 AND ?) WHERE holder = ?`,
    );
    this.#renew = prepare(
      database,
      `UPDATE waiting SET lease_until_ms = ?1, free_ms = max(?1, due_ms)
       WHERE id = ?2 AND holder = ?3`,
    );
  }

  /** Marks the holder as begun and gives the number of its name. */
  begin(name: string): number {
    if (!this.#begun.has(name)) {
      this.#mark.run(name, 0);
      if (this.#begun.size >= HOLDERS_REMEMBERED_MAX) this.#begun.clear();
      this.#begun.add(name);
    }
    return this.#names.idOf(name);
  }

  recover(cells: CellReader): StoreReply {
    const name = cells.text();
    const row = this.#select.get(name);
    const isUnclean = row !== undefined && numberAt(columnsOf(row), 0) === 0;
    this.#giveBack.run(isUnclean ? 1 : 0, this.begin(name));
    return reply([isUnclean ? 1 : 0]);
  }

  release(cells: CellReader): StoreReply {
    const name = cells.text();
    this.#giveBack.run(0, this.#names.idOf(name));
    this.#mark.run(name, 1);
    this.#begun.delete(name);
    return reply();
  }

  renew(cells: CellReader): StoreReply {
    const holder = this.#names.find(cells.text());
    const untilMs = cells.number() + LEASE_MS;
    if (holder === null) return reply();
    for (const id of cells.numbers()) this.#renew.run(untilMs, id, holder);
    return reply();
  }

  /** After a rollback nothing that was marked since is certain. */
  forgetAll(): void {
    this.#begun.clear();
  }
}

const HOLDERS_REMEMBERED_MAX = 1024;
