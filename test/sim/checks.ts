/**
 * What must hold in the end: every owed event delivered, dead-lettered or parked, every reply stored,
 * nothing waiting. Used by the world once the faults are over.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { WaitingPair } from '#lib/channel/waiting-store';
import { isOwed } from './facts.ts';
import type { EventFact, PairFact, TriggerFact } from './facts.ts';
import { aliveTriggers, nameOf } from './oracle.ts';
import type { Oracle } from './oracle.ts';

export interface Unfinished {
  readonly lost: readonly string[];
  readonly waiting: readonly string[];
}

const NAMED_MAX = 5;
const PAGE_COUNT = 1_000;

/** What is not settled yet. Empty lists: the run may end. */
export async function findUnfinished(oracle: Oracle, driver: ChannelDriver): Promise<Unfinished> {
  const rows = await allRows(driver);
  const alive = aliveTriggers(oracle);
  const uids = new Set(alive.map((trigger) => trigger.incarnations.at(-1)?.uid));
  const parked = new Set<string>();
  const waiting: string[] = [];
  for (const row of rows) {
    const id = row.record.event.id;
    if (row.stage === 'parked') parked.add(`${row.targetKey} ${id}`).add(`${row.target} ${id}`);
    else if (uids.has(row.target) || row.target.endsWith(':dead')) {
      waiting.push(
        `${id} for ${row.target} in stage ${row.stage}, attempt ${row.attempt}, due ${row.dueMs}`,
      );
    }
  }
  const lost: string[] = [];
  for (const trigger of alive) {
    for (const event of oracle.events.values()) {
      if (!isOwed(trigger, event)) continue;
      if (parked.has(`${trigger.key} ${event.id}`)) continue;
      if (!isDone(oracle, trigger, event)) lost.push(describe(oracle, trigger, event));
    }
  }
  for (const event of oracle.events.values()) {
    if (event.storedMs === null || event.ttl > 0) continue;
    const isThere = oracle.deadSent.has(event.id) || parked.has(`broker-uid:dead ${event.id}`);
    if (!isThere) lost.push(`${event.id} has no rounds left and is not with the dead letters`);
  }
  return { lost: lost.slice(0, NAMED_MAX), waiting: waiting.slice(0, NAMED_MAX) };
}

function isDone(oracle: Oracle, trigger: TriggerFact, event: EventFact): boolean {
  const pair = oracle.pairs.get(`${trigger.name} ${event.id}`);
  if (pair === undefined) return false;
  if (pair.deliveredMs !== null || pair.deadLetteredMs !== null) return true;
  return pair.replies.some((reply) => reply.storedMs !== null);
}

function describe(oracle: Oracle, trigger: TriggerFact, event: EventFact): string {
  const pair: PairFact | undefined = oracle.pairs.get(`${trigger.name} ${event.id}`);
  const place = `${event.partition}/${event.offset}`;
  if (pair === undefined) return `${event.id} at ${place} for ${trigger.name}: never sent`;
  return `${nameOf(pair)} at ${place}: ${pair.sends} sends, left ${pair.leftMs}, parked ${pair.parkedMs}`;
}

async function allRows(driver: ChannelDriver): Promise<readonly WaitingPair[]> {
  const rows: WaitingPair[] = [];
  for (;;) {
    const page = await driver.waiting.peek({ countMax: PAGE_COUNT, afterId: rows.at(-1)?.id ?? 0 });
    rows.push(...page);
    if (page.length < PAGE_COUNT) return rows;
  }
}
