/**
 * Knative's histogram `kn.eventing.dispatch.duration`, declared once: ingress and dispatcher both
 * record it, and in one process they share the family, so they must agree on its labels. A label
 * that does not apply is empty, and is then left out by the renderer.
 * Source: Knative Eventing 1.2x, broker ingress, filter and fan-out; names of OpenTelemetry.
 */
import { DURATION_BOUNDS } from './metrics.ts';
import type { HistogramSeries, Instrument, Metrics } from './metrics.ts';

export interface DispatchLabels {
  readonly brokerNamespace: string;
  readonly brokerName: string;
  /** `broker:name.namespace` where events are taken, `trigger:name.namespace` where they are sent. */
  readonly destination: string;
  /** `send` or `process`. */
  readonly operation: string;
  /** Bound its cardinality before: see {@link createTypeLabels}. */
  readonly eventType: string;
  /** `202`; empty when there was no answer. */
  readonly statusCode: string;
  readonly scheme: string;
}

export interface DispatchDuration {
  with(labels: DispatchLabels): HistogramSeries;
  forget(labels: DispatchLabels): void;
}

export function createDispatchDuration(metrics: Metrics): DispatchDuration {
  const histogram: Instrument<HistogramSeries> = metrics.histogram({
    name: 'kn.eventing.dispatch.duration',
    description: 'The duration to dispatch the event',
    unit: 's',
    labels: [
      ...['kn.broker.namespace', 'kn.broker.name', 'messaging.system'],
      ...['messaging.destination.name', 'messaging.operation.name', 'cloudevents.type'],
      ...['http.response.status_code', 'url.scheme'],
    ],
    bounds: DURATION_BOUNDS,
  });
  return {
    with: (labels) => histogram.with(...valuesOf(labels)),
    forget: (labels) => histogram.forget(...valuesOf(labels)),
  };
}

function valuesOf(labels: DispatchLabels): readonly string[] {
  return [
    ...[labels.brokerNamespace, labels.brokerName, 'knative'],
    ...[labels.destination, labels.operation, labels.eventType],
    ...[labels.statusCode, labels.scheme],
  ];
}

/** Distinct event types that get a label of their own, per Broker; the rest is `_other`. */
export const TYPE_LABELS_MAX = 100;
const TYPE_LABEL_LENGTH_MAX = 128;
export const OTHER_TYPE = '_other';

/** Gives each event type its label: itself for the first hundred, then `_other`. */
export function createTypeLabels(): (type: string) => string {
  const known = new Set<string>();
  return (type) => {
    if (known.has(type)) return type;
    if (known.size >= TYPE_LABELS_MAX || type.length > TYPE_LABEL_LENGTH_MAX) return OTHER_TYPE;
    known.add(type);
    return type;
  };
}
