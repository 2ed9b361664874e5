import assert from 'node:assert/strict';
import test from 'node:test';
import { isAttributeName } from '#lib/cloudevents/attribute-text';
import type { AttributeValue } from '#lib/cloudevents/cloud-event';
import { ERROR_EXTENSION_NAMES, errorExtensions } from './error-extensions.ts';

const INFO = {
  attempts: 3,
  firstFailureMs: Date.UTC(2026, 0, 1),
  lastFailureMs: Date.UTC(2026, 0, 1, 0, 0, 1, 5),
  triggerKey: 'default/orders',
  triggerUid: 'u-1',
};

function extensionsOf(status: number | null, body: Buffer): Map<string, AttributeValue> {
  return new Map(
    errorExtensions({ destination: 'http://a/b', status, body, reason: 'StatusCode' }, INFO),
  );
}

test('all names are legal, at most 20 characters, and in the set of names', () => {
  const names = [...extensionsOf(500, Buffer.from('x')).keys()];
  assert.deepEqual(new Set(names), ERROR_EXTENSION_NAMES);
  for (const name of names) assert.ok(isAttributeName(name, 20), name);
});

test('the values of a failure with a response', () => {
  assert.deepEqual(Object.fromEntries(extensionsOf(503, Buffer.from('no'))), {
    knativeerrordest: 'http://a/b',
    knativeerrorcode: 503,
    knativeerrordata: 'bm8=',
    millracereason: 'StatusCode',
    millraceattempts: 3,
    millracefirsttry: '2026-01-01T00:00:00.000Z',
    millracelasttry: '2026-01-01T00:00:01.005Z',
    millracetrigger: 'default/orders',
    millracetriggeruid: 'u-1',
  });
});

test('without a response there is no code and no data; what is not known is left out', () => {
  const found = errorExtensions(
    { destination: null, status: null, body: Buffer.alloc(0), reason: 'TtlExhausted' },
    { attempts: 0, firstFailureMs: 0, lastFailureMs: 0, triggerKey: null, triggerUid: null },
  );
  assert.deepEqual(found, [
    ['millracereason', 'TtlExhausted'],
    ['millraceattempts', 0],
  ]);
});

test('the body: 0, 768, 769, 1024, 1025 bytes, a megabyte, binary', () => {
  for (const size of [0, 1, 767, 768, 769, 1_024, 1_025, 1_048_576]) {
    const body = Buffer.alloc(size, 0xff);
    const data = extensionsOf(500, body).get('knativeerrordata');
    if (size === 0) {
      assert.equal(data, undefined);
      continue;
    }
    assert.ok(typeof data === 'string' && data.length <= 1_024);
    assert.deepEqual(Buffer.from(data, 'base64'), body.subarray(0, 768));
  }
});
