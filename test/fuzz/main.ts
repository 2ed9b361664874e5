/**
 * `npm run test:fuzz`: an hour of fresh inputs over all targets. `-- --target NAME --seconds N
 * --seed S` for one of them, a time, and a run that was seen before. What fails is written to the
 * corpus, so the run after it fails until the bug is fixed. Ends with status 1 when something failed.
 */
import { inspect, parseArgs } from 'node:util';
import { readCorpus, writeFound } from './corpus.ts';
import { errorOf, runFuzz } from './fuzz-run.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { TARGETS } from './targets.ts';

const HOUR_S = 3_600;
const INPUT_SHOWN_LENGTH_MAX = 400;

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true },
    seconds: { type: 'string' },
    seed: { type: 'string' },
  },
});
const names = values.target ?? TARGETS.map(({ name }) => name);
const unknown = names.filter((name) => !TARGETS.some((target) => target.name === name));
if (unknown.length > 0) {
  const known = TARGETS.map(({ name }) => name).join(' ');
  process.stderr.write(`Cannot fuzz "${unknown.join(' ')}": no such target, there are: ${known}\n`);
  process.exit(64);
}
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const targets = TARGETS.filter(({ name }) => names.includes(name));
const limitMs = (Number(values.seconds ?? HOUR_S) * 1_000) / targets.length;
process.stdout.write(`seed ${seed}, ${Math.round(limitMs / 1_000)} s for each target\n`);
let failureCount = 0;
for (const target of targets) failureCount += await fuzz(target);
process.stdout.write(`${targets.length - failureCount} passed, ${failureCount} failed\n`);
process.exitCode = failureCount === 0 ? 0 : 1;

/** @returns 1 when it failed. */
async function fuzz(target: FuzzTarget): Promise<number> {
  const corpus = readCorpus(target.name);
  const check = await target.open();
  for (const { name, bytes } of corpus) {
    const error = await errorOf(check, bytes);
    if (error !== null) return fail(target, `corpus ${name}`, bytes, error);
  }
  await check.close();
  const inputs = corpus.map(({ bytes }) => bytes);
  const { iterations, failure } = await runFuzz(target, { seed, limitMs, inputs });
  if (failure !== null) {
    const file = writeFound(target.name, failure.input);
    const place = `seed ${seed} iteration ${failure.iteration}, written to ${file}`;
    return fail(target, place, failure.input, failure.error);
  }
  const memoryMib = Math.round(process.memoryUsage().rss / 2 ** 20);
  process.stdout.write(`${target.name}: ${iterations} inputs, RSS ${memoryMib} MiB\n`);
  return 0;
}

function fail(target: FuzzTarget, place: string, input: Buffer, error: unknown): number {
  const shown = JSON.stringify(input.toString('latin1')).slice(0, INPUT_SHOWN_LENGTH_MAX);
  process.stdout.write(`${target.name}: FAILED, ${place}\n  ${shown}\n${inspect(error)}\n`);
  return 1;
}
