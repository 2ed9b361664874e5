/**
 * The control side of the simulation: Triggers come, change, pause, go and come back, as the product's
 * control side does it (cursors first, then the route), and every process hears of it a little later.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { BrokerRoute, RoutingPatch, StartPosition, TriggerRoute } from '#lib/contract/routing';
import type { RoutingTableWriter } from '#lib/contract/routing-table';
import { ensureTriggers } from '#lib/delivery/trigger-cursors';
import { compileFilter } from '#lib/filters/predicate';
import type { Random } from '#lib/random/random';
import type { Incarnation, TriggerFact, Version } from './facts.ts';
import type { Life } from './life.ts';
import type { Oracle } from './oracle.ts';
import type { Scenario } from './scenario.ts';
import { pick } from './sim-network.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';
import { firstRoute, otherDelivery, otherFilter } from './trigger-plan.ts';

export interface ControlDeps {
  readonly time: SimTime;
  readonly random: Random;
  readonly trace: Trace;
  readonly oracle: Oracle;
  readonly scenario: Scenario;
  readonly broker: BrokerRoute;
  readonly life: Life;
  readonly driver: ChannelDriver;
}

const RETRY_MS = 200;
const LAG_MS_MAX = 300;

export class Control {
  readonly #deps: ControlDeps;
  readonly #patches: { readonly atMs: number; readonly patch: RoutingPatch }[] = [];
  readonly #tables = new Map<Life, { readonly table: RoutingTableWriter; nextMs: number }>();
  #uidCount = 0;
  readonly #busy = new Set<TriggerFact>();

  constructor(deps: ControlDeps) {
    this.#deps = deps;
    this.#issue({ op: 'putBroker', broker: deps.broker });
  }

  /** Fills the table of a new life, perhaps with what was true a moment ago, and keeps it up to date. */
  attach(life: Life, table: RoutingTableWriter): void {
    const { time, random } = this.#deps;
    const asOfMs = time.nowMs - (random.below(3) === 0 ? random.below(400) : 0);
    const entry = { table, nextMs: time.nowMs };
    this.#tables.set(life, entry);
    life.onEnd(() => this.#tables.delete(life));
    table.apply(foldPatches(this.#patches.filter((each) => each.atMs <= asOfMs)));
    for (const { atMs, patch } of this.#patches) if (atMs > asOfMs) this.#send(life, entry, patch);
  }

  async createTopic(): Promise<void> {
    const { driver, broker } = this.#deps;
    await this.#persist(() =>
      driver.admin.ensureTopic(broker.topic, { partitions: broker.partitions }),
    );
  }

  async create(name: string, start: StartPosition | null): Promise<void> {
    const { oracle, random, scenario } = this.#deps;
    const uid = `uid${++this.#uidCount}`;
    const known = oracle.triggers.get(name);
    const former = known?.incarnations.at(-1);
    const base = former?.versions.at(-1)?.route ?? firstRoute(random, scenario, name);
    const trigger: TriggerFact = known ?? {
      ...{ name, key: base.key, incarnations: [], replaysMs: [] },
    };
    if (this.#busy.has(trigger)) return;
    oracle.triggers.set(name, trigger);
    await this.#ensure(trigger, { ...base, isPaused: false, start }, uid);
  }

  async #ensure(trigger: TriggerFact, base: TriggerRoute, uid: string): Promise<void> {
    const { time, driver, broker, trace } = this.#deps;
    const { name } = trigger;
    const { start } = base;
    this.#busy.add(trigger);
    const firstOffsets = new Map<number, number>();
    const ends = await this.#persist(() => driver.log.ends(broker.topic));
    for (const end of ends) firstOffsets.set(end.partition, end.first);
    const incarnation: Incarnation = {
      ...{ uid, start, firstOffsets, ensureBeganMs: time.nowMs },
      isFresh: trigger.incarnations.length === 0 || start !== null,
      ...{ readyMs: Infinity, deletedMs: Infinity, versions: [] },
    };
    trigger.incarnations.push(incarnation);
    this.#addVersion(incarnation, placed({ ...base, uid }, name, uid, 1));
    trace.add(`ensure ${name} ${uid} start ${JSON.stringify(start)}`);
    await this.#persist(() =>
      ensureTriggers(driver, broker.topic, [{ uid, key: trigger.key, start }]),
    );
    incarnation.readyMs = time.nowMs;
    trace.add(`ready ${name} ${uid}`);
    this.#busy.delete(trigger);
    const route = incarnation.versions.at(-1)?.route;
    if (route !== undefined) this.#issue({ op: 'putTrigger', trigger: route });
  }

  edit(trigger: TriggerFact): void {
    const { random } = this.#deps;
    this.#change(trigger, (route) => {
      switch (random.below(4)) {
        case 0:
          return { ...route, filter: otherFilter(random) };
        case 1:
          return { ...route, concurrency: 1 + random.below(20) };
        case 2:
          return { ...route, delivery: otherDelivery(random, route.delivery.timeoutMs) };
        default:
          return route; // the address alone
      }
    });
  }

  setPaused(trigger: TriggerFact, isPaused: boolean): void {
    this.#change(trigger, (route) => (route.isPaused === isPaused ? null : { ...route, isPaused }));
  }

  remove(trigger: TriggerFact): void {
    const incarnation = trigger.incarnations.at(-1);
    if (incarnation === undefined || incarnation.deletedMs < Infinity) return;
    if (this.#busy.has(trigger) || incarnation.readyMs === Infinity) return;
    const { time, trace, broker } = this.#deps;
    incarnation.deletedMs = time.nowMs;
    const version = incarnation.versions.at(-1);
    if (version !== undefined) version.toMs = time.nowMs;
    trace.add(`delete ${trigger.name} ${incarnation.uid}`);
    this.#issue({ op: 'removeTrigger', brokerKey: broker.key, uid: incarnation.uid });
  }

  /** Any Trigger that is there. */
  some(): TriggerFact | null {
    const { oracle, random } = this.#deps;
    const all = [...oracle.triggers.values()].filter((each) => this.#isThere(each));
    return all.length === 0 ? null : pick(random, all);
  }

  /** A name whose Trigger is deleted. */
  someDeleted(): TriggerFact | null {
    const { oracle, random } = this.#deps;
    const all = [...oracle.triggers.values()].filter((each) => {
      return !this.#busy.has(each) && (each.incarnations.at(-1)?.deletedMs ?? Infinity) < Infinity;
    });
    return all.length === 0 ? null : pick(random, all);
  }

  get isBusy(): boolean {
    return this.#busy.size > 0;
  }

  #isThere(trigger: TriggerFact): boolean {
    const last = trigger.incarnations.at(-1);
    return last !== undefined && last.deletedMs === Infinity && last.readyMs < Infinity;
  }

  #change(trigger: TriggerFact, how: (route: TriggerRoute) => TriggerRoute | null): void {
    const incarnation = trigger.incarnations.at(-1);
    const version = incarnation?.versions.at(-1);
    if (incarnation === undefined || version === undefined || !this.#isThere(trigger)) return;
    const changed = how(version.route);
    if (changed === null) return;
    const generation = version.route.generation + 1;
    const route = placed(changed, trigger.name, incarnation.uid, generation);
    version.toMs = this.#deps.time.nowMs;
    this.#addVersion(incarnation, route);
    this.#deps.trace.add(`edit ${trigger.name} ${generation} paused ${route.isPaused}`);
    this.#issue({ op: 'putTrigger', trigger: route });
  }

  #addVersion(incarnation: Incarnation, route: TriggerRoute): void {
    const { matches } = compileFilter(route.filter);
    const version: Version = { route, matches, fromMs: this.#deps.time.nowMs, toMs: Infinity };
    incarnation.versions.push(version);
  }

  #issue(patch: RoutingPatch): void {
    this.#patches.push({ atMs: this.#deps.time.nowMs, patch });
    for (const [life, entry] of this.#tables) this.#send(life, entry, patch);
  }

  #send(
    life: Life,
    entry: { table: RoutingTableWriter; nextMs: number },
    patch: RoutingPatch,
  ): void {
    const { time, random } = this.#deps;
    entry.nextMs = Math.max(entry.nextMs, time.nowMs + random.float() * LAG_MS_MAX);
    time.at(entry.nextMs, () => life.enter(() => entry.table.apply([patch])));
  }

  /** Level-triggered: until it works. */
  async #persist<Value>(work: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        this.#deps.trace.add(`control tries again: ${String(error)}`);
        await new Promise<void>((resolve) => this.#deps.time.in(RETRY_MS, resolve));
      }
    }
  }
}

/** Every version has addresses of its own, so that a delivery shows which settings it was made with. */
function placed(route: TriggerRoute, name: string, uid: string, generation: number): TriggerRoute {
  const endpoint = (kind: string) => ({
    url: `http://${kind}/${name}/${uid}/${generation}`,
    caCerts: null,
    audience: null,
  });
  const deadLetter = route.deadLetter === null ? null : endpoint('dlq');
  return { ...route, uid, generation, subscriber: endpoint('sub'), deadLetter };
}

function foldPatches(
  patches: readonly { readonly patch: RoutingPatch }[],
): readonly RoutingPatch[] {
  return patches.map(({ patch }) => patch);
}
