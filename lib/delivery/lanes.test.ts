import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventOf, recordOf } from '#test/kit/event-path';
import { laneKey, Lanes } from './lanes.ts';
import { createPair } from './pair.ts';
import type { Pair } from './pair.ts';
import { Target } from './target.ts';
import type { TargetSettings } from './target.ts';

const SETTINGS: TargetSettings = {
  uid: 't',
  key: 'ns/t',
  namespace: 'ns',
  brokerKey: 'ns/b',
  topic: 'b',
  isOrdered: true,
  isPaused: false,
  concurrency: 1_000,
  inFlightBytesMax: 1_000_000,
  policy: {
    retryCount: 1,
    backoff: 'linear',
    backoffDelayMs: 200,
    timeoutMs: 1_000,
    retryAfterMsMax: 0,
    format: 'binary',
  },
  nonEventReply: 'fail',
  subscriber: null,
  subscriberUrl: null,
  deadLetter: null,
  deadLetterUrl: null,
  encoding: { format: 'binary', namespace: 'ns', prefersReply: true, extra: null },
};

function pairOf(target: Target, offset: number, key: string | null, partition = 0): Pair {
  const source = { topic: 'b', partition, offset, sizeBytes: 10, mark: offset };
  return createPair(target, source, recordOf(eventOf(`e${offset}`), { key }));
}

test('events without a key share a lane per partition; a key never meets them', () => {
  assert.equal(laneKey(3, null), 'p3');
  assert.equal(laneKey(3, 'p3'), 'kp3');
  assert.notEqual(laneKey(0, ''), laneKey(0, null));
});

test('a lane that is empty and has nothing in the store is forgotten', () => {
  const lanes = new Lanes();
  const target = new Target(SETTINGS);
  const lane = lanes.open('k');
  lanes.push(lane, pairOf(target, 1, 'k'));
  assert.equal(lanes.take()?.offset, 1);
  lanes.release(lane);
  assert.equal([...lanes.all()].length, 0);
});

/**
 * The store of the model: rows of a lane, lowest offset first; a head is handed out when it is not
 * leased. A put is acknowledged later, as in the engine.
 */
class ModelStore {
  readonly rows = new Map<number, { readonly lane: string; leased: boolean }>();

  put(offset: number, lane: string): void {
    this.rows.set(offset, { lane, leased: false });
  }

  lease(lane: string): number | null {
    const offsets = [...this.rows].filter(([, row]) => row.lane === lane).map(([at]) => at);
    if (offsets.length === 0) return null;
    const head = Math.min(...offsets);
    const row = this.rows.get(head);
    if (row === undefined || row.leased) return null;
    row.leased = true;
    return head;
  }
}

type Step =
  | { readonly do: 'push'; readonly lane: number; readonly isFlood: boolean }
  | { readonly do: 'lease'; readonly lane: number }
  | { readonly do: 'end'; readonly pick: number; readonly how: 'settle' | 'store' };

const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('push' as const),
    lane: fc.nat(2),
    isFlood: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  }),
  fc.record({ do: fc.constant('lease' as const), lane: fc.nat(2) }),
  fc.record({
    do: fc.constant('end' as const),
    pick: fc.nat(2),
    how: fc.constantFrom('settle' as const, 'store' as const),
  }),
);

/** Runs the target against the model; returns what was settled, per lane, in order. */
function run(steps: readonly Step[]): void {
  const target = new Target(SETTINGS);
  const store = new ModelStore();
  const flying: Pair[] = [];
  const settled = new Map<string, number[]>();
  const pushed = new Map<string, number[]>();
  let offset = 0;
  const toStore = (pair: Pair): void => {
    assert.notEqual(pair.storedLane, null, 'a pair on its way to the store knows its lane');
    store.put(pair.offset, pair.storedLane ?? '');
  };
  const takeAll = (): void => {
    for (let pair = target.take(); pair !== undefined; pair = target.take()) {
      const lane = pair.lane?.key;
      assert.ok(
        flying.every((other) => other.lane?.key !== lane),
        'one in flight per lane',
      );
      flying.push(pair);
    }
  };
  const end = (pair: Pair, how: 'settle' | 'store'): void => {
    flying.splice(flying.indexOf(pair), 1);
    const lane = pair.lane?.key ?? '';
    if (how === 'settle') {
      target.leaveLane(pair);
      store.rows.delete(pair.offset);
      settled.set(lane, [...(settled.get(lane) ?? []), pair.offset]);
    } else {
      const behind = target.storeLane(pair);
      toStore(pair);
      behind.forEach(toStore);
    }
  };
  const lease = (lane: string): void => {
    const found = store.lease(lane);
    if (found === null) return;
    const pair = pairOf(target, found, lane.slice(1));
    pair.isFromStore = true;
    target.pushFirst(pair, lane);
  };
  for (const step of steps) {
    if (step.do === 'push') {
      const key = `${step.lane}`;
      const pair = pairOf(target, offset, key);
      pushed.set(`k${key}`, [...(pushed.get(`k${key}`) ?? []), offset]);
      offset++;
      if (step.isFlood) target.floodLane(pair).forEach(toStore);
      else if (!target.push(pair)) toStore(pair);
    } else if (step.do === 'lease') lease(`k${step.lane}`);
    else {
      const pair = flying[step.pick % Math.max(1, flying.length)];
      if (pair !== undefined) end(pair, step.how);
    }
    takeAll();
  }
  for (let round = 0; round < 4 * offset + 4; round++) {
    for (const lane of pushed.keys()) lease(lane);
    takeAll();
    for (const pair of [...flying]) end(pair, 'settle');
    takeAll();
  }
  for (const [lane, offsets] of pushed) assert.deepEqual(settled.get(lane), offsets, lane);
  assert.equal(target.queuedCount, 0);
  assert.equal(target.queuedBytes, 0);
}

test('any mix of pushes, floods, leases and ends: order per lane, one in flight, nothing left', () => {
  fc.assert(
    fc.property(fc.array(stepArb, { maxLength: 80 }), (steps) => run(steps)),
    { numRuns: 800 },
  );
});

test('a head that goes to the store takes the pair with it that was leased meanwhile', () => {
  const target = new Target(SETTINGS);
  target.push(pairOf(target, 1, 'k'));
  const head = target.take();
  target.floodLane(pairOf(target, 2, 'k'));
  const leased = pairOf(target, 2, 'k');
  leased.isFromStore = true;
  target.pushFirst(leased, 'kk');
  assert.equal(target.take(), undefined, 'it waits for the head');
  assert.ok(head !== undefined);
  assert.deepEqual(target.storeLane(head), [leased]);
  assert.equal(target.take(), undefined);
});
