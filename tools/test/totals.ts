/**
 * Sums and words for the results of a run. The closing line is read by machines: `N passed, N failed`
 * or `N passed, N failed, N skipped`, alone on its line. In CI a skip counts as a failure: a test that
 * did not run there has never run anywhere that matters.
 */
import type { SuiteTotals } from './reporter.ts';

export function sumTotals(all: readonly SuiteTotals[]): SuiteTotals {
  return all.reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

export function isFailure(totals: SuiteTotals, isCi: boolean): boolean {
  return totals.failed > 0 || (isCi && totals.skipped > 0);
}

export function closingLine(totals: SuiteTotals, isCi: boolean): string {
  const failed = isCi ? totals.failed + totals.skipped : totals.failed;
  const line = `${totals.passed} passed, ${failed} failed`;
  return totals.skipped > 0 && !isCi ? `${line}, ${totals.skipped} skipped` : line;
}

/** One line for a step: `unit          ok      132 passed  3.2 s`. */
export function stepLine(
  name: string,
  totals: SuiteTotals,
  elapsedMs: number,
  isCi: boolean,
): string {
  const parts = [`${totals.passed} passed`];
  if (totals.failed > 0) parts.push(`${totals.failed} failed`);
  if (totals.skipped > 0) parts.push(`${totals.skipped} skipped`);
  const verdict = isFailure(totals, isCi) ? 'FAILED' : 'ok';
  const seconds = (elapsedMs / 1000).toFixed(1);
  return `${name.padEnd(12)} ${verdict.padEnd(7)} ${parts.join(', ')}, ${seconds} s`;
}
