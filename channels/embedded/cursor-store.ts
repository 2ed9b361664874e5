/**
 * `CursorStore` over a transport: cursors to cells and back. Used by the embedded driver and by its
 * client in other processes.
 */
import { assert } from '#lib/assert/assert';
import type { Cursor, CursorRole, CursorStore } from '#lib/channel/cursor-store';
import { CellReader } from './store-request.ts';
import type { Cell, StoreReply, StoreTransport } from './store-request.ts';

const METADATA_BYTES_MAX = 4096;
/** In a removal: the cursors of that name in all partitions. */
export const EVERY_PARTITION = -1;
const ROLES: readonly string[] = ['control', 'filter', 'dispatcher'] satisfies CursorRole[];

export function createCursorStore(transport: StoreTransport): CursorStore {
  return {
    async load(topic, prefix = '') {
      const cells = [topic, prefix];
      return decodeCursors(await transport.request({ op: 'cursorLoad', cells, bytes: null }));
    },
    async commit(topic, cursors) {
      const cells = encodeCursors(topic, cursors);
      await transport.request({ op: 'cursorCommit', cells, bytes: null });
    },
    async create(topic, cursors) {
      const cells = encodeCursors(topic, cursors);
      await transport.request({ op: 'cursorCreate', cells, bytes: null });
    },
    async remove(topic, names, partition = EVERY_PARTITION) {
      const cells = [topic, partition, ...names];
      await transport.request({ op: 'cursorRemove', cells, bytes: null });
    },
    async acquire(topic, partition, role) {
      const cells = [topic, partition, role];
      const answer = await transport.request({ op: 'cursorAcquire', cells, bytes: null });
      return new CellReader(answer.cells).number();
    },
  };
}

/** topic, then per cursor: name, partition, offset, role, epoch, pins, metadata. */
function encodeCursors(topic: string, cursors: readonly Cursor[]): readonly Cell[] {
  const cells: Cell[] = [topic];
  for (const cursor of cursors) {
    const { name, partition, offset, role, epoch, pins, metadata } = cursor;
    const bytes = Buffer.byteLength(metadata);
    assert(bytes <= METADATA_BYTES_MAX, 'cursor metadata is small', { name, bytes });
    cells.push(name, partition, offset, role, epoch, pins ? 1 : 0, metadata);
  }
  return cells;
}

function decodeCursors({ cells }: StoreReply): readonly Cursor[] {
  const reader = new CellReader(cells);
  const cursors: Cursor[] = [];
  while (reader.hasMore) {
    cursors.push({
      name: reader.text(),
      partition: reader.number(),
      offset: reader.number(),
      role: roleOf(reader.text()),
      epoch: reader.number(),
      pins: reader.number() === 1,
      metadata: reader.text(),
    });
  }
  return cursors;
}

function roleOf(text: string): CursorRole {
  assert(isRole(text), 'the role is known', { text });
  return text;
}

function isRole(text: string): text is CursorRole {
  return ROLES.includes(text);
}
