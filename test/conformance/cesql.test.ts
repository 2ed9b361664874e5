/** The CESQL v1 technology compatibility kit, whole: every one of its 275 cases, without exceptions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cesqlKit } from '#test/conformance/cesql-kit';
import { summaryLine } from '#test/conformance/conformance-kit';

test('the CESQL kit passes 275 of 275', async (t) => {
  const result = await cesqlKit.run();
  t.diagnostic(summaryLine(cesqlKit, result));

  assert.deepEqual(result.failures, []);
  assert.equal(result.total, 275);
});
