/**
 * Who waits for an append: one record, or a call with several. Made by the log, told by the flusher.
 * Invariant: a receipt is issued only when the flusher says that the record is stored.
 */
import { issueReceipt } from '#lib/channel/receipt';
import type { Receipt } from '#lib/channel/receipt';
import type { MeshError } from '#lib/errors/mesh-error';
import type { AppendWaiter } from './log-batch.ts';

export class SingleAppend implements AppendWaiter {
  readonly #topic: string;
  readonly #resolve: (receipt: Receipt) => void;
  readonly #reject: (error: MeshError) => void;

  constructor(
    topic: string,
    resolve: (receipt: Receipt) => void,
    reject: (error: MeshError) => void,
  ) {
    this.#topic = topic;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  stored(_slot: number, partition: number, offset: number): void {
    this.#resolve(issueReceipt(this.#topic, partition, offset));
  }

  failed(error: MeshError): void {
    this.#reject(error);
  }
}

/** Resolves with the last record; rejects with the first that fails, once. */
export class GroupAppend implements AppendWaiter {
  readonly #topic: string;
  readonly #resolve: (receipts: readonly Receipt[]) => void;
  readonly #reject: (error: MeshError) => void;
  readonly #receipts: Receipt[];
  #left: number;

  constructor(
    topic: string,
    count: number,
    resolve: (receipts: readonly Receipt[]) => void,
    reject: (error: MeshError) => void,
  ) {
    this.#topic = topic;
    this.#left = count;
    this.#receipts = new Array<Receipt>(count);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  stored(slot: number, partition: number, offset: number): void {
    this.#receipts[slot] = issueReceipt(this.#topic, partition, offset);
    this.#left--;
    if (this.#left === 0) this.#resolve(this.#receipts);
  }

  failed(error: MeshError): void {
    this.#reject(error);
  }
}
