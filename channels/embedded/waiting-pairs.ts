/**
 * Rows of the waiting table on their way out: the columns that are read, and the reply that is made
 * of them (see `waiting-cells.ts`). Runs in the worker; used for leases and for looks.
 */
import { assert } from '#lib/assert/assert';
import { bytesOrNullAt, numberAt, textOrNullAt } from './store-columns.ts';
import type { Columns } from './store-columns.ts';
import type { StoreNames } from './store-names.ts';
import { reply } from './store-request.ts';
import type { Cell, StoreReply } from './store-request.ts';

export const PAIR_COLUMNS = `w.id, w.topic, w.partition, w.offset, w.target, w.target_key, w.stage,
  w.attempt, w.deaths, w.lane, w.due_ms, w.first_failure_ms, w.last_failure_ms, b.record, w.failure,
  w.reply, w.size_bytes`;

const REPLY_BYTES_MAX = 64 * 1024 * 1024;

export class PairCollector {
  readonly #names: StoreNames;
  readonly #cells: Cell[] = [];
  readonly #parts: Uint8Array[] = [];
  #sizeBytes = 0;

  constructor(names: StoreNames) {
    this.#names = names;
  }

  /** True when a look has gathered as much as one reply should carry. */
  get isFull(): boolean {
    return this.#sizeBytes >= REPLY_BYTES_MAX;
  }

  /** `attemptsAdded`: what a lease has just added to the attempt of the row. */
  add(row: Columns, attemptsAdded: number): void {
    const record = bytesOrNullAt(row, 13);
    assert(record !== null, 'every waiting pair has its body', { id: numberAt(row, 0) });
    this.#cells.push(
      numberAt(row, 0),
      this.#names.textOf(numberAt(row, 1)),
      numberAt(row, 2),
      numberAt(row, 3),
      this.#names.textOf(numberAt(row, 4)),
      this.#names.textOf(numberAt(row, 5)),
      numberAt(row, 6),
      numberAt(row, 7) + attemptsAdded,
      numberAt(row, 8),
      textOrNullAt(row, 9),
      numberAt(row, 10),
      numberAt(row, 11),
      numberAt(row, 12),
      this.#addBytes(record),
      this.#addBytes(bytesOrNullAt(row, 14)),
      this.#addBytes(bytesOrNullAt(row, 15)),
    );
  }

  /** `head`: cells before those of the first pair. */
  reply(head: readonly Cell[]): StoreReply {
    const bytes = new Uint8Array(this.#sizeBytes);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return reply([...head, ...this.#cells], bytes);
  }

  #addBytes(part: Uint8Array | null): number {
    if (part === null) return 0;
    this.#parts.push(part);
    this.#sizeBytes += part.length;
    return part.length;
  }
}
