/**
 * Bugs that the simulation must find: each replaces one snippet of the product while it is loaded, so
 * that production code holds no switches. A snippet that does not occur exactly once fails the build:
 * then the code has moved, and the table moves with it.
 */
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface PlantedBug {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The store that it shows on. */
  readonly store: 'memory' | 'embedded';
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'receipt before the sync',
    file: 'channels/embedded/segment-writer.ts',
    find: 'await writeWhole(file, batch.block.bytes, batch.usedBytes, position);\n      await synced(file.datasync());',
    replace: 'await writeWhole(file, batch.block.bytes, batch.usedBytes, position);',
    store: 'embedded',
  },
  {
    name: 'commit before the pairs are durable',
    file: 'services/filter/shared-reader.ts',
    find: 'await this.#deps.handover.checkpoint({',
    replace: 'void this.#deps.handover.checkpoint({',
    store: 'memory',
  },
  {
    name: 'attempt not stored',
    file: 'lib/delivery/pair-store.ts',
    find: 'attempt: isUnused ? pair.attempt - 1 : pair.attempt,',
    replace: 'attempt: isUnused ? 0 : 0,',
    store: 'memory',
  },
  {
    name: 'lane forgotten',
    file: 'lib/delivery/pair-store.ts',
    find: "lane: pair.stage === 'subscriber' ? (pair.lane?.key ?? pair.storedLane) : null,",
    replace: 'lane: null,',
    store: 'memory',
  },
  {
    name: 'change of reader off by one',
    file: 'services/filter/trigger-readers.ts',
    find: "this.#change(trigger, at, 'own');\n    // After a crash",
    replace: "this.#change(trigger, at + 1, 'own');\n    // After a crash",
    store: 'memory',
  },
  {
    name: 'change of reader not written first',
    file: 'services/filter/trigger-readers.ts',
    find: 'if (cursors.length > 0) await driver.cursors.commit(topic, cursors);',
    replace: 'void cursors;',
    store: 'memory',
  },
  {
    name: 'stale owner not refused',
    file: 'channels/memory/memory-cursors.ts',
    find: 'if (cursor.epoch >= epoch) return;',
    replace: 'if (cursor.epoch >= epoch - epoch) return;',
    store: 'memory',
  },
  {
    name: 'trim past a cursor',
    file: 'channels/memory/memory-log.ts',
    find: 'if (entry.offset >= pin || this',
    replace: 'if (entry.offset >= pin + partition.next || this',
    store: 'memory',
  },
  {
    name: 'window leak',
    file: 'lib/delivery/delivery-engine.ts',
    find: '    target.inFlightCount--;',
    replace: '    if (pair.attempt < 2) target.inFlightCount--;',
    store: 'memory',
  },
  {
    name: 'reply dropped',
    file: 'lib/delivery/delivery-engine.ts',
    find: "this.#enterStage(pair, 'reply');",
    replace: 'this.#settle(pair);',
    store: 'memory',
  },
  {
    name: 'parked into nothing',
    file: 'lib/delivery/delivery-engine.ts',
    find: 'pair.wakesLane = pair.target.leaveLane(pair);\n        this.#park(pair);',
    replace: 'this.#settle(pair);',
    store: 'memory',
  },
  {
    name: 'matched events lost when the log fails',
    file: 'services/filter/log-handover.ts',
    find: 'outbox.queue = [...batch, ...outbox.queue];',
    replace: 'outbox.queue = [...outbox.queue];',
    store: 'memory',
  },
  {
    name: 'own reader ends too early',
    file: 'lib/delivery/own-reader.ts',
    find: 'if (end !== null && this.#position >= end) {',
    replace: 'if (end !== null) {',
    store: 'memory',
  },
];

/** From now on the file is loaded with the bug; before anything of the product is imported. */
export function plant(name: string): PlantedBug {
  const bug = PLANTED_BUGS.find((each) => each.name === name);
  if (bug === undefined) throw new Error(`no planted bug is called "${name}"`);
  const target = fileURLToPath(new URL(`../../${bug.file}`, import.meta.url));
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.startsWith('file:') || fileURLToPath(url) !== target) return loaded;
      return { ...loaded, source: withBug(String(loaded.source), bug) };
    },
  });
  return bug;
}

/** @throws when the snippet is not there exactly once. */
export function withBug(source: string, bug: PlantedBug): string {
  const parts = source.split(bug.find);
  if (parts.length !== 2) {
    const count = parts.length - 1;
    throw new Error(`"${bug.name}" does not fit ${bug.file}: its snippet is there ${count} times`);
  }
  return parts.join(bug.replace);
}
