/**
 * The data directory: where it is by default, and that it is this user's alone. Used by `up` and, to
 * find the control socket, by every command.
 *
 *   state/objects.json   objects and their UIDs      owner.lock    held while Millrace runs
 *   store/               the embedded store          owner.json    who holds it, for people
 *   control.sock         commands talk to it         (all of it 0700 / 0600)
 */
import { chmod, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Environment } from '#lib/config/environment';
import { messageOf } from '#lib/errors/mesh-error';
import { localError } from '../local-errors.ts';

export interface DataDirectory {
  readonly root: string;
  readonly stateDir: string;
  readonly storeDir: string;
  readonly lockFile: string;
  readonly ownerFile: string;
  readonly controlSocket: string;
}

/** Longer socket paths are cut or refused by the kernel (`sun_path`). */
const SOCKET_PATH_BYTES_MAX = 103;

/** `given`, else under `$XDG_STATE_HOME`, else under the home directory. */
export function dataDirectoryAt(
  given: string | null,
  environment: Environment,
  workingDirectory: string,
): DataDirectory {
  const root = path.resolve(workingDirectory, given ?? defaultRoot(environment));
  return {
    root,
    stateDir: path.join(root, 'state'),
    storeDir: path.join(root, 'store'),
    lockFile: path.join(root, 'owner.lock'),
    ownerFile: path.join(root, 'owner.json'),
    controlSocket: path.join(root, 'control.sock'),
  };
}

function defaultRoot(environment: Environment): string {
  const stateHome = environment['XDG_STATE_HOME'] ?? '';
  // The XDG rules: a relative path is not valid and is ignored.
  if (path.isAbsolute(stateHome)) return path.join(stateHome, 'millrace');
  const home = environment['HOME'] ?? '';
  if (path.isAbsolute(home)) return path.join(home, '.local', 'state', 'millrace');
  throw localError(
    'LOCAL_DATA_UNUSABLE',
    'Cannot choose a data directory: neither XDG_STATE_HOME nor HOME is set (--data-dir)',
  );
}

/**
 * Makes the directory where it is missing, 0700.
 * @throws MeshError `LOCAL_DATA_OPEN_TO_OTHERS`, `LOCAL_DATA_UNUSABLE`.
 */
export async function prepareDataDirectory(directory: DataDirectory): Promise<void> {
  const { root } = directory;
  if (Buffer.byteLength(directory.controlSocket) > SOCKET_PATH_BYTES_MAX) {
    throw localError(
      'LOCAL_DATA_UNUSABLE',
      `Cannot use "${root}": the path of its control socket is longer than ${SOCKET_PATH_BYTES_MAX} bytes (--data-dir)`,
    );
  }
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await checkRights(root);
    for (const folder of [directory.stateDir, directory.storeDir]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'MeshError') throw error;
    const message = `Cannot use the data directory "${root}": ${messageOf(error)} (--data-dir)`;
    throw localError('LOCAL_DATA_UNUSABLE', message, { cause: error });
  }
}

async function checkRights(root: string): Promise<void> {
  const info = await stat(root);
  if (!info.isDirectory()) {
    throw localError(
      'LOCAL_DATA_UNUSABLE',
      `Cannot use "${root}": it is not a directory (--data-dir)`,
    );
  }
  const userId = process.getuid?.();
  if (userId !== undefined && info.uid !== userId) {
    const message = `Cannot use "${root}": it belongs to user ${info.uid}, this process is user ${userId} (--data-dir)`;
    throw localError('LOCAL_DATA_OPEN_TO_OTHERS', message);
  }
  const openRights = info.mode & 0o077;
  if (openRights === 0) return;
  const mode = (info.mode & 0o777).toString(8);
  const message = `Cannot use "${root}": its mode is ${mode}, so others can enter it; chmod 700 "${root}"`;
  throw localError('LOCAL_DATA_OPEN_TO_OTHERS', message);
}
