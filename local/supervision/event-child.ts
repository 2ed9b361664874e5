/**
 * One life of one child process, seen from the parent: its messages, its open requests, its end. The
 * next life is another `EventChild`. Used by `event-group.ts`.
 */
import { assert } from '#lib/assert/assert';
import type { Clock } from '#lib/time/clock';
import { BATCH_COUNT_MAX, OPEN_REQUESTS_MAX, RemoteFault } from '../child-protocol.ts';
import type {
  ChildMessage,
  ChildMethod,
  ChildMethods,
  Fault,
  ParentMessage,
} from '../child-protocol.ts';
import type { EventRole, EventSideStarted } from '../event-side.ts';
import type { EventSideSettings } from '../event-side-settings.ts';
import { localError } from '../local-errors.ts';
import { NO_ROUTES, routePatches } from '../objects/route-plan.ts';
import type { RouteSet } from '../objects/route-plan.ts';

/** The process itself; `fork-process.ts` makes real ones. */
export interface ChildProcessPort {
  readonly pid: number | null;
  send(message: ParentMessage): void;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface ChildListener {
  onMessage(message: ChildMessage): void;
  /** Once, after the last message. */
  onExit(reason: string): void;
}

export type ForkChild = (name: string, listener: ChildListener) => ChildProcessPort;

export interface ChildEvents {
  /** Something of `state` changed. */
  changed(): void;
  tail(message: Extract<ChildMessage, { readonly kind: 'tail' }>): void;
  exited(reason: string): void;
}

export type ChildState = 'starting' | 'opened' | 'ready' | 'drained' | 'gone';

interface OpenRequest {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const REQUEST_TIMEOUT_MS = 30_000;

export class EventChild {
  readonly name: string;
  readonly roles: readonly EventRole[];
  readonly #clock: Clock;
  readonly #events: ChildEvents;
  readonly #process: ChildProcessPort;
  readonly #requests = new Map<number, OpenRequest>();
  #nextRequest = 1;
  #sent: RouteSet = NO_ROUTES;
  #hasRoutes = false;
  #isSyncSent = false;
  state: ChildState = 'starting';
  started: EventSideStarted = { eventsUrl: null };
  /** The revision that was sent, and the one that the child has applied. */
  sentRevision = -1;
  appliedRevision = -1;
  fault: Fault | null = null;

  constructor(
    deps: { readonly clock: Clock; readonly fork: ForkChild; readonly events: ChildEvents },
    options: {
      readonly name: string;
      readonly roles: readonly EventRole[];
      readonly settings: EventSideSettings;
    },
  ) {
    this.name = options.name;
    this.roles = options.roles;
    this.#clock = deps.clock;
    this.#events = deps.events;
    this.#process = deps.fork(options.name, {
      onMessage: (message) => this.#take(message),
      onExit: (reason) => this.#exited(reason),
    });
    const { roles, settings } = options;
    this.#process.send({ kind: 'start', roles, settings });
  }

  get pid(): number | null {
    return this.#process.pid;
  }

  get isOpen(): boolean {
    return this.state === 'opened' || this.state === 'ready';
  }

  /** @throws RemoteFault with the child's error, MeshError `LOCAL_CHILD_BUSY`, `LOCAL_CHILD_FAILED`. */
  request<Method extends ChildMethod>(
    method: Method,
    params: ChildMethods[Method]['params'],
  ): Promise<ChildMethods[Method]['result']> {
    if (!this.isOpen) return Promise.reject(this.#goneError(method));
    if (this.#requests.size >= OPEN_REQUESTS_MAX) {
      const message = `Cannot ask ${this.name} for ${method}: ${OPEN_REQUESTS_MAX} requests are open`;
      return Promise.reject(localError('LOCAL_CHILD_BUSY', message));
    }
    const id = this.#nextRequest++;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(REQUEST_TIMEOUT_MS, () => {
        this.#requests.delete(id);
        const message = `Cannot ask ${this.name} for ${method}: no answer in ${REQUEST_TIMEOUT_MS / 1000} s`;
        reject(localError('LOCAL_CHILD_BUSY', message));
      });
      this.#requests.set(id, {
        resolve(value) {
          timer.cancel();
          // The child answers what the protocol says for the method; both are the same version.
          resolve(value as ChildMethods[Method]['result']);
        },
        reject(error) {
          timer.cancel();
          reject(error);
        },
      });
      const call = { method, params } as Extract<
        ParentMessage,
        { readonly kind: 'request' }
      >['call'];
      this.#process.send({ kind: 'request', id, call });
    });
  }

  /** Sends what it lacks to hold `routes`, in batches; nothing when it has them already. */
  bring(routes: RouteSet, revision: number): void {
    if (!this.isOpen || this.sentRevision >= revision) return;
    const patches = routePatches(this.#sent, routes);
    for (let start = 0; start < patches.length || start === 0; start += BATCH_COUNT_MAX) {
      const batch = patches.slice(start, start + BATCH_COUNT_MAX);
      const isLast = start + BATCH_COUNT_MAX >= patches.length;
      this.#process.send({ kind: 'routing', revision, patches: batch, isLast });
    }
    this.#sent = routes;
    this.#hasRoutes = true;
    this.sentRevision = revision;
  }

  /** The routes that it holds are a full set: it may begin. Idempotent. */
  sync(): void {
    if (!this.isOpen || !this.#hasRoutes || this.#isSyncSent) return;
    this.#isSyncSent = true;
    this.#process.send({ kind: 'synced' });
  }

  drain(deadlineMs: number): void {
    if (this.isOpen) this.#process.send({ kind: 'drain', deadlineMs });
  }

  close(): void {
    if (this.state !== 'gone') this.#process.send({ kind: 'close' });
  }

  kill(): void {
    if (this.state !== 'gone') this.#process.kill('SIGKILL');
  }

  // Long because: one case for each message of the protocol.
  #take(message: ChildMessage): void {
    switch (message.kind) {
      case 'opened':
        this.state = 'opened';
        this.started = { eventsUrl: message.eventsUrl };
        break;
      case 'applied':
        this.appliedRevision = message.revision;
        break;
      case 'ready':
        if (this.state === 'opened') this.state = 'ready';
        break;
      case 'drained':
        this.state = 'drained';
        break;
      case 'answer':
        this.#settle(message.id)?.resolve(message.value);
        return;
      case 'failed':
        this.#settle(message.id)?.reject(new RemoteFault(message.fault));
        return;
      case 'tail':
        this.#events.tail(message);
        return;
      case 'fatal':
        this.fault = message.fault;
        return;
    }
    this.#events.changed();
  }

  #settle(id: number): OpenRequest | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }

  #exited(reason: string): void {
    assert(this.state !== 'gone', 'a child ends once', { name: this.name });
    this.state = 'gone';
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.reject(this.#goneError('an answer'));
    this.#events.exited(this.fault === null ? reason : this.fault.message);
  }

  #goneError(what: string): Error {
    const message = `Cannot ask ${this.name} for ${what}: the process is ${this.state === 'gone' ? 'gone' : 'starting or ending'}`;
    return localError('LOCAL_CHILD_FAILED', message);
  }
}
