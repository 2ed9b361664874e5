/**
 * The simulation from the command line:
 *
 *   node test/sim/main.ts --seed 7 --runs 100 --minutes 1 --trace --grep e17
 *
 * Prints the seed before it runs it. Ends with 1 at the first violation, after printing it with the
 * last lines of the trace.
 */
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    store: { type: 'string', default: 'memory' },
    trace: { type: 'boolean', default: false },
    grep: { type: 'string' },
    lines: { type: 'string', default: '40' },
    'keep-going': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const { World } = await import('./world.ts');
const first = Number(values.seed);
const untilMs =
  values.minutes === undefined ? Infinity : performance.now() + Number(values.minutes) * 60_000;
const runs = values.minutes === undefined ? Number(values.runs) : Infinity;
const startedMs = performance.now();
let fired = 0;
let events = 0;
let failures = 0;
let done = 0;
for (let seed = first; seed < first + runs && performance.now() < untilMs; seed++) {
  const grep = values.grep;
  const print = !values.trace
    ? null
    : (line: string): void => {
        if (grep === undefined || new RegExp(grep).test(line)) console.log(line);
      };
  if (values.verbose) console.log(`seed ${seed}`);
  const beganMs = performance.now();
  const world = new World(
    seed,
    { stores: values.store === 'embedded' ? ['embedded'] : ['memory'] },
    print,
  );
  await world.run();
  done++;
  fired += world.time.firedCount;
  events += world.oracle.counts.stored;
  const { violations, counts } = world.oracle;
  const tookMs = Math.round(performance.now() - beganMs);
  if (values.verbose) {
    console.log(
      `  ${tookMs} ms, virtual ${Math.round(world.time.nowMs)} ms, ${JSON.stringify(counts)} ${world.trace.digest().slice(0, 16)}`,
    );
  }
  if (violations.length === 0) continue;
  failures++;
  console.log(`seed ${seed} FAILS`);
  for (const each of violations) {
    console.log(`  at ${each.atMs.toFixed(3)} ms: ${each.invariant}: ${each.text}`);
  }
  if (!values['keep-going']) {
    console.log(world.trace.last(Number(values.lines)).join('\n'));
    break;
  }
}
const tookS = (performance.now() - startedMs) / 1_000;
console.log(
  `${done} seeds from ${first}, ${failures} failures, ${tookS.toFixed(1)} s, ` +
    `${Math.round(fired / tookS)} steps/s, ${Math.round(events / tookS)} events/s`,
);
process.exitCode = failures > 0 ? 1 : 0;
