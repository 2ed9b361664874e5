/** Fifo against a plain array as model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fifo } from './fifo.ts';

test('a fifo behaves as an array does', () => {
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ op: fc.constant('push' as const), value: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('unshift' as const), value: fc.nat() }) },
    {
      weight: 2,
      arbitrary: fc.record({ op: fc.constant('shift' as const), value: fc.constant(0) }),
    },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      for (const { op, value } of operations) {
        if (op === 'push') {
          fifo.push(value);
          model.push(value);
        } else if (op === 'unshift') {
          fifo.unshift(value);
          model.unshift(value);
        } else assert.equal(fifo.shift(), model.shift());
        assert.equal(fifo.size, model.length);
        assert.equal(fifo.peek(), model[0]);
      }
      assert.deepEqual(fifo.drain(), model);
    }),
  );
});

test('a fifo gives large rings back when it runs empty', () => {
  const fifo = new Fifo<number>();
  for (let count = 0; count < 5_000; count++) fifo.push(count);
  for (let count = 0; count < 5_000; count++) assert.equal(fifo.shift(), count);
  fifo.push(7);
  assert.deepEqual(fifo.drain(), [7]);
});
