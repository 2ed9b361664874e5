/**
 * The instruments of delivery. Series are bound once per target; nothing here is looked up per event.
 * Names: Knative's where it has one (`kn.eventing.dispatch.duration`), else our own prefix.
 */
import { createDispatchDuration } from '#lib/telemetry/dispatch-duration';
import type { DispatchLabels } from '#lib/telemetry/dispatch-duration';
import type {
  CounterSeries,
  GaugeSeries,
  HistogramSeries,
  Instrument,
  Metrics,
} from '#lib/telemetry/metrics';

const TARGET_LABELS = ['kn.broker.name', 'kn.broker.namespace', 'kn.trigger.name'] as const;

/** The bound series of one target. */
export interface TargetMetrics {
  /** Of requests that ended with this status; 0 = without an answer. */
  dispatchDuration(status: number): HistogramSeries;
  readonly delivered: CounterSeries;
  readonly retries: CounterSeries;
  readonly deadLettered: CounterSeries;
  readonly parked: CounterSeries;
  readonly replies: CounterSeries;
  readonly dropped: CounterSeries;
  readonly backlog: GaugeSeries;
  readonly oldestAge: GaugeSeries;
  readonly waiting: GaugeSeries;
  readonly parkedNow: GaugeSeries;
  readonly inFlight: GaugeSeries;
  readonly queued: GaugeSeries;
}

export interface DeliveryMetrics {
  open(brokerKey: string, targetKey: string): TargetMetrics;
  forget(brokerKey: string, targetKey: string): void;
}

export function createDeliveryMetrics(metrics: Metrics): DeliveryMetrics {
  const labels = TARGET_LABELS;
  const counter = (name: string, description: string): Instrument<CounterSeries> =>
    metrics.counter({ name, description, unit: '{event}', labels });
  const gauge = (name: string, description: string, unit = '{event}'): Instrument<GaugeSeries> =>
    metrics.gauge({ name, description, unit, labels });
  const durations = createDispatchDuration(metrics);
  const used = new Map<string, DispatchLabels[]>();
  const instruments = {
    delivered: counter(
      'millrace.delivery.delivered',
      'Events answered with a 2xx by the subscriber',
    ),
    retries: counter('millrace.delivery.retries', 'Attempts that failed and will be repeated'),
    deadLettered: counter('millrace.delivery.dead_lettered', 'Events taken by a dead-letter sink'),
    parked: counter('millrace.delivery.parked_total', 'Events that were parked for an operator'),
    replies: counter('millrace.delivery.replies', 'Replies stored in the Broker'),
    dropped: counter(
      'millrace.delivery.dropped',
      'Events given up on purpose: past the backlog quota, or of a name that began anew',
    ),
    backlog: gauge('millrace.delivery.backlog', 'Events in the log that its reader has before it'),
    oldestAge: gauge(
      'millrace.delivery.oldest.age',
      'Age of the oldest event that it has before it, in the log or waiting',
      's',
    ),
    waiting: gauge('millrace.delivery.waiting', 'Events waiting for their next attempt'),
    parkedNow: gauge('millrace.delivery.parked', 'Events parked now'),
    inFlight: gauge('millrace.delivery.in_flight', 'Requests open now'),
    queued: gauge('millrace.delivery.queued', 'Events waiting in memory for a place in the window'),
  };
  const names = (brokerKey: string, targetKey: string): readonly string[] => {
    const slash = brokerKey.indexOf('/');
    const trigger = targetKey.slice(targetKey.indexOf('/') + 1);
    return [brokerKey.slice(slash + 1), brokerKey.slice(0, slash), trigger];
  };
  /** A target answers with few distinct statuses; each has its series from the first time on. */
  const durationsOf = (brokerKey: string, targetKey: string): TargetMetrics['dispatchDuration'] => {
    const [brokerName = '', brokerNamespace = ''] = names(brokerKey, targetKey);
    const destination = `trigger:${targetKey.split('/').toReversed().join('.')}`;
    const known = new Map<number, HistogramSeries>();
    const labels: DispatchLabels[] = [];
    used.set(`${brokerKey} ${targetKey}`, labels);
    return (status) => {
      const series = known.get(status);
      if (series !== undefined) return series;
      const statusCode = status === 0 ? '' : String(status);
      const label = {
        ...{ brokerNamespace, brokerName, destination, operation: 'send' },
        ...{ eventType: '', statusCode, scheme: '' },
      };
      labels.push(label);
      const made = durations.with(label);
      known.set(status, made);
      return made;
    };
  };
  return {
    open(brokerKey, targetKey) {
      const values = names(brokerKey, targetKey);
      return {
        dispatchDuration: durationsOf(brokerKey, targetKey),
        delivered: instruments.delivered.with(...values),
        retries: instruments.retries.with(...values),
        deadLettered: instruments.deadLettered.with(...values),
        parked: instruments.parked.with(...values),
        replies: instruments.replies.with(...values),
        dropped: instruments.dropped.with(...values),
        backlog: instruments.backlog.with(...values),
        oldestAge: instruments.oldestAge.with(...values),
        waiting: instruments.waiting.with(...values),
        parkedNow: instruments.parkedNow.with(...values),
        inFlight: instruments.inFlight.with(...values),
        queued: instruments.queued.with(...values),
      };
    },
    forget(brokerKey, targetKey) {
      const values = names(brokerKey, targetKey);
      for (const instrument of Object.values(instruments)) instrument.forget(...values);
      for (const label of used.get(`${brokerKey} ${targetKey}`) ?? []) durations.forget(label);
      used.delete(`${brokerKey} ${targetKey}`);
    },
  };
}
