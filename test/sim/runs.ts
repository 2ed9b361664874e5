/**
 * Runs seeds one after the other until one fails or the time is over. Used by the command line and
 * by the tests.
 */
import type { Scenario } from './scenario.ts';
import { World } from './world.ts';

export interface RunsOptions {
  readonly first: number;
  readonly countMax: number;
  /** Real milliseconds after which no further seed is begun. */
  readonly limitMs: number;
  readonly stores: readonly Scenario['store'][];
  /** Seeds that fail for a reason that is known. */
  readonly skipped: ReadonlySet<number>;
  readonly isGoingOn: boolean;
  readonly print: ((line: string) => void) | null;
  readonly before: (seed: number) => void;
  readonly after: (seed: number, world: World, tookMs: number) => void;
}

export interface RunsResult {
  readonly seedCount: number;
  readonly failures: number;
  /** Steps of virtual time, and events that the log took. */
  readonly stepCount: number;
  readonly eventCount: number;
  readonly tookMs: number;
}

export async function runSeeds(options: RunsOptions): Promise<RunsResult> {
  const startedMs = performance.now();
  let [seedCount, failures, stepCount, eventCount] = [0, 0, 0, 0];
  for (let seed = options.first; seed < options.first + options.countMax; seed++) {
    if (performance.now() - startedMs >= options.limitMs) break;
    if (options.skipped.has(seed)) continue;
    options.before(seed);
    const beganMs = performance.now();
    const world = new World(seed, { stores: options.stores }, options.print);
    await world.run();
    seedCount++;
    stepCount += world.time.firedCount;
    eventCount += world.oracle.counts.stored;
    options.after(seed, world, performance.now() - beganMs);
    if (world.oracle.violations.length === 0) continue;
    failures++;
    if (!options.isGoingOn) break;
  }
  return { seedCount, failures, stepCount, eventCount, tookMs: performance.now() - startedMs };
}
