/**
 * A small metrics registry for the data plane: counters, gauges and histograms with bounded label
 * values, snapshots as plain data (they cross process boundaries), rendered by `prometheus.ts`.
 * Names are OpenTelemetry's (`kn.eventing.dispatch.duration`, unit `s`); the renderer escapes them.
 */
import { assert } from '#lib/assert/assert';

export interface InstrumentOptions {
  readonly name: string;
  readonly description: string;
  /** OpenTelemetry unit: `s`, `By`, `{event}`. */
  readonly unit: string;
  readonly labels: readonly string[];
}

export interface HistogramOptions extends InstrumentOptions {
  readonly bounds: readonly number[];
}

export interface CounterSeries {
  add(by: number): void;
}

export interface GaugeSeries {
  set(value: number): void;
}

export interface HistogramSeries {
  record(value: number): void;
}

/** `with` looks a series up or makes it; hold on to the result on hot paths. */
export interface Instrument<Series> {
  with(...labelValues: readonly string[]): Series;
  /** Forgets a series, when its Broker or Trigger is gone. */
  forget(...labelValues: readonly string[]): void;
}

export interface Metrics {
  counter(options: InstrumentOptions): Instrument<CounterSeries>;
  gauge(options: InstrumentOptions): Instrument<GaugeSeries>;
  histogram(options: HistogramOptions): Instrument<HistogramSeries>;
  /** Calls `observe` just before each snapshot, to set gauges. Returns the way to stop. */
  onCollect(observe: () => void): () => void;
  snapshot(): readonly MetricFamily[];
}

export interface MetricFamily {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly bounds: readonly number[];
  readonly series: readonly MetricSeries[];
}

export interface MetricSeries {
  readonly labelValues: readonly string[];
  /** Counter and gauge: one number. Histogram: counts per bound, then overflow; then sum. */
  readonly values: readonly number[];
}

/** Knative's bounds for its duration histograms, in seconds. */
export const DURATION_BOUNDS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** Label sets beyond this are folded into one with the value `_other` (bounded cardinality). */
export const SERIES_COUNT_MAX = 20_000;
const OVERFLOW_LABEL = '_other';

interface Cell {
  readonly labelValues: readonly string[];
  readonly values: number[];
}

class Family<Series> implements Instrument<Series> {
  readonly #cells = new Map<string, { readonly cell: Cell; readonly series: Series }>();
  readonly #labelCount: number;
  readonly #slots: number;
  readonly #bind: (cell: Cell) => Series;

  constructor(labelCount: number, slots: number, bind: (cell: Cell) => Series) {
    this.#labelCount = labelCount;
    this.#slots = slots;
    this.#bind = bind;
  }

  with(...labelValues: readonly string[]): Series {
    const key = labelValues.join('\u0000');
    const known = this.#cells.get(key);
    if (known !== undefined) return known.series;
    assert(labelValues.length === this.#labelCount, 'a series has a value for each label', {
      wanted: this.#labelCount,
      given: labelValues.length,
    });
    const isOverflow = labelValues.every((value) => value === OVERFLOW_LABEL);
    if (this.#cells.size >= SERIES_COUNT_MAX && !isOverflow) {
      return this.with(...labelValues.map(() => OVERFLOW_LABEL));
    }
    const cell: Cell = {
      labelValues: [...labelValues],
      values: new Array<number>(this.#slots).fill(0),
    };
    const series = this.#bind(cell);
    this.#cells.set(key, { cell, series });
    return series;
  }

  forget(...labelValues: readonly string[]): void {
    this.#cells.delete(labelValues.join('\u0000'));
  }

  series(): readonly MetricSeries[] {
    return Array.from(this.#cells.values(), ({ cell }) => ({
      labelValues: cell.labelValues,
      values: [...cell.values],
    }));
  }
}

function addTo(cell: Cell, index: number, by: number): void {
  cell.values[index] = (cell.values[index] ?? 0) + by;
}

function bindHistogram(bounds: readonly number[]): (cell: Cell) => HistogramSeries {
  return (cell) => ({
    record(value) {
      let index = 0;
      while (index < bounds.length && value > (bounds[index] ?? 0)) index++;
      addTo(cell, index, 1);
      addTo(cell, bounds.length + 1, value);
    },
  });
}

type Declaration = Omit<MetricFamily, 'series'>;

function isSameInstrument(known: Declaration, asked: Declaration): boolean {
  return (
    known.kind === asked.kind &&
    known.unit === asked.unit &&
    known.labels.join() === asked.labels.join() &&
    known.bounds.join() === asked.bounds.join()
  );
}

/** A registry of its own; each process has one, tests as many as they like. */
export function createMetrics(): Metrics {
  const families = new Map<
    string,
    { readonly meta: Declaration; readonly family: Family<unknown> }
  >();
  const observers = new Set<() => void>();

  const register = <Series>(meta: Declaration, make: () => Family<Series>): Family<Series> => {
    const known = families.get(meta.name);
    if (known !== undefined) {
      assert(isSameInstrument(known.meta, meta), 'an instrument is declared the same everywhere', {
        name: meta.name,
      });
      return known.family as Family<Series>;
    }
    const family = make();
    families.set(meta.name, { meta, family });
    return family;
  };

  return {
    counter: (options) =>
      register<CounterSeries>({ ...options, kind: 'counter', bounds: [] }, () => {
        return new Family(options.labels.length, 1, (cell) => ({
          add: (by) => addTo(cell, 0, by),
        }));
      }),
    gauge: (options) =>
      register<GaugeSeries>({ ...options, kind: 'gauge', bounds: [] }, () => {
        return new Family(options.labels.length, 1, (cell) => ({
          set(value) {
            cell.values[0] = value;
          },
        }));
      }),
    histogram: (options) =>
      register<HistogramSeries>({ ...options, kind: 'histogram' }, () => {
        return new Family(
          options.labels.length,
          options.bounds.length + 2,
          bindHistogram(options.bounds),
        );
      }),
    onCollect(observe) {
      observers.add(observe);
      return () => observers.delete(observe);
    },
    snapshot() {
      for (const observe of observers) observe();
      return Array.from(families.values(), ({ meta, family }) => ({
        ...meta,
        series: family.series(),
      }));
    },
  };
}
