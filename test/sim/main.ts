/**
 * The simulation from the command line:
 *
 *   node test/sim/main.ts --seed 7                     one seed, again and again the same
 *   node test/sim/main.ts --seed 1 --minutes 60        as many seeds as fit into the time
 *   node test/sim/main.ts --seed 7 --trace --grep e17  what happened, line by line
 *   node test/sim/main.ts --plant 'lane forgotten'     with a planted bug
 *
 * Prints the seed before it runs it. Ends with 1 at the first violation, after printing it with the
 * virtual time and the last lines of the trace.
 */
import { parseArgs } from 'node:util';
import { plant } from './planted.ts';
import { openSeeds } from './seeds.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    /** `memory` or `embedded`. */
    store: { type: 'string' },
    plant: { type: 'string' },
    trace: { type: 'boolean', default: false },
    grep: { type: 'string' },
    lines: { type: 'string', default: '40' },
    'keep-going': { type: 'boolean', default: false },
    'skip-open': { type: 'boolean', default: false },
  },
});

const bug = values.plant === undefined ? null : plant(values.plant);
const { runSeeds } = await import('./runs.ts');
const store = (values.store ?? bug?.store) === 'embedded' ? 'embedded' : 'memory';
const pattern = values.grep === undefined ? null : new RegExp(values.grep);
const minutes = values.minutes === undefined ? Infinity : Number(values.minutes);
const runs = values.runs ?? (values.minutes === undefined ? '1' : 'Infinity');

function printLine(line: string): void {
  if (pattern === null || pattern.test(line)) console.log(line);
}

const result = await runSeeds({
  first: Number(values.seed),
  countMax: Number(runs),
  limitMs: minutes * 60_000,
  stores: [store],
  skipped: values['skip-open'] ? openSeeds(store) : new Set(),
  isGoingOn: values['keep-going'],
  print: values.trace ? printLine : null,
  before: (seed) => console.log(`seed ${seed} ${store}`),
  after(seed, world, tookMs) {
    const { violations, counts } = world.oracle;
    const digest = world.trace.digest().slice(0, 16);
    console.log(
      `  ${Math.round(tookMs)} ms, virtual ${Math.round(world.time.nowMs)} ms, ${digest}`,
    );
    console.log(`  ${JSON.stringify(counts)}`);
    if (violations.length === 0) return;
    console.log(`seed ${seed} FAILS`);
    for (const { atMs, invariant, text } of violations.slice(0, 10)) {
      console.log(`  at ${atMs.toFixed(3)} ms: ${invariant}: ${text}`);
    }
    if (!values['keep-going']) console.log(world.trace.last(Number(values.lines)).join('\n'));
  },
});
const tookS = result.tookMs / 1_000;
console.log(
  `${result.seedCount} seeds, ${result.failures} failures, ${tookS.toFixed(1)} s, ` +
    `${Math.round(result.stepCount / tookS)} steps/s, ${Math.round(result.eventCount / tookS)} events/s`,
);
process.exitCode = result.failures > 0 ? 1 : 0;
