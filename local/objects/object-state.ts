/**
 * `<data>/state/objects.json`: the objects in force and their UIDs, so that delivery goes on at a start
 * before the files are read again. Written whole, atomically (new file, sync, rename, sync).
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import { isFields } from '#api/meta/v1/field-reader';
import { localError } from '../local-errors.ts';
import type { UrlCheck } from '../manifests/object-kinds.ts';
import { parseObject, titleOf } from '../manifests/object-kinds.ts';
import type { ObjectSet, StoredObject } from './stored-object.ts';

const FORMAT = 1;

export class ObjectStateFile {
  readonly #path: string;
  readonly #log: Logger;

  constructor(folder: string, log: Logger) {
    this.#path = path.join(folder, 'objects.json');
    this.#log = log;
  }

  /**
   * What the last run left; `null` when there was none. A damaged file is put aside: names then find
   * their cursors again by name.
   * @throws MeshError `LOCAL_STATE_UNKNOWN` for a format of the future.
   */
  async load(rules: UrlCheck): Promise<ObjectSet | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw localError('LOCAL_DATA_UNUSABLE', `Cannot read ${this.#path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const state = parseState(text);
    if (state === null) {
      const aside = `${this.#path}.damaged`;
      await rename(this.#path, aside);
      this.#log.error('the state of the objects is damaged and was put aside', { file: aside });
      return null;
    }
    if (state.format !== FORMAT) {
      const message = `Cannot use ${this.#path}: it has format ${state.format}, known is ${FORMAT}`;
      throw localError('LOCAL_STATE_UNKNOWN', message);
    }
    return this.#objectsOf(state.entries, rules);
  }

  /** Durable when it resolves. */
  async save(objects: ObjectSet): Promise<void> {
    const entries = Array.from(objects.values(), ({ uid, generation, origin, raw }) => ({
      uid,
      generation,
      origin,
      raw,
    }));
    await writeFileAtomic(this.#path, `${JSON.stringify({ format: FORMAT, objects: entries })}\n`);
  }

  #objectsOf(entries: readonly unknown[], rules: UrlCheck): ObjectSet {
    const objects = new Map<string, StoredObject>();
    for (const entry of entries) {
      const identity = identityOf(entry);
      const result = identity === null ? null : parseObject(identity.raw, rules);
      if (identity === null || result === null || !result.ok) {
        // Valid when it was written, so the rules have changed: the files decide, and say why.
        this.#log.warn('an object of the last run is not in force any more', {
          uid: identity?.uid ?? null,
        });
        continue;
      }
      const title = titleOf(result.value);
      objects.set(title, { ...identity, title, object: result.value });
    }
    return objects;
  }
}

interface State {
  readonly format: number;
  readonly entries: readonly unknown[];
}

function parseState(text: string): State | null {
  try {
    const state: unknown = JSON.parse(text);
    if (!isFields(state) || typeof state['format'] !== 'number') return null;
    const entries: unknown = state['objects'];
    if (Array.isArray(entries)) return { format: state['format'], entries };
    return state['format'] === FORMAT ? null : { format: state['format'], entries: [] };
  } catch {
    return null; // Not JSON: damaged, and the caller says so.
  }
}

type Identity = Pick<StoredObject, 'uid' | 'generation' | 'origin' | 'raw'>;

function identityOf(entry: unknown): Identity | null {
  if (!isFields(entry)) return null;
  const { uid, generation, origin, raw } = entry;
  if (typeof uid !== 'string' || typeof generation !== 'number') return null;
  if (origin !== null && typeof origin !== 'string') return null;
  return { uid, generation, origin, raw };
}

/** Replaces the file in one step; after a power cut it is the old one or the new one. */
export async function writeFileAtomic(file: string, text: string): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.new`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
