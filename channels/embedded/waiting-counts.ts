/**
 * How many pairs wait and are parked per target, kept in the worker's memory so that metrics need not
 * count 100,000 rows (45 ms): read from the table once, then followed change by change. After a
 * rollback, and after changes of whole sets, it is forgotten and read again when it is next asked for.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare } from './store-columns.ts';
import { STAGE_PARKED } from './waiting-cells.ts';

export interface TargetCount {
  readonly target: number;
  /** The key that the target was last stored with. */
  targetKey: number;
  waiting: number;
  parked: number;
}

export interface CountedPair {
  readonly topic: number;
  readonly target: number;
  /** `null`: not known to the caller, and not changed. */
  readonly targetKey: number | null;
  readonly stage: number;
}

type TopicCounts = Map<number, TargetCount>;

export class WaitingCounts {
  readonly #select: StatementSync;
  #topics: Map<number, TopicCounts> | null = null;

  constructor(database: DatabaseSync) {
    this.#select = prepare(
      database,
      `SELECT topic, target, target_key, sum(stage < 3), sum(stage = 3)
       FROM waiting GROUP BY topic, target`,
    );
  }

  /** `by` is 1 for a pair that came and -1 for one that went. */
  add({ topic, target, targetKey, stage }: CountedPair, by: 1 | -1): void {
    if (this.#topics === null) return;
    const counts = this.#topics.get(topic) ?? new Map<number, TargetCount>();
    this.#topics.set(topic, counts);
    const count = counts.get(target) ?? {
      target,
      targetKey: targetKey ?? 0,
      waiting: 0,
      parked: 0,
    };
    counts.set(target, count);
    if (targetKey !== null) count.targetKey = targetKey;
    if (stage === STAGE_PARKED) count.parked += by;
    else count.waiting += by;
    if (count.waiting + count.parked === 0) counts.delete(target);
  }

  of(topic: number): Iterable<TargetCount> {
    this.#topics ??= this.#read();
    return this.#topics.get(topic)?.values() ?? [];
  }

  forgetAll(): void {
    this.#topics = null;
  }

  #read(): Map<number, TopicCounts> {
    const topics = new Map<number, TopicCounts>();
    for (const raw of this.#select.iterate()) {
      const row = columnsOf(raw);
      const counts = topics.get(numberAt(row, 0)) ?? new Map<number, TargetCount>();
      topics.set(numberAt(row, 0), counts);
      const target = numberAt(row, 1);
      counts.set(target, {
        target,
        targetKey: numberAt(row, 2),
        waiting: numberAt(row, 3),
        parked: numberAt(row, 4),
      });
    }
    return topics;
  }
}
