/** How the contract suite opens each driver of the registry. A new driver adds one line here. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { EMBEDDED_CAPABILITIES } from '#channels/embedded/embedded-capabilities';
import { createEmbeddedDriver } from '#channels/embedded/embedded-driver';
import type { EmbeddedDriver } from '#channels/embedded/embedded-driver';
import { embeddedSettings } from '#channels/embedded/embedded-settings';
import { createStoreClient } from '#channels/embedded/store-client';
import { createStoreServer } from '#channels/embedded/store-server';
import { createMemoryDriver } from '#channels/memory/memory-driver';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import { createRealDisk } from '#lib/disk/real-disk';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import type { DriverHarness, OpenOptions } from './contract-case.ts';
import { MIB } from './samples.ts';
import { createStepClock } from './step-clock.ts';
import type { StepClock } from './step-clock.ts';

const memory: DriverHarness = {
  name: 'memory',
  capabilities: createMemoryDriver({ clock: createStepClock() }).capabilities,
  async open(options) {
    const clock = createStepClock();
    const driver = createMemoryDriver({ clock }, options);
    const cannot = (): Promise<never> => Promise.reject(new Error('memory cannot be reopened'));
    return { driver, clock, crash: cannot, reopen: cannot, dispose: () => driver.close() };
  },
};

const embedded = directoryHarness('embedded', openEmbedded);

const overSocket = directoryHarness('embedded over its socket', openOverSocket);

export const HARNESSES: readonly DriverHarness[] = [memory, embedded, overSocket];

/** Opens an embedded driver on a folder; what a crash leaves is the folder as it lies there at that moment. */
function directoryHarness(
  name: string,
  openAt: (dataDir: string, clock: StepClock, options: OpenOptions) => Promise<ChannelDriver>,
): DriverHarness {
  return {
    name,
    capabilities: EMBEDDED_CAPABILITIES,
    async open(options) {
      const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-contract-'));
      const clock = createStepClock();
      const opened: ChannelDriver[] = [];
      let lives = 1;
      const openLife = async (): Promise<ChannelDriver> => {
        const driver = await openAt(path.join(root, `${lives}`), clock, options);
        opened.push(driver);
        return driver;
      };
      const driver = await openLife();
      return {
        driver,
        clock,
        async crash() {
          await cp(path.join(root, `${lives}`), path.join(root, `${lives + 1}`), {
            recursive: true,
            filter: (file) => !file.endsWith('.sock'),
          });
          lives++;
          return openLife();
        },
        async reopen() {
          await opened.at(-1)?.close();
          return openLife();
        },
        async dispose() {
          for (const each of opened) await each.close();
          await rm(root, { recursive: true, force: true });
        },
      };
    },
  };
}

function openEmbedded(
  dataDir: string,
  clock: StepClock,
  options: OpenOptions,
): Promise<EmbeddedDriver> {
  const onFatal = (error: Error): void => {
    throw error;
  };
  return createEmbeddedDriver(
    { clock, random: createSystemRandom(), disk: createRealDisk(), logger: silentLogger, onFatal },
    {
      dataDir,
      settings: embeddedSettings({
        capacityBytes: options.capacityBytes ?? 512 * MIB,
        segmentBytes: MIB,
      }),
    },
  );
}

/** Owner, server and client in one process; closing the client closes them all. */
async function openOverSocket(
  dataDir: string,
  clock: StepClock,
  options: OpenOptions,
): Promise<ChannelDriver> {
  const owner = await openEmbedded(dataDir, clock, options);
  const server = await createStoreServer({ driver: owner, clock, logger: silentLogger });
  const client = await createStoreClient(
    { clock, random: createSystemRandom(), logger: silentLogger },
    { dataDir },
  );
  return {
    ...client,
    async close() {
      await client.close();
      await server.close();
      await owner.close();
    },
  };
}
