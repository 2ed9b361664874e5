/** What a Trigger may say, and the exact words for what it may not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblems } from '../../meta/v1/field-problem.ts';
import { parseTrigger } from './trigger.ts';

interface Parts {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

function trigger({ metadata = {}, annotations, spec = {} }: Parts): unknown {
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: { name: 'audit', ...(annotations === undefined ? {} : { annotations }), ...metadata },
    spec: { broker: 'default', subscriber: { uri: 'http://127.0.0.1:8081/' }, ...spec },
  };
}

function problemsOf(parts: Parts): string {
  const result = parseTrigger(trigger(parts));
  return result.ok ? '' : formatProblems(result.problems);
}

test('the smallest Trigger gets its defaults', () => {
  const result = parseTrigger(trigger({}));
  assert.ok(result.ok);
  assert.equal(result.value.metadata.namespace, 'default');
  assert.deepEqual(result.value.spec.filter, { attributes: null, filters: null });
  assert.deepEqual(result.value.settings, {
    order: 'unordered',
    concurrency: 100,
    start: null,
    isPaused: false,
    backlog: null,
    mergesDelivery: false,
    nonEventReply: null,
  });
});

test('annotations become values', () => {
  const result = parseTrigger(
    trigger({
      annotations: {
        'kafka.eventing.knative.dev/delivery.order': 'ordered',
        'millrace.dev/concurrency': '1000',
        'millrace.dev/start-position': '2026-01-31T12:00:00.5+01:00',
        'millrace.dev/paused': 'true',
        'millrace.dev/backlog-policy': 'drop:100Mi',
        'millrace.dev/delivery-merge': 'true',
        'millrace.dev/non-event-reply': 'ignore',
        'example.com/unknown': 'left alone',
      },
    }),
  );
  assert.ok(result.ok);
  assert.deepEqual(result.value.settings, {
    order: 'ordered',
    concurrency: 1000,
    start: { at: 'time', timeMs: Date.UTC(2026, 0, 31, 11, 0, 0, 500) },
    isPaused: true,
    backlog: { bytesMax: 100 * 2 ** 20, then: 'drop' },
    mergesDelivery: true,
    nonEventReply: 'ignore',
  });
});

const at = (name: string): string => `metadata.annotations[millrace.dev/${name}]`;
const START_FORMS = 'wanted latest, earliest, a time as 2026-01-31T12:00:00Z, or event:<id>';

const REFUSED: readonly (readonly [string, Parts, string])[] = [
  ['no broker', { spec: { broker: '' } }, 'missing field(s): spec.broker'],
  [
    'broker and brokerRef',
    { spec: { brokerRef: { kind: 'Broker', name: 'b', apiVersion: 'eventing.knative.dev/v1' } } },
    'expected exactly one, got both: spec.broker, spec.brokerRef: spec',
  ],
  [
    'a Broker of another namespace',
    {
      spec: {
        broker: null,
        brokerRef: {
          kind: 'Broker',
          name: 'b',
          apiVersion: 'eventing.knative.dev/v1',
          namespace: 'other',
        },
      },
    },
    'must not set the field(s): spec.namespace\nbrokerRef.namespace needs the feature cross-namespace-event-links',
  ],
  [
    'no subscriber',
    { spec: { subscriber: null } },
    'expected at least one, got none: ref, uri: spec.subscriber',
  ],
  [
    'a relative subscriber',
    { spec: { subscriber: { uri: '/path' } } },
    'invalid value: Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent: spec.subscriber.uri',
  ],
  [
    'another scheme',
    { spec: { subscriber: { uri: 'unix:/run/x' } } },
    'invalid value: unix:/run/x: spec.subscriber.uri\nonly http and https addresses can be called',
  ],
  [
    'user-info',
    { spec: { subscriber: { uri: 'http://u:p@host/' } } },
    'invalid value: http://u:p@host/: spec.subscriber.uri\nan address must not carry a user name or password',
  ],
  [
    'a tab in the address',
    { spec: { subscriber: { uri: 'http://ho\tst/' } } },
    'invalid value: http://ho\\u0009st/: spec.subscriber.uri\nspaces, control characters and backslashes must be percent-encoded in an address',
  ],
  [
    'a backslash in the address',
    { spec: { subscriber: { uri: 'http://10.0.0.1\\@evil' } } },
    'invalid value: http://10.0.0.1\\@evil: spec.subscriber.uri\nspaces, control characters and backslashes must be percent-encoded in an address',
  ],
  [
    'port 0',
    { spec: { subscriber: { uri: 'http://host:0/' } } },
    'invalid value: http://host:0/: spec.subscriber.uri\nport 0 cannot be called',
  ],
  [
    'an unknown field',
    { spec: { subscribers: {} } },
    'unknown field "subscribers": spec.subscribers\ndid you mean "subscriber"?',
  ],
  [
    'a key that would reach a prototype',
    { spec: JSON.parse('{"__proto__": {"broker": "x"}}') as Readonly<Record<string, unknown>> },
    '',
  ],
  [
    'an upper-case name',
    { metadata: { name: 'Audit' } },
    "invalid value: Audit: metadata.name\na lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character, in at most 253 characters",
  ],
  ['no name', { metadata: { name: '' } }, 'missing field(s): metadata.name'],
  [
    'a number for a name',
    { metadata: { name: 5 } },
    'expected text, got the number 5: metadata.name',
  ],
  [
    'a misspelt annotation',
    { annotations: { 'millrace.dev/puased': 'true' } },
    `unknown annotation "millrace.dev/puased": ${at('puased')}\ndid you mean "millrace.dev/paused"?`,
  ],
  [
    'concurrency 0',
    { annotations: { 'millrace.dev/concurrency': '0' } },
    `invalid value: 0: ${at('concurrency')}\nwanted a whole number from 1 to 1000`,
  ],
  [
    'concurrency above the limit',
    { annotations: { 'millrace.dev/concurrency': '1001' } },
    `invalid value: 1001: ${at('concurrency')}\nwanted a whole number from 1 to 1000`,
  ],
  [
    'a day that does not exist',
    { annotations: { 'millrace.dev/start-position': '2026-02-30T00:00:00Z' } },
    `invalid value: 2026-02-30T00:00:00Z: ${at('start-position')}\n${START_FORMS}`,
  ],
  [
    'an event without id',
    { annotations: { 'millrace.dev/start-position': 'event:' } },
    `invalid value: event:: ${at('start-position')}\n${START_FORMS}`,
  ],
  [
    'a policy without size',
    { annotations: { 'millrace.dev/backlog-policy': 'refuse' } },
    `invalid value: refuse: ${at('backlog-policy')}\nwanted refuse:<size> or drop:<size>, as refuse:100Mi`,
  ],
  [
    'two orders that differ',
    {
      annotations: {
        'millrace.dev/delivery-order': 'ordered',
        'kafka.eventing.knative.dev/delivery.order': 'unordered',
      },
    },
    `invalid value: ordered: ${at('delivery-order')}\nkafka.eventing.knative.dev/delivery.order says unordered: keep one of the two`,
  ],
  [
    'injection with another Broker',
    { annotations: { 'eventing.knative.dev/injection': 'enabled' }, spec: { broker: 'other' } },
    'invalid value: enabled: metadata.annotations[eventing.knative.dev/injection]\ninjection works with the Broker "default" only, not with "other"',
  ],
  [
    'a dependency that is no JSON',
    { annotations: { 'knative.dev/dependency': '{' } },
    'invalid value: {: metadata.annotations[knative.dev/dependency]\nwanted a JSON object with kind, name and apiVersion',
  ],
  [
    'a filter with two dialects',
    { spec: { filters: [{ exact: { type: 'a' }, prefix: { type: 'b' } }] } },
    'multiple dialects found, filters can have only one dialect set: spec.filters[0]',
  ],
  [
    'a period as Go writes it',
    { spec: { delivery: { backoffDelay: '1s' } } },
    'invalid value: 1s (an ISO 8601 period; this one must begin with P, as in PT1.5S or P1D; did you mean PT1S): spec.delivery.backoffDelay',
  ],
  [
    'a negative retry',
    { spec: { delivery: { retry: -1 } } },
    'invalid value: -1: spec.delivery.retry',
  ],
  [
    'a dead-letter sink of another scheme',
    { spec: { delivery: { deadLetterSink: { uri: 'ftp://host/x' } } } },
    'invalid value: ftp://host/x: spec.delivery.deadLetterSink.uri\nonly http and https addresses can be called',
  ],
  [
    'certificates that are none',
    { spec: { subscriber: { uri: 'https://host/', CACerts: 'nonsense' } } },
    'invalid value: no PEM block of type CERTIFICATE: spec.subscriber.CACerts',
  ],
];

for (const [title, parts, expected] of REFUSED) {
  test(`refused: ${title}`, () => {
    if (expected === '') {
      assert.match(problemsOf(parts), /unknown field "__proto__"/);
      return;
    }
    assert.equal(problemsOf(parts), expected);
  });
}

test('status and what a server fills in are left out', () => {
  const raw = {
    ...(trigger({
      metadata: { uid: 'forged', resourceVersion: '1', managedFields: [] },
    }) as object),
    status: { conditions: [] },
  };
  const result = parseTrigger(raw);
  assert.ok(result.ok);
  assert.deepEqual(Object.keys(result.value.metadata), [
    'name',
    'namespace',
    'labels',
    'annotations',
  ]);
});

test('annotations are limited in all to 256 KiB, both sides', () => {
  const exact = 256 * 1024 - 'a'.length;
  assert.equal(problemsOf({ annotations: { a: 'x'.repeat(exact) } }), '');
  assert.match(problemsOf({ annotations: { a: 'x'.repeat(exact + 1) } }), /at most 262144/);
});

test('names and label values have their limits, both sides', () => {
  assert.equal(problemsOf({ metadata: { name: 'a'.repeat(253) } }), '');
  assert.match(problemsOf({ metadata: { name: 'a'.repeat(254) } }), /RFC 1123/);
  assert.equal(problemsOf({ metadata: { namespace: 'a'.repeat(63) } }), '');
  assert.match(problemsOf({ metadata: { namespace: 'a'.repeat(64) } }), /RFC 1123 label/);
  assert.equal(problemsOf({ metadata: { labels: { a: 'x'.repeat(63) } } }), '');
  assert.match(problemsOf({ metadata: { labels: { a: 'x'.repeat(64) } } }), /labels\[a\]/);
  for (const name of ['..', 'a/b', 'a-', '-a', 'bücher', 'a..b']) {
    assert.match(problemsOf({ metadata: { name } }), /RFC 1123 subdomain/, name);
  }
});
