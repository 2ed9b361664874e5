/** A folder of one test's own, gone when the test's scope ends (`await using`). */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** @param parent another disk than the system's temporary folder, where the disk is the subject. */
export async function createTempDir(prefix: string, parent = os.tmpdir()): Promise<TempDir> {
  const folder = await mkdtemp(path.join(parent, `millrace-${prefix}-`));
  return {
    path: folder,
    async [Symbol.asyncDispose]() {
      // Retries: a process that was just killed may still be inside.
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}
