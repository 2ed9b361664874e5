/**
 * The embedded driver: the segment log and the SQLite database beside it as one channel driver, with
 * the reserve for a full disk and the janitor of both. Opened by the one process that owns the data
 * directory; other processes reach it over `store-server.ts`. Invariant: the database's exclusive
 * lock is taken before anything else is read or written, and released after everything else.
 */
import path from 'node:path';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { Disk } from '#lib/disk/disk';
import { createRealDisk } from '#lib/disk/real-disk';
import { messageOf } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { Ballast } from './ballast.ts';
import { CursorMirror } from './cursor-mirror.ts';
import { createCursorStore } from './cursor-store.ts';
import { EMBEDDED_CAPABILITIES } from './embedded-capabilities.ts';
import { EmbeddedAdmin } from './embedded-admin.ts';
import { EmbeddedJanitor } from './embedded-janitor.ts';
import { openEmbeddedLog } from './embedded-log.ts';
import type { EmbeddedLog } from './embedded-log.ts';
import { embeddedSettings } from './embedded-settings.ts';
import type { EmbeddedSettings } from './embedded-settings.ts';
import { readOwner, removeOwner, writeOwner } from './store-owner.ts';
import { openStoreThread } from './store-thread.ts';
import type { StoreThread } from './store-thread.ts';
import type { StoreTransport } from './store-request.ts';
import { createWaitingStore } from './waiting-store.ts';

export interface EmbeddedDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
  /** A write or a sync failed for good: the process has to end; the next start recovers. Called once. */
  readonly onFatal: (error: Error) => void;
}

export interface EmbeddedDriverOptions {
  /** Made when it does not exist. */
  readonly dataDir: string;
  readonly settings: EmbeddedSettings;
}

/** The driver with what the store's server needs beside the port. */
export interface EmbeddedDriver extends ChannelDriver {
  readonly log: EmbeddedLog;
  readonly dataDir: string;
  readonly logDirectory: string;
  /** The database, for requests that are already encoded. */
  readonly store: StoreTransport;
}

/**
 * Opens, recovers and owns the data directory.
 * @throws STORE_LOCKED, STORE_FORMAT_UNKNOWN, STORE_UNUSABLE, EMBEDDED_FORMAT_UNKNOWN.
 */
export async function createEmbeddedDriver(
  deps: EmbeddedDriverDeps,
  options: EmbeddedDriverOptions,
): Promise<EmbeddedDriver> {
  const { disk, clock } = deps;
  const { dataDir, settings } = options;
  await disk.makeDirectory(dataDir);
  const onFatal = once(deps.onFatal);
  const ballast = new Ballast({ disk, directory: dataDir });
  const ownerFile = { disk, directory: dataDir };
  const thread = await openStoreThread(
    { clock, ballast, onFatal },
    {
      path: path.join(dataDir, 'store.db'),
      databaseBytesMax: settings.databaseBytesMax,
      dueAheadMsMax: settings.dueAheadMsMax,
      waitMs: settings.lockWaitMs,
      describeOwner: () => readOwner(ownerFile),
    },
  );
  try {
    await writeOwner(ownerFile, clock.wallMs());
    await ballast.open();
    return await openRest({ ...deps, onFatal }, options, { thread, ballast });
  } catch (error) {
    await thread.close();
    throw error;
  }
}

/** For the registry: on the real disk, with the settings that differ from the defaults. */
export async function openEmbeddedDriver(
  deps: Omit<EmbeddedDriverDeps, 'disk'>,
  options: { readonly dataDir: string; readonly embedded?: Partial<EmbeddedSettings> },
): Promise<EmbeddedDriver> {
  const settings = embeddedSettings(options.embedded);
  return createEmbeddedDriver(
    { ...deps, disk: createRealDisk() },
    { dataDir: options.dataDir, settings },
  );
}

interface OpenParts {
  readonly thread: StoreThread;
  readonly ballast: Ballast;
}

async function openRest(
  deps: EmbeddedDriverDeps,
  { dataDir, settings }: EmbeddedDriverOptions,
  { thread, ballast }: OpenParts,
): Promise<EmbeddedDriver> {
  const { clock, disk, random, logger, onFatal } = deps;
  const mirror = new CursorMirror(thread);
  await mirror.load();
  const admin = new EmbeddedAdmin({ clock, mirror });
  const logDirectory = path.join(dataDir, 'log');
  const log = await openEmbeddedLog(
    { disk, clock, random, logger: logger.child('log') },
    {
      directory: logDirectory,
      settings,
      lowestPin: (topic, partition) => mirror.lowestPin(topic, partition),
      largestBacklog: () => admin.recentBacklog(),
      otherBytes: () => thread.databaseBytes,
      isReserveInUse: () => !ballast.isWhole,
      onFatal,
      onDamage: (file, reason) => logger.error('A part of the store is damaged', { file, reason }),
    },
  );
  admin.attach(log);
  const janitor = new EmbeddedJanitor({ log, admin, ballast, clock, logger });
  const close = async (): Promise<void> => {
    await janitor.close();
    await log.close();
    await removeOwner({ disk, directory: dataDir }).catch((error: unknown) => {
      logger.warn('The owner file could not be removed', { error: messageOf(error) });
    });
    await thread.close();
  };
  let closing: Promise<void> | null = null;
  return {
    name: 'embedded',
    capabilities: EMBEDDED_CAPABILITIES,
    log,
    cursors: createCursorStore(mirror),
    waiting: createWaitingStore({ transport: mirror, clock }),
    admin,
    dataDir,
    logDirectory,
    store: mirror,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function once(run: (error: Error) => void): (error: Error) => void {
  let isDone = false;
  return (error) => {
    if (isDone) return;
    isDone = true;
    run(error);
  };
}
