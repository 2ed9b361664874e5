/** The closing line is read by machines: its form is fixed here, with and without CI. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLine, isFailure, stepLine, sumTotals } from './totals.ts';

test('the closing line names skips only when there are some', () => {
  assert.equal(closingLine({ passed: 3, failed: 1, skipped: 0 }, false), '3 passed, 1 failed');
  assert.equal(
    closingLine({ passed: 3, failed: 0, skipped: 2 }, false),
    '3 passed, 0 failed, 2 skipped',
  );
});

test('in CI a skip is a failure', () => {
  const totals = { passed: 3, failed: 1, skipped: 2 };
  assert.equal(closingLine(totals, true), '3 passed, 3 failed');
  assert.equal(isFailure({ passed: 3, failed: 0, skipped: 1 }, true), true);
  assert.equal(isFailure({ passed: 3, failed: 0, skipped: 1 }, false), false);
  assert.equal(isFailure({ passed: 3, failed: 1, skipped: 0 }, false), true);
});

test('totals add up, and nothing adds up to zero', () => {
  assert.deepEqual(
    sumTotals([
      { passed: 1, failed: 2, skipped: 3 },
      { passed: 10, failed: 20, skipped: 30 },
    ]),
    { passed: 11, failed: 22, skipped: 33 },
  );
  assert.deepEqual(sumTotals([]), { passed: 0, failed: 0, skipped: 0 });
});

test('a step line names verdict, counts and seconds', () => {
  const line = stepLine('unit', { passed: 2, failed: 1, skipped: 1 }, 1250, false);
  assert.equal(line, 'unit         FAILED  2 passed, 1 failed, 1 skipped, 1.3 s');
});
