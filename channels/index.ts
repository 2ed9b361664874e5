/**
 * The registry of channel drivers: lazy loaders, so that a driver that is not used costs no memory.
 * Read by every process that opens a channel, by the contract suite and by the table of drivers.
 * A new driver is one folder and one line here.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';

export interface DriverDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** A write or a sync failed: the store takes nothing more and the process has to end (exit 70). */
  readonly onFatal: (error: Error) => void;
}

/** What a driver may be told; each reads what concerns it. */
export interface DriverSettings {
  /** The folder of the embedded store. */
  readonly dataDir: string;
}

type DriverLoader = (deps: DriverDeps, settings: DriverSettings) => Promise<ChannelDriver>;

export type DriverName = 'memory';

export const DRIVERS: Readonly<Record<DriverName, DriverLoader>> = {
  memory: async (deps) => {
    const { createMemoryDriver } = await import('./memory/memory-driver.ts');
    return createMemoryDriver(deps);
  },
};

/** Opens the store of that driver; recovered and ready to use when it resolves. */
export function openDriver(
  name: DriverName,
  deps: DriverDeps,
  settings: DriverSettings,
): Promise<ChannelDriver> {
  return DRIVERS[name](deps, settings);
}
