/** Every driver of the registry keeps the contract, and `docs/drivers.md` says what each can do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CHANNEL_CONTRACT, startContract } from './channel-contract.ts';
import type { ContractRun } from './channel-contract.ts';
import { HARNESSES } from './driver-harnesses.ts';

for (const harness of HARNESSES) {
  describe(`channel contract: ${harness.name}`, () => {
    let run: ContractRun;
    before(async () => {
      run = await startContract(harness);
    });
    after(() => run.end());
    for (const group of CHANNEL_CONTRACT) {
      for (const each of group.cases) {
        test(`${group.name}: ${each.name}`, async (t) => {
          const reason = await run.run(each);
          if (reason !== null) t.skip(reason);
        });
      }
    }
  });
}

test('the names of the cases are unique', () => {
  const names = CHANNEL_CONTRACT.flatMap(({ cases }) => cases.map(({ name }) => name));
  assert.equal(new Set(names).size, names.length);
});
