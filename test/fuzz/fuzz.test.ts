/**
 * The corpora, and some seconds of fresh inputs for every target. A failure names its seed; give it
 * as MILLRACE_TEST_SEED. The long run is `npm run test:fuzz`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCorpus } from './corpus.ts';
import { runFuzz } from './fuzz-run.ts';
import { TARGETS } from './targets.ts';

/** For all targets together. */
const FRESH_MS = 20_000;
const CORPUS_INPUTS_MIN = 3;

const given = process.env['MILLRACE_TEST_SEED'];
const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);

for (const target of TARGETS) {
  test(`${target.name}: the corpus`, async () => {
    const corpus = readCorpus(target.name);
    assert.ok(corpus.length >= CORPUS_INPUTS_MIN, `${corpus.length} inputs`);
    const check = await target.open();
    for (const { name, bytes } of corpus) {
      assert.ok(bytes.length <= target.inputBytesMax, `${name} is too large`);
      try {
        await check.check(bytes);
      } catch (cause) {
        throw new Error(`${target.name}/${name} fails`, { cause });
      }
    }
    await check.close();
  });

  test(`${target.name}: fresh inputs, seed ${seed}`, async (t) => {
    const inputs = readCorpus(target.name).map(({ bytes }) => bytes);
    const limitMs = FRESH_MS / TARGETS.length;
    const { iterations, failure } = await runFuzz(target, { seed, limitMs, inputs });
    t.diagnostic(`${iterations} inputs`);
    if (failure === null) return;
    const shown = JSON.stringify(failure.input.toString('latin1'));
    const message = `iteration ${failure.iteration} of seed ${seed}: ${shown}`;
    throw new Error(message, { cause: failure.error });
  });
}
