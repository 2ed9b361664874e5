/** What a Broker may say: classes, config, delivery, annotations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblems } from '../../meta/v1/field-problem.ts';
import { parseBroker } from './broker.ts';
import { LOCAL_BROKER_CLASSES } from './broker-classes.ts';

const options = { classes: LOCAL_BROKER_CLASSES };

function broker(annotations: object, spec: unknown = {}): unknown {
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Broker',
    metadata: { name: 'default', annotations },
    spec,
  };
}

function problemsOf(raw: unknown): string {
  const result = parseBroker(raw, options);
  return result.ok ? '' : formatProblems(result.problems);
}

for (const name of ['Millrace', 'MTChannelBasedBroker', 'Kafka', 'KafkaNamespaced']) {
  test(`class ${name} is served on a laptop`, () => {
    const result = parseBroker(broker({ 'eventing.knative.dev/broker.class': name }), options);
    assert.ok(result.ok);
    assert.equal(result.value.className, name);
  });
}

test('a Broker without class, or with an empty one, gets Millrace', () => {
  for (const annotations of [{}, { 'eventing.knative.dev/broker.class': '' }]) {
    const result = parseBroker(broker(annotations), options);
    assert.ok(result.ok);
    assert.equal(result.value.className, 'Millrace');
    assert.equal(result.value.settings.nonEventReply, 'fail');
  }
});

test('a foreign class is refused with the list of those served', () => {
  assert.equal(
    problemsOf(broker({ 'eventing.knative.dev/broker.class': 'RabbitMQBroker' })),
    'invalid value: RabbitMQBroker: metadata.annotations[eventing.knative.dev/broker.class]\n' +
      'served here: Millrace, MTChannelBasedBroker, Kafka, KafkaNamespaced',
  );
});

test("Knative's config reference is accepted and checked", () => {
  const config = { apiVersion: 'v1', kind: 'ConfigMap', name: 'config-br-default-channel' };
  assert.equal(problemsOf(broker({}, { config })), '');
  assert.equal(
    problemsOf(broker({}, { config: { kind: 'ConfigMap' } })),
    'missing field(s): spec.config.apiVersion, spec.config.name',
  );
});

test('a Broker without spec is a Broker', () => {
  assert.equal(problemsOf(broker({}, undefined)), '');
  assert.equal(problemsOf(broker({}, null)), '');
  assert.match(problemsOf(broker({}, [])), /expected a map of fields, got a list: spec/);
});

test("a Trigger's annotation on a Broker is unknown there", () => {
  assert.equal(
    problemsOf(broker({ 'millrace.dev/paused': 'true' })),
    'unknown annotation "millrace.dev/paused": metadata.annotations[millrace.dev/paused]\n' +
      'known here: millrace.dev/non-event-reply',
  );
});
