import assert from 'node:assert/strict';
import test from 'node:test';
import { createManualClock } from '#lib/time/manual-clock';
import { DNS_TIMEOUT_MS, createResolver } from './sender-resolver.ts';
import type { ResolveResult, SystemLookup } from './sender-resolver.ts';

type LookupDone = Parameters<SystemLookup>[1];

function messageOf(result: ResolveResult | undefined): string {
  assert.ok(result !== undefined && !result.ok);
  return result.message;
}

test('look-ups of one name at a time are one; a later one asks again', () => {
  const asked: { hostname: string; done: LookupDone }[] = [];
  const resolver = createResolver(createManualClock(), (hostname, done) => {
    asked.push({ hostname, done });
  });
  const results: ResolveResult[] = [];
  resolver.resolve('a', (result) => results.push(result));
  resolver.resolve('a', (result) => results.push(result));
  resolver.resolve('b', (result) => results.push(result));
  assert.deepEqual(
    asked.map(({ hostname }) => hostname),
    ['a', 'b'],
  );
  asked[0]?.done(null, [{ address: '127.0.0.1', family: 4 }]);
  assert.equal(results.length, 2);
  assert.ok(results.every((result) => result.ok));
  resolver.resolve('a', () => undefined);
  assert.equal(asked.length, 3);
});

test('errors, empty answers and silence are failures; a late answer changes nothing', async () => {
  const clock = createManualClock();
  const asked: LookupDone[] = [];
  const resolver = createResolver(clock, (_hostname, done) => asked.push(done));
  const results: ResolveResult[] = [];
  const resolve = (): void => resolver.resolve('a', (result) => results.push(result));
  resolve();
  asked[0]?.(Object.assign(new Error('x'), { code: 'ENOTFOUND' }), []);
  assert.match(messageOf(results[0]), /Cannot resolve "a": ENOTFOUND/);
  resolve();
  asked[1]?.(null, []);
  assert.match(messageOf(results[1]), /no address/);
  resolve();
  await clock.advance(DNS_TIMEOUT_MS - 1);
  assert.equal(results.length, 2);
  await clock.advance(1);
  assert.match(messageOf(results[2]), /no answer within 2000 ms/);
  asked[2]?.(null, [{ address: '127.0.0.1', family: 4 }]);
  assert.equal(results.length, 3);
});

test('the system resolves localhost to loopback', async () => {
  const { createSystemClock } = await import('#lib/time/system-clock');
  const result = await new Promise<ResolveResult>((resolve) => {
    createResolver(createSystemClock()).resolve('localhost', resolve);
  });
  assert.ok(result.ok);
  assert.ok(result.addresses.every(({ address }) => address === '127.0.0.1' || address === '::1'));
});
