/** Names, escaping, histograms and merging of the text format, against literal lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDispatchDuration, createTypeLabels } from './dispatch-duration.ts';
import { OTHER_TYPE, TYPE_LABELS_MAX } from './dispatch-duration.ts';
import { createMetrics } from './metrics.ts';
import type { MetricFamily } from './metrics.ts';
import { prometheusName, renderPrometheus } from './prometheus.ts';

test("Knative's duration has Knative's names, and labels that do not apply are left out", () => {
  const metrics = createMetrics();
  const duration = createDispatchDuration(metrics).with({
    brokerNamespace: 'ns',
    brokerName: 'b',
    destination: 'broker:b.ns',
    operation: 'send',
    eventType: 'com.example.a',
    statusCode: '',
    scheme: 'http',
  });
  duration.record(0.004);
  duration.record(0.3);
  duration.record(20);
  const text = renderPrometheus(metrics.snapshot());
  const labels =
    'kn_broker_namespace="ns",kn_broker_name="b",messaging_system="knative",' +
    'messaging_destination_name="broker:b.ns",messaging_operation_name="send",' +
    'cloudevents_type="com.example.a",url_scheme="http"';
  const name = 'kn_eventing_dispatch_duration_seconds';
  assert.ok(text.startsWith(`# HELP ${name} The duration to dispatch the event\n`));
  for (const line of [
    `# TYPE ${name} histogram`,
    `${name}_bucket{${labels},le="0.005"} 1`,
    `${name}_bucket{${labels},le="0.25"} 1`,
    `${name}_bucket{${labels},le="0.5"} 2`,
    `${name}_bucket{${labels},le="10"} 2`,
    `${name}_bucket{${labels},le="+Inf"} 3`,
    `${name}_sum{${labels}} 20.304`,
    `${name}_count{${labels}} 3`,
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

const names: readonly [MetricFamily['kind'], string, string, string][] = [
  ['counter', 'millrace.ingress.accepted', '{event}', 'millrace_ingress_accepted_total'],
  ['counter', 'millrace.sent', 'By', 'millrace_sent_bytes_total'],
  ['counter', 'a.total', '1', 'a_total'],
  ['gauge', 'millrace.pressure', '1', 'millrace_pressure_ratio'],
  ['gauge', 'millrace.oldest_age', 's', 'millrace_oldest_age_seconds'],
  ['gauge', 'millrace.connections', '{connection}', 'millrace_connections'],
  ['gauge', 'stored.bytes', 'By', 'stored_bytes'],
  ['gauge', '5xx-rate', '{x}', '_5xx_rate'],
];
for (const [kind, name, unit, wanted] of names) {
  test(`${kind} ${name} in ${unit} is ${wanted}`, () => {
    assert.equal(prometheusName({ kind, name, unit }), wanted);
  });
}

test('values and help texts cannot break a line', () => {
  const metrics = createMetrics();
  const options = { name: 'x', description: 'a\\b\nc', unit: '', labels: ['l'] };
  metrics.gauge(options).with('q"\\\n').set(Number.POSITIVE_INFINITY);
  assert.equal(
    renderPrometheus(metrics.snapshot()),
    '# HELP x a\\\\b\\nc\n# TYPE x gauge\nx{l="q\\"\\\\\\n"} +Inf\n',
  );
});

test('families of several processes become one: amounts are added, shares are not', () => {
  const snapshot = (amount: number): readonly MetricFamily[] => {
    const metrics = createMetrics();
    const options = { description: 'd', unit: '{event}', labels: ['code'] };
    metrics
      .counter({ ...options, name: 'c' })
      .with('a')
      .add(amount);
    metrics
      .counter({ ...options, name: 'c' })
      .with(`only${amount}`)
      .add(1);
    metrics
      .gauge({ ...options, name: 'g', unit: '1' })
      .with('a')
      .set(amount);
    return metrics.snapshot();
  };
  assert.equal(
    renderPrometheus([...snapshot(2), ...snapshot(3)]),
    [
      '# HELP c_total d',
      '# TYPE c_total counter',
      'c_total{code="a"} 5',
      'c_total{code="only2"} 1',
      'c_total{code="only3"} 1',
      '# HELP g_ratio d',
      '# TYPE g_ratio gauge',
      'g_ratio{code="a"} 3',
      '',
    ].join('\n'),
  );
});

test('no families are no text', () => {
  assert.equal(renderPrometheus([]), '');
});

test('the first hundred event types have labels of their own', () => {
  const labelOf = createTypeLabels();
  for (let index = 0; index < TYPE_LABELS_MAX; index++)
    assert.equal(labelOf(`t${index}`), `t${index}`);
  assert.equal(labelOf('one.more'), OTHER_TYPE);
  assert.equal(labelOf('t0'), 't0');
  assert.equal(createTypeLabels()('x'.repeat(129)), OTHER_TYPE);
  assert.equal(createTypeLabels()('x'.repeat(128)), 'x'.repeat(128));
});
