/**
 * Named durable cursors of a topic: how far a reader has come, per partition, with metadata.
 * Written by the owner of a role only; every write carries the owner's epoch, and a write below the
 * role's present epoch is refused (a paused owner that wakes up cannot undo its successor's work).
 */

/** Who writes a cursor. Each role of a partition has one owner and an epoch of its own. */
export type CursorRole = 'control' | 'filter' | 'dispatcher';

export interface Cursor {
  readonly name: string;
  readonly partition: number;
  /** The first offset that is still to be read. */
  readonly offset: number;
  readonly role: CursorRole;
  /** The writer's epoch in its role; the control role always writes 0 and is never refused. */
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
   * Writes all or none (creating what does not exist); resolves when durable.
   * @throws CHANNEL_EPOCH_STALE (never) when a cursor's epoch is below the epoch last acquired for
   *   its role, topic and partition.
   */
  commit(topic: string, cursors: readonly Cursor[]): Promise<void>;
  /** Creates those that do not exist yet, leaves the others as they are; durable when it resolves. */
  create(topic: string, cursors: readonly Cursor[]): Promise<void>;
  /** Removes the named cursors, of one partition or of all; durable. Unknown names are no error. */
  remove(topic: string, names: readonly string[], partition?: number): Promise<void>;
  /**
   * Takes a role of a partition over: a new epoch, higher than any before in that role, durable when
   * it resolves. The former owner's commits in that role fail from then on.
   */
  acquire(topic: string, partition: number, role: CursorRole): Promise<number>;
}
