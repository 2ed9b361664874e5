/** Faults of the embedded store as a whole; the log's own are in `embedded-log-errors.ts`. */
import { CHANNEL_ERRORS, channelError } from '#lib/channel/channel-errors';
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable, MeshError } from '#lib/errors/mesh-error';

export const STORE_ERRORS = {
  STORE_LOCKED: {
    meaning: 'Another process has the data directory open',
    next: 'Stop the process named in the message, or give this one another data directory',
    retry: 'never',
  },
  STORE_FORMAT_UNKNOWN: {
    meaning: 'The database in the data directory was not written by this or an older version',
    next: 'Start the version that wrote it, or give this one another data directory; nothing was changed',
    retry: 'never',
  },
  STORE_UNUSABLE: {
    meaning: 'The database of the embedded store cannot be opened, or not durably',
    next: 'Look at the reason in the message: the disk, its permissions, or its file system',
    retry: 'never',
  },
  STORE_REQUEST_INVALID: {
    meaning: 'The embedded database got a request that makes no sense to it',
    next: 'Report it; if processes of different versions share the store, restart them all',
    retry: 'never',
  },
  STORE_SOCKET_PATH_TOO_LONG: {
    meaning: 'The path of the local socket is longer than the system allows',
    next: 'Use a data directory with a shorter path',
    retry: 'never',
  },
  STORE_PROTOCOL_MISMATCH: {
    meaning: 'The owner of the store speaks another version of the local protocol',
    next: 'Restart all processes of this data directory with the same version of Millrace',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export const storeError = defineErrors(STORE_ERRORS);

/** A fault by its code, as it came from the worker or over the socket. */
export function errorOfCode(code: string, message: string): MeshError {
  if (isCodeOf(CHANNEL_ERRORS, code)) return channelError(code, message);
  if (isCodeOf(STORE_ERRORS, code)) return storeError(code, message);
  return storeError('STORE_REQUEST_INVALID', `${message} (${code})`);
}

function isCodeOf<Table extends ErrorTable>(
  table: Table,
  code: string,
): code is keyof Table & string {
  return Object.hasOwn(table, code);
}
