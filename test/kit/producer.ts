/**
 * A producer under the ledger: sends events over a {@link Load}, and logs each outcome after it came.
 * Each slot sends its events one by one, so that an ordering key that belongs to one slot has an order.
 */
import { eventRequest } from './event-request.ts';
import type { Encoding, TestEvent } from './event-request.ts';
import { hashOf } from './ledger.ts';
import type { LedgerEvent } from './ledger.ts';
import { Load } from './load.ts';

export interface ProducerOptions {
  /** `http://127.0.0.1:8080/default/default` */
  readonly url: string;
  /** Number `index` of all, to be sent by `slot`; a batch calls it `batchCount` times. */
  readonly makeEvent: (index: number, slot: number) => ProducedEvent;
  /** After each response, or broken connection. */
  readonly onOutcome: (event: LedgerEvent, status: number | null) => void;
  readonly connectionCount?: number;
  /** Open loop; without it the closed loop. */
  readonly ratePerSecond?: number;
  readonly encoding?: Encoding;
  readonly batchCount?: number;
  /** Events in all; without it until `stop`. */
  readonly countMax?: number;
  /** How often an unknown outcome is sent again. */
  readonly retryCount?: number;
}

export interface ProducedEvent extends TestEvent {
  /** Ordering key; also sent as `partitionkey`. */
  readonly key?: string | null;
}

/** What a slot has on its way. */
interface Sending {
  readonly bytes: Buffer;
  readonly events: readonly LedgerEvent[];
  retriesLeft: number;
}

export class Producer implements AsyncDisposable {
  readonly #options: ProducerOptions;
  readonly #line: { readonly host: string; readonly path: string };
  readonly #slots: (Sending | null)[] = [];
  readonly #load: Load;
  /** Sendings that wait to be sent again by their slot. */
  readonly #again = new Set<number>();
  #index = 0;
  #settledCount = 0;
  #allSettled: (() => void) | null = null;

  constructor(options: ProducerOptions) {
    this.#options = options;
    const { hostname, port, host, pathname } = new URL(options.url);
    this.#line = { host, path: pathname };
    const source = {
      next: (slot: number) => this.#next(slot),
      settled: (slot: number, status: number | null) => this.#settled(slot, status),
    };
    const { connectionCount = 8, ratePerSecond = null } = options;
    this.#load = new Load(source, {
      host: hostname,
      port: Number(port),
      connectionCount,
      ratePerSecond,
    });
  }

  /** Events handed out so far. */
  get sentCount(): number {
    return this.#index;
  }

  get breakCount(): number {
    return this.#load.breakCount;
  }

  start(): void {
    this.#load.start();
  }

  /** Sends no more, and waits for the open requests. `start` goes on. */
  stop(): Promise<void> {
    return this.#load.stop();
  }

  /** Resolves when `countMax` events have their outcome. */
  async finished(): Promise<void> {
    if (this.#settledCount >= this.#countMax()) return;
    await new Promise<void>((resolve) => {
      this.#allSettled = resolve;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#load.close();
    return Promise.resolve();
  }

  #countMax(): number {
    return this.#options.countMax ?? Number.POSITIVE_INFINITY;
  }

  #next(slot: number): Buffer | null {
    if (this.#again.delete(slot)) return this.#slots[slot]?.bytes ?? null;
    const { encoding = 'binary', batchCount = 1, retryCount = 0 } = this.#options;
    const count = Math.min(batchCount, this.#countMax() - this.#index);
    if (count <= 0) return null;
    const made = Array.from({ length: count }, () => this.#options.makeEvent(this.#index++, slot));
    const bytes = eventRequest(this.#line, encoding, made.map(withPartitionKey));
    this.#slots[slot] = { bytes, events: made.map(ledgerEvent), retriesLeft: retryCount };
    return bytes;
  }

  #settled(slot: number, status: number | null): void {
    const sending = this.#slots[slot];
    if (sending === undefined || sending === null) throw new Error('an outcome without a request');
    for (const event of sending.events) this.#options.onOutcome(event, status);
    const isUnknown = status === null || status >= 500;
    if (isUnknown && sending.retriesLeft > 0) {
      sending.retriesLeft -= 1;
      this.#again.add(slot);
      return;
    }
    this.#slots[slot] = null;
    this.#settledCount += sending.events.length;
    if (this.#settledCount >= this.#countMax()) this.#allSettled?.();
  }
}

function withPartitionKey(event: ProducedEvent): TestEvent {
  const { key = null, attributes } = event;
  return key === null ? event : { ...event, attributes: { ...attributes, partitionkey: key } };
}

function ledgerEvent(event: ProducedEvent): LedgerEvent {
  const { source, id, type, key = null, data } = event;
  return { source, id, type, key, hash: hashOf(data) };
}
