/** The instruments of filter. One bound series each: nothing is looked up per event. */
import type { Metrics } from '#lib/telemetry/metrics';

export interface FilterMetrics {
  /** One event was read and matched so many Triggers. */
  read(matchedCount: number): void;
  /** An event went to the Broker's dead letters without a Trigger. */
  dead(brokerKey: string, kind: string): void;
  /** Waiting pairs of a deleted Trigger were dropped. */
  expired(brokerKey: string, pairs: number): void;
}

export function createFilterMetrics(metrics: Metrics): FilterMetrics {
  const counter = (name: string, description: string, labels: readonly string[] = []) =>
    metrics.counter({ name, description, unit: '{event}', labels });
  const events = counter('millrace.filter.events', 'Events read once for all Triggers').with();
  const matches = counter('millrace.filter.matches', 'Deliveries that matches led to').with();
  const unmatched = counter('millrace.filter.unmatched', 'Events that no Trigger matched').with();
  const dead = counter(
    'millrace.filter.dead',
    'Events sent to a Broker’s dead letters without a Trigger (TTL used up, undecodable)',
    ['kn.broker.name', 'kn.broker.namespace', 'reason'],
  );
  const expired = counter(
    'millrace.filter.expired',
    'Waiting events of deleted Triggers that were dropped when their time was over',
    ['kn.broker.name', 'kn.broker.namespace'],
  );
  const names = (key: string): readonly [string, string] => {
    const slash = key.indexOf('/');
    return [key.slice(slash + 1), key.slice(0, slash)];
  };
  return {
    read(matchedCount) {
      events.add(1);
      if (matchedCount === 0) unmatched.add(1);
      else matches.add(matchedCount);
    },
    dead(brokerKey, kind) {
      dead.with(...names(brokerKey), kind === 'poison' ? 'Undecodable' : 'TtlExhausted').add(1);
    },
    expired(brokerKey, pairs) {
      expired.with(...names(brokerKey)).add(pairs);
    },
  };
}
