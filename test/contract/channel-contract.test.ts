/** Every driver of the registry keeps the contract, and `docs/drivers.md` says what each can do. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DRIVERS } from '#channels/index';
import { driversPage } from '#tools/docs/drivers-table';
import { CHANNEL_CONTRACT, startContract } from './channel-contract.ts';
import type { CaseResult, ContractRun, DriverResults } from './channel-contract.ts';
import { skipReason } from './contract-case.ts';
import { HARNESSES } from './driver-harnesses.ts';

const CASES = CHANNEL_CONTRACT.flatMap(({ cases }) => cases);
const drivers: DriverResults[] = [];

for (const harness of HARNESSES) {
  describe(`channel contract: ${harness.name}`, () => {
    let run: ContractRun;
    const results: Record<string, CaseResult> = {};
    before(async () => {
      run = await startContract(harness);
    });
    after(async () => {
      drivers.push({ name: harness.name, capabilities: harness.capabilities, results });
      await run.end();
    });
    for (const { name, cases } of CHANNEL_CONTRACT) {
      for (const each of cases) {
        // What a driver cannot do is no test of it; the page below shows it with the reason.
        const reason = skipReason(each.needs, harness.capabilities);
        if (reason !== null) {
          results[each.name] = reason;
          continue;
        }
        test(`${name}: ${each.name}`, async () => {
          await run.run(each);
          results[each.name] = null;
        });
      }
    }
  });
}

test('every driver of the registry has a harness', () => {
  const names = new Set(HARNESSES.map(({ name }) => name));
  for (const name of Object.keys(DRIVERS)) assert.ok(names.has(name), name);
});

test('the names of the cases are unique', () => {
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length);
});

test('docs/drivers.md says what these results say', async () => {
  const groups = CHANNEL_CONTRACT.map(({ name, cases }) => ({
    name,
    cases: cases.map((each) => each.name),
  }));
  const file = path.resolve(import.meta.dirname, '../../docs/drivers.md');
  const committed = await readFile(file, 'utf8');
  assert.equal(committed, driversPage({ drivers, groups }), 'stale: npm run docs');
});
