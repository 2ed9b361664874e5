/** The strict form of a target, at its edges. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDnsLabel, parseTarget } from './request-target.ts';

const LABEL = 'a'.repeat(63);
const NAME = `${LABEL}.${LABEL}.${LABEL}.${'a'.repeat(61)}`;

const GOOD: readonly [target: string, namespace: string, name: string][] = [
  ['/ns/b', 'ns', 'b'],
  ['/ns/b/', 'ns', 'b'],
  ['/ns/b?x=%2f;/../', 'ns', 'b'],
  ['/ns/b/?', 'ns', 'b'],
  ['/0/9', '0', '9'],
  ['/a-b/orders.v1', 'a-b', 'orders.v1'],
  [`/${LABEL}/${NAME}`, LABEL, NAME],
];
for (const [target, namespace, name] of GOOD) {
  test(`${target.slice(0, 60)} is an object`, () => {
    assert.deepEqual(parseTarget(target), { kind: 'object', namespace, name });
  });
}

test('the root is the root, with a query too', () => {
  assert.deepEqual(parseTarget('/'), { kind: 'root' });
  assert.deepEqual(parseTarget('/?a'), { kind: 'root' });
});

const BAD: readonly string[] = [
  ...[
    '',
    '*',
    'ns/b',
    'http://h/ns/b',
    '//',
    '//ns/b',
    '/ns',
    '/ns/',
    '/ns//',
    '/ns//b',
    '/ns/b//',
  ],
  ...['/ns/b/c', '/ns/../b', '/./b', '/ns/.', '/ns/..', '/ns/a..b', '/ns/.b', '/ns/b.', '/n.s/b'],
  ...['/ns/b#', '/ns/b?#', '/ns%2fb', '/ns/%62', '/ns/b;a', '/ns/b\\', '/ns/b ', '/ns/b\u0000'],
  ...['/NS/b', '/ns/B', '/-ns/b', '/ns-/b', '/ns/-b', '/ns/b-', '/n_s/b', '/ns/\u00e9', '/ns/b\t'],
  ...[`/${LABEL}a/b`, `/ns/${LABEL}a`, `/ns/${NAME}a`, `/ns/b?${'x'.repeat(1_024)}`],
];
for (const target of BAD) {
  test(`${JSON.stringify(target.slice(0, 60))} is invalid`, () => {
    assert.deepEqual(parseTarget(target), { kind: 'invalid' });
  });
}

test('a DNS label is 1 to 63 characters', () => {
  assert.equal(isDnsLabel(''), false);
  assert.equal(isDnsLabel('a'), true);
  assert.equal(isDnsLabel(LABEL), true);
  assert.equal(isDnsLabel(`${LABEL}a`), false);
  assert.equal(isDnsLabel('-'), false);
});
