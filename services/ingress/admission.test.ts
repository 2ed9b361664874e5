/** Memory in flight: both limits on both sides, and what is given back is given back once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from './admission.ts';
import type { Share } from './admission.ts';

test('a share and the whole are refused just beyond their limits', () => {
  const admission = new Admission({ bytesMax: 100, shareBytesMax: 60 });
  const first: Share = { bytesInFlight: 0 };
  const second: Share = { bytesInFlight: 0 };
  assert.equal(admission.refusal(first, 60), null);
  assert.equal(admission.refusal(first, 61), 'INGRESS_BROKER_SHARE');
  admission.take(first, 60);
  assert.equal(admission.refusal(first, 1), 'INGRESS_BROKER_SHARE');
  assert.equal(admission.refusal(second, 40), null);
  assert.equal(admission.refusal(second, 41), 'INGRESS_BYTES_IN_FLIGHT');
  admission.take(second, 40);
  assert.equal(admission.bytesInFlight, 100);
  admission.release(first, 60);
  assert.equal(admission.bytesInFlight, 40);
  assert.equal(admission.refusal(first, 60), null);
});

test('giving back more than was taken is a bug', () => {
  const admission = new Admission({ bytesMax: 100, shareBytesMax: 60 });
  const share: Share = { bytesInFlight: 0 };
  admission.take(share, 10);
  admission.release(share, 10);
  assert.throws(() => admission.release(share, 1), { name: 'AssertionFailure' });
});
