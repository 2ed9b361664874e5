/**
 * eventing.knative.dev/v1 Trigger as users write it: type, defaults, validation with Knative's
 * messages. Read by `local/` (and later by the API server's admission). A parsed Trigger is valid: its
 * filter compiles and its settings are numbers.
 */
import { parseTriggerFilter } from '#lib/filters/dialect';
import { EVERY_EVENT } from '#lib/filters/dialect';
import type { TriggerFilterSpec } from '#lib/filters/dialect';
import { parseDeliverySpec } from '../../duck/v1/delivery-spec.ts';
import type { DeliverySpec } from '../../duck/v1/delivery-spec.ts';
import { parseDestination, parseReference } from '../../duck/v1/destination.ts';
import type { DestinationSpec } from '#lib/delivery/destination-spec';
import {
  disallowedField,
  invalidValue,
  keyPath,
  missingField,
  problem,
} from '../../meta/v1/field-problem.ts';
import type { ParseResult } from '../../meta/v1/field-problem.ts';
import { FieldReader, field, isFields } from '../../meta/v1/field-reader.ts';
import type { Fields } from '../../meta/v1/field-reader.ts';
import { isSubdomain, parseObjectMeta } from '../../meta/v1/object-meta.ts';
import type { ObjectMeta } from '../../meta/v1/object-meta.ts';
import { parseTriggerAnnotations } from './annotations.ts';
import type { TriggerAnnotations } from './annotations.ts';
import { EVENTING_V1 } from './broker.ts';

export const INJECTION_ANNOTATION = 'eventing.knative.dev/injection';
export const DEPENDENCY_ANNOTATION = 'knative.dev/dependency';

export interface Trigger {
  readonly apiVersion: typeof EVENTING_V1;
  readonly kind: 'Trigger';
  readonly metadata: ObjectMeta;
  readonly settings: TriggerAnnotations;
  /** `eventing.knative.dev/injection: enabled`: its Broker `default` is made when it is missing. */
  readonly injectsBroker: boolean;
  readonly spec: {
    /** Name of the Broker, of `spec.broker` or `spec.brokerRef`, in the Trigger's own namespace. */
    readonly broker: string;
    readonly filter: TriggerFilterSpec;
    readonly subscriber: DestinationSpec;
    readonly delivery: DeliverySpec | null;
  };
}

const OBJECT_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];
const SPEC_FIELDS = ['broker', 'brokerRef', 'filter', 'filters', 'subscriber', 'delivery'];

/** `raw` is the decoded object; its apiVersion and kind were checked by the caller. */
export function parseTrigger(raw: unknown): ParseResult<Trigger> {
  const reader = new FieldReader();
  const object = reader.map('', raw, OBJECT_FIELDS) ?? {};
  const metadata = parseObjectMeta(reader, field(object, 'metadata'));
  const namespace = metadata?.namespace ?? '';
  const annotations = metadata?.annotations ?? {};
  const settings = parseTriggerAnnotations(reader, annotations);
  const rawSpec = field(object, 'spec');
  const spec = reader.map('spec', rawSpec, SPEC_FIELDS) ?? {};
  const isReadable = rawSpec === undefined || rawSpec === null || isFields(rawSpec);
  const broker = isReadable ? parseBrokerName(reader, spec, namespace) : null;
  const filter = parseFilter(reader, spec);
  const subscriber = isReadable ? parseSubscriber(reader, spec, namespace) : null;
  const delivery = parseDeliverySpec(reader, 'spec.delivery', field(spec, 'delivery'), namespace);
  checkDependency(reader, annotations, namespace);
  const injectsBroker = parseInjection(reader, annotations, broker);
  const isComplete = metadata !== null && broker !== null && subscriber !== null;
  if (!isComplete || reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const value: Trigger = {
    apiVersion: EVENTING_V1,
    kind: 'Trigger',
    metadata,
    settings,
    injectsBroker,
    spec: { broker, filter, subscriber, delivery },
  };
  return { ok: true, value, warnings: reader.warnings };
}

function parseBrokerName(reader: FieldReader, spec: Fields, namespace: string): string | null {
  const before = reader.problems.length;
  const name = reader.text('spec.broker', field(spec, 'broker'));
  const rawRef = field(spec, 'brokerRef');
  const hasRef = rawRef !== undefined && rawRef !== null;
  if (reader.problems.length > before) return null;
  if (!hasRef && (name === null || name === '')) return reader.refuse(missingField('spec.broker'));
  if (hasRef && name !== null && name !== '') {
    const paths = 'spec.broker, spec.brokerRef';
    return reader.refuse(problem('spec', `expected exactly one, got both: ${paths}`));
  }
  if (!hasRef) {
    if (name !== null && isSubdomain(name)) return name;
    return reader.refuse(invalidValue('spec.broker', name, 'not a name that a Broker can have'));
  }
  return parseBrokerReference(reader, rawRef, namespace);
}

function parseBrokerReference(reader: FieldReader, raw: unknown, namespace: string): string | null {
  const ref = parseReference(reader, 'spec.brokerRef', raw, namespace);
  if (ref === null) return null;
  if (
    isFields(raw) &&
    typeof field(raw, 'namespace') === 'string' &&
    field(raw, 'namespace') !== ''
  ) {
    const details = 'brokerRef.namespace needs the feature cross-namespace-event-links';
    return reader.refuse(disallowedField('spec.namespace', details));
  }
  if (ref.kind !== 'Broker' || !ref.apiVersion.startsWith('eventing.knative.dev/')) {
    const details = 'wanted kind Broker of eventing.knative.dev/v1';
    return reader.refuse(invalidValue('spec.brokerRef.kind', ref.kind, details));
  }
  return ref.name;
}

function parseFilter(reader: FieldReader, spec: Fields): TriggerFilterSpec {
  const filter = reader.map('spec.filter', field(spec, 'filter'), ['attributes']) ?? {};
  const result = parseTriggerFilter(field(filter, 'attributes'), field(spec, 'filters'));
  if (result.ok) return result.filter;
  for (const one of result.problems) reader.refuse(one);
  return EVERY_EVENT;
}

function parseSubscriber(
  reader: FieldReader,
  spec: Fields,
  namespace: string,
): DestinationSpec | null {
  const raw = field(spec, 'subscriber');
  if (raw === undefined || raw === null) {
    const message = 'expected at least one, got none: ref, uri';
    return reader.refuse(problem('spec.subscriber', message));
  }
  return parseDestination(reader, 'spec.subscriber', raw, namespace);
}

function checkDependency(
  reader: FieldReader,
  annotations: Readonly<Record<string, string>>,
  namespace: string,
): void {
  if (!Object.hasOwn(annotations, DEPENDENCY_ANNOTATION)) return;
  const text = annotations[DEPENDENCY_ANNOTATION] ?? '';
  const path = keyPath('metadata.annotations', DEPENDENCY_ANNOTATION);
  const reference = parseJsonMap(text);
  if (reference === null) {
    reader.refuse(invalidValue(path, text, 'wanted a JSON object with kind, name and apiVersion'));
    return;
  }
  const inside = reference['namespace'];
  if (inside !== undefined && inside !== '' && inside !== namespace) {
    const details = 'namespace must be empty or equal to the trigger namespace';
    reader.refuse(invalidValue(path, String(inside), details));
  }
  for (const name of ['kind', 'name', 'apiVersion']) {
    const value = reference[name];
    if (typeof value !== 'string' || value === '') reader.refuse(missingField(`${path}.${name}`));
  }
}

function parseJsonMap(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : null;
  } catch {
    return null; // Not JSON: the caller says what is wanted.
  }
}

function parseInjection(
  reader: FieldReader,
  annotations: Readonly<Record<string, string>>,
  broker: string | null,
): boolean {
  if (!Object.hasOwn(annotations, INJECTION_ANNOTATION)) return false;
  const path = keyPath('metadata.annotations', INJECTION_ANNOTATION);
  const text = annotations[INJECTION_ANNOTATION] ?? '';
  if (text !== 'enabled' && text !== 'disabled') {
    reader.refuse(invalidValue(path, text, 'wanted enabled or disabled'));
    return false;
  }
  if (broker !== null && broker !== 'default') {
    const details = `injection works with the Broker "default" only, not with "${broker}"`;
    reader.refuse(invalidValue(path, text, details));
  }
  return text === 'enabled';
}
