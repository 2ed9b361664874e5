/**
 * The cursors of the memory driver: a map per topic, and the epochs of each role of a partition.
 * Used by `memory-driver.ts`. Invariant: epochs only rise, and outlive the topic, so that a former
 * owner's late write can never reach a topic that was made again under the same name.
 */
import { assert } from '#lib/assert/assert';
import { channelError } from '#lib/channel/channel-errors';
import type { Cursor, CursorRole, CursorStore } from '#lib/channel/cursor-store';

const METADATA_BYTES_MAX = 4096;

export class MemoryCursors implements CursorStore {
  readonly #topics = new Map<string, Map<string, Cursor>>();
  readonly #epochs = new Map<string, number>();
  #closed = false;

  // The methods are async so that a refusal is a rejection, never a throw.
  async load(topic: string, prefix = ''): Promise<readonly Cursor[]> {
    this.#assertOpen();
    return this.#all(topic).filter((cursor) => cursor.name.startsWith(prefix));
  }

  async commit(topic: string, cursors: readonly Cursor[]): Promise<void> {
    this.#assertOpen();
    for (const cursor of cursors) this.#check(topic, cursor);
    for (const cursor of cursors) this.#write(topic, cursor);
  }

  async create(topic: string, cursors: readonly Cursor[]): Promise<void> {
    this.#assertOpen();
    for (const cursor of cursors) {
      assertMetadata(cursor);
      if (this.#topics.get(topic)?.has(cursorKey(cursor)) !== true) this.#write(topic, cursor);
    }
  }

  async remove(topic: string, names: readonly string[], partition?: number): Promise<void> {
    this.#assertOpen();
    const unwanted = new Set(names);
    for (const cursor of this.#all(topic)) {
      if (partition !== undefined && cursor.partition !== partition) continue;
      if (unwanted.has(cursor.name)) this.#topics.get(topic)?.delete(cursorKey(cursor));
    }
  }

  async acquire(topic: string, partition: number, role: CursorRole): Promise<number> {
    this.#assertOpen();
    return this.#raise(topic, partition, role);
  }

  /** Raises the epochs that were taken, so that late writes of former owners are refused. */
  removeTopic(topic: string): void {
    this.#topics.delete(topic);
    for (const [key, epoch] of this.#epochs) {
      if (key.endsWith(`\n${topic}`)) this.#epochs.set(key, epoch + 1);
    }
  }

  lowestPin(topic: string, partition: number): number | null {
    let lowest: number | null = null;
    for (const cursor of this.#topics.get(topic)?.values() ?? []) {
      if (!cursor.pins || cursor.partition !== partition) continue;
      if (lowest === null || cursor.offset < lowest) lowest = cursor.offset;
    }
    return lowest;
  }

  /** Every pinning cursor with its topic. */
  *pins(): Generator<{ readonly topic: string; readonly cursor: Cursor }> {
    for (const [topic, cursors] of this.#topics) {
      for (const cursor of cursors.values()) if (cursor.pins) yield { topic, cursor };
    }
  }

  close(): void {
    this.#closed = true;
  }

  #all(topic: string): readonly Cursor[] {
    return [...(this.#topics.get(topic)?.values() ?? [])];
  }

  #write(topic: string, cursor: Cursor): void {
    const cursors = this.#topics.get(topic) ?? new Map<string, Cursor>();
    this.#topics.set(topic, cursors);
    cursors.set(cursorKey(cursor), cursor);
  }

  #raise(topic: string, partition: number, role: CursorRole): number {
    const key = epochKey(topic, partition, role);
    const epoch = (this.#epochs.get(key) ?? 0) + 1;
    this.#epochs.set(key, epoch);
    return epoch;
  }

  #check(topic: string, cursor: Cursor): void {
    assertMetadata(cursor);
    if (cursor.role === 'control') return;
    const epoch = this.#epochs.get(epochKey(topic, cursor.partition, cursor.role)) ?? 0;
    if (cursor.epoch >= epoch) return;
    throw channelError(
      'CHANNEL_EPOCH_STALE',
      `Cannot commit cursor "${cursor.name}" of "${topic}" partition ${cursor.partition}: ` +
        `epoch ${cursor.epoch} of ${cursor.role}, present owner has ${epoch}`,
    );
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw channelError('CHANNEL_CLOSED', 'Cannot use the memory cursors: they are closed');
  }
}

function assertMetadata(cursor: Cursor): void {
  const bytes = Buffer.byteLength(cursor.metadata);
  assert(bytes <= METADATA_BYTES_MAX, 'cursor metadata is small', { name: cursor.name, bytes });
}

function cursorKey(cursor: Cursor): string {
  return `${cursor.partition}\n${cursor.name}`;
}

function epochKey(topic: string, partition: number, role: CursorRole): string {
  return `${role}\n${partition}\n${topic}`;
}
