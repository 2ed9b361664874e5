import assert from 'node:assert/strict';
import test from 'node:test';
import {
  EMPTY_DELIVERY,
  KNATIVE_BROKER_DELIVERY,
  RETRY_COUNT_MAX,
  TIMEOUT_MS_DEFAULT,
  TIMEOUT_MS_MAX,
  effectiveDelivery,
  parseDeliverySpec,
} from './delivery-policy.ts';
import type { DeliverySources, DeliverySpec } from './delivery-policy.ts';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, backoffDelayMs } from './backoff.ts';

function specOf(raw: unknown): DeliverySpec {
  const result = parseDeliverySpec(raw, 'spec.delivery');
  assert.ok(result.ok, JSON.stringify(result));
  return result.spec;
}

function problemsOf(raw: unknown): string[] {
  const result = parseDeliverySpec(raw, 'spec.delivery');
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

test('a whole delivery is read', () => {
  const raw = {
    deadLetterSink: { uri: 'http://sink/' },
    retry: 5,
    timeout: 'PT30S',
    backoffPolicy: 'linear',
    backoffDelay: 'PT0.2S',
    retryAfterMax: 'PT2M',
    format: 'json',
  };
  assert.deepEqual(specOf(raw), {
    deadLetterSink: { ref: null, uri: 'http://sink/', caCerts: null, audience: null },
    retry: 5,
    timeoutMs: 30_000,
    backoffPolicy: 'linear',
    backoffDelayMs: 200,
    retryAfterMsMax: 120_000,
    format: 'json',
  });
});

test('nothing given is an empty delivery', () => {
  for (const raw of [undefined, null, {}]) assert.deepEqual(specOf(raw), EMPTY_DELIVERY);
  assert.deepEqual(specOf({ retry: null, timeout: '', deadLetterSink: null }), EMPTY_DELIVERY);
});

test('both sides of the limits of each field', () => {
  assert.equal(specOf({ retry: 0 }).retry, 0);
  assert.equal(specOf({ retry: RETRY_COUNT_MAX }).retry, RETRY_COUNT_MAX);
  assert.equal(specOf({ backoffDelay: 'PT0S' }).backoffDelayMs, 0);
  assert.equal(specOf({ retryAfterMax: 'PT0S' }).retryAfterMsMax, 0);
  assert.equal(specOf({ timeout: 'PT0.001S' }).timeoutMs, 1);
});

test('what is refused, with path and message', () => {
  const table: readonly (readonly [unknown, RegExp])[] = [
    [[], /^spec\.delivery: expected an object$/],
    ['x', /^spec\.delivery: expected an object$/],
    [{ retry: -1 }, /^spec\.delivery\.retry: invalid value: -1$/],
    [{ retry: 2 ** 31 }, /^spec\.delivery\.retry: invalid value: 2147483648$/],
    [{ retry: 1.5 }, /^spec\.delivery\.retry: invalid value: 1\.5$/],
    [{ retry: '3' }, /^spec\.delivery\.retry: invalid value: 3$/],
    [{ timeout: 'PT0S' }, /^spec\.delivery\.timeout: invalid value: PT0S$/],
    [{ timeout: '30s' }, /timeout: invalid value: 30s \(.*did you mean PT30S\)$/],
    [{ timeout: 30 }, /^spec\.delivery\.timeout: invalid value: 30$/],
    [{ timeout: '-PT1S' }, /timeout: invalid value: -PT1S \(.*negative\)$/],
    [{ backoffDelay: 'P1M' }, /backoffDelay: invalid value: P1M \(.*PT1M\)$/],
    [{ backoffPolicy: 'cubic' }, /backoffPolicy: invalid value: cubic \(known: linear, expon/],
    [{ format: 'xml' }, /format: invalid value: xml/],
    [{ retryAfterMax: '-PT1S' }, /retryAfterMax: invalid value/],
    [{ rety: 3 }, /^spec\.delivery\.rety: unknown field "rety"; did you mean "retry"$/],
    [{ zzz: 3 }, /unknown field "zzz"; known: deadLetterSink, retry/],
    [{ deadLetterSink: {} }, /deadLetterSink\.ref, .*uri: expected at least one, got none$/],
    [{ deadLetterSink: { uri: '/x' } }, /deadLetterSink\.uri: invalid value: Relative URI/],
  ];
  for (const [raw, wanted] of table) {
    const problems = problemsOf(raw);
    assert.equal(problems.length, 1, JSON.stringify(problems));
    assert.match(problems[0] ?? '', wanted);
  }
});

test('all problems are reported at once, and a value cannot break a line', () => {
  assert.equal(problemsOf({ retry: -1, timeout: 'x', format: 'y', foo: 1 }).length, 4);
  const [problem = ''] = problemsOf({ format: `a\nb${'c'.repeat(200)}` });
  assert.ok(!problem.includes('\n') && problem.length < 200);
});

function effective(change: Partial<DeliverySources>) {
  const none = { trigger: null, broker: null, defaults: KNATIVE_BROKER_DELIVERY, merge: false };
  return effectiveDelivery({ ...none, ...change });
}

const SINK = { ref: null, uri: 'http://broker-sink/', caCerts: null, audience: null };
const OWN_SINK = { ...SINK, uri: 'http://own-sink/' };
const BROKER: DeliverySpec = {
  ...EMPTY_DELIVERY,
  deadLetterSink: SINK,
  retry: 7,
  backoffPolicy: 'linear',
  backoffDelayMs: 1_000,
  timeoutMs: 5_000,
};

test("nothing given anywhere: Knative's default delivery of a Broker", () => {
  const { policy, deadLetterSink, warnings } = effective({});
  assert.deepEqual(policy, {
    retryCount: 10,
    backoff: 'exponential',
    backoffDelayMs: 200,
    timeoutMs: TIMEOUT_MS_DEFAULT,
    retryAfterMsMax: 0,
    format: 'binary',
  });
  assert.deepEqual([deadLetterSink, warnings], [null, []]);
});

test("a Broker's delivery replaces the default whole; an empty one does not", () => {
  const own = effective({ broker: { ...EMPTY_DELIVERY, timeoutMs: 9 } });
  assert.deepEqual([own.policy.retryCount, own.policy.timeoutMs], [0, 9]);
  assert.equal(effective({ broker: EMPTY_DELIVERY }).policy.retryCount, 10);
});

test("a Trigger without a delivery, or with an empty one, has the Broker's", () => {
  for (const trigger of [null, EMPTY_DELIVERY]) {
    const { policy, deadLetterSink, warnings } = effective({ trigger, broker: BROKER });
    assert.deepEqual([policy.retryCount, policy.timeoutMs, deadLetterSink], [7, 5_000, SINK]);
    assert.deepEqual(warnings, []);
  }
});

test("a Trigger's delivery replaces the Broker's whole, less the sink, and a warning says so", () => {
  const found = effective({ trigger: { ...EMPTY_DELIVERY, timeoutMs: 1_000 }, broker: BROKER });
  assert.deepEqual([found.policy.retryCount, found.policy.timeoutMs], [0, 1_000]);
  assert.deepEqual(found.deadLetterSink, SINK);
  assert.equal(found.warnings.length, 1);
  assert.match(found.warnings[0] ?? '', /Broker's retry, backoffPolicy, backoffDelay do not apply/);
  const own = effective({ trigger: { ...BROKER, deadLetterSink: OWN_SINK }, broker: BROKER });
  assert.deepEqual([own.deadLetterSink, own.warnings], [OWN_SINK, []]);
});

test('delivery-merge takes each field from the first that gives it', () => {
  const trigger = { ...EMPTY_DELIVERY, retry: 1, format: 'json' as const };
  const { policy, deadLetterSink, warnings } = effective({ trigger, broker: BROKER, merge: true });
  assert.deepEqual(policy, {
    retryCount: 1,
    backoff: 'linear',
    backoffDelayMs: 1_000,
    timeoutMs: 5_000,
    retryAfterMsMax: 0,
    format: 'json',
  });
  assert.deepEqual([deadLetterSink, warnings], [SINK, []]);
});

test('back-off given by half: accepted, warned, and the floor at every retry', () => {
  const halves: readonly Partial<DeliverySpec>[] = [
    { backoffPolicy: 'exponential' },
    { backoffDelayMs: 60_000 },
    {},
  ];
  for (const half of halves) {
    const { policy, warnings } = effective({ broker: { ...EMPTY_DELIVERY, retry: 3, ...half } });
    assert.match(warnings.join(), /retries wait 200 ms each/);
    for (const retry of [1, 2, 50]) {
      assert.equal(backoffDelayMs(policy, retry, null), BACKOFF_MS_MIN);
    }
  }
  const noRetries = effective({ broker: { ...EMPTY_DELIVERY, timeoutMs: 1 } });
  assert.deepEqual(noRetries.warnings, []);
});

test('times above their caps are cut, with a warning', () => {
  const at = (spec: Partial<DeliverySpec>) =>
    effective({
      broker: { ...EMPTY_DELIVERY, backoffPolicy: 'linear', backoffDelayMs: 1, ...spec },
    });
  assert.deepEqual(at({ timeoutMs: TIMEOUT_MS_MAX }).warnings, []);
  const timeout = at({ timeoutMs: TIMEOUT_MS_MAX + 1 });
  assert.equal(timeout.policy.timeoutMs, TIMEOUT_MS_MAX);
  assert.match(timeout.warnings[0] ?? '', /timeout is longer than 24 h/);
  assert.deepEqual(at({ backoffDelayMs: BACKOFF_MS_MAX }).warnings, []);
  assert.match(at({ backoffDelayMs: BACKOFF_MS_MAX + 1 }).warnings[0] ?? '', /backoffDelay/);
  assert.equal(at({ retryAfterMsMax: BACKOFF_MS_MAX + 1 }).policy.retryAfterMsMax, BACKOFF_MS_MAX);
});
