/**
 * `npm test`: runs the steps of the table one after another, names each with its totals and time, and
 * closes with `N passed, N failed` alone on a line. `npm test -- unit contract` runs the named ones,
 * `npm run check` the checks. With CI=true a skipped test is a failed one.
 */
import path from 'node:path';
import { STEPS, selectSteps, showsOutput } from './steps.ts';
import { runStep } from './run-step.ts';
import { closingLine, isFailure, stepLine, sumTotals } from './totals.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { selected, unknown } = selectSteps(STEPS, process.argv.slice(2));
if (unknown.length > 0) {
  const names = STEPS.map((step) => step.name).join(' ');
  process.stderr.write(
    `Cannot run "${unknown.join(' ')}": no such step, there are: check ${names}\n`,
  );
  process.exit(64);
}

const isCi = process.env['CI'] === 'true';
const all = [];
for (const step of selected) {
  const startedMs = performance.now();
  const result = await runStep(root, step);
  const totals = result.totals;
  all.push(totals);
  process.stdout.write(`${stepLine(step.name, totals, performance.now() - startedMs, isCi)}\n`);
  const isShown = isFailure(totals, isCi) || totals.skipped > 0 || showsOutput(step);
  if (isShown) process.stdout.write(result.output);
  for (const problem of result.problems) process.stdout.write(`  ${step.name}: ${problem}\n`);
}
const sum = sumTotals(all);
process.stdout.write(`\n${closingLine(sum, isCi)}\n`);
process.exitCode = isFailure(sum, isCi) ? 1 : 0;
