/** Triggers as a table, for `trigger list` and `status`. */
import type { TriggerRow } from '#local/control/control-api';
import { oneLine, table } from './output.ts';

export const STATES = { inForce: 'in force', pending: 'pending', faulty: 'faulty' } as const;

export function triggerTable(triggers: readonly TriggerRow[]): readonly string[] {
  const heads = ['TRIGGER', 'BROKER', 'STATE', 'BACKLOG', 'WAITING', 'PARKED', 'SUBSCRIBER'];
  return table(heads, triggers.map(rowOf));
}

function rowOf(row: TriggerRow): readonly string[] {
  const { delivery } = row;
  const state = row.isPaused && row.state === 'inForce' ? 'paused' : STATES[row.state];
  const counts = [delivery?.backlog, delivery?.waiting, delivery?.parked];
  return [
    `${row.namespace}/${row.name}`,
    row.broker ?? '-',
    state,
    ...counts.map((count) => String(count ?? '-')),
    oneLine(row.subscriber ?? '-'),
  ];
}
