/**
 * Topics as folders: `<root>/<encoded topic>/<partition>/`, with `topic.json` beside the partitions.
 * Used by the log at start and by its administration, and by read-only processes. Invariant: a topic
 * exists when its `topic.json` does, which is written last and replaced whole.
 */
import { createHash } from 'node:crypto';
import { diskErrorCode, isMissingError } from '#lib/disk/disk';
import type { Disk } from '#lib/disk/disk';
import { writeWhole } from '#lib/disk/whole-write';
import { embeddedLogError } from './embedded-log-errors.ts';

const META_NAME = 'topic.json';
const META_FORMAT = 1;
/** Folders of topics that are being removed. */
export const REMOVED_PREFIX = '.removed-';
const NAME_LENGTH_MAX = 200;
const META_BYTES_MAX = 64 * 1024;

export interface TopicMeta {
  readonly topic: string;
  readonly partitions: number;
}

/** A name that every file system keeps apart: lower case, digits and `._-` stand for themselves. */
export function topicDirectoryName(topic: string): string {
  let name = '';
  for (const byte of Buffer.from(topic, 'utf8')) {
    const character = String.fromCharCode(byte);
    const isPlain = /[a-z0-9_-]/.test(character) || (character === '.' && name !== '');
    name += isPlain ? character : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }
  if (name.length <= NAME_LENGTH_MAX) return name;
  const hash = createHash('sha256').update(topic).digest('hex').slice(0, 32);
  return `${name.slice(0, NAME_LENGTH_MAX - hash.length - 1)}~${hash}`;
}

export function partitionDirectory(topicDirectory: string, partition: number): string {
  return `${topicDirectory}/${partition}`;
}

export type MetaReading =
  | { readonly kind: 'meta'; readonly meta: TopicMeta }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' };

/** @throws EMBEDDED_FORMAT_UNKNOWN */
export async function readTopicMeta(disk: Disk, directory: string): Promise<MetaReading> {
  const path = `${directory}/${META_NAME}`;
  let text: string;
  try {
    const file = await disk.open(path, 'read');
    try {
      const bytes = Buffer.alloc(Math.min(await file.sizeBytes(), META_BYTES_MAX));
      const count = await file.read(bytes, 0, bytes.length, 0);
      text = bytes.toString('utf8', 0, count);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissingError(error) || diskErrorCode(error) === 'ENOTDIR') return { kind: 'missing' };
    throw error;
  }
  const parsed = parseJson(text);
  if (typeof parsed !== 'object' || parsed === null || !('format' in parsed)) {
    return { kind: 'damaged' };
  }
  if (parsed.format !== META_FORMAT) {
    const shown = JSON.stringify(parsed.format);
    throw embeddedLogError(
      'EMBEDDED_FORMAT_UNKNOWN',
      `Cannot open "${path}": its format is version ${shown}, known is ${META_FORMAT}`,
    );
  }
  const { topic, partitions } = { topic: null, partitions: null, ...parsed };
  if (typeof topic !== 'string' || typeof partitions !== 'number') return { kind: 'damaged' };
  if (!Number.isSafeInteger(partitions) || partitions < 1) return { kind: 'damaged' };
  return { kind: 'meta', meta: { topic, partitions } };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller reports the file as damaged.
    return null;
  }
}

/** Creates what is missing of the folders, then replaces `topic.json`; durable when it resolves. */
export async function writeTopic(
  disk: Disk,
  root: string,
  directory: string,
  meta: TopicMeta,
): Promise<void> {
  await disk.makeDirectory(directory);
  for (let partition = 0; partition < meta.partitions; partition++) {
    await disk.makeDirectory(partitionDirectory(directory, partition));
  }
  const temporary = `${directory}/${META_NAME}.new`;
  try {
    await disk.removeFile(temporary);
  } catch (error) {
    if (!isMissingError(error)) throw error;
  }
  const text = JSON.stringify({ format: META_FORMAT, ...meta });
  const bytes = Buffer.from(`${text}\n`, 'utf8');
  const file = await disk.open(temporary, 'create');
  try {
    await writeWhole(file, bytes, bytes.length, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${directory}/${META_NAME}`);
  await disk.syncDirectory(directory);
  await disk.syncDirectory(root);
}

/** Removes a folder of the log with everything in it, two levels deep as topics are. */
export async function removeTopicDirectory(disk: Disk, directory: string): Promise<void> {
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (!/^\d+$/.test(name)) {
      await disk.removeFile(path);
      continue;
    }
    for (const file of await disk.list(path)) await disk.removeFile(`${path}/${file}`);
    await disk.removeDirectory(path);
  }
  await disk.removeDirectory(directory);
}
