/** The runner itself: the same seed is the same run, a planted bug is found, made small and kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTempDir } from '../kit/temp-dir.ts';
import { readCorpus, writeFound } from './corpus.ts';
import { runFuzz } from './fuzz-run.ts';
import { createTarget } from './fuzz-target.ts';
import { inputAt } from './mutation.ts';

const SOURCE = {
  inputs: [Buffer.from('alpha beta 12'), Buffer.from('{"a":[1,2,3]}')],
  dictionary: ['word'],
  inputBytesMax: 100,
};
const COUNT = 2_000;

function inputsOf(seed: number): readonly string[] {
  return Array.from({ length: COUNT }, (_, at) => inputAt(SOURCE, seed, at).toString('latin1'));
}

test('one seed gives one row of inputs, another seed another, and hardly any comes twice', () => {
  const inputs = inputsOf(7);
  assert.deepEqual(inputsOf(7), inputs);
  assert.notDeepEqual(inputsOf(8), inputs);
  assert.ok(new Set(inputs).size > COUNT * 0.9, `${new Set(inputs).size}`);
  assert.ok(inputs.every(({ length }) => length <= SOURCE.inputBytesMax));
  assert.ok(inputs.some((input) => input.includes('word')));
});

test('a planted bug is found, made small, and can be replayed from the corpus', async () => {
  await using folder = await createTempDir('fuzz');
  const target = createTarget('planted', ['needle'], (input) => {
    assert.ok(!input.includes('needle'), 'planted');
  });
  const options = { seed: 1, limitMs: 30_000, iterationsMax: 20_000, inputs: SOURCE.inputs };
  const { failure } = await runFuzz(target, options);
  assert.equal(failure?.input.toString(), 'needle');
  assert.match(String(failure.error), /planted/);
  const again = await runFuzz(target, options);
  assert.equal(again.failure?.iteration, failure.iteration);
  writeFound('planted', failure.input, folder.path);
  assert.deepEqual(
    readCorpus('planted', folder.path).map(({ bytes }) => bytes.toString()),
    ['needle'],
  );
});

test('a run without a failure ends at its limit, and closes its target', async () => {
  let closeCount = 0;
  const check = { check: () => undefined, close: async () => void (closeCount += 1) };
  const target = { ...createTarget('fine', [], () => undefined), open: async () => check };
  const limits = { seed: 1, limitMs: 10_000, iterationsMax: 500 };
  const report = await runFuzz(target, { ...limits, inputs: [] });
  assert.deepEqual(report, { iterations: 500, failure: null });
  assert.equal(closeCount, 1);
});
