/**
 * The registry of channel drivers: lazy loaders, so that a driver that is not used costs no memory.
 * Read by every process that opens a channel, by the contract suite and by the table of drivers.
 * A new driver is one folder and one line here.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import type { EmbeddedSettings } from './embedded/embedded-settings.ts';

export interface DriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A write or a sync failed: the store takes nothing more and the process has to end (exit 70). */
  readonly onFatal: (error: Error) => void;
}

/** What a driver may be told; each reads what concerns it. */
export interface DriverSettings {
  /** The folder of the embedded store. */
  readonly dataDir: string;
  /** What differs from the defaults. */
  readonly embedded?: Partial<EmbeddedSettings>;
  readonly access?: StoreAccess;
}

/**
 * How a process takes part in a store of this machine: the only one (default), the owner that others
 * join over a local socket, or one that joins. A network driver has no use for it.
 */
export type StoreAccess = 'alone' | 'serve' | 'join';

type DriverLoader = (deps: DriverDeps, settings: DriverSettings) => Promise<ChannelDriver>;

export type DriverName = 'memory' | 'embedded';

export const DRIVERS: Readonly<Record<DriverName, DriverLoader>> = {
  memory: async (deps) => {
    const { createMemoryDriver } = await import('./memory/memory-driver.ts');
    return createMemoryDriver(deps);
  },
  embedded: async (deps, settings) => {
    if (settings.access === 'join') {
      const { createStoreClient } = await import('./embedded/store-client.ts');
      return createStoreClient(deps, settings);
    }
    const { openEmbeddedDriver } = await import('./embedded/embedded-driver.ts');
    const driver = await openEmbeddedDriver(deps, settings);
    if (settings.access !== 'serve') return driver;
    const { createStoreServer } = await import('./embedded/store-server.ts');
    const { clock, logger } = deps;
    const server = await createStoreServer({ driver, clock, logger }).catch(
      async (error: unknown) => {
        // Nobody could ever close it, and its lock would stay.
        await driver.close();
        throw error;
      },
    );
    const { name, capabilities, log, cursors, waiting, admin } = driver;
    const close = async (): Promise<void> => {
      await server.close();
      await driver.close();
    };
    return { name, capabilities, log, cursors, waiting, admin, close };
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

/** For composition roots, which parse the settings of what they start. */
export { EMBEDDED_SETTINGS } from './embedded/embedded-settings.ts';
