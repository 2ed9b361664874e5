/**
 * A process of the simulation: the real filter and dispatcher, composed as `local/` composes them, over
 * the simulated clock, network and store. It can be killed, stopped cleanly, paused, and started
 * again; every start is a new life with new objects.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import { createRoutingTable } from '#lib/contract/routing-table-store';
import type { Random } from '#lib/random/random';
import { createSeededRandom } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import { createMetrics } from '#lib/telemetry/metrics';
import { Dispatcher } from '#services/dispatcher/dispatcher';
import { Filter } from '#services/filter/filter';
import { LogHandover } from '#services/filter/log-handover';
import type { Control } from './control.ts';
import { Life } from './life.ts';
import type { Oracle } from './oracle.ts';
import type { SimNetwork } from './sim-network.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';

export type Role = 'fused' | 'filter' | 'dispatcher';

export interface ProcessDeps {
  readonly time: SimTime;
  readonly random: Random;
  readonly trace: Trace;
  readonly oracle: Oracle;
  readonly network: SimNetwork;
  readonly control: Control;
  /** Connects a new life to the store. */
  readonly connect: (life: Life) => ChannelDriver;
}

/** A reader that began again by itself: what it had handed on comes a second time. */
const RESTARTED_READER = /^(Own reader failed|Cannot read the (Broker|deliveries log))/;
/** The log may hold what the writer was told has failed. */
const REPEATED_MATCHES = /^Cannot write matched events down/;

interface Running {
  readonly life: Life;
  readonly dispatcher: Dispatcher | null;
  readonly filter: Filter | null;
}

export class Process {
  readonly role: Role;
  readonly #deps: ProcessDeps;
  #lifeCount = 0;
  #running: Running | null = null;
  #isStopping = false;

  constructor(role: Role, deps: ProcessDeps) {
    this.role = role;
    this.#deps = deps;
  }

  get life(): Life | null {
    return this.#running?.life ?? null;
  }

  get dispatcher(): Dispatcher | null {
    return this.#running?.dispatcher ?? null;
  }

  start(): void {
    const { time, trace, control, connect, random } = this.#deps;
    const life = new Life(time, `${this.role}${++this.#lifeCount}`);
    trace.add(`${life.name} starts`);
    const { clock } = life;
    const routing = createRoutingTable({ clock });
    control.attach(life, routing);
    routing.markSynced();
    const driver = connect(life);
    const logger = this.#logger(life);
    const shared = {
      ...{ clock, logger, routing, driver },
      random: createSeededRandom(random.below(2 ** 31)),
    };
    const dispatcher =
      this.role === 'filter'
        ? null
        : new Dispatcher(
            { ...shared, metrics: createMetrics(), sender: this.#deps.network.sender(life) },
            { holder: 'dispatcher-0', isFused: this.role === 'fused' },
          );
    if (dispatcher !== null) {
      dispatcher.observer = { attempt: (report) => this.#deps.oracle.reported(life, report) };
    }
    const filter =
      this.role === 'dispatcher'
        ? null
        : new Filter(
            {
              ...shared,
              metrics: createMetrics(),
              handover: dispatcher?.handover ?? new LogHandover(shared),
              opened: (key) => dispatcher?.opened(key) ?? Promise.resolve(),
            },
            { hasRemoteDispatcher: dispatcher === null },
          );
    this.#running = { life, dispatcher, filter };
    void this.#open(this.#running);
  }

  /** As `local/` does: dispatcher first, and again from the start when the store is away. */
  async #open({ life, dispatcher, filter }: Running): Promise<void> {
    try {
      await dispatcher?.start();
      filter?.start();
    } catch (error) {
      this.#deps.trace.add(`${life.name} cannot start: ${String(error)}`);
      this.crash();
      this.#deps.time.in(500, () => this.#running === null && this.start());
    }
  }

  crash(): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    this.#isStopping = false;
    this.#deps.trace.add(`${running.life.name} dies`);
    this.#disturbed(true);
    running.life.end();
  }

  /** The present life is paused and a successor starts beside it; it wakes up and ends later. */
  supersede(wakesInMs: number, endsInMs: number): void {
    const running = this.#running;
    if (running === null || this.#isStopping) return;
    const { time, trace, oracle } = this.#deps;
    const { life } = running;
    trace.add(`${life.name} is paused and superseded`);
    this.#running = null;
    oracle.zombies.add(life);
    this.#disturbed(true);
    life.pause();
    this.start();
    time.in(wakesInMs, () => {
      trace.add(`${life.name} wakes up`);
      oracle.zombieAwake(true);
      this.#disturbed(false);
      life.resume();
    });
    time.in(endsInMs, () => {
      trace.add(`${life.name} dies at last`);
      oracle.zombieAwake(false);
      this.#disturbed(false);
      life.end();
    });
  }

  pause(forMs: number): void {
    const life = this.life;
    if (life === null || life.isPaused || this.#isStopping) return;
    this.#deps.trace.add(`${life.name} pauses`);
    this.#deps.oracle.zombies.add(life); // its settings may be old for longer
    life.pause();
    this.#deps.time.in(forMs, () => life.resume());
  }

  /** A clean end, then a new start. */
  restart(): void {
    const running = this.#running;
    if (running === null || this.#isStopping || running.life.isPaused) return;
    this.#isStopping = true;
    this.#deps.trace.add(`${running.life.name} stops`);
    void this.#stop(running);
  }

  async #stop(running: Running): Promise<void> {
    const { life, filter, dispatcher } = running;
    const deadlineMs = this.#deps.random.below(2) === 0 ? 500 : 20_000;
    try {
      await filter?.close();
      const isDry = dispatcher?.drain(deadlineMs) ?? Promise.resolve();
      await isDry;
      await dispatcher?.close();
    } catch (error) {
      this.#deps.trace.add(`${life.name} did not stop cleanly: ${String(error)}`);
      this.#disturbed(true);
    }
    if (this.#running !== running) return;
    this.#deps.trace.add(`${life.name} has stopped`);
    this.#running = null;
    this.#isStopping = false;
    this.#disturbed(false); // requests past the deadline are cut off
    life.end();
    this.start();
  }

  #disturbed(isCrash: boolean): void {
    this.#deps.oracle.disturbed(isCrash, this.role === 'filter' ? 'matches' : 'pairs');
  }

  #logger(life: Life): Logger {
    const { trace } = this.#deps;
    const say =
      (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
        trace.add(`${life.name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
        if (RESTARTED_READER.test(message)) this.#disturbed(false);
        if (REPEATED_MATCHES.test(message)) this.#deps.oracle.disturbed(false, 'matches');
      };
    const logger: Logger = {
      debug: () => undefined,
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: () => logger,
    };
    return logger;
  }
}
