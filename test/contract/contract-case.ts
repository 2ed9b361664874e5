/**
 * What a test of the channel contract is, and what it is given. The cases are values (`*-cases.ts`),
 * applied to every driver of the registry by `channel-contract.test.ts`; a case that needs what a
 * driver cannot do is skipped by name, and `docs/drivers.md` shows it.
 */
import type { ChannelDriver, DriverCapabilities } from '#lib/channel/channel-driver';
import type { StepClock } from './step-clock.ts';

/** A capability that a case can need. */
export type Need = 'reopen' | 'seek' | 'shared' | 'recordLimit';

export interface ContractCase {
  /** A sentence about the driver; unique. */
  readonly name: string;
  readonly needs: readonly Need[];
  run(context: ContractContext): Promise<void>;
}

/** What a case is run with. The driver is shared by the cases: use the context's own names. */
export interface ContractContext {
  readonly driver: ChannelDriver;
  readonly clock: StepClock;
  /** A name for topics, targets and holders that no other case uses. */
  unique(name: string): string;
  /** A topic of this case, already there. */
  topic(partitions?: number): Promise<string>;
  /** A store of the case's own; closed and removed at its end. */
  open(options?: OpenOptions): Promise<OpenedDriver>;
}

export interface OpenOptions {
  /** A capacity near this (a driver may round it up); the default is ample. */
  readonly capacityBytes?: number;
}

export interface OpenedDriver {
  readonly driver: ChannelDriver;
  readonly clock: StepClock;
  /** The same store as a crash at this moment would leave it, opened anew. Needs `reopen`. */
  crash(): Promise<ChannelDriver>;
  /** The same store after a clean close, opened anew. Needs `reopen`. */
  reopen(): Promise<ChannelDriver>;
  /** Closes all drivers that were opened and removes their files. Idempotent. */
  dispose(): Promise<void>;
}

/** How the suite opens one kind of driver. */
export interface DriverHarness {
  /** As in the registry, with a remark when the same driver is reached in another way. */
  readonly name: string;
  /** As the driver itself says; known before one is opened. */
  readonly capabilities: DriverCapabilities;
  open(options: OpenOptions): Promise<OpenedDriver>;
}

/** Why the case cannot be run with these capabilities, or `null` when it must pass. */
export function skipReason(needs: readonly Need[], can: DriverCapabilities): string | null {
  for (const need of needs) if (!isMet(need, can)) return REASONS[need];
  return null;
}

const REASONS: Readonly<Record<Need, string>> = {
  reopen: 'keeps nothing when its process ends',
  seek: 'cannot seek by time',
  shared: 'belongs to one process',
  recordLimit: 'has no record limit of its own',
};

function isMet(need: Need, can: DriverCapabilities): boolean {
  switch (need) {
    case 'reopen':
      return can.reopen;
    case 'seek':
      return can.seek;
    case 'shared':
      return can.shared;
    case 'recordLimit':
      return can.recordBytesMax !== null;
  }
}
