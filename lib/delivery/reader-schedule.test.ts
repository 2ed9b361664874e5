import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ReaderName } from '#lib/channel/event-record';
import { nextChange, ownEnd, pruned, readerAt, withChange } from './reader-schedule.ts';
import type { ReaderSchedule } from './reader-schedule.ts';

const READERS: readonly ReaderName[] = ['shared', 'own'];
const changeArb = fc.record({ at: fc.nat(60), reader: fc.constantFrom(...READERS) });
const LIMIT = 80;

/** The model: who reads each offset, written out. */
function apply(changes: readonly { at: number; reader: ReaderName }[]): {
  schedule: ReaderSchedule;
  model: (ReaderName | null)[];
} {
  let schedule: ReaderSchedule = [];
  const model = new Array<ReaderName | null>(LIMIT).fill(null);
  for (const { at, reader } of changes) {
    schedule = withChange(schedule, at, reader);
    model.fill(reader, at);
  }
  return { schedule, model };
}

test('any changes: the schedule says what the model says, sorted, neighbours differ', () => {
  fc.assert(
    fc.property(fc.array(changeArb, { maxLength: 12 }), (changes) => {
      const { schedule, model } = apply(changes);
      for (let at = 0; at < LIMIT; at++) assert.equal(readerAt(schedule, at), model[at]);
      for (let index = 1; index < schedule.length; index++) {
        const [before, here] = [schedule[index - 1], schedule[index]];
        assert.ok(before !== undefined && here !== undefined);
        assert.ok(before.at < here.at && before.reader !== here.reader);
      }
      for (let at = 0; at < LIMIT; at++) {
        const expected = model.findIndex(
          (reader, index) => index > at && reader !== model[index - 1],
        );
        assert.equal(nextChange(schedule, at)?.at ?? -1, expected);
      }
      const last = schedule.at(-1);
      assert.equal(ownEnd(schedule), last?.reader === 'shared' ? last.at : null);
    }),
  );
});

test('pruning changes nothing at or above the low-water mark', () => {
  fc.assert(
    fc.property(fc.array(changeArb, { maxLength: 12 }), fc.nat(LIMIT - 1), (changes, lowWater) => {
      const { schedule, model } = apply(changes);
      const short = pruned(schedule, lowWater);
      for (let at = lowWater; at < LIMIT; at++) assert.equal(readerAt(short, at), model[at]);
      assert.ok(short.filter((change) => change.at <= lowWater).length <= 1);
      assert.deepEqual(pruned(short, lowWater), short);
    }),
  );
});
