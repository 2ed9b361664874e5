/** What an operator sees of each Trigger: which reader it is on, how far behind, what waits. */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { RoutingTable } from '#lib/contract/routing-table';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { OwnReaders } from './own-readers.ts';

export interface TriggerStatus {
  readonly key: string;
  readonly uid: string;
  readonly brokerKey: string;
  readonly isPaused: boolean;
  /** `own` when at least one partition is read by an own reader. */
  readonly reader: 'shared' | 'own';
  /** Events in the log that its reader has not come to yet. */
  readonly backlog: number;
  readonly queued: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly parked: number;
}

export async function triggerStatus(
  deps: { readonly routing: RoutingTable; readonly driver: ChannelDriver },
  engine: DeliveryEngine,
  ownReaders: OwnReaders,
  positions: SharedPositions,
): Promise<readonly TriggerStatus[]> {
  const statuses: TriggerStatus[] = [];
  for (const snapshot of deps.routing.brokers()) {
    const { topic, key: brokerKey } = snapshot.broker;
    const ends = await deps.driver.log.ends(topic);
    for (const trigger of snapshot.triggers.values()) {
      let backlog = 0;
      let reader: TriggerStatus['reader'] = 'shared';
      for (const end of ends) {
        const own = ownReaders.position(trigger.uid, end.partition);
        if (own !== null) reader = 'own';
        const position = own ?? positions.get(topic, end.partition);
        backlog += Math.max(0, end.next - Math.max(position, end.first));
      }
      const target = engine.target(trigger.uid);
      statuses.push({
        key: trigger.key,
        uid: trigger.uid,
        brokerKey,
        isPaused: trigger.isPaused,
        reader,
        backlog,
        queued: target?.queuedCount ?? 0,
        inFlight: target?.inFlightCount ?? 0,
        waiting: target?.waitingCount ?? 0,
        parked: target?.parkedCount ?? 0,
      });
    }
  }
  return statuses;
}
