/**
 * eventing.knative.dev/v1 Broker as users write it: type, defaults, validation with Knative's
 * messages. Read by `local/` (and later by the API server's admission). A parsed Broker is valid.
 */
import { parseDeliverySpec } from '../../duck/v1/delivery-spec.ts';
import type { DeliverySpec } from '../../duck/v1/delivery-spec.ts';
import { parseReference } from '../../duck/v1/destination.ts';
import type { KReference } from '../../duck/v1/destination.ts';
import { fieldPath, invalidValue, keyPath } from '../../meta/v1/field-problem.ts';
import type { ParseResult } from '../../meta/v1/field-problem.ts';
import { FieldReader, field } from '../../meta/v1/field-reader.ts';
import { parseObjectMeta } from '../../meta/v1/object-meta.ts';
import type { ObjectMeta } from '../../meta/v1/object-meta.ts';
import { parseBrokerAnnotations } from './annotations.ts';
import type { BrokerAnnotations } from './annotations.ts';
import { CLASS_ANNOTATION, MILLRACE_CLASS } from './broker-classes.ts';

export const EVENTING_V1 = 'eventing.knative.dev/v1';

export interface Broker {
  readonly apiVersion: typeof EVENTING_V1;
  readonly kind: 'Broker';
  readonly metadata: ObjectMeta;
  readonly className: string;
  readonly settings: BrokerAnnotations;
  readonly spec: {
    /** Accepted as Knative's YAML has it; the local store needs none. */
    readonly config: KReference | null;
    readonly delivery: DeliverySpec | null;
  };
}

export interface BrokerParseOptions {
  /** Classes served here; the first is the default of a Broker without class. */
  readonly classes: readonly string[];
}

const OBJECT_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

/** `raw` is the decoded object; its apiVersion and kind were checked by the caller. */
export function parseBroker(raw: unknown, options: BrokerParseOptions): ParseResult<Broker> {
  const reader = new FieldReader();
  const object = reader.map('', raw, OBJECT_FIELDS) ?? {};
  const metadata = parseObjectMeta(reader, field(object, 'metadata'));
  const annotations = metadata?.annotations ?? {};
  const settings = parseBrokerAnnotations(reader, annotations);
  const className = annotations[CLASS_ANNOTATION] || (options.classes[0] ?? MILLRACE_CLASS);
  if (!options.classes.includes(className)) {
    const path = keyPath('metadata.annotations', CLASS_ANNOTATION);
    const details = `served here: ${options.classes.join(', ')}`;
    reader.refuse(invalidValue(path, className, details));
  }
  const namespace = metadata?.namespace ?? '';
  const spec = reader.map('spec', field(object, 'spec'), ['config', 'delivery']) ?? {};
  const configPath = fieldPath('spec', 'config');
  const config = parseReference(reader, configPath, field(spec, 'config'), namespace);
  const delivery = parseDeliverySpec(reader, 'spec.delivery', field(spec, 'delivery'), namespace);
  if (metadata === null || reader.problems.length > 0) {
    return { ok: false, problems: reader.problems };
  }
  const value: Broker = {
    apiVersion: EVENTING_V1,
    kind: 'Broker',
    metadata,
    className,
    settings,
    spec: { config, delivery },
  };
  return { ok: true, value, warnings: reader.warnings };
}
