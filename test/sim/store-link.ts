/**
 * The channel driver as one process of the simulation sees it: every call takes time to arrive, is
 * carried out in order, and takes time to answer. When the process dies, what it had asked for and
 * what had not arrived yet has happened or not, by the seed, but never out of order; what the store
 * had done and not answered has happened.
 */
import type { ChannelDriver, LogReader } from '#lib/channel/channel-driver';
import { channelError } from '#lib/channel/channel-errors';
import type { Cursor } from '#lib/channel/cursor-store';
import type { AppendRecord } from '#lib/channel/event-record';
import type { Receipt } from '#lib/channel/receipt';
import type { WaitingPair } from '#lib/channel/waiting-store';
import type { Random } from '#lib/random/random';
import type { Life } from './life.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';

/** What a call of the store meets: nothing, a failure before it was carried out, or after. */
export type StoreFault = 'none' | 'before' | 'after';

export interface StoreLinkDeps {
  readonly time: SimTime;
  readonly random: Random;
  readonly life: Life;
  readonly trace: Trace;
  /** The store has taken these cursors. */
  readonly committed: (topic: string, cursors: readonly Cursor[]) => void;
  /** An owner has this epoch from now on. */
  readonly acquired: (place: string, epoch: number) => void;
  /** The store, or `null` while it is down. */
  readonly store: () => ChannelDriver | null;
  /** Calls `down` when the store of now dies. */
  readonly onStoreDown: (down: () => void) => void;
  readonly fault: (operation: string) => StoreFault;
  /** Milliseconds on the way, either direction. */
  readonly delayMs: () => number;
  /** A receipt was given (the caller may not have heard of it yet). */
  readonly stored: (
    topic: string,
    records: readonly AppendRecord[],
    receipts: readonly Receipt[],
  ) => void;
}

type Queue = 'log' | 'table';

interface Request {
  readonly queue: Queue;
  readonly start: () => void;
  isStarted: boolean;
}

export class StoreLink {
  readonly #deps: StoreLinkDeps;
  readonly #pending: Request[] = [];
  readonly #outstanding = new Set<() => void>();
  readonly #arrivesMs = { log: 0, table: 0 };
  readonly #answersMs = { log: 0, table: 0 };
  readonly #readers = new Set<LogReader>();
  readonly driver: ChannelDriver;

  constructor(deps: StoreLinkDeps) {
    this.#deps = deps;
    deps.life.onEnd(() => this.#abandon());
    deps.onStoreDown(() => {
      for (const lost of [...this.#outstanding]) lost();
    });
    this.driver = this.#createDriver();
  }

  #call<Value>(
    queue: Queue,
    operation: string,
    run: (driver: ChannelDriver) => Promise<Value>,
  ): Promise<Value> {
    const { time, life, fault } = this.#deps;
    return new Promise((resolve, reject) => {
      if (life.isDead) return;
      const settle = (end: () => void): void => {
        if (!this.#outstanding.delete(lost)) return;
        const atMs = Math.max(this.#answersMs[queue], time.nowMs + this.#deps.delayMs());
        this.#answersMs[queue] = atMs;
        time.at(atMs, () => life.enter(end));
      };
      const lost = (): void => settle(() => reject(disconnected(operation)));
      this.#outstanding.add(lost);
      const what = fault(operation);
      if (what === 'before') {
        lost();
        return;
      }
      const start = (): void => {
        const store = this.#deps.store();
        if (store === null) return lost();
        run(store).then(
          (value) => (what === 'after' ? lost() : settle(() => resolve(value))),
          (error: unknown) => settle(() => reject(asError(error))),
        );
      };
      this.#queue(queue, start);
    });
  }

  #queue(queue: Queue, start: () => void): void {
    const { time } = this.#deps;
    const request: Request = { queue, start, isStarted: false };
    this.#pending.push(request);
    this.#arrivesMs[queue] = Math.max(this.#arrivesMs[queue], time.nowMs + this.#deps.delayMs());
    time.at(this.#arrivesMs[queue], () => {
      if (request.isStarted) return;
      this.#start(request);
    });
  }

  #start(request: Request): void {
    request.isStarted = true;
    const at = this.#pending.indexOf(request);
    if (at >= 0) this.#pending.splice(at, 1);
    request.start();
  }

  /** The process is gone: a prefix of what is on its way arrives all the same. */
  #abandon(): void {
    for (const queue of ['log', 'table'] as const) {
      const waiting = this.#pending.filter((request) => request.queue === queue);
      const arriving = this.#deps.random.below(waiting.length + 1);
      for (const [index, request] of waiting.entries()) {
        if (index < arriving) this.#start(request);
        else request.isStarted = true;
      }
    }
    this.#outstanding.clear();
    for (const reader of this.#readers) reader.close();
    this.#readers.clear();
  }

  // Long because: one line for every call of the port.
  #createDriver(): ChannelDriver {
    const table = <Value>(name: string, run: (driver: ChannelDriver) => Promise<Value>) =>
      this.#call('table', name, run);
    const log = <Value>(name: string, run: (driver: ChannelDriver) => Promise<Value>) =>
      this.#call('log', name, run);
    const appendAll = async (
      topic: string,
      records: readonly AppendRecord[],
      options: Parameters<ChannelDriver['log']['appendAll']>[2],
    ): Promise<readonly Receipt[]> =>
      log(`append ${topic}`, async (driver) => {
        const receipts = await driver.log.appendAll(topic, records, options);
        this.#deps.stored(topic, records, receipts);
        return receipts;
      });
    return {
      name: 'simulated',
      capabilities: {
        durability: 'D2',
        seek: true,
        shared: true,
        recordBytesMax: null,
        reopen: true,
      },
      log: {
        async append(topic, record, options) {
          const [receipt] = await appendAll(topic, [record], options);
          if (receipt === undefined) throw new Error('one record has one receipt');
          return receipt;
        },
        appendAll,
        read: async (topic, partition, from) => {
          return log('read', async (driver) =>
            this.#reader(driver, await driver.log.read(topic, partition, from)),
          );
        },
        ends: (topic) => log('ends', (driver) => driver.log.ends(topic)),
        seekTime: (topic, partition, timeMs) =>
          log('seekTime', (driver) => driver.log.seekTime(topic, partition, timeMs)),
      },
      cursors: {
        load: (topic, prefix) => table('load', ({ cursors }) => cursors.load(topic, prefix)),
        commit: (topic, list) =>
          table('commit', async ({ cursors }) => {
            await cursors.commit(topic, list);
            this.#deps.committed(topic, list);
            const places = list.map(
              ({ name, partition, offset }) => `${name} ${partition}/${offset}`,
            );
            this.#trace(`writes ${places.join(', ')}`);
          }),
        create: (topic, list) => table('create', ({ cursors }) => cursors.create(topic, list)),
        remove: (topic, names, partition) =>
          table('remove', ({ cursors }) => cursors.remove(topic, names, partition)),
        acquire: (topic, partition, role) =>
          table('acquire', async ({ cursors }) => {
            const epoch = await cursors.acquire(topic, partition, role);
            this.#deps.acquired(`${role} ${partition} ${topic}`, epoch);
            return epoch;
          }),
      },
      waiting: {
        put: (pairs, holder) =>
          table('put', async ({ waiting }) => {
            const ids = await waiting.put(pairs, holder);
            for (const [at, pair] of pairs.entries()) this.#tracePut(pair, ids[at] ?? 0, holder);
            return ids;
          }),
        lease: (request) =>
          table('lease', async ({ waiting }) => {
            const lease = await waiting.lease(request);
            for (const { id, record, target, attempt } of lease.pairs) {
              this.#trace(`leases row ${id} ${record.event.id} ${target} attempt ${attempt}`);
            }
            return lease;
          }),
        settle: (ids) =>
          table('settle', async ({ waiting }) => {
            await waiting.settle(ids);
            this.#trace(`settles rows ${ids.join(' ')} `);
          }),
        renew: (holder, ids) => table('renew', ({ waiting }) => waiting.renew(holder, ids)),
        recover: (holder) => table('recover', ({ waiting }) => waiting.recover(holder)),
        release: (holder) => table('release', ({ waiting }) => waiting.release(holder)),
        summary: (topic) => table('summary', ({ waiting }) => waiting.summary(topic)),
        keys: (topic, partition, from) =>
          table('keys', ({ waiting }) => waiting.keys(topic, partition, from)),
        peek: (query) => table('peek', ({ waiting }) => waiting.peek(query)),
        redrive: (ids) => table('redrive', ({ waiting }) => waiting.redrive(ids)),
        retarget: (topic, fromUid, toUid) =>
          table('retarget', ({ waiting }) => waiting.retarget(topic, fromUid, toUid)),
        drop: (topic, target, options) =>
          table('drop', ({ waiting }) => waiting.drop(topic, target, options)),
      },
      admin: {
        ensureTopic: (topic, options) =>
          log('ensureTopic', ({ admin }) => admin.ensureTopic(topic, options)),
        removeTopic: (topic) => log('removeTopic', ({ admin }) => admin.removeTopic(topic)),
        topics: () => log('topics', ({ admin }) => admin.topics()),
        verify: () => log('verify', ({ admin }) => admin.verify()),
        usage: () => log('usage', ({ admin }) => admin.usage()),
        backlogBytes: (topic, partition, from) =>
          log('backlogBytes', ({ admin }) => admin.backlogBytes(topic, partition, from)),
      },
      close: () => Promise.resolve(),
    };
  }

  #trace(text: string): void {
    this.#deps.trace.add(`${this.#deps.life.name} ${text}`);
  }

  #tracePut(pair: WaitingPair, id: number, holder: string | null): void {
    const { record, target, stage, attempt, dueMs } = pair;
    const how = holder === null ? `free at ${dueMs}` : 'leased';
    this.#trace(`puts row ${id} ${record.event.id} ${target} ${stage} attempt ${attempt} ${how}`);
  }

  /** A reader of a store that has died since gives nothing any more. */
  #reader(store: ChannelDriver, inner: LogReader): LogReader {
    this.#readers.add(inner);
    const { life, fault } = this.#deps;
    return {
      get position() {
        return inner.position;
      },
      next: (countMax, bytesMax, signal) =>
        new Promise((resolve, reject) => {
          if (life.isDead) return;
          const settle = (end: () => void): void => {
            if (!this.#outstanding.delete(lost)) return;
            life.later(this.#deps.delayMs(), end);
          };
          const lost = (): void => settle(() => reject(disconnected('next')));
          this.#outstanding.add(lost);
          if (fault('next') !== 'none' || this.#deps.store() !== store) return lost();
          inner.next(countMax, bytesMax, signal).then(
            (entries) => settle(() => resolve(entries)),
            (error: unknown) => settle(() => reject(asError(error))),
          );
        }),
      close: () => {
        this.#readers.delete(inner);
        inner.close();
      },
    };
  }
}

function disconnected(operation: string): Error {
  return channelError(
    'CHANNEL_NOT_CONNECTED',
    `Cannot "${operation}": the simulated store is away`,
  );
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
