/** Brokers and Triggers as the YAML a user would write, for `millrace up -f`. */
import { stringify } from 'yaml';

export interface BrokerSpec {
  readonly name: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly delivery?: DeliverySpec;
}

export interface TriggerSpec {
  readonly name: string;
  readonly subscriber: string;
  readonly broker?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** `filter.attributes`. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** `filters`, as Knative's Subscriptions API has them. */
  readonly filters?: readonly Readonly<Record<string, unknown>>[];
  readonly delivery?: DeliverySpec;
}

export interface DeliverySpec {
  readonly retry?: number;
  readonly backoffPolicy?: 'linear' | 'exponential';
  readonly backoffDelay?: string;
  readonly timeout?: string;
  readonly retryAfterMax?: string;
  readonly format?: 'json' | 'binary';
  /** URI of the dead-letter sink. */
  readonly deadLetterSink?: string;
}

/** The documents of one file. */
export function manifestYaml(
  triggers: readonly TriggerSpec[],
  brokers: readonly BrokerSpec[] = [],
): string {
  return [...brokers.map(brokerObject), ...triggers.map(triggerObject)]
    .map((object) => stringify(object))
    .join('---\n');
}

function brokerObject(spec: BrokerSpec): object {
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Broker',
    metadata: metadataOf(spec),
    ...(spec.delivery === undefined ? {} : { spec: { delivery: deliveryObject(spec.delivery) } }),
  };
}

function triggerObject(spec: TriggerSpec): object {
  const { broker = 'default', attributes, filters, delivery, subscriber } = spec;
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: metadataOf(spec),
    spec: {
      broker,
      ...(attributes === undefined ? {} : { filter: { attributes } }),
      ...(filters === undefined ? {} : { filters }),
      subscriber: { uri: subscriber },
      ...(delivery === undefined ? {} : { delivery: deliveryObject(delivery) }),
    },
  };
}

function metadataOf(spec: BrokerSpec | TriggerSpec): object {
  const { name, namespace, annotations } = spec;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function deliveryObject(delivery: DeliverySpec): object {
  const { deadLetterSink, ...rest } = delivery;
  return deadLetterSink === undefined ? rest : { ...rest, deadLetterSink: { uri: deadLetterSink } };
}
