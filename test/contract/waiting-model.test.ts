/**
 * The waiting store of the embedded driver against that of the memory driver: the same random
 * operations on both, and every answer compared. Two implementations that share no code agree on
 * lanes, leases, replaced pairs and new UIDs, or one of them is wrong. A failing seed is in the name.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openStoreThread } from '#channels/embedded/store-thread';
import type { StoreThread } from '#channels/embedded/store-thread';
import { createWaitingStore } from '#channels/embedded/waiting-store';
import { createMemoryDriver } from '#channels/memory/memory-driver';
import { createSeededRandom } from '#lib/random/random';
import type { Random } from '#lib/random/random';
import type { WaitingPair, WaitingStore } from '#lib/channel/waiting-store';
import { pair } from './samples.ts';
import { createStepClock } from './step-clock.ts';
import type { StepClock } from './step-clock.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const STEP_COUNT = 250;
/** A target belongs to one topic. */
const TOPICS = { t: ['uid-a', 'uid-b', 'uid-c'], u: ['uid-d'] } as const;
const HOLDERS = ['h-1', 'h-2'];
const STAGES = ['subscriber', 'subscriber', 'subscriber', 'reply', 'deadLetter', 'parked'] as const;

for (const seed of SEEDS) {
  test(`the embedded waiting store does as the memory one, seed ${seed}`, async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-model-'));
    const clock = createStillClock();
    const thread = await openThread(clock, path.join(directory, 'store.db'));
    const model = createMemoryDriver({ clock }).waiting;
    const real = createWaitingStore({ transport: thread, clock });
    try {
      await compare({ seed, clock, model, real });
    } finally {
      await thread.close();
      assertBodiesMatch(path.join(directory, 'store.db'));
      await rm(directory, { recursive: true });
    }
  });
}

/** The wall clock stands still but for steps, so that both stores see the same time. */
function createStillClock(): StepClock {
  const clock = createStepClock();
  let nowMs = 1_800_000_000_000;
  return {
    ...clock,
    wallMs: () => nowMs,
    step(byMs) {
      nowMs += byMs;
    },
  };
}

function openThread(clock: StepClock, file: string): Promise<StoreThread> {
  const onFatal = (error: Error): void => {
    throw error;
  };
  return openStoreThread(
    { clock, ballast: null, onFatal },
    {
      path: file,
      databaseBytesMax: 0,
      dueAheadMsMax: 3_600_000,
      waitMs: 0,
      describeOwner: async () => 'nobody',
    },
  );
}

/** A body lies there once for each position that some pair waits for, and for no other. */
function assertBodiesMatch(file: string): void {
  const database = new DatabaseSync(file);
  const positions = (table: string): readonly unknown[] =>
    database.prepare(`SELECT topic, partition, offset FROM ${table} GROUP BY 1, 2, 3`).all();
  const bodies = database.prepare('SELECT topic, partition, offset FROM bodies ORDER BY 1, 2, 3');
  assert.deepEqual(bodies.all(), positions('waiting'));
  database.close();
}

interface Run {
  readonly seed: number;
  readonly clock: StepClock;
  readonly model: WaitingStore;
  readonly real: WaitingStore;
}

async function compare({ seed, clock, model, real }: Run): Promise<void> {
  const random = createSeededRandom(seed);
  const known: WaitingPair[] = [];
  for (let step = 0; step < STEP_COUNT; step++) {
    const operation = chooseOperation(random, clock, known);
    const wanted = await operation.run(model);
    const actual = await operation.run(real);
    assert.deepEqual(actual, wanted, `step ${step}: ${operation.name}`);
    const all = await model.peek({ countMax: 10_000 });
    assert.deepEqual(await real.peek({ countMax: 10_000 }), all, `after step ${step}`);
    for (const topic of ['t', 'u']) {
      assert.deepEqual(await real.summary(topic), await model.summary(topic), `summary ${step}`);
      assert.deepEqual(await real.keys(topic, 0, 3), await model.keys(topic, 0, 3), `keys ${step}`);
    }
    known.length = 0;
    known.push(...all);
  }
}

interface Operation {
  readonly name: string;
  run(store: WaitingStore): Promise<unknown>;
}

function chooseOperation(random: Random, clock: StepClock, known: WaitingPair[]): Operation {
  const nowMs = clock.wallMs();
  const ids = some(random, known).map(({ id }) => id);
  const topic = oneOf(random, ['t', 't', 'u'] as const);
  const [target, other] = [oneOf(random, TOPICS[topic]), oneOf(random, TOPICS[topic])];
  const holder = oneOf(random, HOLDERS);
  const roll = random.below(100);
  if (roll < 30) {
    const pairs = Array.from({ length: 1 + random.below(6) }, () => randomPair(random, nowMs));
    const as = random.below(3) === 0 ? holder : null;
    return { name: 'put', run: (store) => store.put(pairs, as) };
  }
  if (roll < 40) {
    // What a dispatcher does: puts a pair that it had back, later, in another stage perhaps.
    const pairs = some(random, known).map((each) => ({ ...each, ...randomFields(random, nowMs) }));
    return { name: 'put back', run: (store) => store.put(pairs, null) };
  }
  if (roll < 62) {
    const request = { target, holder, nowMs, countMax: 1 + random.below(5), bytesMax: 1e9 };
    return { name: 'lease', run: (store) => store.lease(request) };
  }
  if (roll < 72) return { name: 'settle', run: (store) => store.settle(ids) };
  if (roll < 77) return { name: 'renew', run: (store) => store.renew(holder, ids) };
  if (roll < 80) return { name: 'recover', run: (store) => store.recover(holder) };
  if (roll < 83) return { name: 'release', run: (store) => store.release(holder) };
  if (roll < 87) return { name: 'redrive', run: (store) => store.redrive(ids) };
  if (roll < 90 && target !== other) {
    return { name: 'retarget', run: (store) => store.retarget(topic, target, other) };
  }
  if (roll < 92) {
    const parked = random.below(2) === 0;
    return { name: 'drop', run: (store) => store.drop(topic, target, { parked }) };
  }
  clock.step(random.below(8000));
  return { name: 'time passes', run: async () => null };
}

function randomPair(random: Random, nowMs: number): WaitingPair {
  const topic = oneOf(random, ['t', 't', 'u'] as const);
  const fields = randomFields(random, nowMs);
  return pair(topic, oneOf(random, TOPICS[topic]), random.below(12), {
    ...fields,
    targetKey: 'ns/name',
    attempt: random.below(3),
  });
}

function randomFields(
  random: Random,
  nowMs: number,
): Pick<WaitingPair, 'stage' | 'lane' | 'dueMs'> {
  const lane = oneOf(random, [null, 'lane-1', 'lane-2']);
  const dueMs = oneOf(random, [0, nowMs - 1, nowMs, nowMs + 1000, nowMs + 20_000, nowMs + 1e9]);
  return { stage: oneOf(random, STAGES), lane, dueMs };
}

function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  assert.ok(item !== undefined);
  return item;
}

function some(random: Random, known: readonly WaitingPair[]): readonly WaitingPair[] {
  return known.filter(() => random.below(4) === 0).slice(0, 5);
}
