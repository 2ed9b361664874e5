/**
 * Metric families as Prometheus text, for `/metrics`. Families of one name may come several times,
 * one per process: equal series are added up. Names are OpenTelemetry's and are escaped as its
 * exporter does: dots become underscores, the unit and `_total` become suffixes.
 * Source: Prometheus text format 0.0.4; OpenTelemetry, "Prometheus and OpenMetrics Compatibility".
 */
import type { MetricFamily, MetricSeries } from './metrics.ts';

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const UNIT_SUFFIXES: ReadonlyMap<string, string> = new Map([
  ['s', '_seconds'],
  ['ms', '_milliseconds'],
  ['By', '_bytes'],
]);

/** Series without values are left out; a label with an empty value counts as absent. */
export function renderPrometheus(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const family of mergeFamilies(families)) {
    const name = prometheusName(family);
    lines.push(`# HELP ${name} ${escapeHelp(family.description)}`, `# TYPE ${name} ${family.kind}`);
    for (const series of family.series) {
      if (family.kind === 'histogram') lines.push(...histogramLines(name, family, series));
      else lines.push(`${name}${labelsText(family, series)} ${numberText(series.values[0] ?? 0)}`);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** `kn.eventing.dispatch.duration` in `s` is `kn_eventing_dispatch_duration_seconds`. */
export function prometheusName(family: Pick<MetricFamily, 'name' | 'unit' | 'kind'>): string {
  let name = escapeName(family.name);
  const unit = UNIT_SUFFIXES.get(family.unit) ?? ratioSuffix(family);
  if (!name.endsWith(unit)) name += unit;
  if (family.kind === 'counter' && !name.endsWith('_total')) name += '_total';
  return name;
}

function ratioSuffix({ unit, kind }: Pick<MetricFamily, 'unit' | 'kind'>): string {
  return unit === '1' && kind === 'gauge' ? '_ratio' : '';
}

function escapeName(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, '_').replace(/^(?=\d)/, '_');
}

function histogramLines(name: string, family: MetricFamily, series: MetricSeries): string[] {
  const { bounds } = family;
  const lines: string[] = [];
  let count = 0;
  for (let index = 0; index <= bounds.length; index++) {
    count += series.values[index] ?? 0;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : numberText(bound);
    lines.push(`${name}_bucket${labelsText(family, series, le)} ${count}`);
  }
  const labels = labelsText(family, series);
  lines.push(`${name}_sum${labels} ${numberText(series.values[bounds.length + 1] ?? 0)}`);
  lines.push(`${name}_count${labels} ${count}`);
  return lines;
}

function labelsText(family: MetricFamily, series: MetricSeries, le?: string): string {
  const pairs: string[] = [];
  for (const [index, label] of family.labels.entries()) {
    const value = series.labelValues[index] ?? '';
    if (value !== '') pairs.push(`${escapeName(label)}="${escapeValue(value)}"`);
  }
  if (le !== undefined) pairs.push(`le="${le}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
}

function escapeValue(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

/** One family per name, in order of first appearance. */
function mergeFamilies(families: readonly MetricFamily[]): readonly MetricFamily[] {
  const merged = new Map<string, MetricFamily>();
  for (const family of families) {
    const known = merged.get(family.name);
    merged.set(family.name, known === undefined ? family : mergeTwo(known, family));
  }
  return [...merged.values()];
}

/** Amounts add up over processes; of shares (unit `1`) the highest counts. */
function mergeTwo(first: MetricFamily, second: MetricFamily): MetricFamily {
  const byLabels = new Map<string, MetricSeries>();
  const combine = first.unit === '1' && first.kind === 'gauge' ? Math.max : add;
  for (const series of [...first.series, ...second.series]) {
    const key = series.labelValues.join('\u0000');
    const known = byLabels.get(key);
    const values =
      known?.values.map((value, index) => combine(value, series.values[index] ?? 0)) ??
      series.values;
    byLabels.set(key, { labelValues: series.labelValues, values });
  }
  return { ...first, series: [...byLabels.values()] };
}

function add(left: number, right: number): number {
  return left + right;
}
