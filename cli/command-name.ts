/** How a person calls the command from where they are, for lines that say what to type next. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { CliHost } from './cli-host.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../bin/millrace');

/** `millrace` when it is on PATH, else the shortest way to the one of this checkout. */
export async function commandName(
  host: Pick<CliHost, 'environment' | 'workingDirectory'>,
): Promise<string> {
  const folders = (host.environment['PATH'] ?? '').split(path.delimiter).filter(path.isAbsolute);
  for (const folder of folders) {
    const isThere = await access(path.join(folder, 'millrace')).then(
      () => true,
      () => false,
    );
    // npm puts node_modules/.bin on the PATH of its scripts; a person's shell has no such folder.
    if (isThere && !folder.includes('node_modules')) return 'millrace';
  }
  const relative = path.relative(host.workingDirectory, PROGRAM);
  return relative.startsWith('..') ? PROGRAM : `./${relative}`;
}
