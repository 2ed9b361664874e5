/**
 * The control side of `up`: what shall be in force, and what is. Reads the files, plans, keeps the
 * identities on disk, publishes routes to the event side, and knows for each object where it stands.
 * One change at a time; changes that come meanwhile become one more.
 */
import type { Ids } from '#lib/ids/ids';
import type { Logger } from '#lib/telemetry/log';
import { messageOf } from '#lib/errors/mesh-error';
import { sleep } from '#lib/time/clock';
import type { Clock } from '#lib/time/clock';
import { formatManifestProblem } from './manifests/manifest-problem.ts';
import type { ManifestProblem } from './manifests/manifest-problem.ts';
import type { ManifestReader, ManifestReading } from './manifests/manifest-reader.ts';
import type { UrlCheck } from './manifests/object-kinds.ts';
import { planObjects } from './objects/object-plan.ts';
import type { ObjectPlan } from './objects/object-plan.ts';
import type { ObjectStateFile } from './objects/object-state.ts';
import { compileRoutes, NO_ROUTES, routePatches } from './objects/route-plan.ts';
import type { RouteSet } from './objects/route-plan.ts';
import type { ObjectSet } from './objects/stored-object.ts';
import type { EventGroup } from './supervision/event-group.ts';

export interface ControlDeps {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly group: Pick<EventGroup, 'publish' | 'sync'>;
  readonly reader: ManifestReader;
  readonly state: ObjectStateFile;
  readonly rules: UrlCheck;
}

/** `inForce`: every process has it. `pending`: waits for something. `faulty`: see the problems. */
export type ObjectState = 'inForce' | 'pending' | 'faulty';

export interface ObjectReport {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly state: ObjectState;
  /** Why it is not in force, or what to know about it; empty when all is well. */
  readonly reason: string;
  readonly uid: string | null;
  readonly generation: number;
  readonly origin: string | null;
}

const SAVE_RETRY_MS = 1_000;

export class ControlSide {
  readonly #deps: ControlDeps;
  readonly #files: readonly string[];
  #objects: ObjectSet = new Map();
  #routes: RouteSet = NO_ROUTES;
  #inForce: RouteSet = NO_ROUTES;
  #problems: readonly ManifestProblem[] = [];
  #faultyTitles: ReadonlySet<string> = new Set();
  #running: Promise<void> | null = null;
  #isWanted = false;
  #hasRead = false;

  constructor(deps: ControlDeps, files: readonly string[]) {
    this.#deps = deps;
    this.#files = files;
  }

  /** What the last run left is published first, so that delivery goes on before files are read. */
  async restore(): Promise<void> {
    const stored = await this.#deps.state.load(this.#deps.rules);
    if (stored === null) return;
    this.#objects = stored;
    this.#routes = compileRoutes(stored, NO_ROUTES);
    // Not waited for: the files are read while the processes take the routes.
    void this.#publish();
    this.#deps.group.sync();
  }

  /** Reads the files and brings what they say in force. Resolves when it is, or is reported faulty. */
  refresh(): Promise<void> {
    this.#isWanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Every object that the files held at the start is in force or reported faulty. */
  get isSettled(): boolean {
    return this.#hasRead;
  }

  get problems(): readonly ManifestProblem[] {
    return this.#problems;
  }

  get routes(): RouteSet {
    return this.#inForce;
  }

  get objects(): readonly ObjectReport[] {
    const reports: ObjectReport[] = Array.from(
      this.#objects.values(),
      ({ title, object, uid, generation, origin }) => {
        const { namespace, name } = object.metadata;
        return {
          kind: object.kind,
          namespace,
          name,
          uid,
          generation,
          origin,
          ...this.#stateOf(title, uid),
        };
      },
    );
    for (const title of this.#faultyTitles) {
      if (this.#objects.has(title)) continue;
      const [kind = '', key = ''] = title.split(' ');
      const [namespace = '', name = ''] = key.split('/');
      const identity = { kind, namespace, name, uid: null, generation: 0, origin: null };
      reports.push({ ...identity, state: 'faulty', reason: this.#faultOf(title) });
    }
    return reports;
  }

  #stateOf(title: string, uid: string): { readonly state: ObjectState; readonly reason: string } {
    const pending = this.#routes.pending.get(title);
    if (pending !== undefined) return { state: 'pending', reason: pending };
    if (this.#faultyTitles.has(title)) {
      const reason = `${this.#faultOf(title)}; its former version is in force`;
      return { state: 'faulty', reason };
    }
    const wanted = this.#compiled(this.#routes, title, uid);
    const inForce = this.#compiled(this.#inForce, title, uid);
    if (wanted === undefined || wanted.route !== inForce?.route) {
      return { state: 'pending', reason: 'being put in force' };
    }
    return { state: 'inForce', reason: wanted.warnings.join('; ') };
  }

  #compiled(routes: RouteSet, title: string, uid: string): Compiled | undefined {
    return title.startsWith('Broker ')
      ? routes.brokers.get(title.slice('Broker '.length))
      : routes.triggers.get(uid);
  }

  #faultOf(title: string): string {
    const problem = this.#problems.find((one) => one.object === title && !one.isWarning);
    return problem === undefined ? 'faulty' : formatManifestProblem(problem);
  }

  async #run(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      const reading = this.#files.length === 0 ? null : await this.#deps.reader.read(this.#files);
      const plan = planObjects(this.#objects, reading, this.#deps.ids);
      this.#note(plan, reading);
      await this.#save(plan.next);
      const former = this.#routes;
      this.#objects = plan.next;
      this.#routes = compileRoutes(plan.next, former);
      this.#sayPending(former);
      if (!this.#hasRead || routePatches(this.#inForce, this.#routes).length > 0) {
        const published = this.#publish();
        this.#deps.group.sync();
        await published;
      }
      this.#hasRead = true;
    }
  }

  async #publish(): Promise<void> {
    const routes = this.#routes;
    await this.#deps.group.publish(routes);
    this.#inForce = routes;
  }

  /** UIDs must be on disk before anything is stored under them. */
  async #save(objects: ObjectSet): Promise<void> {
    if (isSame(objects, this.#objects)) return;
    for (;;) {
      try {
        await this.#deps.state.save(objects);
        return;
      } catch (error) {
        this.#deps.log.error('the state of the objects cannot be written, it is tried again', {
          error: messageOf(error),
        });
        await sleep(this.#deps.clock, SAVE_RETRY_MS);
      }
    }
  }

  #note(plan: ObjectPlan, reading: ManifestReading | null): void {
    const refusals: ManifestProblem[] = plan.refusals.map(({ title, ...rest }) => ({
      file: reading?.objects.get(title)?.origin ?? '',
      line: null,
      column: null,
      object: title,
      isWarning: false,
      ...rest,
    }));
    const problems = [...(reading?.problems ?? []), ...refusals];
    const known = new Set(this.#problems.map(formatManifestProblem));
    const { log } = this.#deps;
    for (const problem of problems) {
      const text = formatManifestProblem(problem);
      if (known.has(text)) continue;
      const fields = { 'knative.dev/key': problem.object };
      if (problem.isWarning) log.warn(text, fields);
      else log.error(text, fields);
    }
    for (const title of plan.created) log.debug('an object is new', { 'knative.dev/key': title });
    for (const title of plan.updated) log.info('an object changed', { 'knative.dev/key': title });
    for (const title of plan.removed) {
      const message =
        'an object is removed: no file holds it any more; a Trigger keeps its position for 24 h';
      log.info(message, { 'knative.dev/key': title });
    }
    this.#problems = problems;
    this.#faultyTitles = new Set([
      ...(reading?.faultyTitles ?? []),
      ...plan.refusals.map((refusal) => refusal.title),
    ]);
  }

  #sayPending(former: RouteSet): void {
    for (const [title, reason] of this.#routes.pending) {
      if (former.pending.get(title) === reason) continue;
      this.#deps.log.warn(`${title} is not in force: ${reason}`, { 'knative.dev/key': title });
    }
  }
}

/** An object that did not change is the same value. */
function isSame(left: ObjectSet, right: ObjectSet): boolean {
  if (left.size !== right.size) return false;
  for (const [title, stored] of left) if (right.get(title) !== stored) return false;
  return true;
}

interface Compiled {
  readonly route: unknown;
  readonly warnings: readonly string[];
}
