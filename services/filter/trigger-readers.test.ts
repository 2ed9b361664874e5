/**
 * The protocol by which a Trigger changes reader, against a model: one partition, one Trigger, the real
 * decisions and cursors, a plain shared reader and a plain own reader, and deaths between any two
 * writes. No event is left out; without a death none goes twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { TriggerRoute } from '#lib/contract/routing';
import { OWN_BEHIND, OWN_DONE, OWN_READY } from '#lib/delivery/own-reader';
import { nextChange, ownEnd, readerAt } from '#lib/delivery/reader-schedule';
import type { ReaderSchedule } from '#lib/delivery/reader-schedule';
import {
  decodeReaderState,
  ensureTriggers,
  OWN_PREFIX,
  ownCursor,
  READER_PREFIX,
} from '#lib/delivery/trigger-cursors';
import { createManualClock } from '#lib/time/manual-clock';
import { eventOf, recordOf, triggerOf } from '#test/kit/event-path';
import { memoryDriver } from '#test/kit/memory-driver';
import { TriggerReaders } from './trigger-readers.ts';
import type { ChangedReader } from './trigger-readers.ts';

const TOPIC = 'broker/default/default';
const KEY = 'default/t';

class Death extends Error {}

/** Everything durable is in the driver and in `shared`; the rest dies. */
class World {
  readonly driver: ChannelDriver = memoryDriver(createManualClock());
  /** Handed over and durable; and handed over since the reader's last checkpoint, which a death undoes. */
  readonly delivered: number[] = [];
  #byShared: number[] = [];
  #byOwn: number[] = [];
  end = 0;
  /** Where the Trigger begins. */
  first = 0;
  /** The checkpoint of the shared reader. */
  committed = 0;
  /** Writes until the next death; `Infinity` for none. */
  writesLeft = Infinity;
  deaths = 0;
  uids = 1;
  route: TriggerRoute | null = null;
  #readers: TriggerReaders | null = null;
  #position = 0;
  #isMatched = false;
  #own: { position: number; schedule: ReaderSchedule } | null = null;

  /** With events in the log that came before it, which the shared reader has yet to read. */
  async create(behind: number): Promise<void> {
    await this.driver.admin.ensureTopic(TOPIC, { partitions: 1 });
    for (let n = 0; n < behind; n++) {
      await this.driver.log.append(TOPIC, recordOf(eventOf(`e${n}`)));
    }
    this.first = this.end = behind;
    await this.put();
  }

  get isDown(): boolean {
    return this.#readers === null;
  }

  /** Control creates it, or re-creates it under a new UID. */
  async put(): Promise<void> {
    if (this.route !== null) return;
    const route = triggerOf('t', 'http://sub', { uid: `u${this.uids++}` });
    await ensureTriggers(this.driver, TOPIC, [route]);
    this.route = route;
    await this.#decide((readers) => readers.adopt(route, this.#position));
  }

  async remove(): Promise<void> {
    this.route = null;
    await this.#decide((readers) => this.#freeze(readers));
  }

  async pause(isPaused: boolean): Promise<void> {
    if (this.route === null || this.route.isPaused === isPaused) return;
    const { generation } = this.route;
    const route = { ...this.route, isPaused, generation: generation + 1 };
    this.route = route;
    await this.#decide((readers) => readers.adopt(route, this.#position));
  }

  async want(): Promise<void> {
    await this.#decide((readers) => {
      const trigger = readers.byKey(KEY);
      if (trigger !== undefined && trigger.route !== null) {
        readers.giveAway(trigger, this.#position);
      }
    });
  }

  async look(): Promise<void> {
    await this.#decide(() => undefined);
  }

  /** The shared reader reads up to `count` events. */
  read(count: number): void {
    const readers = this.#readers;
    if (readers === null) return;
    for (let n = 0; n < count && this.#position < this.end; n++) {
      readers.reach(this.#position);
      if (this.#isMatched) this.#byShared.push(this.#position);
      this.#position++;
    }
  }

  async checkpoint(): Promise<void> {
    if (this.#readers === null) return;
    const position = this.#position;
    await this.#alive(() => {
      this.committed = position;
      this.delivered.push(...this.#byShared.splice(0));
      return Promise.resolve();
    });
  }

  ownRead(count: number): void {
    const own = this.#own;
    if (own === null || this.route === null || this.route.isPaused) return;
    for (let n = 0; n < count && own.position < this.#position; n++) {
      const end = ownEnd(own.schedule);
      if (end !== null && own.position >= end) return;
      if (readerAt(own.schedule, own.position) === 'own') this.#byOwn.push(own.position);
      own.position++;
      this.#skip(own);
    }
  }

  async ownCheckpoint(): Promise<void> {
    const own = this.#own;
    if (own === null) return;
    const end = ownEnd(own.schedule);
    const isDone = end !== null && own.position >= end;
    const says = isDone ? OWN_DONE : this.route?.isPaused === true ? OWN_BEHIND : OWN_READY;
    const cursor = ownCursor(KEY, 0, own.position, { role: 'control', epoch: 0 }, says);
    await this.#alive(async () => {
      await this.driver.cursors.commit(TOPIC, [cursor]);
      this.delivered.push(...this.#byOwn.splice(0));
    });
    if (isDone) this.#own = null;
  }

  die(): void {
    this.#readers = null;
    this.#own = null;
    this.#isMatched = false;
    this.#byShared = [];
    this.#byOwn = [];
    this.writesLeft = Infinity;
    this.deaths++;
  }

  async start(): Promise<void> {
    if (this.#readers !== null) return;
    this.#position = this.committed;
    const cursors = this.#dying();
    const readers = new TriggerReaders(
      { driver: { ...this.driver, cursors }, topic: TOPIC, partition: 0, epoch: 1_000 },
      { add: () => (this.#isMatched = true), remove: () => (this.#isMatched = false) },
    );
    await readers.load();
    this.#readers = readers;
    await this.#decide((decided) => {
      if (this.route !== null) decided.adopt(this.route, this.#position);
      for (const orphan of decided.orphans()) decided.freeze(orphan, this.#position, 1);
    });
  }

  /** To the end, with everything in force and nothing failing. */
  async finish(): Promise<void> {
    this.writesLeft = Infinity;
    await this.start();
    await this.put();
    await this.pause(false);
    for (let round = 0; round < 40; round++) {
      this.read(1_000);
      this.ownRead(1_000);
      await this.ownCheckpoint();
      await this.look();
      await this.checkpoint();
    }
  }

  #freeze(readers: TriggerReaders): void {
    const trigger = readers.byKey(KEY);
    if (trigger !== undefined && trigger.frozenMs === null) {
      readers.freeze(trigger, this.#position, 1);
    }
    this.#own = null; // the dispatcher ends it; what it had not checkpointed is read again
  }

  /** As the shared reader does: know, decide, write down, tell. */
  async #decide(change: (readers: TriggerReaders) => void): Promise<void> {
    const readers = this.#readers;
    if (readers === null) return;
    try {
      await readers.loadOwn();
      await readers.loadOne(KEY);
      change(readers);
      readers.takeBack(this.#position);
      if (readers.isDirty) await this.#tell(await readers.commit(this.committed));
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
  }

  async #tell(changes: readonly ChangedReader[]): Promise<void> {
    for (const { reader } of changes) {
      const schedule = await this.#schedule();
      if (this.#own !== null) {
        this.#own.schedule = schedule;
        this.#skip(this.#own);
      } else if (reader === 'own') {
        const cursors = await this.driver.cursors.load(TOPIC, OWN_PREFIX + KEY);
        const position = cursors[0]?.offset;
        if (position === undefined) continue;
        this.#own = { position, schedule };
        this.#skip(this.#own);
      }
    }
  }

  async #schedule(): Promise<ReaderSchedule> {
    const [cursor] = await this.driver.cursors.load(TOPIC, READER_PREFIX + KEY);
    return cursor === undefined ? [] : decodeReaderState(cursor.metadata).schedule;
  }

  #skip(own: { position: number; schedule: ReaderSchedule }): void {
    while (readerAt(own.schedule, own.position) !== 'own') {
      const change = nextChange(own.schedule, own.position);
      if (change === null) return;
      own.position = change.at;
    }
  }

  /** One write: the process may die just before it, or just after. */
  async #alive(write: () => Promise<void>): Promise<void> {
    try {
      await this.#mortal(write);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
  }

  async #mortal(write: () => Promise<void>): Promise<void> {
    this.writesLeft -= 1;
    if (this.writesLeft === 0) {
      this.die();
      throw new Death();
    }
    await write();
    this.writesLeft -= 1;
    if (this.writesLeft === 0) {
      this.die();
      throw new Death();
    }
  }

  #dying(): ChannelDriver['cursors'] {
    const { cursors } = this.driver;
    return {
      load: (topic, prefix) => cursors.load(topic, prefix),
      create: (topic, all) => cursors.create(topic, all),
      acquire: (topic, partition, role) => cursors.acquire(topic, partition, role),
      commit: (topic, all) => this.#mortal(() => cursors.commit(topic, all)),
      remove: (topic, names, partition) =>
        this.#mortal(() => cursors.remove(topic, names, partition)),
    };
  }
}

type Move = { readonly name: string; readonly count: number };

const MOVES = [
  'append',
  'read',
  'read',
  'ownRead',
  'ownRead',
  'ownCheckpoint',
  'checkpoint',
  'look',
  'want',
  'rejoin',
  'pause',
  'resume',
  'remove',
  'put',
] as const;

async function run(moves: readonly Move[], mayDie: boolean): Promise<World> {
  const world = new World();
  await world.create((moves[0]?.count ?? 0) % 6);
  await world.start();
  for (const { name, count } of moves) {
    if (mayDie && count % 2 === 0 && world.writesLeft === Infinity) {
      world.writesLeft = 1 + (count % 5);
    }
    if (world.isDown) await world.start();
    switch (name) {
      case 'append':
        world.end += count;
        break;
      case 'read':
        world.read(count);
        break;
      case 'ownRead':
        world.ownRead(count);
        break;
      case 'ownCheckpoint':
        await world.ownCheckpoint();
        break;
      case 'checkpoint':
        await world.checkpoint();
        break;
      case 'look':
        await world.look();
        break;
      case 'want':
        await world.want();
        break;
      case 'rejoin': // an own reader that catches up and is done
        for (let round = 0; round < 3; round++) {
          world.ownRead(1_000);
          await world.ownCheckpoint();
          await world.look();
        }
        break;
      case 'pause':
        await world.pause(true);
        break;
      case 'resume':
        await world.pause(false);
        break;
      case 'remove':
        await world.ownCheckpoint(); // as the dispatcher does when it ends an own reader
        if (world.route !== null) await world.remove();
        break;
      case 'put':
        await world.put();
        break;
    }
  }
  await world.finish();
  return world;
}

const moveArb: fc.Arbitrary<Move> = fc.record({
  name: fc.constantFrom(...MOVES),
  count: fc.integer({ min: 1, max: 12 }),
});
const movesArb = fc.array(moveArb, { maxLength: 60 });

function missing(world: World): number[] {
  const seen = new Set(world.delivered);
  return offsetsOf(world).filter((at) => !seen.has(at));
}

/** What the Trigger must get. */
function offsetsOf({ first, end }: World): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

test('without a death: every event exactly once, whoever reads it', async () => {
  await fc.assert(
    fc.asyncProperty(movesArb, async (moves) => {
      const world = await run(moves, false);
      assert.deepEqual(
        world.delivered.toSorted((a, b) => a - b),
        offsetsOf(world),
      );
    }),
    { numRuns: 300 },
  );
});

test('an own reader that is done and is needed again ahead of the position keeps its cursor', async () => {
  const names = ['pause', 'resume', 'ownCheckpoint', 'append', 'want'];
  const world = await run(
    names.map((name) => ({ name, count: 1 })),
    false,
  );
  assert.deepEqual(missing(world), []);
});

test('with deaths between any two writes: no event is left out', async () => {
  let deaths = 0;
  await fc.assert(
    fc.asyncProperty(movesArb, async (moves) => {
      const world = await run(moves, true);
      deaths += world.deaths;
      assert.deepEqual(missing(world), []);
    }),
    { numRuns: 500 },
  );
  assert.ok(deaths > 200, `${deaths} deaths`);
});
