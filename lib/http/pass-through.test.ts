import assert from 'node:assert/strict';
import test from 'node:test';
import { PASS_THROUGH_COUNT_MAX, isPassThroughHeader, passThroughHeaders } from './pass-through.ts';

test('the allow list: exact names, prefixes, nothing else', () => {
  const kept = [
    'x-request-id',
    'retry-after',
    'traceparent',
    'tracestate',
    'knative-x',
    'x-b3-sampled',
  ];
  for (const name of kept) assert.equal(isPassThroughHeader(name), true, name);
  const dropped = [
    'authorization',
    'cookie',
    'host',
    'accept',
    'x-request-id2',
    'knative',
    'x-b4-a',
    '',
  ];
  for (const name of dropped) assert.equal(isPassThroughHeader(name), false, name);
});

test('names become lower case, values stay, order is kept', () => {
  const raw = ['Host', 'a', 'X-Request-Id', ' ü ', 'Knative-Foo', 'Bar', 'odd'];
  assert.deepEqual(passThroughHeaders(raw), ['x-request-id', ' ü ', 'knative-foo', 'Bar']);
  assert.deepEqual(passThroughHeaders([]), []);
});

test('no more than the limit is carried on', () => {
  const raw = Array.from({ length: 100 }, (_, index) => [`knative-${index}`, 'v']).flat();
  assert.equal(passThroughHeaders(raw).length, PASS_THROUGH_COUNT_MAX * 2);
});
