/** Answers that say no, as bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTP_ERRORS } from './http-errors.ts';
import { createRefusal, refusalBytes, refusalsOf } from './refusal.ts';

test('a refusal as bytes is a whole answer', () => {
  const refusal = createRefusal('X_Y', 503, 'Says "no"');
  const body = '{"code":"X_Y","message":"Says \\"no\\""}\n';
  assert.equal(
    refusalBytes(refusal, { allow: 'POST', retryAfterS: 3, isLast: true }).toString(),
    [
      'HTTP/1.1 503 Service Unavailable',
      'Allow: POST',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Retry-After: 3',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  const plain = refusalBytes(refusal, { allow: 'POST', retryAfterS: null, isLast: false });
  assert.doesNotMatch(plain.toString(), /Retry-After|Connection/);
});

test('every code with a status has a refusal of that status, and no other', () => {
  const refusals = refusalsOf(HTTP_ERRORS);
  assert.equal(refusals.get('HTTP_REQUEST_TIMEOUT')?.status, 408);
  assert.equal(refusals.has('HTTP_LISTEN_FAILED'), false);
  for (const [code, { body }] of refusals) {
    const parsed = JSON.parse(body.toString()) as Record<string, unknown>;
    assert.equal(parsed['code'], code);
  }
});
