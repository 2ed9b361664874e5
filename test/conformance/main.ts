/**
 * Runs every conformance kit without the test runner and prints passed/total of each; exit code 1 when
 * a case of any kit fails. `npm run conformance` runs the same kits as tests. A new kit is one line in
 * {@link KITS} and one test.
 */
import { cesqlKit } from '#test/conformance/cesql-kit';
import { type ConformanceKit, summaryLine } from '#test/conformance/conformance-kit';

const KITS: readonly ConformanceKit[] = [cesqlKit];

for (const kit of KITS) {
  const result = await kit.run();
  console.log(summaryLine(kit, result));
  for (const { caseName, reason } of result.failures) {
    console.log(`  failed: ${caseName}: ${reason}`);
  }
  if (result.failures.length > 0) process.exitCode = 1;
}
