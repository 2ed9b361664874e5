/**
 * The order of the bench: floors, then each scenario; where a ratio is told, the two sides are measured
 * turn by turn, so that a slow minute of the machine falls on both.
 */
import { BenchChild } from './bench-child.ts';
import type { FloorRequest, FloorResult } from './floors/floor-run.ts';
import { startMesh } from './mesh.ts';
import type { Mesh, MeshOptions } from './mesh.ts';
import { BASELINE } from './scenario.ts';
import type { Scenario, Setup } from './scenario.ts';
import { measureWindow } from './window.ts';
import type { Target, Tools, WindowResult } from './window.ts';

export interface BenchOptions {
  readonly windowMs: number;
  readonly rounds: number;
  readonly dir: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ScenarioResult {
  readonly name: string;
  /** The window with the median CPU per event. */
  readonly median: WindowResult;
  readonly windows: readonly WindowResult[];
  readonly comparedTo: string | null;
  /** Median over the rounds of this one's CPU per event to the other's. */
  readonly ratio: number | null;
  readonly comparedWindows: readonly WindowResult[];
  readonly readyMs: number;
  /** Before the row; a mesh that served a row before has its heap still. */
  readonly rssIdleBytes: number;
  readonly pssIdleBytes: number;
}

export interface FloorRow {
  readonly name: string;
  readonly cpuMicrosPerEvent: number;
  readonly perSecond: number;
}

const WARM_UP_MS = 1_000;
/** What a process has seen before its code is as fast as it gets; both sides of a ratio the same. */
const WARM_EVENT_COUNT = 30_000;
const WARM_WINDOWS_MAX = 8;
const DISPATCH_CONCURRENCY = 100;
const APPEND_WRITERS = 64;

export class BenchRun implements AsyncDisposable {
  readonly #options: BenchOptions;
  readonly #tools: Tools;
  readonly #httpFloor: BenchChild<FloorRequest, FloorResult>;
  readonly #sinkPort: number;
  readonly #httpTarget: Target;
  readonly #seenEvents = new WeakMap<Target, number>();
  #mesh: { readonly key: string; readonly mesh: Mesh } | null = null;
  #baseline: { readonly key: string; readonly mesh: Mesh } | null = null;

  constructor(
    parts: {
      readonly tools: Tools;
      readonly httpFloor: BenchChild<FloorRequest, FloorResult>;
      readonly sinkPort: number;
      readonly httpPort: number;
    },
    options: BenchOptions,
  ) {
    this.#options = options;
    this.#tools = parts.tools;
    this.#httpFloor = parts.httpFloor;
    this.#sinkPort = parts.sinkPort;
    this.#httpTarget = {
      ...{ host: '127.0.0.1', port: parts.httpPort, path: '/default/default' },
      rootPid: parts.httpFloor.pid,
      nameOf: () => 'http',
    };
  }

  /** The floors of docs: bare server, append alone, undici's dispatch alone. */
  async *floors(): AsyncGenerator<FloorRow> {
    const none: Setup = { name: 'none', matching: 0, triggers: () => [] };
    for (const encoding of ['binary', 'structured'] as const) {
      for (const connectionCount of [16, 128]) {
        const load = { setup: none, encoding, connectionCount, ratePerSecond: null };
        await measureWindow(this.#tools, this.#httpTarget, load, WARM_UP_MS);
        const { windowMs } = this.#options;
        const window = await measureWindow(this.#tools, this.#httpTarget, load, windowMs);
        yield {
          name: `node:http 202 ${encoding}/${connectionCount}`,
          cpuMicrosPerEvent: window.cpuMicrosPerEvent,
          perSecond: window.acceptedPerSecond,
        };
      }
    }
    const { dir, windowMs: durationMs } = this.#options;
    yield await this.#floor(`append, ${APPEND_WRITERS} at a time`, {
      ...{ kind: 'append', writers: APPEND_WRITERS, durationMs, dir },
    });
    await this.#tools.sink.ask({ kind: 'begin', triggerCount: 1 });
    yield await this.#floor(`undici dispatch, ${DISPATCH_CONCURRENCY} at a time`, {
      ...{ kind: 'dispatch', origin: `http://127.0.0.1:${this.#sinkPort}` },
      ...{ concurrency: DISPATCH_CONCURRENCY, durationMs },
    });
  }

  async scenario(scenario: Scenario): Promise<ScenarioResult> {
    const mesh = await this.#meshFor(scenario);
    const other = await this.#otherSide(scenario);
    const load = { ...scenario, durationMs: this.#options.windowMs };
    const { rssBytes: rssIdleBytes, pssBytes: pssIdleBytes } = mesh.millrace.memory();
    await this.#warmUp(mesh.target, scenario);
    if (other !== null) await this.#warmUp(other.target, other.scenario);
    const windows: WindowResult[] = [];
    const comparedWindows: WindowResult[] = [];
    for (let round = 0; round < this.#options.rounds; round++) {
      if (other !== null) {
        const { target, scenario: its } = other;
        comparedWindows.push(await measureWindow(this.#tools, target, its, load.durationMs));
      }
      windows.push(await measureWindow(this.#tools, mesh.target, scenario, load.durationMs));
    }
    const restarts = mesh.restartedProcesses();
    if (restarts.length > 0 || windows.some(({ acceptedCount }) => acceptedCount === 0)) {
      throw new Error(`Cannot measure: it did not live through it\n${mesh.millrace.lastLines}`);
    }
    const ratios = comparedWindows.map(
      (window, round) => (windows[round]?.cpuMicrosPerEvent ?? 0) / window.cpuMicrosPerEvent,
    );
    const byCpu = windows.toSorted((one, two) => one.cpuMicrosPerEvent - two.cpuMicrosPerEvent);
    return {
      name: scenario.name,
      median: medianOf(byCpu),
      ...{ windows, comparedTo: scenario.comparedTo, comparedWindows },
      ratio: ratios.length === 0 ? null : medianOf(ratios.toSorted((one, two) => one - two)),
      ...{ readyMs: mesh.readyMs, rssIdleBytes, pssIdleBytes },
    };
  }

  /** After a failure: the next scenario begins with a mesh of its own. */
  async dropMesh(): Promise<void> {
    await this.#mesh?.mesh[Symbol.asyncDispose]();
    await this.#baseline?.mesh[Symbol.asyncDispose]();
    this.#mesh = null;
    this.#baseline = null;
  }

  /** Ends the mesh of the last scenario as SIGTERM does: its profiles are written. */
  async endMesh(): Promise<void> {
    await this.#mesh?.mesh.millrace.stop();
    await this.#mesh?.mesh[Symbol.asyncDispose]();
    this.#mesh = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dropMesh();
    await this.#httpFloor[Symbol.asyncDispose]();
    await this.#tools.load[Symbol.asyncDispose]();
    await this.#tools.sink[Symbol.asyncDispose]();
  }

  async #floor(name: string, request: FloorRequest): Promise<FloorRow> {
    await using child = new BenchChild<FloorRequest, FloorResult>(FLOOR);
    const { count, elapsedMs, cpuMicrosPerEvent } = await child.ask(request);
    return { name, cpuMicrosPerEvent, perSecond: (count * 1_000) / elapsedMs };
  }

  async #warmUp(target: Target, scenario: Scenario): Promise<void> {
    const load = { ...scenario, ratePerSecond: null };
    let seen = this.#seenEvents.get(target) ?? 0;
    for (let window = 0; window < WARM_WINDOWS_MAX; window++) {
      if (window > 0 && seen >= WARM_EVENT_COUNT) break;
      seen += (await measureWindow(this.#tools, target, load, WARM_UP_MS)).acceptedCount;
    }
    this.#seenEvents.set(target, seen);
  }

  /** The mesh of the last scenario when it has the same set-up. */
  async #meshFor({ setup, roles }: Scenario): Promise<Mesh> {
    const key = `${setup.name}/${roles}`;
    if (this.#mesh?.key === key) return this.#mesh.mesh;
    await this.#mesh?.mesh[Symbol.asyncDispose]();
    this.#mesh = null;
    const mesh = await startMesh(setup, this.#meshOptions(roles));
    this.#mesh = { key, mesh };
    return mesh;
  }

  async #otherSide(
    scenario: Scenario,
  ): Promise<{ readonly target: Target; readonly scenario: Scenario } | null> {
    if (scenario.comparedTo === null) return null;
    if (scenario.comparedTo === 'http') return { target: this.#httpTarget, scenario };
    const { roles } = scenario;
    if (this.#baseline?.key !== roles) {
      await this.#baseline?.mesh[Symbol.asyncDispose]();
      this.#baseline = null;
      this.#baseline = { key: roles, mesh: await startMesh(BASELINE, this.#meshOptions(roles)) };
    }
    const { target } = this.#baseline.mesh;
    return { target, scenario: { ...scenario, setup: BASELINE } };
  }

  #meshOptions(roles: Scenario['roles']): MeshOptions {
    const { dir, environment = {} } = this.#options;
    return { roles, sinkPort: this.#sinkPort, dir, environment };
  }
}

const FLOOR = new URL('./floors/main.ts', import.meta.url);

export async function startBench(options: BenchOptions): Promise<BenchRun> {
  const tools: Tools = {
    load: new BenchChild(new URL('./load/main.ts', import.meta.url)),
    sink: new BenchChild(new URL('./sink/main.ts', import.meta.url)),
  };
  const httpFloor = new BenchChild<FloorRequest, FloorResult>(FLOOR);
  const { port: sinkPort } = await tools.sink.ask({ kind: 'listen' });
  const { port: httpPort } = await httpFloor.ask({ kind: 'http' });
  return new BenchRun({ tools, httpFloor, sinkPort, httpPort }, options);
}

function medianOf<Value>(sorted: readonly Value[]): Value {
  const value = sorted[Math.floor((sorted.length - 1) / 2)];
  if (value === undefined) throw new Error('no window was measured');
  return value;
}
