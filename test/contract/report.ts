/** Prints what every driver passes and skips as JSON, for docs/drivers.md. Ends with 1 on a failure. */
import { CHANNEL_CONTRACT, runContract } from './channel-contract.ts';
import { HARNESSES } from './driver-harnesses.ts';

const drivers = [];
for (const harness of HARNESSES) drivers.push(await runContract(harness));
const groups = CHANNEL_CONTRACT.map(({ name, cases }) => ({
  name,
  cases: cases.map((each) => each.name),
}));
process.stdout.write(`${JSON.stringify({ drivers, groups })}\n`);
