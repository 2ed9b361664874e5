/** The registry: series by label values, bounded, one declaration per name, histograms by bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERIES_COUNT_MAX, createMetrics } from './metrics.ts';
import type { InstrumentOptions } from './metrics.ts';

const COUNTER: InstrumentOptions = {
  name: 'millrace.test.events',
  description: 'Events',
  unit: '{event}',
  labels: ['broker', 'code'],
};

test('a counter adds up per label values, and the same values are the same series', () => {
  const metrics = createMetrics();
  const counter = metrics.counter(COUNTER);
  const series = counter.with('a', '1');
  series.add(2);
  counter.with('a', '1').add(3);
  counter.with('a', '2').add(1);
  assert.equal(counter.with('a', '1'), series);
  assert.deepEqual(metrics.snapshot()[0]?.series, [
    { labelValues: ['a', '1'], values: [5] },
    { labelValues: ['a', '2'], values: [1] },
  ]);
});

test('a snapshot does not change afterwards', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ ...COUNTER, labels: [] });
  counter.with().add(1);
  const [family] = metrics.snapshot();
  counter.with().add(1);
  assert.deepEqual(family?.series[0]?.values, [1]);
});

test('a forgotten series is gone, and starts again at nothing', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ ...COUNTER, labels: ['broker'] });
  counter.with('a').add(7);
  counter.forget('a');
  counter.forget('never was');
  assert.deepEqual(metrics.snapshot()[0]?.series, []);
  counter.with('a').add(1);
  assert.deepEqual(metrics.snapshot()[0]?.series, [{ labelValues: ['a'], values: [1] }]);
});

test('a gauge keeps the last value, set just before a snapshot when asked', () => {
  const metrics = createMetrics();
  const gauge = metrics.gauge({ ...COUNTER, labels: [] }).with();
  let level = 1;
  const stop = metrics.onCollect(() => gauge.set(level));
  assert.deepEqual(metrics.snapshot()[0]?.series[0]?.values, [1]);
  level = 2;
  assert.deepEqual(metrics.snapshot()[0]?.series[0]?.values, [2]);
  stop();
  level = 3;
  assert.deepEqual(metrics.snapshot()[0]?.series[0]?.values, [2]);
});

test('a histogram counts a value at its bound below it, and the rest as overflow', () => {
  const metrics = createMetrics();
  const histogram = metrics.histogram({ ...COUNTER, labels: [], unit: 's', bounds: [1, 2] });
  for (const value of [0, 1, 1.5, 2, 2.5]) histogram.with().record(value);
  assert.deepEqual(metrics.snapshot()[0]?.series[0]?.values, [2, 2, 1, 7]);
});

test('the number of series is bounded: those beyond it are counted together', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ ...COUNTER, labels: ['id'] });
  for (let index = 0; index < SERIES_COUNT_MAX; index++) counter.with(String(index)).add(1);
  counter.with('one more').add(1);
  counter.with('and another').add(1);
  counter.with('0').add(1);
  const series = metrics.snapshot()[0]?.series ?? [];
  assert.equal(series.length, SERIES_COUNT_MAX + 1);
  assert.deepEqual(series.at(-1), { labelValues: ['_other'], values: [2] });
  assert.deepEqual(series[0]?.values, [2]);
});

test('a wrong number of label values is a bug', () => {
  const counter = createMetrics().counter(COUNTER);
  assert.throws(() => counter.with('a'), { name: 'AssertionFailure' });
  assert.throws(() => counter.with('a', 'b', 'c'), { name: 'AssertionFailure' });
});

test('one name is one family; declaring it in another way is a bug', () => {
  const metrics = createMetrics();
  metrics.counter(COUNTER).with('a', '1').add(1);
  metrics.counter(COUNTER).with('a', '1').add(1);
  assert.equal(metrics.snapshot().length, 1);
  assert.deepEqual(metrics.snapshot()[0]?.series[0]?.values, [2]);
  assert.throws(() => metrics.gauge(COUNTER), { name: 'AssertionFailure' });
  assert.throws(() => metrics.counter({ ...COUNTER, labels: ['broker'] }), {
    name: 'AssertionFailure',
  });
});
