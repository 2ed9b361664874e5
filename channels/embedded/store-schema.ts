/**
 * The database file of the embedded store: tables, indices, pragmas. Used by the worker only.
 * Invariants: `free_ms` of a waiting pair is when it can be leased (the later of its due time and the
 * end of its lease), and `is_behind` is 1 for exactly those pairs of a lane (stage subscriber) that
 * are not the lane's lowest offset; so one index answers "what can go now". A body lies once per
 * source position and goes with the last pair of that position.
 */
import { DatabaseSync } from 'node:sqlite';

/** In `user_version`; another number than 0 (new) or this is refused, never repaired. */
export const STORE_FORMAT = 1;
/** In `application_id`, so that a stranger's database is not taken for ours. */
export const STORE_APPLICATION_ID = 0x4d_49_4c_4c;

const PAGE_BYTES = 4096;
/** 1 MiB: the reserve for a full disk has to be larger (see `ballast.ts`). */
const WAL_PAGES = 256;

const SCHEMA = `
  CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

  CREATE TABLE waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    target INTEGER NOT NULL,
    target_key INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    lane TEXT,
    is_behind INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    free_ms INTEGER NOT NULL,
    holder INTEGER,
    lease_until_ms INTEGER NOT NULL,
    first_failure_ms INTEGER NOT NULL,
    last_failure_ms INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    failure BLOB,
    reply BLOB
  ) STRICT;
  CREATE UNIQUE INDEX waiting_key ON waiting (topic, partition, offset, target);
  CREATE INDEX waiting_free ON waiting (target, free_ms, topic, partition, offset, holder)
    WHERE is_behind = 0 AND stage < 3;
  CREATE INDEX waiting_lane ON waiting (target, topic, partition, lane, offset)
    WHERE lane IS NOT NULL AND stage = 0;

  CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    record BLOB NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX bodies_position ON bodies (topic, partition, offset);
  CREATE INDEX bodies_event ON bodies (event_id);

  CREATE TABLE cursors (
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    role TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    pins INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (topic, name, partition)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE epochs (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    role TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (topic, partition, role)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE holders (name TEXT PRIMARY KEY, is_clean INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  PRAGMA application_id = ${STORE_APPLICATION_ID};
  PRAGMA user_version = ${STORE_FORMAT};
`;

export interface OpenDatabaseOptions {
  readonly path: string;
  /** Upper bound of the file, or 0 for none. */
  readonly databaseBytesMax: number;
}

/** What {@link openDatabase} found: the open database, or why it cannot be used. */
export type OpenedDatabase =
  | { readonly kind: 'open'; readonly database: DatabaseSync }
  | { readonly kind: 'locked' }
  | { readonly kind: 'formatUnknown'; readonly found: number }
  | { readonly kind: 'notOurs' }
  | { readonly kind: 'notDurable'; readonly reason: string };

/** Opens or creates the file and takes the lock that makes this process its one owner. */
export function openDatabase(options: OpenDatabaseOptions): OpenedDatabase {
  const database = new DatabaseSync(options.path, { timeout: 0 });
  const outcome = tryOpen(database, options);
  if (outcome.kind !== 'open') database.close();
  return outcome;
}

function tryOpen(database: DatabaseSync, options: OpenDatabaseOptions): OpenedDatabase {
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    // Before anything is written: a file that is refused stays as it is.
    const refusal = checkFormat(database);
    if (refusal !== null) return refusal;
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL; PRAGMA cache_size = -4096');
    database.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`);
    // A write takes the lock for good; a read alone would not. Two may have come this far.
    database.exec('BEGIN IMMEDIATE');
    if (numberPragma(database, 'user_version') === 0) database.exec(SCHEMA);
    database.exec('COMMIT');
  } catch (error) {
    if (primaryCodeOf(error) === SQLITE_BUSY) return { kind: 'locked' };
    if (primaryCodeOf(error) === SQLITE_NOTADB) return { kind: 'notOurs' };
    throw error;
  }
  if (options.databaseBytesMax > 0) {
    database.exec(`PRAGMA max_page_count = ${Math.floor(options.databaseBytesMax / PAGE_BYTES)}`);
  }
  const reason = durabilityProblem(database);
  return reason === null ? { kind: 'open', database } : { kind: 'notDurable', reason };
}

/** Why the file is not to be touched, or `null` when it is new or ours. */
function checkFormat(database: DatabaseSync): OpenedDatabase | null {
  const format = numberPragma(database, 'user_version');
  const application = numberPragma(database, 'application_id');
  if (format === 0 && application === 0) {
    const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
    return tables?.['count'] === 0 ? null : { kind: 'notOurs' };
  }
  if (application !== STORE_APPLICATION_ID) return { kind: 'notOurs' };
  return format === STORE_FORMAT ? null : { kind: 'formatUnknown', found: format };
}

/** Reads the pragmas back: why the database is not durable to D2, or `null` when it is. */
export function durabilityProblem(database: DatabaseSync): string | null {
  const mode = textPragma(database, 'journal_mode');
  if (mode !== 'wal') return `journal_mode is ${mode}, wanted wal`;
  const level = numberPragma(database, 'synchronous');
  if (level < 2) return `synchronous is ${level}, wanted 2 (FULL)`;
  const locking = textPragma(database, 'locking_mode');
  return locking === 'exclusive' ? null : `locking_mode is ${locking}, wanted exclusive`;
}

export function numberPragma(database: DatabaseSync, name: string): number {
  return Number(pragma(database, name));
}

function textPragma(database: DatabaseSync, name: string): string {
  return String(pragma(database, name));
}

function pragma(database: DatabaseSync, name: string): unknown {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return row === undefined ? null : Object.values(row)[0];
}

export const SQLITE_BUSY = 5;
export const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code of an error thrown by node:sqlite, or `null` for other errors. */
export function primaryCodeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}
