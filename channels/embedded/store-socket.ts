/** Where the local socket of a store is. Used by its server and its clients. */
import path from 'node:path';
import { storeError } from './embedded-errors.ts';

/** `sun_path` less its final zero; Linux has 108 bytes, macOS and the BSDs 104. */
const SOCKET_PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

/** @throws STORE_SOCKET_PATH_TOO_LONG: the system would cut the path off, and two stores would meet. */
export function storeSocketPath(dataDir: string): string {
  const socketPath = path.join(path.resolve(dataDir), 'store.sock');
  const bytes = Buffer.byteLength(socketPath);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return socketPath;
  throw storeError(
    'STORE_SOCKET_PATH_TOO_LONG',
    `Cannot use the socket "${socketPath}": ${bytes} bytes, limit is ${SOCKET_PATH_BYTES_MAX} (dataDir)`,
  );
}
