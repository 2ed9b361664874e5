/**
 * Named durable cursors of a topic: how far a reader has come, per partition, with metadata.
 * Written by the owner of a partition only; every write carries the owner's epoch, and a lower epoch
 * than the stored one is refused (a paused owner that wakes up cannot undo its successor's work).
 */

export interface Cursor {
  readonly name: string;
  readonly partition: number;
  /** The first offset that is still to be read. */
  readonly offset: number;
  readonly epoch: number;
  /** True when retention must keep everything from `offset` on. */
  readonly pins: boolean;
  /** Small text of the writer's own, ≤ 4 KiB. */
  readonly metadata: string;
}

export interface CursorStore {
  /** All cursors of the topic whose name starts with `prefix` (empty: all). */
  load(topic: string, prefix?: string): Promise<readonly Cursor[]>;
  /**
   * Writes all or none; resolves when durable.
   * @throws CHANNEL_EPOCH_STALE (never) when any stored epoch is higher.
   */
  commit(topic: string, cursors: readonly Cursor[]): Promise<void>;
  /** Creates those that do not exist yet, leaves the others as they are; durable when it resolves. */
  create(topic: string, cursors: readonly Cursor[]): Promise<void>;
  /** Removes the named cursors, all partitions. Unknown names are no error. */
  remove(topic: string, names: readonly string[]): Promise<void>;
  /**
   * Takes ownership of a partition: a new epoch, higher than any before, durable when it resolves.
   * The former owner's commits fail from then on.
   */
  acquire(topic: string, partition: number, owner: string): Promise<number>;
}
