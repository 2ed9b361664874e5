/**
 * The Broker classes that this installation serves: an explicit list, so that Millrace and Knative can
 * live side by side. On a laptop Knative's own classes mean the same thing as ours: the local store.
 */

export const CLASS_ANNOTATION = 'eventing.knative.dev/broker.class';
export const MILLRACE_CLASS = 'Millrace';

/** What a laptop serves; in a cluster it is {@link MILLRACE_CLASS} alone unless configured. */
export const LOCAL_BROKER_CLASSES: readonly string[] = [
  MILLRACE_CLASS,
  'MTChannelBasedBroker',
  'Kafka',
  'KafkaNamespaced',
];
