/**
 * A process that owns an embedded store and serves it, for `store-owner-crash.test.ts`. Says `ready`
 * when it can be connected to; ends when the pipe of its parent closes.
 */
import { openEmbeddedDriver } from '#channels/embedded/embedded-driver';
import { createStoreServer } from '#channels/embedded/store-server';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { createSystemClock } from '#lib/time/system-clock';

const dataDir = process.argv[2];
if (dataDir === undefined) throw new Error('usage: store-owner-process.ts DATA_DIR');
const clock = createSystemClock();
const deps = {
  clock,
  random: createSystemRandom(),
  logger: silentLogger,
  onFatal: (): never => process.exit(70),
};
const driver = await openEmbeddedDriver(deps, { dataDir });
await createStoreServer({ driver, clock, logger: silentLogger });
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
