/**
 * The processes of the event side as one: starts them in order, brings each to the present routes
 * however often it is started again, and ends them in order. Used by `control-side.ts` and `up.ts`.
 *
 * Level-triggered: there is one goal (routes and a revision), and each life of a child is brought
 * there from nothing. Invariant: a route is sent to any child only after the store's owner has made
 * its topic and cursors durable, so a Trigger that is in force misses nothing.
 */
import type { Logger } from '#lib/telemetry/log';
import { messageOf } from '#lib/errors/mesh-error';
import { sleep } from '#lib/time/clock';
import type { Clock, Timer } from '#lib/time/clock';
import { BATCH_COUNT_MAX, RemoteFault } from '../child-protocol.ts';
import type { ChildMethod, ChildMethods, Fault } from '../child-protocol.ts';
import type { EnsuredTrigger, EnsureRequest, EventRole, TailEntry } from '../event-side.ts';
import type { EventSideSettings } from '../event-side-settings.ts';
import { localError } from '../local-errors.ts';
import { NO_ROUTES } from '../objects/route-plan.ts';
import type { RouteSet } from '../objects/route-plan.ts';
import { EventChild } from './event-child.ts';
import type { ForkChild } from './event-child.ts';
import { RestartDelays } from './restart-delays.ts';

export interface GroupDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fork: ForkChild;
}

export interface GroupOptions {
  /** The roles of each process, in the order of start; the one with ingress owns the store. */
  readonly processes: readonly (readonly EventRole[])[];
  readonly settings: EventSideSettings;
}

export interface ProcessReport {
  readonly name: string;
  readonly roles: readonly EventRole[];
  readonly pid: number | null;
  readonly state: string;
  readonly restartCount: number;
  /** Of its latest end; `null` when it never ended. */
  readonly lastEnd: string | null;
}

export interface GroupListener {
  tail(entries: readonly TailEntry[], skippedCount: number): void;
}

const ENSURE_RETRY_MS = 500;
/** After the drain's deadline, until the process is ended hard. */
const CLOSE_GRACE_MS = 3_000;

interface Seat {
  readonly name: string;
  readonly roles: readonly EventRole[];
  readonly delays: RestartDelays;
  child: EventChild | null;
  /** What this life of the store's owner has made durable. */
  ensured: RouteSet;
  restart: Timer | null;
  restartCount: number;
  lastEnd: string | null;
}

export class EventGroup {
  readonly #deps: GroupDeps;
  readonly #options: GroupOptions;
  readonly #seats: readonly Seat[];
  readonly #owner: Seat;
  #listener: GroupListener = { tail: () => undefined };
  #waiters: (() => void)[] = [];
  #routes: RouteSet = NO_ROUTES;
  #revision = 0;
  #ensuredRevision = 0;
  #isEnsuring = false;
  #syncRevision: number | null = null;
  #isTailing = false;
  #isStopping = false;
  #firstFault: Fault | null = null;
  #hasStarted = false;

  constructor(deps: GroupDeps, options: GroupOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#seats = options.processes.map((roles) => ({
      name: roles.join('+'),
      roles,
      delays: new RestartDelays(deps.clock),
      child: null,
      ensured: NO_ROUTES,
      restart: null,
      restartCount: 0,
      lastEnd: null,
    }));
    const owner = this.#seats.find((seat) => seat.roles.includes('ingress'));
    if (owner === undefined) throw new TypeError('no process has the role ingress');
    this.#owner = owner;
  }

  listen(listener: GroupListener): void {
    this.#listener = listener;
  }

  /**
   * Resolves when every process has opened its part of the store and its listener.
   * @throws RemoteFault of the first that cannot; all are ended then.
   */
  async start(): Promise<void> {
    // The owner opens the store before others look for its socket.
    this.#spawn(this.#owner);
    await this.#waitFirstOpen([this.#owner]);
    for (const seat of this.#seats) if (seat !== this.#owner) this.#spawn(seat);
    await this.#waitFirstOpen(this.#seats);
    this.#hasStarted = true;
  }

  /** Where events are taken; `null` while the process with ingress is not open. */
  get eventsUrl(): string | null {
    return this.#owner.child?.started.eventsUrl ?? null;
  }

  /** Resolves when every process serves, at the same moment. */
  ready(): Promise<void> {
    return this.#until(() => this.#seats.every((seat) => seat.child?.state === 'ready'));
  }

  get reports(): readonly ProcessReport[] {
    return this.#seats.map(({ name, roles, child, restartCount, lastEnd }) => ({
      name,
      roles,
      pid: child?.pid ?? null,
      state: child?.state ?? 'starting again',
      restartCount,
      lastEnd,
    }));
  }

  /** Makes these the routes in force; resolves when every process has applied them, in any life. */
  async publish(routes: RouteSet): Promise<void> {
    this.#routes = routes;
    this.#revision += 1;
    const revision = this.#revision;
    this.#bringAll();
    await this.#until(() =>
      this.#seats.every((seat) => (seat.child?.appliedRevision ?? -1) >= revision),
    );
  }

  /** From the present routes on, children may begin; they are a full set. */
  sync(): void {
    this.#syncRevision ??= this.#revision;
    this.#bringAll();
  }

  /** @throws as `EventChild.request`. */
  request<Method extends ChildMethod>(
    role: EventRole,
    method: Method,
    params: ChildMethods[Method]['params'],
  ): Promise<ChildMethods[Method]['result']> {
    const child = this.#seats.find((seat) => seat.roles.includes(role))?.child ?? null;
    if (child !== null) return child.request(method, params);
    const message = `Cannot ask ${role} for ${method}: its process is starting again`;
    return Promise.reject(localError('LOCAL_CHILD_FAILED', message));
  }

  /** Asks every open process; one that fails meanwhile is left out. */
  async requestAll<Method extends ChildMethod>(
    method: Method,
    params: ChildMethods[Method]['params'],
  ): Promise<
    readonly { readonly name: string; readonly result: ChildMethods[Method]['result'] }[]
  > {
    const open = this.#seats.flatMap(({ name, child }) =>
      child?.isOpen === true ? [{ name, child }] : [],
    );
    const answers = await Promise.allSettled(
      open.map(({ child }) => child.request(method, params)),
    );
    return answers.flatMap((answer, index) =>
      answer.status === 'fulfilled'
        ? [{ name: open[index]?.name ?? '', result: answer.value }]
        : [],
    );
  }

  setTail(isOn: boolean): void {
    if (this.#isTailing === isOn) return;
    this.#isTailing = isOn;
    // A child that fails meanwhile is told again in its next life.
    void this.requestAll('tail', { isOn });
  }

  /**
   * Ends all processes: takers first, the store's owner last. Resolves when they are gone; what does
   * not end by itself soon after the deadline is killed.
   */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    for (const seat of this.#seats) {
      seat.restart?.cancel();
      seat.restart = null;
    }
    const endMs = this.#deps.clock.monotonicMs() + deadlineMs;
    // The order of the roles is the order of the events; a seat with several is drained once.
    for (const seat of this.#seats) {
      const { child } = seat;
      const leftMs = Math.max(0, endMs - this.#deps.clock.monotonicMs());
      if (child === null || !child.isOpen) continue;
      child.drain(leftMs);
      await this.#until(() => !child.isOpen, leftMs + CLOSE_GRACE_MS);
    }
    const others = this.#seats.filter((seat) => seat !== this.#owner);
    for (const seat of [...others, this.#owner]) await this.#close(seat);
  }

  /** Ends all processes at once, without a drain. */
  kill(): void {
    this.#isStopping = true;
    for (const seat of this.#seats) {
      seat.restart?.cancel();
      seat.child?.kill();
    }
  }

  async #close(seat: Seat): Promise<void> {
    const { child } = seat;
    if (child === null) return;
    child.close();
    await this.#until(() => child.state === 'gone', CLOSE_GRACE_MS);
    child.kill();
    await this.#until(() => child.state === 'gone', CLOSE_GRACE_MS);
  }

  #spawn(seat: Seat): void {
    const child = new EventChild(
      {
        clock: this.#deps.clock,
        fork: this.#deps.fork,
        events: {
          changed: () => this.#changed(seat),
          tail: ({ entries, skippedCount }) => this.#listener.tail(entries, skippedCount),
          exited: (reason) => this.#exited(seat, reason),
        },
      },
      { name: seat.name, roles: seat.roles, settings: this.#options.settings },
    );
    seat.ensured = NO_ROUTES;
    seat.child = child;
  }

  #changed(seat: Seat): void {
    const { child } = seat;
    if (child?.state === 'opened' && child.sentRevision < 0 && this.#isTailing) {
      void child.request('tail', { isOn: true }).catch(() => undefined); // It is gone again.
    }
    if (child?.state === 'ready') seat.delays.lived();
    this.#bringAll();
    this.#tell();
  }

  #exited(seat: Seat, reason: string): void {
    const fault = seat.child?.fault ?? null;
    seat.child = null;
    seat.lastEnd = reason;
    if (!this.#hasStarted && fault !== null) this.#firstFault ??= fault;
    if (!this.#isStopping && (this.#hasStarted || fault === null)) {
      const delayMs = seat.delays.next();
      seat.restartCount += 1;
      this.#deps.log.error('a process ended and is started again', {
        process: seat.name,
        reason,
        delayMs,
        restartCount: seat.restartCount,
      });
      seat.restart = this.#deps.clock.after(delayMs, () => {
        seat.restart = null;
        this.#spawn(seat);
      });
    }
    this.#tell();
  }

  async #waitFirstOpen(seats: readonly Seat[]): Promise<void> {
    await this.#until(
      () =>
        this.#firstFault !== null ||
        this.#isStopping ||
        seats.every((seat) => seat.child?.isOpen === true),
    );
    if (this.#firstFault === null) return;
    const fault = this.#firstFault;
    await this.stop(0);
    throw new RemoteFault(fault);
  }

  #bringAll(): void {
    if (this.#revision === 0) return;
    if (this.#owner.child?.isOpen === true && this.#owner.ensured !== this.#routes) {
      void this.#ensureOwner();
    }
    for (const { child } of this.#seats) {
      if (child === null || this.#ensuredRevision < this.#revision) continue;
      child.bring(this.#routes, this.#revision);
      if (this.#syncRevision !== null && child.sentRevision >= this.#syncRevision) child.sync();
    }
  }

  /** Goes on until what is ensured is the goal, or the owner is gone (its next life begins anew). */
  async #ensureOwner(): Promise<void> {
    if (this.#isEnsuring) return;
    this.#isEnsuring = true;
    const seat = this.#owner;
    const { child } = seat;
    while (child !== null && child === seat.child && child.isOpen && !this.#isStopping) {
      const routes = this.#routes;
      const revision = this.#revision;
      if (seat.ensured === routes) break;
      try {
        for (const request of ensureRequests(seat.ensured, routes)) {
          await child.request('ensure', request);
        }
        seat.ensured = routes;
        this.#ensuredRevision = Math.max(this.#ensuredRevision, revision);
      } catch (error) {
        if (child !== seat.child) break;
        const fields = { process: seat.name, error: messageOf(error) };
        this.#deps.log.error('topics and cursors could not be made, it is tried again', fields);
        await sleep(this.#deps.clock, ENSURE_RETRY_MS);
      }
    }
    this.#isEnsuring = false;
    this.#bringAll();
  }

  #tell(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when `isTrue`, looked at after each change, or when the time is over. */
  async #until(isTrue: () => boolean, timeoutMs: number | null = null): Promise<void> {
    const limit = { isOver: false };
    const timer =
      timeoutMs === null
        ? null
        : this.#deps.clock.after(timeoutMs, () => {
            limit.isOver = true;
            this.#tell();
          });
    while (!isTrue() && !limit.isOver) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
    timer?.cancel();
  }
}

/** What the owner must make before `to` may be in force, given that it made `from`; in batches. */
export function* ensureRequests(from: RouteSet, to: RouteSet): Generator<EnsureRequest> {
  const topics = Array.from(to.brokers.values(), ({ route }) => route)
    .filter((route) => from.brokers.get(route.key)?.route !== route)
    .map(({ topic, partitions }) => ({ topic, partitions }));
  if (topics.length > 0) yield { topics, triggers: [] };
  let triggers: EnsuredTrigger[] = [];
  for (const [uid, { route }] of to.triggers) {
    if (from.triggers.get(uid) !== undefined) continue;
    const topic = to.brokers.get(route.brokerKey)?.route.topic;
    if (topic === undefined) continue;
    triggers.push({ topic, uid, key: route.key, start: route.start });
    if (triggers.length < BATCH_COUNT_MAX) continue;
    yield { topics: [], triggers };
    triggers = [];
  }
  if (triggers.length > 0) yield { topics: [], triggers };
}
