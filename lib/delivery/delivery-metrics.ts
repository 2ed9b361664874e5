/**
 * The instruments of delivery. Series are bound once per target; nothing here is looked up per event.
 * Names: Knative's where it has one (`kn.eventing.dispatch.duration`), else our own prefix.
 */
import { createDispatchDuration } from '#lib/telemetry/dispatch-duration';
import type { DispatchDuration, DispatchLabels } from '#lib/telemetry/dispatch-duration';
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
  const instruments = declareInstruments(metrics);
  const durations = new TargetDurations(metrics);
  return {
    open(brokerKey, targetKey) {
      const values = namesOf(brokerKey, targetKey);
      return {
        dispatchDuration: durations.open(brokerKey, targetKey),
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
      const values = namesOf(brokerKey, targetKey);
      for (const instrument of Object.values(instruments)) instrument.forget(...values);
      durations.forget(brokerKey, targetKey);
    },
  };
}

type Instruments = Readonly<
  Record<Exclude<keyof TargetMetrics, 'dispatchDuration' | GaugeName>, Instrument<CounterSeries>> &
    Record<GaugeName, Instrument<GaugeSeries>>
>;
type GaugeName = 'backlog' | 'oldestAge' | 'waiting' | 'parkedNow' | 'inFlight' | 'queued';

function declareInstruments(metrics: Metrics): Instruments {
  const labels = TARGET_LABELS;
  const counter = (name: string, description: string): Instrument<CounterSeries> =>
    metrics.counter({ name, description, unit: '{event}', labels });
  const gauge = (name: string, description: string, unit = '{event}'): Instrument<GaugeSeries> =>
    metrics.gauge({ name, description, unit, labels });
  return {
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
}

/** Label values of a target: Broker name and namespace, Trigger name. */
function namesOf(brokerKey: string, targetKey: string): readonly string[] {
  const slash = brokerKey.indexOf('/');
  const trigger = targetKey.slice(targetKey.indexOf('/') + 1);
  return [brokerKey.slice(slash + 1), brokerKey.slice(0, slash), trigger];
}

/** The duration series of each target, by status; a target answers with few distinct ones. */
class TargetDurations {
  readonly #durations: DispatchDuration;
  readonly #used = new Map<string, DispatchLabels[]>();

  constructor(metrics: Metrics) {
    this.#durations = createDispatchDuration(metrics);
  }

  /** Looks a series up by status; the first time makes it. */
  open(brokerKey: string, targetKey: string): (status: number) => HistogramSeries {
    const known = new Map<number, HistogramSeries>();
    const labels: DispatchLabels[] = [];
    this.#used.set(`${brokerKey} ${targetKey}`, labels);
    return (status) => {
      const series = known.get(status);
      if (series !== undefined) return series;
      const label = labelsOf(brokerKey, targetKey, status);
      labels.push(label);
      const made = this.#durations.with(label);
      known.set(status, made);
      return made;
    };
  }

  forget(brokerKey: string, targetKey: string): void {
    const key = `${brokerKey} ${targetKey}`;
    for (const label of this.#used.get(key) ?? []) this.#durations.forget(label);
    this.#used.delete(key);
  }
}

function labelsOf(brokerKey: string, targetKey: string, status: number): DispatchLabels {
  const [brokerName = '', brokerNamespace = ''] = namesOf(brokerKey, targetKey);
  return {
    brokerNamespace,
    brokerName,
    destination: `trigger:${targetKey.split('/').toReversed().join('.')}`,
    operation: 'send',
    eventType: '',
    statusCode: status === 0 ? '' : String(status),
    scheme: '',
  };
}
