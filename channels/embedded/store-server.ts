/**
 * Serves the embedded store to the other processes of this machine over a local socket: appends,
 * waiting pairs, cursors and administration. They read the log's files by themselves, up to the ends
 * announced here. Runs in the process that owns the data directory; the socket is for its user only.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import type { EmbeddedDriver } from './embedded-driver.ts';
import { StoreSession } from './store-session.ts';
import { storeSocketPath } from './store-socket.ts';

export interface StoreServerDeps {
  /** Stays the caller's: it is closed after the server. */
  readonly driver: EmbeddedDriver;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface StoreServer {
  readonly socketPath: string;
  /** Answers what is under way, hangs up, removes the socket; idempotent, never throws. */
  close(): Promise<void>;
}

/** Filter, dispatcher, controllers, a few command lines. */
const CLIENTS_MAX = 64;
const OWNER_ONLY = 0o600;

/** Listens when it resolves. @throws STORE_SOCKET_PATH_TOO_LONG, or the system's error of listening. */
export async function createStoreServer(deps: StoreServerDeps): Promise<StoreServer> {
  const { driver, clock, logger } = deps;
  const socketPath = storeSocketPath(driver.dataDir);
  const sessions = new Set<StoreSession>();
  const server = createServer((socket) => {
    sessions.add(
      new StoreSession(socket, {
        driver,
        clock,
        logger,
        onTopicRemoved(topic) {
          for (const session of sessions) session.announceRemoval(topic);
        },
        onClose: (session) => sessions.delete(session),
      }),
    );
  });
  server.maxConnections = CLIENTS_MAX;
  // Left behind by a crash; the data directory is ours, so nobody else listens there.
  await rm(socketPath, { force: true });
  await listenPrivately(server, socketPath);
  const stopAnnouncing = driver.log.onDurable((ends) => {
    for (const session of sessions) session.announce(ends);
  });
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    stopAnnouncing();
    const closed = new Promise((resolve) => server.close(resolve));
    await Promise.all([...sessions].map((session) => session.close()));
    await closed;
  };
  return {
    socketPath,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** The mode is set before the socket can be connected to, and looked after once more. */
async function listenPrivately(server: Server, socketPath: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, () => {
        server.off('error', reject);
        resolve();
      });
      // Binding has happened by now; what else is created meanwhile keeps its usual mode.
      process.umask(before);
    });
  } finally {
    process.umask(before);
  }
  await chmod(socketPath, OWNER_ONLY);
}
