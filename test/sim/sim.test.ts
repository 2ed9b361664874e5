/**
 * The simulation as a test: one seed twice is one run; every kept seed passes; every planted bug is
 * found; and fresh seeds, another stretch each time, for `SIM_SECONDS` (20 by default, 60 at most
 * here; `npm run test:soak` runs for hours).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { PLANTED_BUGS, withBug } from './planted.ts';
import { runSeeds } from './runs.ts';
import type { RunsOptions } from './runs.ts';
import { keptSeeds, openSeeds } from './seeds.ts';
import { World } from './world.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const SECONDS = Math.min(60, Number(process.env['SIM_SECONDS'] ?? 20));
const PLANTED_LIMIT_MS = 120_000;

async function digestOf(seed: number, store: 'memory' | 'embedded'): Promise<string> {
  const world = new World(seed, { stores: [store] }, null);
  await world.run();
  return `${world.trace.count} lines, ${world.trace.digest()}`;
}

function optionsFor(store: 'memory' | 'embedded', given: Partial<RunsOptions>): RunsOptions {
  return {
    ...{ first: 1, countMax: 1, limitMs: Infinity, stores: [store], skipped: openSeeds(store) },
    ...{ isGoingOn: false, print: null, before: () => undefined },
    after(seed, world) {
      const [violation] = world.oracle.violations;
      if (violation === undefined) return;
      const { invariant, text, atMs } = violation;
      assert.fail(
        `seed ${seed} (${store}) at ${atMs.toFixed(3)} ms: ${invariant}: ${text}\n` +
          `node test/sim/main.ts --store ${store} --seed ${seed}\n` +
          world.trace.last(30).join('\n'),
      );
    },
    ...given,
  };
}

for (const store of ['memory', 'embedded'] as const) {
  test(`one seed is one run: ${store}`, async () => {
    for (const seed of [2, 5])
      assert.equal(await digestOf(seed, store), await digestOf(seed, store));
  });
}

for (const { seed, store, found, fix } of keptSeeds()) {
  if (fix === null) continue;
  test(`seed ${seed} (${store}) stays fixed: ${found}`, async () => {
    await runSeeds(optionsFor(store, { first: seed }));
  });
}

test('every planted bug fits the present sources', () => {
  for (const bug of PLANTED_BUGS) {
    withBug(readFileSync(path.join(ROOT, bug.file), 'utf8'), bug);
  }
});

for (const bug of PLANTED_BUGS) {
  test(`finds a planted bug: ${bug.name}`, () => {
    const parameters = ['--plant', bug.name, '--minutes', '1', '--skip-open', '--lines', '0'];
    const run = spawnSync(process.execPath, ['test/sim/main.ts', ...parameters], {
      ...{ cwd: ROOT, encoding: 'utf8', timeout: PLANTED_LIMIT_MS },
    });
    assert.equal(run.status, 1, run.stdout.slice(-500) + run.stderr);
    assert.match(run.stdout, /^seed \d+ FAILS$/m);
  });
}

test(`fresh seeds for ${SECONDS} s`, async (context) => {
  const first = Math.floor(Math.random() * 2 ** 24);
  context.diagnostic(`seeds from ${first}`);
  for (const store of ['memory', 'embedded'] as const) {
    const { seedCount } = await runSeeds(
      optionsFor(store, { first, countMax: Infinity, limitMs: (SECONDS * 1_000) / 2 }),
    );
    assert.ok(seedCount > 0);
  }
});
