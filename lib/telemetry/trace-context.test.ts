/** What is a traceparent, and what must be treated as absent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSeededRandom } from '#lib/random/random';
import { isTraceparent, parseTraceparent, startTraceparent } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${PARENT}-01`;

for (const value of [GOOD, `00-${TRACE}-${PARENT}-00`, `cc-${TRACE}-${PARENT}-01-what`]) {
  test(`is one: ${value}`, () => assert.equal(isTraceparent(value), true));
}

const BAD: readonly string[] = [
  '',
  GOOD.slice(0, -1),
  `${GOOD}0`,
  `${GOOD}-more`,
  `cc-${TRACE}-${PARENT}-01.what`,
  GOOD.toUpperCase(),
  `ff-${TRACE}-${PARENT}-01`,
  `0g-${TRACE}-${PARENT}-01`,
  `00-${'0'.repeat(32)}-${PARENT}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE}-${PARENT}-0x`,
  GOOD.replaceAll('-', '_'),
  `00_${TRACE}-${PARENT}-01`,
  `00-${TRACE}_${PARENT}-01`,
  `00-${TRACE}-${PARENT}_01`,
];
for (const value of BAD) {
  test(`is none: "${value}"`, () => {
    assert.equal(isTraceparent(value), false);
    assert.equal(parseTraceparent(value), null);
  });
}

test('its parts', () => {
  assert.deepEqual(parseTraceparent(GOOD), { traceId: TRACE, parentId: PARENT, isSampled: true });
  assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-02`)?.isSampled, false);
});

test('a new trace is valid, differs each time, and says whether it is sampled', () => {
  const random = createSeededRandom(1);
  const first = startTraceparent(random, true);
  const second = startTraceparent(random, false);
  assert.equal(parseTraceparent(first)?.isSampled, true);
  assert.equal(parseTraceparent(second)?.isSampled, false);
  assert.notEqual(parseTraceparent(first)?.traceId, parseTraceparent(second)?.traceId);
});

test('a random source that gives only zeros still gives a valid trace', () => {
  assert.equal(isTraceparent(startTraceparent({ float: () => 0, below: () => 0 }, true)), true);
});
