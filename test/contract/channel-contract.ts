/**
 * The contract suite: every case applied to one kind of driver. Used by the tests beside it and by
 * the report from which `docs/drivers.md` is made. A case that a driver cannot do is skipped with the
 * reason; nothing else is ever skipped.
 */
import assert from 'node:assert/strict';
import type { DriverCapabilities } from '#lib/channel/channel-driver';
import { ADMIN_CASES } from './admin-cases.ts';
import { skipReason } from './contract-case.ts';
import type { ContractCase, ContractContext } from './contract-case.ts';
import type { DriverHarness, OpenedDriver } from './contract-case.ts';
import { CRASH_CASES } from './crash-cases.ts';
import { CURSOR_CASES } from './cursor-cases.ts';
import { LEASE_CASES } from './lease-cases.ts';
import { LOG_CASES } from './log-cases.ts';
import { READER_CASES } from './reader-cases.ts';
import { WAITING_CASES } from './waiting-cases.ts';

export interface ContractGroup {
  readonly name: string;
  readonly cases: readonly ContractCase[];
}

export const CHANNEL_CONTRACT: readonly ContractGroup[] = [
  { name: 'Log', cases: LOG_CASES },
  { name: 'Readers', cases: READER_CASES },
  { name: 'Cursors', cases: CURSOR_CASES },
  { name: 'Waiting pairs', cases: WAITING_CASES },
  { name: 'Leases', cases: LEASE_CASES },
  { name: 'Administration and closing', cases: ADMIN_CASES },
  { name: 'Coming back', cases: CRASH_CASES },
];

/** `null`: passed. A text: skipped, and why. A failing case throws. */
export type CaseResult = string | null;

/** One driver's results by the name of the case, as `docs/drivers.md` shows them. */
export interface DriverResults {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  readonly results: Readonly<Record<string, CaseResult>>;
}

/** Runs cases one after the other against a store that they share. */
export interface ContractRun {
  /** Throws when the case fails. Only for cases that the driver is able to do. */
  run(each: ContractCase): Promise<void>;
  end(): Promise<void>;
}

export async function startContract(harness: DriverHarness): Promise<ContractRun> {
  const shared = await harness.open({});
  assert.deepEqual(shared.driver.capabilities, harness.capabilities);
  let counter = 0;
  return {
    async run(each) {
      const own: OpenedDriver[] = [];
      const prefix = `case-${++counter}`;
      try {
        await each.run(createContext({ harness, shared, own, prefix }));
      } finally {
        for (const opened of own) await opened.dispose();
      }
    },
    end: () => shared.dispose(),
  };
}

/** The whole suite, for the report. */
export async function runContract(harness: DriverHarness): Promise<DriverResults> {
  const run = await startContract(harness);
  const results: Record<string, CaseResult> = {};
  try {
    for (const { cases } of CHANNEL_CONTRACT) {
      for (const each of cases) {
        const reason = skipReason(each.needs, harness.capabilities);
        if (reason === null) await run.run(each);
        results[each.name] = reason;
      }
    }
  } finally {
    await run.end();
  }
  return { name: harness.name, capabilities: harness.capabilities, results };
}

interface ContextParts {
  readonly harness: DriverHarness;
  readonly shared: OpenedDriver;
  readonly own: OpenedDriver[];
  readonly prefix: string;
}

function createContext({ harness, shared, own, prefix }: ContextParts): ContractContext {
  let topics = 0;
  const unique = (name: string): string => `${prefix}-${name}`;
  return {
    driver: shared.driver,
    clock: shared.clock,
    unique,
    async topic(partitions = 1) {
      const name = unique(`topic-${++topics}`);
      await shared.driver.admin.ensureTopic(name, { partitions });
      return name;
    },
    async open(options = {}) {
      const opened = await harness.open(options);
      own.push(opened);
      return opened;
    },
  };
}
