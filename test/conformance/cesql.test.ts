/** The CESQL v1 technology compatibility kit, whole: every one of its 275 cases, without exceptions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cesqlKit } from '#test/conformance/cesql-kit';

test('the CESQL kit passes 275 of 275', async () => {
  const { total, failures } = await cesqlKit.run();

  assert.deepEqual(failures, []);
  assert.equal(total, 275);
});
