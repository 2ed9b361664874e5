/**
 * `npm run conformance`: runs every kit and prints passed/total of each; exit code 1 when a case of any
 * kit fails. A new kit is one line in {@link KITS}.
 */
import { cesqlKit } from '#test/conformance/cesql-kit';
import type { ConformanceKit } from '#test/conformance/conformance-kit';

const KITS: readonly ConformanceKit[] = [cesqlKit];

for (const kit of KITS) {
  const { total, failures } = await kit.run();
  console.log(`${kit.name}: ${total - failures.length}/${total} passed`);
  for (const { caseName, reason } of failures) console.log(`  failed: ${caseName}: ${reason}`);
  if (failures.length > 0) process.exitCode = 1;
}
