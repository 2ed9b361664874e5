/**
 * What the cursors pin, kept in memory: retention asks for the lowest pin at every trim. Sits between
 * everyone and the database, sees every write of a cursor (other processes' too) and follows it when
 * it is durable, before its writer hears of it. Used by the embedded driver. Invariant: what a caller
 * was told about a cursor is what retention goes by.
 */
import { EVERY_PARTITION } from './cursor-store.ts';
import { CellReader } from './store-request.ts';
import type { StoreReply, StoreRequest, StoreTransport } from './store-request.ts';

export interface Pin {
  readonly topic: string;
  readonly name: string;
  readonly partition: number;
  readonly offset: number;
}

interface MirroredCursor extends Pin {
  readonly pins: boolean;
}

export class CursorMirror implements StoreTransport {
  readonly #inner: StoreTransport;
  /** topic → `partition name` → cursor. */
  readonly #topics = new Map<string, Map<string, MirroredCursor>>();

  constructor(inner: StoreTransport) {
    this.#inner = inner;
  }

  /** Reads what is stored; before anything else is asked. */
  async load(): Promise<void> {
    const answer = await this.#inner.request({ op: 'cursorMarks', cells: [], bytes: null });
    const cells = new CellReader(answer.cells);
    while (cells.hasMore) {
      const [topic, name] = [cells.text(), cells.text()];
      const [partition, offset, pins] = [cells.number(), cells.number(), cells.number() === 1];
      this.#set({ topic, name, partition, offset, pins });
    }
  }

  async request(request: StoreRequest): Promise<StoreReply> {
    const reply = await this.#inner.request(request);
    switch (request.op) {
      case 'cursorCommit':
        this.#write(request, true);
        break;
      case 'cursorCreate':
        this.#write(request, false);
        break;
      case 'cursorRemove':
        this.#remove(request);
        break;
      case 'topicRemove':
        this.#topics.delete(new CellReader(request.cells).text());
        break;
      default:
        break;
    }
    return reply;
  }

  lowestPin(topic: string, partition: number): number | null {
    let lowest: number | null = null;
    for (const pin of this.#topics.get(topic)?.values() ?? []) {
      if (pin.partition !== partition || !pin.pins) continue;
      if (lowest === null || pin.offset < lowest) lowest = pin.offset;
    }
    return lowest;
  }

  *pins(): Generator<Pin> {
    for (const cursors of this.#topics.values()) {
      for (const cursor of cursors.values()) if (cursor.pins) yield cursor;
    }
  }

  #write(request: StoreRequest, replaces: boolean): void {
    const cells = new CellReader(request.cells);
    const topic = cells.text();
    while (cells.hasMore) {
      const [name, partition, offset] = [cells.text(), cells.number(), cells.number()];
      cells.text();
      cells.number();
      const pins = cells.number() === 1;
      cells.text();
      const cursor = { topic, name, partition, offset, pins };
      if (replaces || this.#topics.get(topic)?.has(keyOf(cursor)) !== true) this.#set(cursor);
    }
  }

  #remove(request: StoreRequest): void {
    const cells = new CellReader(request.cells);
    const pins = this.#topics.get(cells.text());
    const partition = cells.number();
    const names = new Set<string>();
    while (cells.hasMore) names.add(cells.text());
    for (const [key, pin] of pins ?? []) {
      const isHere = partition === EVERY_PARTITION || pin.partition === partition;
      if (isHere && names.has(pin.name)) pins?.delete(key);
    }
  }

  #set(cursor: MirroredCursor): void {
    const cursors = this.#topics.get(cursor.topic) ?? new Map<string, MirroredCursor>();
    this.#topics.set(cursor.topic, cursors);
    cursors.set(keyOf(cursor), cursor);
  }
}

function keyOf({ partition, name }: Pin): string {
  return `${partition} ${name}`;
}
