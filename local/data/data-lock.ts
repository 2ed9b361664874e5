/**
 * One Millrace per data directory: an exclusive SQLite transaction on `owner.lock`, which the operating
 * system ends with the process, however it ends. `owner.json` beside it says who holds it, for people;
 * it decides nothing.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { isFields } from '#api/meta/v1/field-reader';
import { messageOf } from '#lib/errors/mesh-error';
import type { Clock } from '#lib/time/clock';
import { sleep } from '#lib/time/clock';
import { localError } from '../local-errors.ts';
import type { DataDirectory } from './data-directory.ts';

/** Who holds the directory; `startedMs` is wall clock. */
export interface DataOwner {
  readonly pid: number;
  readonly startedMs: number;
  readonly eventsUrl: string | null;
  readonly adminUrl: string | null;
}

export interface DataLock {
  /** Says who holds it. */
  describe(owner: DataOwner): Promise<void>;
  /** Idempotent. */
  release(): Promise<void>;
}

/** How long a start waits for the former owner to end. */
export const LOCK_WAIT_MS = 5_000;
const RETRY_MS = 50;

/** @throws MeshError `LOCAL_DATA_HELD` after {@link LOCK_WAIT_MS}, with the holder's name. */
export async function takeDataLock(
  directory: DataDirectory,
  clock: Clock,
  waitMs: number = LOCK_WAIT_MS,
): Promise<DataLock> {
  const startMs = clock.monotonicMs();
  for (;;) {
    const database = tryLock(directory.lockFile);
    if (database !== null) return createLock(directory, database);
    if (clock.monotonicMs() - startMs >= waitMs) throw await heldError(directory, waitMs);
    await sleep(clock, RETRY_MS);
  }
}

const SQLITE_BUSY = 5;

/** `null` when someone else holds it. */
function tryLock(file: string): DatabaseSync | null {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return null;
    const message = `Cannot lock "${file}": ${messageOf(error)} (--data-dir)`;
    throw localError('LOCAL_DATA_UNUSABLE', message, { cause: error });
  }
}

function createLock(directory: DataDirectory, database: DatabaseSync): DataLock {
  let isHeld = true;
  return {
    describe: (owner) =>
      writeFile(directory.ownerFile, `${JSON.stringify(owner)}\n`, { mode: 0o600 }),
    async release() {
      if (!isHeld) return;
      isHeld = false;
      await rm(directory.ownerFile, { force: true });
      database.close();
    },
  };
}

async function heldError(directory: DataDirectory, waitMs: number): Promise<Error> {
  const owner = await readOwner(directory);
  const holder =
    owner === null
      ? 'another process holds it'
      : `process ${owner.pid} holds it since ${new Date(owner.startedMs).toISOString()}` +
        (owner.eventsUrl === null ? '' : `, it takes events at ${owner.eventsUrl}`);
  const message = `Cannot start on "${directory.root}": ${holder}, waited ${waitMs / 1000} s (--data-dir)`;
  return localError('LOCAL_DATA_HELD', message, { details: { pid: owner?.pid ?? null } });
}

/** What the holder said of itself; `null` when it said nothing that can be read. */
export async function readOwner(directory: DataDirectory): Promise<DataOwner | null> {
  try {
    const owner: unknown = JSON.parse(await readFile(directory.ownerFile, 'utf8'));
    if (!isFields(owner)) return null;
    const { pid, startedMs, eventsUrl, adminUrl } = owner;
    if (typeof pid !== 'number' || typeof startedMs !== 'number') return null;
    return {
      pid,
      startedMs,
      eventsUrl: typeof eventsUrl === 'string' ? eventsUrl : null,
      adminUrl: typeof adminUrl === 'string' ? adminUrl : null,
    };
  } catch {
    return null; // Missing or half written: it is for people only.
  }
}
