/**
 * The waiting pairs of the memory driver: rows by id, by key and by target. Used by
 * `memory-driver.ts`. Invariants: one row per (source position, target); a body is counted once per
 * source position; a row is under lease of one holder at most. The rules of leasing are those of
 * `channels/embedded/waiting-*`, written plainly.
 */
import { assert } from '#lib/assert/assert';
import { channelError } from '#lib/channel/channel-errors';
import type {
  Lease,
  LeaseRequest,
  PairKey,
  PairQuery,
  TargetWaiting,
  WaitingKey,
  WaitingPair,
  WaitingStore,
} from '#lib/channel/waiting-store';
import type { EventRecord, SourcePosition } from '#lib/channel/event-record';
import type { Clock } from '#lib/time/clock';
import { comparePosition, nextFreeMs, selectLease, voidFarLeases } from './memory-lease.ts';
import type { WaitingRow } from './memory-lease.ts';
import { eventRecordSizeBytes } from './memory-size.ts';

/** A lease ends this long after its last renewal. */
const LEASE_MS = 10_000;

export interface MemoryWaitingOptions {
  readonly clock: Clock;
  readonly capacityBytes: number;
}

interface Body {
  readonly record: EventRecord;
  readonly sizeBytes: number;
  pairCount: number;
}

export class MemoryWaiting implements WaitingStore {
  readonly #clock: Clock;
  readonly #capacityBytes: number;
  /** In order of id. */
  readonly #rows = new Map<number, WaitingRow>();
  readonly #byKey = new Map<string, WaitingRow>();
  readonly #byTarget = new Map<string, Set<WaitingRow>>();
  readonly #bodies = new Map<string, Body>();
  /** Holders by name: true when the last life ended with `release`. */
  readonly #holders = new Map<string, boolean>();
  #lastId = 0;
  #storedBytes = 0;
  #closed = false;

  constructor(options: MemoryWaitingOptions) {
    this.#clock = options.clock;
    this.#capacityBytes = options.capacityBytes;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  // The methods are async so that a refusal is a rejection, never a throw.
  async put(pairs: readonly WaitingPair[], holder: string | null): Promise<readonly number[]> {
    this.#assertOpen();
    this.#checkRoom(pairs);
    const leaseUntilMs = holder === null ? 0 : this.#clock.wallMs() + LEASE_MS;
    if (holder !== null) this.#holders.set(holder, false);
    return pairs.map((pair) => {
      const former = this.#formerOf(pair);
      const id = former?.pair.id ?? ++this.#lastId;
      const target = former?.pair.target ?? pair.target;
      const body = this.#keepBody(pair);
      if (former !== undefined) this.#forget(former, 'replaced');
      const row: WaitingRow = {
        pair: { ...pair, id, target, record: body.record },
        holder,
        leaseUntilMs,
        sizeBytes: pairSizeBytes(pair),
      };
      this.#index(row);
      return id;
    });
  }

  async lease(request: LeaseRequest): Promise<Lease> {
    this.#assertOpen();
    assert(request.countMax >= 1, 'a lease has room for at least one pair', { ...request });
    this.#holders.set(request.holder, false);
    voidFarLeases(this.#rows.values(), request.nowMs);
    const selection = selectLease([...(this.#byTarget.get(request.target) ?? [])], request);
    const pairs = selection.rows.map((row) => {
      row.pair = { ...row.pair, attempt: row.pair.attempt + 1 };
      row.holder = request.holder;
      row.leaseUntilMs = request.nowMs + LEASE_MS;
      return row.pair;
    });
    return { pairs, nextDueMs: selection.nextDueMs };
  }

  async settle(ids: readonly number[]): Promise<void> {
    this.#assertOpen();
    for (const id of ids) this.#forget(this.#rows.get(id), 'gone');
  }

  async renew(holder: string, ids: readonly number[]): Promise<void> {
    this.#assertOpen();
    const leaseUntilMs = this.#clock.wallMs() + LEASE_MS;
    for (const id of ids) {
      const row = this.#rows.get(id);
      if (row?.holder === holder) row.leaseUntilMs = leaseUntilMs;
    }
  }

  async recover(holder: string): Promise<{ readonly unclean: boolean }> {
    this.#assertOpen();
    const unclean = this.#holders.get(holder) === false;
    this.#holders.set(holder, false);
    this.#giveBack(holder, unclean);
    return { unclean };
  }

  async release(holder: string): Promise<void> {
    this.#assertOpen();
    this.#holders.set(holder, true);
    this.#giveBack(holder, false);
  }

  async summary(topic: string): Promise<readonly TargetWaiting[]> {
    this.#assertOpen();
    const nowMs = this.#clock.wallMs();
    const targets: TargetWaiting[] = [];
    for (const [target, rows] of this.#byTarget) {
      const summary = summarise(target, rows, topic);
      if (summary === null) continue;
      const ofTopic = [...rows].filter(({ pair }) => pair.source.topic === topic);
      const nextDueMs = nextFreeMs(ofTopic, nowMs);
      targets.push({ ...summary, nextDueMs });
    }
    return targets.sort((a, b) => (a.target < b.target ? -1 : 1));
  }

  async keys(topic: string, partition: number, fromOffset: number): Promise<readonly WaitingKey[]> {
    this.#assertOpen();
    return [...this.#rows.values()]
      .filter(({ pair: { source } }) => {
        return (
          source.topic === topic && source.partition === partition && source.offset >= fromOffset
        );
      })
      .sort(comparePosition)
      .map(({ pair: { id, target, source, lane, stage } }) => {
        return { id, target, offset: source.offset, lane, stage };
      });
  }

  async peek(query: PairQuery): Promise<readonly WaitingPair[]> {
    this.#assertOpen();
    const found: WaitingPair[] = [];
    for (const { pair } of this.#rows.values()) {
      if (found.length >= query.countMax) break;
      if (matches(pair, query)) found.push(pair);
    }
    return found;
  }

  async redrive(ids: readonly number[]): Promise<number> {
    this.#assertOpen();
    let count = 0;
    for (const id of new Set(ids)) {
      const row = this.#rows.get(id);
      if (row?.pair.stage !== 'parked') continue;
      row.pair = { ...row.pair, ...FRESH };
      row.holder = null;
      row.leaseUntilMs = 0;
      count++;
    }
    return count;
  }

  async retarget(topic: string, fromUid: string, toUid: string): Promise<number> {
    this.#assertOpen();
    let count = 0;
    for (const row of this.#ofTarget(topic, fromUid)) {
      if (this.#byKey.has(pairKey({ source: row.pair.source, target: toUid }))) {
        this.#forget(row, 'gone');
        continue;
      }
      this.#unindex(row);
      const dueMs = row.holder === null ? 0 : row.pair.dueMs;
      row.pair = { ...row.pair, target: toUid, dueMs };
      this.#index(row);
      count++;
    }
    return count;
  }

  async drop(
    topic: string,
    target: string,
    options: { readonly parked: boolean },
  ): Promise<number> {
    this.#assertOpen();
    const rows = this.#ofTarget(topic, target).filter(({ pair }) => {
      return options.parked || pair.stage !== 'parked';
    });
    for (const row of rows) this.#forget(row, 'gone');
    return rows.length;
  }

  removeTopic(topic: string): void {
    for (const row of [...this.#rows.values()]) {
      if (row.pair.source.topic === topic) this.#forget(row, 'gone');
    }
  }

  close(): void {
    this.#closed = true;
    this.#rows.clear();
    this.#byKey.clear();
    this.#byTarget.clear();
    this.#bodies.clear();
  }

  #ofTarget(topic: string, target: string): readonly WaitingRow[] {
    const rows = [...(this.#byTarget.get(target) ?? [])];
    return rows.filter(({ pair }) => pair.source.topic === topic);
  }

  /** The row that a put replaces: the pair's own (also after `retarget`), else the one of its key. */
  #formerOf(pair: WaitingPair): WaitingRow | undefined {
    const own = pair.id === 0 ? undefined : this.#rows.get(pair.id);
    if (own !== undefined && sourceKey(own.pair.source) === sourceKey(pair.source)) return own;
    return this.#byKey.get(pairKey(pair));
  }

  #keepBody(pair: WaitingPair): Body {
    const key = sourceKey(pair.source);
    const known = this.#bodies.get(key);
    if (known !== undefined) {
      known.pairCount++;
      return known;
    }
    const sizeBytes = eventRecordSizeBytes(pair.record);
    const body: Body = { record: pair.record, sizeBytes, pairCount: 1 };
    this.#bodies.set(key, body);
    this.#storedBytes += sizeBytes;
    return body;
  }

  #dropBody(row: WaitingRow): void {
    const key = sourceKey(row.pair.source);
    const body = this.#bodies.get(key);
    assert(body !== undefined, 'every waiting pair has its body', { id: row.pair.id });
    if (--body.pairCount > 0) return;
    this.#bodies.delete(key);
    this.#storedBytes -= body.sizeBytes;
  }

  /** A replaced row keeps its place in the order of ids; a row that is gone does not. */
  #forget(row: WaitingRow | undefined, why: 'replaced' | 'gone'): void {
    if (row === undefined) return;
    this.#unindex(row);
    if (why === 'gone') this.#rows.delete(row.pair.id);
    this.#dropBody(row);
  }

  #index(row: WaitingRow): void {
    this.#rows.set(row.pair.id, row);
    this.#byKey.set(pairKey(row.pair), row);
    const rows = this.#byTarget.get(row.pair.target) ?? new Set<WaitingRow>();
    this.#byTarget.set(row.pair.target, rows.add(row));
  }

  #unindex(row: WaitingRow): void {
    this.#byKey.delete(pairKey(row.pair));
    const rows = this.#byTarget.get(row.pair.target);
    rows?.delete(row);
    if (rows?.size === 0) this.#byTarget.delete(row.pair.target);
  }

  #giveBack(holder: string, isDeath: boolean): void {
    for (const row of this.#rows.values()) {
      if (row.holder !== holder) continue;
      row.holder = null;
      row.leaseUntilMs = 0;
      const wasOpen = isDeath && row.pair.attempt >= 1;
      if (wasOpen) row.pair = { ...row.pair, deaths: row.pair.deaths + 1 };
    }
  }

  #checkRoom(pairs: readonly WaitingPair[]): void {
    let bytes = this.#storedBytes;
    for (const pair of pairs) {
      if (!this.#bodies.has(sourceKey(pair.source))) bytes += eventRecordSizeBytes(pair.record);
    }
    if (bytes <= this.#capacityBytes) return;
    throw channelError(
      'CHANNEL_FULL',
      `Cannot store ${pairs.length} waiting pairs: ${bytes} bytes, limit is ` +
        `${this.#capacityBytes} (memory.capacityBytes)`,
    );
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw channelError('CHANNEL_CLOSED', 'Cannot use the memory waiting store: it is closed');
  }
}

/** What an operator's redrive makes of a parked pair: a first attempt that is still to come. */
const FRESH = {
  stage: 'subscriber',
  attempt: 0,
  deaths: 0,
  dueMs: 0,
  firstFailureMs: 0,
  lastFailureMs: 0,
  failure: null,
  reply: null,
} as const;

function pairSizeBytes(pair: WaitingPair): number {
  const replyBytes = pair.reply === null ? 0 : eventRecordSizeBytes(pair.reply);
  return eventRecordSizeBytes(pair.record) + replyBytes;
}

function sourceKey(source: SourcePosition): string {
  return `${source.partition}\n${source.offset}\n${source.topic}`;
}

function pairKey(key: PairKey): string {
  return `${sourceKey(key.source)}\n${key.target}`;
}

function summarise(
  target: string,
  rows: ReadonlySet<WaitingRow>,
  topic: string,
): Omit<TargetWaiting, 'nextDueMs'> | null {
  let targetKey = '';
  let waiting = 0;
  let parked = 0;
  for (const { pair } of rows) {
    if (pair.source.topic !== topic) continue;
    targetKey = pair.targetKey;
    if (pair.stage === 'parked') parked++;
    else waiting++;
  }
  return waiting + parked === 0 ? null : { target, targetKey, waiting, parked };
}

function matches(pair: WaitingPair, query: PairQuery): boolean {
  return (
    pair.id > (query.afterId ?? 0) &&
    (query.topic === undefined || pair.source.topic === query.topic) &&
    (query.target === undefined || pair.target === query.target) &&
    (query.targetKey === undefined || pair.targetKey === query.targetKey) &&
    (query.stage === undefined || pair.stage === query.stage) &&
    (query.eventId === undefined || pair.record.event.id === query.eventId)
  );
}
