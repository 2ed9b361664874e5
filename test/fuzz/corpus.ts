/**
 * The inputs in the repository: a small file each, in `corpus/<target>/`. What a run finds is written
 * beside them as `found-….bin`, and from then on every `npm test` replays it.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const CORPUS = path.join(import.meta.dirname, 'corpus');

export interface CorpusInput {
  readonly name: string;
  readonly bytes: Buffer;
}

/** In the order of their names. */
export function readCorpus(target: string, root = CORPUS): readonly CorpusInput[] {
  const folder = path.join(root, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(path.join(folder, name)) }));
}

/** @returns where it was written; the same bytes have the same name. */
export function writeFound(target: string, bytes: Buffer, root = CORPUS): string {
  const folder = path.join(root, target);
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const file = path.join(folder, `found-${digest}.bin`);
  writeFileSync(file, bytes);
  return file;
}
