/**
 * One run: builds the store, the network, the processes and the control side, lets producers send and
 * things go wrong for a while, then heals everything and waits until all is quiet. Stops at the first
 * violation.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { BrokerRoute } from '#lib/contract/routing';
import { createSeededRandom } from '#lib/random/random';
import type { Random } from '#lib/random/random';
import { findUnfinished } from './checks.ts';
import { Control } from './control.ts';
import type { EventFact, TriggerFact } from './facts.ts';
import { Life } from './life.ts';
import { Moods } from './moods.ts';
import { Oracle } from './oracle.ts';
import { Process } from './process.ts';
import type { Role } from './process.ts';
import { drawScenario } from './scenario.ts';
import type { Scenario, ScenarioLimits } from './scenario.ts';
import { pick, SimNetwork } from './sim-network.ts';
import { SimTime } from './sim-time.ts';
import { SimStore } from './sim-store.ts';
import { StoreLink } from './store-link.ts';
import type { StoreFault } from './store-link.ts';
import { Trace } from './trace.ts';
import { brokerRoute, eventOf } from './trigger-plan.ts';

/** After the faults: something must get settled within this virtual time, until all is. */
const QUIET_MS_MAX = 150_000;
const QUIET_MS_TOTAL = 3_600_000;
const QUIET_LOOK_MS = 1_000;
const PIN_LOOK_MS = 200;

export class World {
  readonly time = new SimTime();
  readonly trace: Trace;
  readonly scenario: Scenario;
  readonly oracle: Oracle;
  readonly #random: Random;
  readonly #broker: BrokerRoute;
  readonly #network: SimNetwork;
  readonly #moods: Moods;
  readonly #control: Control;
  readonly #processes: readonly Process[];
  readonly #store: SimStore;
  readonly #producer: ChannelDriver;
  #isHealing = false;
  #eventCount = 0;
  #isOver = false;
  #wallOffsetMsMax = this.time.wallOffsetMs;

  constructor(seed: number, limits: ScenarioLimits, print: ((line: string) => void) | null) {
    const draw = (salt: number): Random => createSeededRandom((seed * 7919 + salt) >>> 0);
    this.trace = new Trace(this.time, print);
    this.scenario = drawScenario(draw(1), limits);
    this.trace.add(`seed ${seed} ${JSON.stringify(this.scenario)}`);
    this.#random = draw(2);
    this.#broker = brokerRoute(this.scenario);
    const isStrict = this.scenario.storeFaultShare === 0 && this.scenario.diskFaultShare === 0;
    const repeatWindowMs = isStrict ? 5_000 + this.scenario.storeDelayMs * 100 : Infinity;
    const { topic } = this.#broker;
    this.oracle = new Oracle(this.time, this.trace, { topic, repeatWindowMs });
    const { time, trace, oracle, scenario } = this;
    this.#moods = new Moods({ time, trace, oracle, scenario, random: draw(3) });
    this.#network = new SimNetwork({ time, random: draw(4), watcher: this.#moods });
    this.#store = new SimStore({
      ...{ time, trace, oracle, scenario, random: draw(8), isHealing: () => this.#isHealing },
    });
    const linkRandom = draw(5);
    const connect = (life: Life): ChannelDriver => this.#connect(life, linkRandom);
    this.#producer = connect(new Life(time, 'producer'));
    const life = new Life(time, 'control');
    this.#control = new Control({
      ...{ time, trace, oracle, scenario, life, broker: this.#broker },
      ...{ random: draw(6), driver: connect(life) },
    });
    const roles: readonly Role[] = scenario.mode === 'fused' ? ['fused'] : ['dispatcher', 'filter'];
    const processRandom = draw(7);
    this.#processes = roles.map((role) => {
      const { network, control } = { network: this.#network, control: this.#control };
      return new Process(role, {
        time,
        trace,
        oracle,
        network,
        control,
        connect,
        random: processRandom,
      });
    });
  }

  /** Ends at the first violation or when all is quiet. */
  async run(): Promise<void> {
    const onRejection = (error: unknown): void => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.oracle.fail('rejection', text);
    };
    process.on('unhandledRejection', onRejection);
    try {
      void this.#play();
      await this.time.run(Infinity, () => this.#isOver || this.oracle.violations.length > 0);
    } catch (error) {
      this.oracle.fail('exception', error instanceof Error ? (error.stack ?? '') : String(error));
    } finally {
      this.#store.end();
      process.off('unhandledRejection', onRejection);
    }
  }

  async #play(): Promise<void> {
    await this.#control.createTopic();
    for (let at = 0; at < this.scenario.triggerCount; at++) {
      const start = this.#random.below(4) === 0 ? ({ at: 'earliest' } as const) : null;
      void this.#control.create(`t${at}`, start);
    }
    for (const each of this.#processes) this.#store.whenUp(() => each.start());
    this.#produce();
    this.#plan();
    this.#watchPins();
    await this.#sleep(this.scenario.busyMs);
    await this.#heal();
  }

  #connect(life: Life, random: Random): ChannelDriver {
    const { storeDelayMs, storeFaultShare } = this.scenario;
    return new StoreLink({
      ...{ time: this.time, trace: this.trace, random, life },
      store: () => this.#store.driver,
      onStoreDown: (down) => {
        this.#store.onDown(down);
        life.onEnd(() => this.#store.offDown(down));
      },
      fault: (): StoreFault => {
        if (this.#isHealing || storeFaultShare === 0) return 'none';
        if (random.float() >= storeFaultShare) return 'none';
        return random.below(2) === 0 ? 'before' : 'after';
      },
      delayMs: () => 0.05 + random.float() * storeDelayMs,
      committed: (topic, cursors) => this.oracle.committed(topic, cursors),
      acquired: (place, epoch) => this.oracle.acquired(place, epoch),
      stored: (topic, records, receipts) => this.oracle.stored(topic, records, receipts),
    }).driver;
  }

  #produce(): void {
    if (this.#isHealing) return;
    this.#send(1 + (this.#random.below(10) === 0 ? this.#random.below(5) : 0));
    const meanMs = 1_000 / this.scenario.eventsPerSecond;
    this.time.in(-Math.log(1 - this.#random.float()) * meanMs, () => this.#produce());
  }

  #send(count: number): void {
    for (let at = 0; at < count; at++) void this.#sendOne();
  }

  async #sendOne(): Promise<void> {
    const id = `e${++this.#eventCount}`;
    const keyNumber = this.#random.below(this.scenario.keyCount + 1);
    const key = keyNumber === 0 ? null : `k${keyNumber}`;
    const event = eventOf(this.#random, id, key);
    const fact: EventFact = {
      ...{ id, event, key, beganMs: this.time.nowMs, storedMs: null, ackedMs: null },
      ...{ partition: -1, offset: -1, ttl: -1, copies: 0, parent: null },
    };
    this.oracle.events.set(id, fact);
    // Replies are events again: with few rounds they die out.
    const isShort = this.scenario.replyShare > 0 || this.#random.below(20) === 0;
    const ttl = isShort ? this.#random.below(4) : 255;
    try {
      await this.#producer.log.append(this.#broker.topic, {
        ...{ kind: 'event', event, passThrough: [], ttl, arrivalMs: this.time.wallMs, key },
      });
      fact.ackedMs = this.time.nowMs;
    } catch (error) {
      this.trace.add(`producer failed with ${id}: ${String(error)}`);
    }
  }

  /** Everything that goes wrong or changes, each at random times of its own. */
  #plan(): void {
    const { everyMs } = this.scenario;
    const random = this.#random;
    this.#often(everyMs.crash, () => this.#crash());
    this.#often(everyMs.restart, () => pick(random, this.#processes).restart());
    this.#often(everyMs.pauseProcess, () =>
      pick(random, this.#processes).pause(random.below(6_000)),
    );
    this.#often(everyMs.zombie, () => {
      // Filter only: what a dispatcher writes to the waiting store carries no epoch.
      const filter = this.#processes.find(({ role }) => role === 'filter');
      const wakesInMs = 200 + random.below(8_000);
      filter?.supersede(wakesInMs, wakesInMs + random.below(6_000));
    });
    this.#often(everyMs.edit, () => this.#withSome((trigger) => this.#control.edit(trigger)));
    this.#often(everyMs.pauseTrigger, () => {
      this.#withSome((trigger) => {
        this.#control.setPaused(trigger, true);
        this.time.in(random.below(8_000), () => this.#control.setPaused(trigger, false));
      });
    });
    this.#often(everyMs.remove, () => this.#removeSome());
    this.#often(everyMs.replay, () => this.#withSome((trigger) => this.#replay(trigger)));
    this.#often(everyMs.stepWall, () => {
      this.time.wallOffsetMs += Math.floor(
        (random.float() - 0.5) * 2 * pick(random, [2e3, 6e4, 4e6]),
      );
      this.#wallOffsetMsMax = Math.max(this.#wallOffsetMsMax, this.time.wallOffsetMs);
      this.trace.add(`wall clock is now ${this.time.wallMs}`);
    });
    this.#often(everyMs.mood, () => this.#moods.change());
    this.#often(everyMs.burst, () => this.#send(100 + random.below(1_500)));
  }

  #often(meanMs: number, run: () => void): void {
    if (meanMs === Infinity) return;
    const next = (): void => {
      this.time.in(-Math.log(1 - this.#random.float()) * meanMs, () => {
        if (this.#isHealing) return;
        run();
        next();
      });
    };
    next();
  }

  #withSome(run: (trigger: TriggerFact) => void): void {
    const trigger = this.#control.some();
    if (trigger !== null) run(trigger);
  }

  /** One process dies; with the embedded store its owner may: all of a fused one, or ingress. */
  #crash(): void {
    const random = this.#random;
    const canFuse = this.scenario.mode === 'fused' && this.#store.canCrash;
    if (canFuse || (this.#store.canCrash && random.below(3) === 0)) {
      if (canFuse) for (const each of this.#processes) each.crash();
      this.oracle.disturbed(true, canFuse ? 'pairs' : 'matches');
      this.#store.crash();
      this.time.in(random.float() * 1_500, () => {
        this.#store.start();
        this.#store.whenUp(() => this.#startAll());
      });
      return;
    }
    const victim = pick(random, this.#processes);
    if (victim.life === null) return;
    victim.crash();
    this.time.in(random.float() * 1_500, () => this.#store.whenUp(() => this.#startAll()));
  }

  #startAll(): void {
    for (const each of this.#processes) if (each.life === null) each.start();
  }

  #removeSome(): void {
    const random = this.#random;
    this.#withSome((trigger) => {
      this.#control.remove(trigger);
      if (random.below(5) === 0) return;
      const start = random.below(4) === 0 ? ({ at: 'latest' } as const) : null;
      const inMs = random.below(3) === 0 ? random.below(50) : random.below(5_000);
      this.time.in(inMs, () => void this.#control.create(trigger.name, start));
    });
  }

  #replay(trigger: TriggerFact): void {
    const dispatcher = this.#processes.find((each) => each.dispatcher !== null)?.dispatcher;
    const uid = trigger.incarnations.at(-1)?.uid;
    if (dispatcher === null || dispatcher === undefined || uid === undefined) return;
    trigger.replaysMs.push(this.time.nowMs);
    this.trace.add(`replay ${trigger.name}`);
    dispatcher.replay(uid, { at: 'earliest' }).catch((error: unknown) => {
      this.trace.add(`replay failed: ${String(error)}`);
    });
  }

  async #heal(): Promise<void> {
    this.#isHealing = true;
    this.trace.add('faults are over');
    this.#moods.heal();
    this.time.wallOffsetMs = this.#wallOffsetMsMax; // or what was due then is due much later now
    for (const trigger of this.oracle.triggers.values()) this.#control.setPaused(trigger, false);
    const endMs = this.time.nowMs + QUIET_MS_TOTAL;
    let untilMs = this.time.nowMs + QUIET_MS_MAX;
    let delivered = -1;
    for (;;) {
      await this.#sleep(QUIET_LOOK_MS);
      for (const trigger of this.oracle.triggers.values()) this.#control.setPaused(trigger, false);
      if (this.#control.isBusy) continue;
      const store = this.#store.driver;
      if (store === null) continue;
      const { lost, waiting } = await findUnfinished(this.oracle, store);
      if (lost.length === 0 && waiting.length === 0) break;
      if (this.oracle.counts.delivered > delivered) untilMs = this.time.nowMs + QUIET_MS_MAX;
      delivered = this.oracle.counts.delivered;
      if (this.time.nowMs < Math.min(untilMs, endMs)) continue;
      if (lost.length > 0) this.oracle.fail('lost', lost.join('\n  '));
      if (waiting.length > 0) this.oracle.fail('stuck', waiting.join('\n  '));
      return;
    }
    this.trace.add('all is quiet');
    this.#isOver = true;
  }

  /** Nothing is trimmed that a cursor has needed since before the trim. */
  #watchPins(): void {
    const { topic } = this.#broker;
    let former = new Map<string, number>();
    const look = async (): Promise<void> => {
      const store = this.#store.driver;
      if (store === null) return;
      const ends = await store.log.ends(topic);
      const present = new Map<string, number>();
      for (const { name, partition, offset, pins } of await store.cursors.load(topic)) {
        if (!pins) continue;
        const first = ends.find((end) => end.partition === partition)?.first ?? 0;
        const place = `${name} ${partition}`;
        if (first <= offset) present.set(place, offset);
        else if (former.get(place) === offset) {
          this.oracle.fail('trim', `${partition} begins at ${first}, "${name}" needs ${offset}`);
        }
      }
      former = present;
    };
    const next = (): void => {
      void look();
      this.time.in(PIN_LOOK_MS, next);
    };
    next();
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.time.in(delayMs, resolve));
  }
}
