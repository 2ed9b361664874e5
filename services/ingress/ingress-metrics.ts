/**
 * What ingress measures: Knative's dispatch duration, and own counters under `millrace.ingress.`.
 * Series are looked up once and kept, per Broker and status; event types are capped per Broker.
 */
import type { BrokerRoute } from '#lib/contract/routing';
import { createDispatchDuration, createTypeLabels } from '#lib/telemetry/dispatch-duration';
import type { DispatchDuration, DispatchLabels } from '#lib/telemetry/dispatch-duration';
import type {
  CounterSeries,
  GaugeSeries,
  HistogramSeries,
  Instrument,
  Metrics,
} from '#lib/telemetry/metrics';

/** What ingress holds right now, read at each collection. */
export interface IngressLevels {
  readonly bytesInFlight: number;
  readonly connections: number;
  readonly pressure: number;
}

export class IngressMetrics {
  readonly #accepted: Instrument<CounterSeries>;
  readonly #refused: Instrument<CounterSeries>;
  readonly #duration: DispatchDuration;
  readonly #refusedByCode = new Map<string, CounterSeries>();
  readonly #stop: () => void;

  constructor(metrics: Metrics, levels: () => IngressLevels) {
    this.#duration = createDispatchDuration(metrics);
    this.#accepted = metrics.counter({
      name: 'millrace.ingress.accepted',
      description: 'Events answered 202, each of them stored before',
      unit: '{event}',
      labels: ['kn.broker.namespace', 'kn.broker.name'],
    });
    this.#refused = metrics.counter({
      name: 'millrace.ingress.refused',
      description: 'Requests and connections refused, by the code of the error',
      unit: '{request}',
      labels: ['code'],
    });
    const gauge = (name: string, description: string, unit: string): GaugeSeries =>
      metrics.gauge({ name: `millrace.ingress.${name}`, description, unit, labels: [] }).with();
    const bytes = gauge('in_flight', 'Memory of events that are not stored yet', 'By');
    const connections = gauge('connections', 'Open connections', '{connection}');
    const pressure = gauge('pressure', 'Nearness to the limits of the process, 1 is at it', '1');
    this.#stop = metrics.onCollect(() => {
      const now = levels();
      bytes.set(now.bytesInFlight);
      connections.set(now.connections);
      pressure.set(now.pressure);
    });
  }

  refused(code: string): void {
    let series = this.#refusedByCode.get(code);
    if (series === undefined) {
      series = this.#refused.with(code); // Codes come from tables, so there are not many.
      this.#refusedByCode.set(code, series);
    }
    series.add(1);
  }

  forBroker(broker: BrokerRoute): BrokerMeter {
    return new BrokerMeter(broker, this.#accepted, this.#duration);
  }

  stop(): void {
    this.#stop();
  }
}

/** The series of one Broker. */
export class BrokerMeter {
  readonly #broker: BrokerRoute;
  readonly #counter: Instrument<CounterSeries>;
  readonly #accepted: CounterSeries;
  readonly #duration: DispatchDuration;
  readonly #typeLabel = createTypeLabels();
  /** By status, then by label of the type. */
  readonly #series = new Map<number, Map<string, HistogramSeries>>();
  readonly #bound: DispatchLabels[] = [];
  #isForgotten = false;

  constructor(
    broker: BrokerRoute,
    accepted: Instrument<CounterSeries>,
    duration: DispatchDuration,
  ) {
    this.#broker = broker;
    this.#counter = accepted;
    this.#accepted = accepted.with(broker.namespace, broker.name);
    this.#duration = duration;
  }

  accepted(eventCount: number): void {
    this.#accepted.add(eventCount);
  }

  /** One request came to an end at the store. */
  answered(status: number, eventType: string, durationMs: number): void {
    if (this.#isForgotten) return; // It would bring the series back.
    const label = this.#typeLabel(eventType);
    const series = this.#series.get(status)?.get(label) ?? this.#bind(status, label);
    series.record(durationMs / 1_000);
  }

  /** The Broker is gone, and with it its series. */
  forget(): void {
    this.#isForgotten = true;
    this.#counter.forget(this.#broker.namespace, this.#broker.name);
    for (const labels of this.#bound) this.#duration.forget(labels);
  }

  #bind(status: number, eventType: string): HistogramSeries {
    const { namespace, name } = this.#broker;
    const labels: DispatchLabels = {
      brokerNamespace: namespace,
      brokerName: name,
      destination: `broker:${name}.${namespace}`,
      operation: 'send',
      eventType,
      statusCode: String(status),
      scheme: 'http',
    };
    const series = this.#duration.with(labels);
    this.#bound.push(labels);
    const byType = this.#series.get(status) ?? new Map<string, HistogramSeries>();
    byType.set(eventType, series);
    this.#series.set(status, byType);
    return series;
  }
}
