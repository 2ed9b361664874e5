/**
 * The waiting pairs in the database: storing, settling, moving. Runs in the worker, inside the
 * transaction of a batch. Leasing is in `waiting-leases.ts`, reading in `waiting-queries.ts`.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { columnsOf, numberAt, prepare, textOrNullAt } from './store-columns.ts';
import type { Columns } from './store-columns.ts';
import type { StoreHolders } from './store-holders.ts';
import type { StoreNames } from './store-names.ts';
import { reply } from './store-request.ts';
import type { CellReader, StoreReply } from './store-request.ts';
import { LEASE_MS, STAGE_PARKED, STAGE_SUBSCRIBER } from './waiting-cells.ts';
import { readPutPair } from './waiting-put.ts';
import type { PutPair } from './waiting-put.ts';
import type { CountedPair, WaitingCounts } from './waiting-counts.ts';
import { WaitingLanes } from './waiting-lanes.ts';
import type { Lane } from './waiting-lanes.ts';

/** What a row was before a change: enough to mend its lane and its body. */
const FORMER_COLUMNS = 'id, topic, partition, offset, target, stage, lane, is_behind';

/** Under whose lease pairs are stored; `untilMs` is 0 without one. */
interface PutLease {
  readonly holder: number | null;
  readonly untilMs: number;
}

export interface WaitingTableParts {
  readonly names: StoreNames;
  readonly holders: StoreHolders;
  readonly counts: WaitingCounts;
}

export class WaitingTable {
  readonly #names: StoreNames;
  readonly #holders: StoreHolders;
  readonly #lanes: WaitingLanes;
  readonly #counts: WaitingCounts;
  readonly #byId: StatementSync;
  readonly #byKey: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #insertBody: StatementSync;
  readonly #deleteBody: StatementSync;
  readonly #deleteBodies: StatementSync;
  readonly #redrive: StatementSync;
  readonly #ofTarget: StatementSync;
  readonly #retarget: StatementSync;
  readonly #drop: StatementSync;
  readonly #deleteTopic: StatementSync;
  readonly #deleteTopicBodies: StatementSync;

  constructor(database: DatabaseSync, parts: WaitingTableParts) {
    this.#names = parts.names;
    this.#holders = parts.holders;
    this.#counts = parts.counts;
    this.#lanes = new WaitingLanes(database);
    const sql = (text: string): StatementSync => prepare(database, text);
    this.#byId = sql(`SELECT ${FORMER_COLUMNS} FROM waiting WHERE id = ?`);
    this.#byKey = sql(`SELECT ${FORMER_COLUMNS} FROM waiting
      WHERE topic = ? AND partition = ? AND offset = ? AND target = ?`);
    this.#insert = sql(`INSERT INTO waiting (topic, partition, offset, target, target_key, stage,
      attempt, deaths, lane, is_behind, due_ms, free_ms, holder, lease_until_ms, first_failure_ms,
      last_failure_ms, size_bytes, failure, reply)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#update = sql(`UPDATE waiting SET target_key = ?, stage = ?, attempt = ?, deaths = ?,
      lane = ?, is_behind = ?, due_ms = ?, free_ms = ?, holder = ?, lease_until_ms = ?,
      first_failure_ms = ?, last_failure_ms = ?, size_bytes = ?, failure = ?, reply = ?
      WHERE id = ?`);
    this.#delete = sql(`DELETE FROM waiting WHERE id = ? RETURNING ${FORMER_COLUMNS}`);
    this.#insertBody =
      sql(`INSERT OR IGNORE INTO bodies (topic, partition, offset, event_id, record)
      VALUES (?, ?, ?, ?, ?)`);
    this.#deleteBody = sql(`DELETE FROM bodies WHERE topic = ?1 AND partition = ?2 AND offset = ?3
      AND NOT EXISTS (SELECT 1 FROM waiting
        WHERE topic = ?1 AND partition = ?2 AND offset = ?3)`);
    this.#deleteBodies = sql(`DELETE FROM bodies WHERE topic = ? AND NOT EXISTS (
      SELECT 1 FROM waiting w WHERE w.topic = bodies.topic
        AND w.partition = bodies.partition AND w.offset = bodies.offset)`);
    this.#redrive = sql(`UPDATE waiting SET stage = 0, attempt = 0, deaths = 0, is_behind = ?,
      due_ms = 0, free_ms = 0, holder = NULL, lease_until_ms = 0, first_failure_ms = 0,
      last_failure_ms = 0, failure = NULL, reply = NULL WHERE id = ?`);
    this.#ofTarget = sql(`SELECT ${FORMER_COLUMNS} FROM waiting WHERE topic = ? AND target = ?`);
    this.#retarget = sql(`UPDATE waiting SET target = ?, is_behind = ?,
      due_ms = CASE WHEN holder IS NULL THEN 0 ELSE due_ms END,
      free_ms = CASE WHEN holder IS NULL THEN 0 ELSE free_ms END WHERE id = ?`);
    this.#drop = sql('DELETE FROM waiting WHERE topic = ? AND target = ? AND stage < ?');
    this.#deleteTopic = sql('DELETE FROM waiting WHERE topic = ?');
    this.#deleteTopicBodies = sql('DELETE FROM bodies WHERE topic = ?');
  }

  put(cells: CellReader, bytes: Uint8Array | null): StoreReply {
    const holderName = cells.textOrNull();
    const nowMs = cells.number();
    const lease: PutLease =
      holderName === null
        ? { holder: null, untilMs: 0 }
        : { holder: this.#holders.begin(holderName), untilMs: nowMs + LEASE_MS };
    const ids: number[] = [];
    while (cells.hasMore) ids.push(this.#putOne(readPutPair(cells, bytes, this.#names), lease));
    return reply(ids);
  }

  settle(cells: CellReader): StoreReply {
    for (const id of cells.numbers()) this.#remove(id);
    return reply();
  }

  redrive(cells: CellReader): StoreReply {
    let count = 0;
    for (const id of cells.numbers()) {
      const row = former(this.#byId.get(id));
      if (row === null || stageOf(row) !== STAGE_PARKED) continue;
      const lane = laneTextOf(row);
      const isBehind = lane === null ? 0 : this.#lanes.enter(laneAt(row, lane), offsetOf(row));
      this.#redrive.run(isBehind, id);
      this.#counts.add(counted(row), -1);
      this.#counts.add({ ...counted(row), stage: STAGE_SUBSCRIBER }, 1);
      count++;
    }
    return reply([count]);
  }

  retarget(cells: CellReader): StoreReply {
    const topic = this.#names.find(cells.text());
    const from = this.#names.find(cells.text());
    const toName = cells.text();
    if (topic === null || from === null) return reply([0]);
    const to = this.#names.idOf(toName);
    let count = 0;
    for (const raw of this.#ofTarget.all(topic, from)) {
      const row = columnsOf(raw);
      const twin = this.#byKey.get(topic, partitionOf(row), offsetOf(row), to);
      if (twin === undefined) {
        this.#moveTo(row, to);
        count++;
      } else {
        this.#remove(idOf(row));
      }
    }
    this.#counts.forgetAll();
    return reply([count]);
  }

  drop(cells: CellReader): StoreReply {
    const topic = this.#names.find(cells.text());
    const target = this.#names.find(cells.text());
    const stageBelow = cells.number() === 1 ? STAGE_PARKED + 1 : STAGE_PARKED;
    if (topic === null || target === null) return reply([0]);
    // All lanes of the target lie in stage subscriber, so they go whole and nothing is left behind.
    const { changes } = this.#drop.run(topic, target, stageBelow);
    if (changes !== 0) this.#deleteBodies.run(topic);
    this.#counts.forgetAll();
    return reply([Number(changes)]);
  }

  removeTopic(name: string): void {
    const topic = this.#names.find(name);
    if (topic === null) return;
    this.#deleteTopic.run(topic);
    this.#deleteTopicBodies.run(topic);
    this.#counts.forgetAll();
  }

  #putOne(pair: PutPair, lease: PutLease): number {
    const old = this.#formerOf(pair);
    const target = old === null ? pair.target : targetOf(old);
    if (old !== null) this.#counts.add(counted(old), -1);
    const { targetKey, stage } = pair;
    this.#counts.add({ topic: pair.topic, target, targetKey, stage }, 1);
    const { topic, partition, offset, lane } = pair;
    this.#insertBody.run(topic, partition, offset, pair.eventId, pair.record);
    const laneNow =
      lane !== null && pair.stage === STAGE_SUBSCRIBER ? { target, topic, partition, lane } : null;
    if (old === null) return this.#insertRow(pair, lease, laneNow);
    this.#replaceRow(old, pair, lease, laneNow);
    return idOf(old);
  }

  #insertRow(pair: PutPair, { holder, untilMs }: PutLease, lane: Lane | null): number {
    const isBehind = lane === null ? 0 : this.#lanes.enter(lane, pair.offset);
    const { lastInsertRowid } = this.#insert.run(
      pair.topic,
      pair.partition,
      pair.offset,
      pair.target,
      pair.targetKey,
      pair.stage,
      pair.attempt,
      pair.deaths,
      pair.lane,
      isBehind,
      pair.dueMs,
      Math.max(pair.dueMs, untilMs),
      holder,
      untilMs,
      pair.firstFailureMs,
      pair.lastFailureMs,
      pair.sizeBytes,
      pair.failure,
      pair.reply,
    );
    return Number(lastInsertRowid);
  }

  /** A row that stays in its lane keeps its place there; one that was the head of another leaves it. */
  #replaceRow(old: Columns, pair: PutPair, { holder, untilMs }: PutLease, lane: Lane | null): void {
    const laneBefore = laneOf(old);
    const staysInLane = laneBefore !== null && laneBefore.lane === lane?.lane;
    const isBehindAnew = lane === null || staysInLane ? 0 : this.#lanes.enter(lane, pair.offset);
    this.#update.run(
      pair.targetKey,
      pair.stage,
      pair.attempt,
      pair.deaths,
      pair.lane,
      staysInLane ? isBehindOf(old) : isBehindAnew,
      pair.dueMs,
      Math.max(pair.dueMs, untilMs),
      holder,
      untilMs,
      pair.firstFailureMs,
      pair.lastFailureMs,
      pair.sizeBytes,
      pair.failure,
      pair.reply,
      idOf(old),
    );
    if (!staysInLane && laneBefore !== null && isBehindOf(old) === 0) this.#lanes.leave(laneBefore);
  }

  /** The row that a put replaces: the pair's own (also after `retarget`), else the one of its key. */
  #formerOf(pair: PutPair): Columns | null {
    const own = pair.id === 0 ? null : former(this.#byId.get(pair.id));
    const isOwn =
      own !== null &&
      offsetOf(own) === pair.offset &&
      partitionOf(own) === pair.partition &&
      topicOf(own) === pair.topic;
    if (isOwn) return own;
    return former(this.#byKey.get(pair.topic, pair.partition, pair.offset, pair.target));
  }

  #remove(id: number): void {
    const row = former(this.#delete.get(id));
    if (row === null) return;
    this.#counts.add(counted(row), -1);
    const lane = laneOf(row);
    if (lane !== null && isBehindOf(row) === 0) this.#lanes.leave(lane);
    this.#deleteBody.run(topicOf(row), partitionOf(row), offsetOf(row));
  }

  #moveTo(row: Columns, to: number): void {
    const lane = laneOf(row);
    const isBehind = lane === null ? 0 : this.#lanes.enter({ ...lane, target: to }, offsetOf(row));
    this.#retarget.run(to, isBehind, idOf(row));
    if (lane !== null && isBehindOf(row) === 0) this.#lanes.leave(lane);
  }
}

function former(row: unknown): Columns | null {
  return row === undefined ? null : columnsOf(row);
}

const idOf = (row: Columns): number => numberAt(row, 0);
const topicOf = (row: Columns): number => numberAt(row, 1);
const partitionOf = (row: Columns): number => numberAt(row, 2);
const offsetOf = (row: Columns): number => numberAt(row, 3);
const targetOf = (row: Columns): number => numberAt(row, 4);
const stageOf = (row: Columns): number => numberAt(row, 5);
const laneTextOf = (row: Columns): string | null => textOrNullAt(row, 6);
const isBehindOf = (row: Columns): number => numberAt(row, 7);

function counted(row: Columns): CountedPair {
  return { topic: topicOf(row), target: targetOf(row), targetKey: null, stage: stageOf(row) };
}

/** The lane that the row is in, or `null`. */
function laneOf(row: Columns): Lane | null {
  const lane = laneTextOf(row);
  return lane === null || stageOf(row) !== STAGE_SUBSCRIBER ? null : laneAt(row, lane);
}

function laneAt(row: Columns, lane: string): Lane {
  return { target: targetOf(row), topic: topicOf(row), partition: partitionOf(row), lane };
}
