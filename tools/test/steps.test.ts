/** The selection of steps, and that the table itself is sound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STEPS, selectSteps } from './steps.ts';

const namesOf = (names: readonly string[]): readonly string[] =>
  selectSteps(STEPS, names).selected.map((step) => step.name);

test('no name selects every step, in table order', () => {
  assert.deepEqual(
    namesOf([]),
    STEPS.map((step) => step.name),
  );
});

test('check selects exactly the checks, with the unit tests', () => {
  assert.deepEqual(namesOf(['check']), ['format', 'tidy', 'types', 'lint', 'docs', 'unit']);
});

test('names select in table order, and a check named twice runs once', () => {
  assert.deepEqual(namesOf(['contract', 'unit']), ['unit', 'contract']);
  assert.equal(namesOf(['check', 'unit']).filter((name) => name === 'unit').length, 1);
});

test('unknown names are reported and select nothing', () => {
  const { selected, unknown } = selectSteps(STEPS, ['unti']);
  assert.deepEqual(unknown, ['unti']);
  assert.equal(selected.length, 0);
});

test('step names are unique and none is "check"', () => {
  const names = STEPS.map((step) => step.name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(!names.includes('check'));
});
