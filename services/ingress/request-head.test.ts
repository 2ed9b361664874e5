/** What the one pass over the headers finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRequestHead } from './request-head.ts';
import type { HeadLimits } from './request-head.ts';

const LIMITS: HeadLimits = { headerCountMax: 10, headerValueLengthMax: 20, hosts: null };
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function head(headers: Readonly<Record<string, string>>, limits: Partial<HeadLimits> = {}) {
  const raw = Object.entries({ Host: 'h', ...headers }).flat();
  return readRequestHead(raw, { ...LIMITS, ...limits });
}

test('names count in any case', () => {
  const found = head({ 'CONTENT-TYPE': 'a/b', 'content-LENGTH': '12', 'X-REQUEST-ID': 'r' });
  assert.equal(found.contentType, 'a/b');
  assert.equal(found.contentLength, 12);
  assert.deepEqual(found.passThrough, ['x-request-id', 'r']);
  assert.equal(found.passThroughBytes, 'x-request-idr'.length);
  assert.equal(found.fault, null);
});

test('a chunked body has no length', () => {
  assert.equal(head({ 'Transfer-Encoding': 'chunked' }).contentLength, -1);
  assert.equal(head({ 'Transfer-Encoding': 'Chunked' }).fault, null);
});

test('a transfer coding that is not undone is refused', () => {
  for (const value of ['gzip, chunked', 'chunked, chunked', 'identity', '']) {
    assert.equal(head({ 'Transfer-Encoding': value }).fault, 'HTTP_REQUEST_MALFORMED', value);
  }
});

test('nothing there is nothing found', () => {
  assert.deepEqual(head({}), {
    fault: null,
    host: 'h',
    isEncoded: false,
    contentType: null,
    contentLength: 0,
    passThrough: [],
    passThroughBytes: 0,
    traceparent: null,
  });
});

test('the number and length of headers are limited', () => {
  const many = (count: number) =>
    head(Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, '1'])));
  assert.equal(many(9).fault, null);
  assert.equal(many(10).fault, 'HTTP_HEADERS_TOO_LARGE');
  assert.equal(head({ a: 'x'.repeat(20) }).fault, null);
  assert.equal(head({ a: 'x'.repeat(21) }).fault, 'HTTP_HEADERS_TOO_LARGE');
});

test('two trace parents, or a bad one, are none, and take the state with them', () => {
  const limits = { headerValueLengthMax: 100 };
  const good = head({ traceparent: TRACE, tracestate: 'a=1' }, limits);
  assert.deepEqual(good.passThrough, ['traceparent', TRACE, 'tracestate', 'a=1']);
  const twice = head({ traceparent: TRACE, TraceParent: TRACE, tracestate: 'a=1' }, limits);
  assert.deepEqual([twice.traceparent, twice.passThrough], [null, []]);
  const bad = head({ traceparent: 'x', tracestate: 'a=1' }, limits);
  assert.deepEqual([bad.traceparent, bad.passThrough], [null, []]);
  assert.deepEqual(head({ tracestate: 'a=1' }).passThrough, []);
});

test('the number of headers that are passed on is limited', () => {
  const headers = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`x-b3-${index}`, '']),
  );
  const found = head(headers, { headerCountMax: 100 });
  assert.equal(found.fault, null);
  assert.equal(found.passThrough.length, 64);
});

const HOSTS: readonly [host: string, isValid: boolean][] = [
  ['localhost', true],
  ['LOCALHOST:80', true],
  ['broker-ingress.knative-eventing.svc.cluster.local', true],
  ['127.0.0.1:8080', true],
  ['[fe80::1%25eth0]:80', true],
  ['a_b~c', true],
  ['', false],
  ['a b', false],
  ['a,b', false],
  ['a/b', false],
  ['u@h', false],
  ['h?x', false],
  ['h#x', false],
  ['"h"', false],
  ['h\u00e9', false],
  ['x'.repeat(262), false],
  ['x'.repeat(261), true],
];
for (const [host, isValid] of HOSTS) {
  test(`Host "${host.slice(0, 40)}" is ${isValid ? '' : 'no '}host and port`, () => {
    const found = head({ Host: host }, { headerValueLengthMax: 1_000 });
    assert.equal(found.fault, isValid ? null : 'HTTP_HOST_INVALID');
  });
}
