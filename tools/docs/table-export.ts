/**
 * Finds the tables that documents are generated from: every exported constant whose name ends in
 * `_ERRORS` or `_SETTINGS`. Read as text first, so that only modules with a table are loaded; such a
 * module must load without side effects.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Folders with sources of the program; tests and tools have no documented tables. */
const SOURCE_GLOB = '{lib,api,kube,channels,services,controllers,apiserver,local,cli}/**/*.ts';

export interface TableExport {
  /** Path of the module from the root. */
  readonly file: string;
  /** The name of the constant. */
  readonly name: string;
  readonly value: unknown;
}

/** Names of the constants in `text` that are exported and end in `suffix`. */
export function exportedNames(text: string, suffix: string): readonly string[] {
  const pattern = new RegExp(`^export const ([A-Z][A-Z0-9_]*${suffix})\\b`, 'gm');
  return [...text.matchAll(pattern)].map(([, name]) => name ?? '');
}

/** Loads the tables with that suffix, ordered by file and name. */
export async function loadTables(root: string, suffix: string): Promise<readonly TableExport[]> {
  const files = globSync(SOURCE_GLOB, { cwd: root }).map((file) => file.split(path.sep).join('/'));
  const tables: TableExport[] = [];
  for (const file of files.sort()) {
    if (file.endsWith('.test.ts')) continue;
    const names = exportedNames(readFileSync(path.join(root, file), 'utf8'), suffix);
    if (names.length === 0) continue;
    const module = (await import(pathToFileURL(path.join(root, file)).href)) as Readonly<
      Record<string, unknown>
    >;
    for (const name of names) tables.push({ file, name, value: module[name] });
  }
  return tables;
}
