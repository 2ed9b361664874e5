/**
 * The cursors that belong to one Trigger, and the control side's operations on them. Per partition:
 *
 *   reader/<ns>/<name>  the reader schedule and the UID; written at creation, then by filter alone
 *   own/<ns>/<name>     how far the own reader is; exists (and pins the log) while it is needed
 *   want/<ns>/<name>    a dispatcher in another process asks filter for an own reader
 *   start/<ns>/<name>   the name came back with a start position: where, and for which UID. Filter and
 *                       dispatcher may still be writing the other two for the former UID, so control
 *                       leaves those alone; filter begins there and removes it.
 *   full/<ns>/<name>    past its backlog quota: ingress refuses the Broker's producers (partition 0 only)
 *
 * A Trigger is Ready only after {@link ensureTriggers}: its cursors exist, so whoever learns of it
 * late catches up from there and no event that came after Ready is missed.
 */
import type { ChannelDriver, PartitionEnds } from '#lib/channel/channel-driver';
import type { Cursor } from '#lib/channel/cursor-store';
import type { ReaderName } from '#lib/channel/event-record';
import type { StartPosition } from '#lib/contract/routing';
import type { ReaderSchedule } from './reader-schedule.ts';

export const SHARED_CURSOR = 'shared';
export const READER_PREFIX = 'reader/';
export const OWN_PREFIX = 'own/';
export const WANT_PREFIX = 'want/';
export const START_PREFIX = 'start/';
export const FULL_PREFIX = 'full/';

/** What `reader/…` holds. `frozenMs` is the wall clock of the deletion, or `null`. */
export interface ReaderState {
  readonly uid: string;
  readonly schedule: ReaderSchedule;
  readonly frozenMs: number | null;
  /** UIDs that the name had before, latest last: what was matched for them passes to the present one. */
  readonly formerUids: readonly string[];
}

const FORMER_COUNT_MAX = 8;

/** The former UIDs of a name that passes from one UID to the next. */
export function withFormer(formerUids: readonly string[], uid: string): readonly string[] {
  return [...formerUids.filter((former) => former !== uid), uid].slice(-FORMER_COUNT_MAX);
}

const LETTER: Readonly<Record<ReaderName, string>> = { shared: 's', own: 'o' };

export function encodeReaderState(state: ReaderState): string {
  const changes = state.schedule.map((change) => [change.at, LETTER[change.reader]]);
  const { uid, frozenMs, formerUids } = state;
  return JSON.stringify({ uid, changes, frozenMs, formerUids });
}

export function decodeReaderState(metadata: string): ReaderState {
  const raw = JSON.parse(metadata) as {
    uid: string;
    changes: [number, string][];
    frozenMs: number | null;
    formerUids?: string[];
  };
  const schedule = raw.changes.map(([at, letter]) => ({
    at,
    reader: letter === 's' ? ('shared' as const) : ('own' as const),
  }));
  return {
    uid: raw.uid,
    schedule,
    frozenMs: raw.frozenMs,
    formerUids: raw.formerUids ?? [],
  };
}

/** The `reader/…` cursor of a state; its offset is the latest change, for people who look. */
export function readerCursor(
  key: string,
  partition: number,
  state: ReaderState,
  writer: Pick<Cursor, 'role' | 'epoch'>,
): Cursor {
  return {
    name: READER_PREFIX + key,
    partition,
    offset: state.schedule.at(-1)?.at ?? 0,
    role: writer.role,
    epoch: writer.epoch,
    pins: false,
    metadata: encodeReaderState(state),
  };
}

/** The `own/…` cursor: the log is kept from `offset` on. */
export function ownCursor(
  key: string,
  partition: number,
  offset: number,
  writer: Pick<Cursor, 'role' | 'epoch'>,
  metadata = '',
): Cursor {
  return {
    name: OWN_PREFIX + key,
    partition,
    offset,
    role: writer.role,
    epoch: writer.epoch,
    pins: true,
    metadata,
  };
}

/** The dispatcher says that the Trigger is past its quota; repeated while it is. */
export function fullCursor(key: string, nowWallMs: number): Cursor {
  const place = { name: FULL_PREFIX + key, partition: 0, offset: 0 };
  return { ...place, role: 'control', epoch: 0, pins: false, metadata: String(nowWallMs) };
}

/** When it was last said (wall clock). */
export function fullSinceMs(cursor: Cursor): number {
  return Number(cursor.metadata);
}

export interface TriggerStart {
  readonly uid: string;
  /** `namespace/name`. */
  readonly key: string;
  /** Given by the user; `null` inherits what the name left, else the end of the log. */
  readonly start: StartPosition | null;
}

const CONTROL = { role: 'control', epoch: 0 } as const;

/** Pairs of a former UID that were dropped, because the name came back with a start position. */
export interface DroppedPairs {
  readonly key: string;
  readonly pairs: number;
}

/**
 * Cursors that do not exist yet are created. A name that comes back with a new UID inherits: its pairs
 * pass on here, its position by the owner of the shared reader, which alone writes schedules (it
 * swaps the UID when it hears of the Trigger). With a start position it begins anew.
 */
export async function ensureTriggers(
  driver: ChannelDriver,
  topic: string,
  triggers: readonly TriggerStart[],
): Promise<readonly DroppedPairs[]> {
  if (triggers.length === 0) return [];
  const ends = await driver.log.ends(topic);
  const known = new Map<string, Map<number, ReaderState>>();
  for (const cursor of await driver.cursors.load(topic, READER_PREFIX)) {
    const key = cursor.name.slice(READER_PREFIX.length);
    const states = known.get(key) ?? new Map<number, ReaderState>();
    states.set(cursor.partition, decodeReaderState(cursor.metadata));
    known.set(key, states);
  }
  const fresh: Cursor[] = [];
  const dropped: DroppedPairs[] = [];
  for (const trigger of triggers) {
    const states = known.get(trigger.key);
    if (states === undefined) {
      fresh.push(...(await startCursors(driver, topic, ends, trigger)));
      continue;
    }
    const pairs = await inherit(driver, topic, ends, trigger, states);
    if (pairs > 0) dropped.push({ key: trigger.key, pairs });
  }
  if (fresh.length > 0) await driver.cursors.create(topic, fresh);
  return dropped;
}

/** Sets a Trigger's own reader back to a position in the past; filter notices `want/…` and switches. */
export async function startOffsets(
  driver: ChannelDriver,
  topic: string,
  ends: readonly PartitionEnds[],
  start: StartPosition,
): Promise<ReadonlyMap<number, number>> {
  const offsets = new Map<number, number>();
  for (const end of ends) {
    offsets.set(end.partition, await startOffset(driver, topic, end, start));
  }
  return offsets;
}

async function startOffset(
  driver: ChannelDriver,
  topic: string,
  end: PartitionEnds,
  start: StartPosition,
): Promise<number> {
  switch (start.at) {
    case 'latest':
      return end.next;
    case 'earliest':
      return end.first;
    case 'time':
      return driver.log.seekTime(topic, end.partition, start.timeMs);
    case 'event':
      return findEvent(driver, topic, end, start.id);
  }
}

const SCAN_COUNT = 512;
const SCAN_BYTES = 1_048_576;

/** The first offset whose event has that id; the end of the log when there is none. */
async function findEvent(
  driver: ChannelDriver,
  topic: string,
  end: PartitionEnds,
  id: string,
): Promise<number> {
  const reader = await driver.log.read(topic, end.partition, end.first);
  try {
    while (reader.position < end.next) {
      for (const entry of await reader.next(SCAN_COUNT, SCAN_BYTES)) {
        if (entry.record.kind === 'event' && entry.record.event.id === id) return entry.offset;
      }
    }
    return end.next;
  } finally {
    reader.close();
  }
}

async function startCursors(
  driver: ChannelDriver,
  topic: string,
  ends: readonly PartitionEnds[],
  trigger: TriggerStart,
): Promise<readonly Cursor[]> {
  const offsets = await startOffsets(driver, topic, ends, trigger.start ?? { at: 'latest' });
  const cursors: Cursor[] = [];
  for (const [partition, at] of offsets) {
    const schedule = [{ at, reader: 'own' as const }];
    const state = { uid: trigger.uid, schedule, frozenMs: null, formerUids: [] };
    cursors.push(readerCursor(trigger.key, partition, state, CONTROL));
    cursors.push(ownCursor(trigger.key, partition, at, CONTROL));
  }
  return cursors;
}

/** Returns how many pairs were dropped. Repeating it changes nothing. */
async function inherit(
  driver: ChannelDriver,
  topic: string,
  ends: readonly PartitionEnds[],
  trigger: TriggerStart,
  states: ReadonlyMap<number, ReaderState>,
): Promise<number> {
  const formerUids = new Set(Array.from(states.values(), (state) => state.uid));
  formerUids.delete(trigger.uid);
  if (formerUids.size === 0 || (await hasStart(driver, topic, trigger))) return 0;
  // The name may have come and gone in between without anybody who reads noticing.
  for (const { target, targetKey } of await driver.waiting.summary(topic)) {
    if (targetKey === trigger.key && target !== trigger.uid) formerUids.add(target);
  }
  let dropped = 0;
  for (const uid of formerUids) {
    if (trigger.start === null) await driver.waiting.retarget(topic, uid, trigger.uid);
    else dropped += await driver.waiting.drop(topic, uid, { parked: false });
  }
  if (trigger.start !== null) {
    const offsets = await startOffsets(driver, topic, ends, trigger.start);
    const starts = Array.from(offsets, ([partition, offset]) => ({
      ...{ name: START_PREFIX + trigger.key, partition, offset, ...CONTROL },
      ...{ pins: true, metadata: trigger.uid },
    }));
    await driver.cursors.commit(topic, starts);
  }
  return dropped;
}

/** Its start is written down and filter has not come to it yet. */
async function hasStart(
  driver: ChannelDriver,
  topic: string,
  { key, uid }: TriggerStart,
): Promise<boolean> {
  const starts = await driver.cursors.load(topic, START_PREFIX + key);
  return starts.some(({ name, metadata }) => name === START_PREFIX + key && metadata === uid);
}

/**
 * Ends what a deleted Trigger's name could be inherited from: its waiting pairs are dropped (parked ones
 * stay for the operator), its cursors are removed. Returns how many pairs went.
 */
export async function dropFrozen(
  driver: ChannelDriver,
  topic: string,
  { key, uid }: { readonly key: string; readonly uid: string },
): Promise<number> {
  const pairs = await driver.waiting.drop(topic, uid, { parked: false });
  const prefixes = [READER_PREFIX, OWN_PREFIX, WANT_PREFIX, START_PREFIX];
  await driver.cursors.remove(
    topic,
    prefixes.map((prefix) => prefix + key),
  );
  return pairs;
}
