/**
 * All topics of the store in the process that owns it: opening and recovering them, creating, removing.
 * Used by the log only. Changes run while nothing is being written.
 */
import { assert } from '#lib/assert/assert';
import { isMissingError } from '#lib/disk/disk';
import { messageOf } from '#lib/errors/mesh-error';
import { LogPartition } from './log-partition.ts';
import type { PartitionDeps } from './log-partition.ts';
import { recoverPartition, sightPartition } from './log-recovery.ts';
import type { SegmentSight } from './log-recovery.ts';
import {
  partitionDirectory,
  readTopicMeta,
  REMOVED_PREFIX,
  removeTopicDirectory,
  topicDirectoryName,
  writeTopic,
} from './log-topic-files.ts';
import type { TopicMeta } from './log-topic-files.ts';

export interface TopicsDeps extends PartitionDeps {
  /** The folder of the log. */
  readonly root: string;
}

/** One topic that is open. */
export class LogTopic {
  readonly directory: string;
  readonly partitions: LogPartition[];
  #sticky = 0;
  #stickyFlush = -1;

  constructor(directory: string, partitions: LogPartition[]) {
    this.directory = directory;
    this.partitions = partitions;
  }

  at(partition: number): LogPartition {
    const found = this.partitions[partition];
    assert(found !== undefined, 'the partition exists', { partition });
    return found;
  }

  /** For records without a key: one partition per flush, so that a flush writes few files. */
  stickyPartition(flushCount: number): LogPartition {
    if (flushCount !== this.#stickyFlush) {
      this.#stickyFlush = flushCount;
      this.#sticky = (this.#sticky + 1) % this.partitions.length;
    }
    return this.at(this.#sticky);
  }
}

/** A topic's folder before recovery. */
interface TopicSight {
  readonly directory: string;
  readonly meta: TopicMeta;
  /** `topic.json` did not say it, so it must be written again. */
  readonly isRebuilt: boolean;
  readonly partitions: readonly (readonly SegmentSight[])[];
}

export class LogTopics {
  readonly #deps: TopicsDeps;
  readonly #topics = new Map<string, LogTopic>();
  readonly #quarantined: string[] = [];

  constructor(deps: TopicsDeps) {
    this.#deps = {
      ...deps,
      onDamage: (path, reason) => {
        this.#quarantined.push(`${path}: ${reason}`);
        deps.logger.error('A part of the log is damaged and was set aside', { path, reason });
        deps.onDamage(path, reason);
      },
    };
  }

  /** Damaged parts, with the reason. */
  get quarantined(): readonly string[] {
    return [...this.#quarantined];
  }

  get(topic: string): LogTopic | null {
    return this.#topics.get(topic) ?? null;
  }

  require(topic: string): LogTopic {
    const found = this.#topics.get(topic);
    assert(found !== undefined, 'the topic is open', { topic });
    return found;
  }

  names(): readonly string[] {
    return [...this.#topics.keys()];
  }

  allPartitions(): LogPartition[] {
    const all: LogPartition[] = [];
    for (const topic of this.#topics.values()) all.push(...topic.partitions);
    return all;
  }

  countBytes(): number {
    let bytes = 0;
    for (const partition of this.allPartitions()) bytes += partition.storedBytes;
    return bytes;
  }

  /**
   * Looks at every file of every topic before it changes any.
   * @throws EMBEDDED_FORMAT_UNKNOWN; the disk's error.
   */
  async open(): Promise<void> {
    const { disk, root } = this.#deps;
    await disk.makeDirectory(root);
    await disk.syncDirectory(parentOf(root));
    const sights: TopicSight[] = [];
    const removed: string[] = [];
    for (const name of await disk.list(root)) {
      const directory = `${root}/${name}`;
      if (name.startsWith(REMOVED_PREFIX)) removed.push(directory);
      else if (name !== 'ballast') {
        const sight = await this.#sight(directory);
        if (sight !== null) sights.push(sight);
      }
    }
    for (const directory of removed) await this.#removeFiles(directory);
    for (const sight of sights) await this.#recover(sight);
  }

  async #sight(directory: string): Promise<TopicSight | null> {
    const { disk } = this.#deps;
    const reading = await readTopicMeta(disk, directory);
    if (reading.kind !== 'meta') return this.#rebuildMeta(directory, reading.kind);
    const { meta } = reading;
    if (!(await this.#fitsFolders(directory, meta))) return this.#rebuildMeta(directory, 'damaged');
    const partitions: SegmentSight[][] = [];
    for (let partition = 0; partition < meta.partitions; partition++) {
      partitions.push(await sightPartition(disk, partitionDirectory(directory, partition)));
    }
    return { directory, meta, isRebuilt: false, partitions };
  }

  /**
   * False when another name or number stands in `topic.json` than the folders have: with a wrong name
   * every segment would pass for one of another topic, with a wrong number some would not be looked at.
   */
  async #fitsFolders(directory: string, meta: TopicMeta): Promise<boolean> {
    if (!isFolderOf(directory, meta.topic)) return false;
    const names = await listFolders(this.#deps, directory);
    if (names.length < meta.partitions) return false;
    for (const name of names) {
      // Folders beyond are of a growth that did not come to its end, and have no segments.
      if (Number(name) < meta.partitions) continue;
      const sights = await sightPartition(this.#deps.disk, `${directory}/${name}`);
      if (sights.length > 0) return false;
    }
    return true;
  }

  /** Without a readable `topic.json` the headers of the segments say what the topic is. */
  async #rebuildMeta(directory: string, kind: 'missing' | 'damaged'): Promise<TopicSight | null> {
    const { disk, logger } = this.#deps;
    const partitions: SegmentSight[][] = [];
    let topic: string | null = null;
    for (const name of await listFolders(this.#deps, directory)) {
      const sights = await sightPartition(disk, `${directory}/${name}`);
      partitions[Number(name)] = sights;
      for (const { header } of sights) {
        const isOwn = header.kind === 'header' && isFolderOf(directory, header.header.topic);
        if (isOwn) topic ??= header.header.topic;
      }
    }
    if (topic === null) {
      // A creation that did not come to its end: nothing can have been stored in it.
      logger.info('A folder without a topic is left alone', { directory, reason: kind });
      return null;
    }
    this.#deps.onDamage(`${directory}/topic.json`, `it is ${kind}; the segments say what it said`);
    const whole = Array.from(partitions, (sights: SegmentSight[] | undefined) => sights ?? []);
    const meta = { topic, partitions: whole.length };
    return { directory, meta, isRebuilt: true, partitions: whole };
  }

  async #recover(sight: TopicSight): Promise<void> {
    const { disk, clock } = this.#deps;
    const { topic } = sight.meta;
    if (sight.isRebuilt) await writeTopic(disk, this.#deps.root, sight.directory, sight.meta);
    const partitions: LogPartition[] = [];
    for (let partition = 0; partition < sight.partitions.length; partition++) {
      const sights = sight.partitions[partition] ?? [];
      const recovered = await recoverPartition(disk, sights, topic, partition, clock.wallMs());
      for (const { path, reason } of recovered.damages) this.#deps.onDamage(path, reason);
      const place = { topic, partition, directory: partitionDirectory(sight.directory, partition) };
      const opened = new LogPartition(this.#deps, place, recovered.segments, recovered.nextOffset);
      for (const segment of recovered.segments) {
        if (segment.damage !== null) await opened.setAside(segment);
      }
      await opened.settleTail();
      partitions.push(opened);
    }
    this.#topics.set(topic, new LogTopic(sight.directory, partitions));
  }

  /** Creates the topic, or adds partitions to it. */
  async ensure(topic: string, count: number): Promise<void> {
    assert(Number.isSafeInteger(count) && count > 0, 'a topic has partitions', { topic, count });
    const known = this.#topics.get(topic);
    const have = known?.partitions.length ?? 0;
    if (have >= count) return;
    const directory = known?.directory ?? `${this.#deps.root}/${topicDirectoryName(topic)}`;
    await writeTopic(this.#deps.disk, this.#deps.root, directory, { topic, partitions: count });
    const target = known ?? new LogTopic(directory, []);
    for (let partition = have; partition < count; partition++) {
      const place = { topic, partition, directory: partitionDirectory(directory, partition) };
      target.partitions.push(new LogPartition(this.#deps, place, [], 0));
    }
    this.#topics.set(topic, target);
  }

  /** Out of sight first, by one durable rename; the files go after that. */
  async remove(topic: string): Promise<void> {
    const known = this.#topics.get(topic);
    if (known === undefined) return;
    this.#topics.delete(topic);
    for (const partition of known.partitions) await partition.close();
    const { disk, root, random } = this.#deps;
    const aside = `${root}/${REMOVED_PREFIX}${random.below(2 ** 32).toString(36)}`;
    await disk.rename(known.directory, aside);
    await disk.syncDirectory(root);
    await this.#removeFiles(aside);
  }

  async #removeFiles(directory: string): Promise<void> {
    try {
      await removeTopicDirectory(this.#deps.disk, directory);
    } catch (error) {
      this.#deps.logger.warn('A removed topic left files behind; the next start tries again', {
        directory,
        error: messageOf(error),
      });
    }
  }

  async close(): Promise<void> {
    for (const partition of this.allPartitions()) await partition.close();
  }
}

async function listFolders(deps: TopicsDeps, directory: string): Promise<readonly string[]> {
  try {
    const names = await deps.disk.list(directory);
    return names.filter((name) => /^\d{1,5}$/.test(name));
  } catch (error) {
    if (isMissingError(error)) return [];
    throw error;
  }
}

function isFolderOf(directory: string, topic: string): boolean {
  return directory.slice(directory.lastIndexOf('/') + 1) === topicDirectoryName(topic);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
