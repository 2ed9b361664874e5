/**
 * The text of manifest files and directories: what `-f` names, bounded and decoded, cut into
 * documents. Used by `manifest-reader.ts`. Directories are read as kubectl reads them: not recursively,
 * `.yaml`, `.yml` and `.json` only, in order of name; hidden files (editors' drafts) are left out.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '#lib/errors/mesh-error';

/** One file of manifests may hold 10,000 Triggers and then some. */
export const FILE_BYTES_MAX = 32 * 1024 * 1024;
export const FILES_PER_DIRECTORY_MAX = 10_000;
/** As the API server: an object has at most 1.5 MiB. */
export const DOCUMENT_BYTES_MAX = 1_572_864;
export const DOCUMENTS_PER_FILE_MAX = 20_000;

export interface ManifestFile {
  /** As it is shown: what `-f` said, with the name below a directory. */
  readonly name: string;
  /** Absolute, links resolved: the identity of the file. */
  readonly path: string;
}

/** A file, or why it cannot be used. */
export type FileText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string };

export interface DocumentText {
  readonly text: string;
  /** Counted from 1. */
  readonly firstLine: number;
}

export type FileList =
  | { readonly ok: true; readonly files: readonly ManifestFile[] }
  | { readonly ok: false; readonly reason: string };

/** The files that one `-f` names. */
export async function listManifestFiles(given: string): Promise<FileList> {
  try {
    const isDirectory = (await stat(given)).isDirectory();
    if (!isDirectory) {
      return { ok: true, files: [{ name: given, path: await realpath(given) }] };
    }
    const names = (await readdir(given)).filter(isManifestName).toSorted();
    if (names.length > FILES_PER_DIRECTORY_MAX) {
      const reason = `${names.length} manifests in one directory, at most ${FILES_PER_DIRECTORY_MAX}`;
      return { ok: false, reason };
    }
    const folder = path.resolve(given);
    const files = names.map((name) => ({
      name: path.join(given, name),
      path: path.join(folder, name),
    }));
    return { ok: true, files };
  } catch (error) {
    return { ok: false, reason: readFault(error) };
  }
}

function isManifestName(name: string): boolean {
  return !name.startsWith('.') && /\.(ya?ml|json)$/i.test(name);
}

export async function readManifestFile(file: ManifestFile): Promise<FileText> {
  try {
    const info = await stat(file.path);
    if (!info.isFile()) return { ok: false, reason: 'is not a file' };
    if (info.size > FILE_BYTES_MAX) {
      return { ok: false, reason: `has ${info.size} bytes, at most ${FILE_BYTES_MAX} are read` };
    }
    return decodeText(await readFile(file.path));
  } catch (error) {
    return { ok: false, reason: readFault(error) };
  }
}

/** UTF-8, with or without its mark; anything else is named, not guessed. */
export function decodeText(bytes: Buffer): FileText {
  const isUtf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (isUtf16) return { ok: false, reason: 'is UTF-16, save it as UTF-8' };
  try {
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    const line = lineOfFirstBadByte(bytes);
    return { ok: false, reason: `is not UTF-8 (line ${line}), save it as UTF-8` };
  }
}

function lineOfFirstBadByte(bytes: Buffer): number {
  const good = bytes.toString('utf8').split('\uFFFD', 1)[0] ?? '';
  return good.split('\n').length;
}

function readFault(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'must not be read by this user';
  return `cannot be read: ${messageOf(error)}`;
}

/**
 * Documents of a file, as kubectl cuts them: at lines that begin with `---`. YAML forbids such a line
 * inside any scalar, so the cut is exact. Empty ones and ones of comments only are left out.
 */
export function splitDocuments(text: string): readonly DocumentText[] {
  const documents: DocumentText[] = [];
  const separator = /^---(?=[ \t\r]|$)/gm;
  let start = 0;
  let firstLine = 1;
  const push = (end: number): void => {
    const part = text.slice(start, end);
    if (/^[ \t]*[^#\s]/m.test(part)) documents.push({ text: part, firstLine });
    firstLine += countLines(part);
  };
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    push(match.index);
    start = match.index + 3;
  }
  push(text.length);
  return documents;
}

function countLines(text: string): number {
  let count = 0;
  for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1)) count++;
  return count;
}
