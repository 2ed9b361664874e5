/**
 * The kinds that manifests may hold on a laptop, and what is refused because nothing here can look an
 * object up: references. One row per kind; used by `manifest-reader.ts`.
 */
import { nearestName } from '#lib/config/nearest-name';
import type { DestinationSpec } from '#lib/delivery/destination-spec';
import type { DeliverySpec } from '#api/duck/v1/delivery-spec';
import { EVENTING_V1, parseBroker } from '#api/eventing/v1/broker';
import type { Broker } from '#api/eventing/v1/broker';
import { LOCAL_BROKER_CLASSES } from '#api/eventing/v1/broker-classes';
import { DEPENDENCY_ANNOTATION, parseTrigger } from '#api/eventing/v1/trigger';
import type { Trigger } from '#api/eventing/v1/trigger';
import { invalidValue, keyPath, problem } from '#api/meta/v1/field-problem';
import type { AddressRules } from '#lib/security/address-rules';
import type { FieldProblem, ParseResult } from '#api/meta/v1/field-problem';
import { field, isFields, kindOf } from '#api/meta/v1/field-reader';
import { DEFAULT_NAMESPACE, isDnsLabel, isSubdomain } from '#api/meta/v1/object-meta';

export type ManifestObject = Broker | Trigger;

export const SERVED_KINDS: readonly ManifestObject['kind'][] = ['Broker', 'Trigger'];

/** `Trigger default/audit`: the identity of an object, and how it is shown. */
export function objectTitle(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`;
}

export function titleOf(object: ManifestObject): string {
  return objectTitle(object.kind, object.metadata.namespace, object.metadata.name);
}

/** What may be called from here, judged by the text of the address (`lib/security/address-rules.ts`). */
export type UrlCheck = Pick<AddressRules, 'checkUrl'>;

/** Reads one decoded object of a served kind. */
export function parseObject(raw: unknown, rules: UrlCheck): ParseResult<ManifestObject> {
  if (!isFields(raw)) {
    return refused(problem('', `expected an object with apiVersion and kind, got ${kindOf(raw)}`));
  }
  const wrongKind = kindProblem(field(raw, 'apiVersion'), field(raw, 'kind'));
  if (wrongKind !== null) return refused(wrongKind);
  if (field(raw, 'kind') === 'Broker') {
    const result = parseBroker(raw, { classes: LOCAL_BROKER_CLASSES });
    if (!result.ok) return result;
    const problems = deliveryProblems(result.value.spec.delivery, rules);
    return problems.length === 0 ? result : { ok: false, problems };
  }
  const result = parseTrigger(raw);
  if (!result.ok) return result;
  const problems = triggerProblems(result.value, rules);
  return problems.length === 0 ? result : { ok: false, problems };
}

/** The identity of an object that may have other faults; `null` when it cannot be told. */
export function titleOfRaw(raw: unknown): string | null {
  if (!isFields(raw) || kindProblem(field(raw, 'apiVersion'), field(raw, 'kind')) !== null)
    return null;
  const metadata = field(raw, 'metadata');
  if (!isFields(metadata)) return null;
  const name = field(metadata, 'name');
  const namespace = field(metadata, 'namespace') ?? DEFAULT_NAMESPACE;
  if (typeof name !== 'string' || typeof namespace !== 'string') return null;
  if (!isSubdomain(name) || !isDnsLabel(namespace)) return null;
  return objectTitle(String(field(raw, 'kind')), namespace, name);
}

function kindProblem(apiVersion: unknown, kind: unknown): FieldProblem | null {
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    return problem('apiVersion', 'missing field(s)', `wanted ${EVENTING_V1}`);
  }
  if (typeof kind !== 'string' || kind === '') {
    return problem('kind', 'missing field(s)', `wanted ${SERVED_KINDS.join(' or ')}`);
  }
  const isServedKind = SERVED_KINDS.some((served) => served === kind);
  if (apiVersion === EVENTING_V1 && isServedKind) return null;
  const served = `served here: ${SERVED_KINDS.join(' and ')} of ${EVENTING_V1}`;
  if (isServedKind) {
    const isNear = nearestName(apiVersion, [EVENTING_V1]) !== null;
    const details = isNear ? `did you mean "${EVENTING_V1}"?` : served;
    return problem('apiVersion', `unknown apiVersion "${apiVersion}" of ${kind}`, details);
  }
  const nearest = nearestName(kind, SERVED_KINDS);
  if (nearest !== null && apiVersion.startsWith('eventing.knative.dev/')) {
    return problem('kind', `unknown kind "${kind}"`, `did you mean "${nearest}"?`);
  }
  return problem('kind', `${kind} of ${apiVersion} is not served here`, served);
}

function triggerProblems(trigger: Trigger, rules: UrlCheck): readonly FieldProblem[] {
  const problems = [
    ...destinationProblems('spec.subscriber', trigger.spec.subscriber, rules),
    ...deliveryProblems(trigger.spec.delivery, rules),
  ];
  if (Object.hasOwn(trigger.metadata.annotations, DEPENDENCY_ANNOTATION)) {
    const path = keyPath('metadata.annotations', DEPENDENCY_ANNOTATION);
    const message = 'a dependency cannot be looked up: there is no API server here yet';
    problems.push(problem(path, message, 'remove the annotation'));
  }
  return problems;
}

function deliveryProblems(delivery: DeliverySpec | null, rules: UrlCheck): FieldProblem[] {
  const sink = delivery?.deadLetterSink ?? null;
  return sink === null ? [] : destinationProblems('spec.delivery.deadLetterSink', sink, rules);
}

function destinationProblems(
  path: string,
  destination: DestinationSpec,
  rules: UrlCheck,
): FieldProblem[] {
  const { ref, uri } = destination;
  if (ref !== null) {
    const message = `a ref cannot be resolved: there is no API server here yet to look up ${ref.kind} "${ref.name}"`;
    const details = 'write the address instead, as uri: http://127.0.0.1:8081/';
    return [problem(`${path}.ref`, message, details)];
  }
  if (uri === null) return [];
  const verdict = rules.checkUrl(uri);
  return verdict.ok ? [] : [invalidValue(`${path}.uri`, uri, verdict.message)];
}

function refused(one: FieldProblem): ParseResult<never> {
  return { ok: false, problems: [one] };
}
