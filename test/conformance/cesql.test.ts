/** The CESQL v1 technology compatibility kit, whole: every one of its 275 cases, without exceptions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cesqlKit } from '#test/conformance/cesql-kit';
import { summaryLine } from '#test/conformance/conformance-kit';

test('the CESQL kit passes 275 of 275', async () => {
  const result = await cesqlKit.run();
  process.stdout.write(`${summaryLine(cesqlKit, result)}\n`);

  assert.deepEqual(result.failures, []);
  assert.equal(result.total, 275);
});
