import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WaitingPair, WaitingStore } from '#lib/channel/waiting-store';
import { silentLogger } from '#lib/telemetry/log';
import { createManualClock } from '#lib/time/manual-clock';
import { EngineFixture, TOPIC } from '#test/kit/engine-fixture';
import { eventOf, recordOf } from '#test/kit/event-path';
import { createPair, OpenPairs } from './pair.ts';
import type { Pair } from './pair.ts';
import { PairStore } from './pair-store.ts';
import { Target } from './target.ts';

class Bench {
  readonly clock = createManualClock();
  readonly calls: string[] = [];
  readonly told: string[] = [];
  /** Writes that fail before one goes well again. */
  failures = 0;
  /** When set, a put waits for it. */
  gate: Promise<void> | null = null;
  readonly store: PairStore;
  readonly #inner = new EngineFixture({ clock: this.clock }).driver.waiting;
  readonly #target = new Target(new EngineFixture().settings('t'));

  constructor() {
    this.store = new PairStore({
      clock: this.clock,
      logger: silentLogger,
      holder: 'me',
      waiting: this.#waiting(),
      onLeased: (pair) => this.told.push(`leased ${pair.offset}`),
      onStored: (pair, dueMs) => this.told.push(`stored ${pair.offset} ${dueMs}`),
      onGone: (pair) => this.told.push(`gone ${pair.offset}`),
    });
  }

  pair(offset: number): Pair {
    const source = { topic: TOPIC, partition: 0, offset, sizeBytes: 1, mark: offset };
    return createPair(this.#target, source, recordOf(eventOf(`e${offset}`)));
  }

  rows(): Promise<readonly WaitingPair[]> {
    return this.#inner.peek({ countMax: 100 });
  }

  #waiting(): WaitingStore {
    const inner = this.#inner;
    const fail = (): void => {
      if (this.failures === 0) return;
      this.failures--;
      throw new Error('full');
    };
    return Object.assign(Object.create(inner) as WaitingStore, {
      put: async (pairs: readonly WaitingPair[], holder: string | null) => {
        await this.gate;
        fail();
        this.calls.push(`put ${pairs.map((pair) => pair.source.offset).join()} ${holder ?? '-'}`);
        return inner.put(pairs, holder);
      },
      settle: async (ids: readonly number[]) => {
        fail();
        this.calls.push(`settle ${ids.join()}`);
        return inner.settle(ids);
      },
    });
  }
}

test('one call per run of the same lease state, in order, then the settles', async () => {
  const bench = new Bench();
  const pairs = [0, 1, 2, 3, 4].map((offset) => bench.pair(offset));
  pairs.forEach((pair, index) => bench.store.put(pair, index < 2 || index > 3, 7));
  await bench.clock.advance(0);
  assert.deepEqual(bench.calls, ['put 0,1 me', 'put 2,3 -', 'put 4 me']);
  assert.deepEqual(bench.told, ['leased 0', 'leased 1', 'stored 2 7', 'stored 3 7', 'leased 4']);
  const [settled] = pairs;
  if (settled !== undefined) bench.store.settle(settled);
  await bench.clock.advance(0);
  assert.deepEqual(bench.told.at(-1), 'gone 0');
});

test('a failure keeps everything, in order, and it is tried again until it is taken', async () => {
  const bench = new Bench();
  bench.failures = 3;
  const list = new OpenPairs();
  for (const offset of [0, 1]) {
    const pair = bench.pair(offset);
    list.add(pair);
    bench.store.put(pair, true, 0);
  }
  await bench.clock.advance(100);
  const late = bench.pair(2);
  bench.store.put(late, true, 0);
  assert.equal(list.size, 2, 'nothing leaves the list before it is durable');
  await bench.clock.advance(2_000);
  assert.equal(list.size, 0);
  assert.deepEqual(bench.calls, ['put 0,1,2 me']);
});

test('a pair that is settled while its put is under way loses its row after it', async () => {
  const bench = new Bench();
  let open = (): void => undefined;
  bench.gate = new Promise((resolve) => (open = resolve));
  const pair = bench.pair(1);
  bench.store.put(pair, true, 0);
  await bench.clock.advance(0);
  pair.isEnded = true;
  bench.store.settle(pair);
  open();
  await bench.clock.advance(0);
  assert.deepEqual(await bench.rows(), []);
  assert.deepEqual(bench.told, ['leased 1', 'gone 1']);
});

test('a store whose last write asked for another is busy until that is done too', async () => {
  const bench = new Bench();
  let open = (): void => undefined;
  bench.gate = new Promise((resolve) => (open = resolve));
  const pair = bench.pair(1);
  bench.store.put(pair, true, 0);
  await bench.clock.advance(0);
  pair.isEnded = true; // a dead letter was answered while its row was being written
  bench.store.settle(pair);
  const rowsLeft: number[] = [];
  const closing = (async () => {
    while (bench.store.isBusy) await bench.store.idle();
    rowsLeft.push((await bench.rows()).length);
  })();
  open();
  await bench.clock.advance(0);
  await bench.clock.advance(0);
  await closing;
  assert.deepEqual(rowsLeft, [0]);
});

test('idle waits for what was asked before, and for nothing that comes later', async () => {
  const bench = new Bench();
  await bench.store.idle();
  let offset = 0;
  let isIdle = false;
  bench.store.put(bench.pair(offset++), true, 0);
  void bench.store.idle().then(() => (isIdle = true));
  // A put in every turn, as from a Trigger that retries all the time.
  for (let turn = 0; turn < 5; turn++) {
    bench.clock.soon(() => bench.store.put(bench.pair(offset++), true, 0));
    bench.store.put(bench.pair(offset++), true, 0);
    await Promise.resolve();
  }
  let busy = true;
  const again = (): void => {
    bench.store.put(bench.pair(offset++), true, 0, () => (busy ? again() : undefined));
  };
  again();
  const advanced = bench.clock.advance(1);
  for (let turn = 0; turn < 2_000 && !isIdle; turn++) await Promise.resolve();
  assert.equal(isIdle, true);
  busy = false;
  await advanced;
});

test('idle does not end while the store fails; close ends it', async () => {
  const bench = new Bench();
  bench.failures = Infinity;
  bench.store.put(bench.pair(1), true, 0);
  let isIdle = false;
  const idle = bench.store.idle().then(() => (isIdle = true));
  await bench.clock.advance(60_000);
  assert.equal(isIdle, false);
  bench.store.close();
  await idle;
  assert.equal(bench.store.isClosed, true);
});

test('an attempt that came with a lease and was not begun goes back with the pair', async () => {
  const bench = new Bench();
  const pair = bench.pair(1);
  pair.attempt = 3;
  pair.isAttemptCounted = true;
  bench.store.put(pair, false, 0);
  await bench.clock.advance(0);
  assert.equal((await bench.rows())[0]?.attempt, 2);
});
