/** The table is well-formed, and the defaults are the documented ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '#lib/config/parse-settings';
import { sectionProblems } from '#lib/config/settings';
import { INGRESS_DEFAULTS, INGRESS_SETTINGS } from './ingress-settings.ts';

test('the declarations have no problems', () => {
  assert.deepEqual(sectionProblems(INGRESS_SETTINGS), []);
});

test('defaults of the limits', () => {
  assert.equal(INGRESS_DEFAULTS.eventBytesMax, 1_048_576);
  assert.equal(INGRESS_DEFAULTS.headerBytesMax, 16_384);
  assert.equal(INGRESS_DEFAULTS.bytesInFlightMax, 67_108_864);
  assert.equal(INGRESS_DEFAULTS.connectionsPerSourceMax, 200);
  assert.equal(INGRESS_DEFAULTS.brokerWaitMs, 1_000);
  assert.equal(INGRESS_DEFAULTS.tracing, false);
});

test('an event limit below what CloudEvents demands is refused', () => {
  const parse = (value: string) =>
    parseSettings(
      { ingress: INGRESS_SETTINGS },
      { environment: { MILLRACE_INGRESS_EVENT_BYTES_MAX: value } },
    ).kind;
  assert.equal(parse('65535'), 'invalid');
  assert.notEqual(parse('65536'), 'invalid');
});
