/**
 * `spec.delivery` as users write it, its strict parser with Knative's messages, and the settings that
 * apply to a Trigger in the end. Used by whatever reads Brokers and Triggers; pure.
 *
 * A Trigger's `delivery` replaces its Broker's whole, as in every Knative broker; only the dead-letter
 * sink falls back to the Broker's. The annotation `millrace.dev/delivery-merge` merges field by field.
 */
import type { DeliveryPolicy } from '#lib/contract/routing';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN } from './backoff.ts';
import { isRecord, parseDestination, shown, textField, unknownFields } from './destination-spec.ts';
import type { DestinationSpec, SpecProblem } from './destination-spec.ts';
import { parseIsoDuration } from './iso-duration.ts';

/** A parsed `delivery`; `null` is a field that was not given. */
export interface DeliverySpec {
  readonly deadLetterSink: DestinationSpec | null;
  readonly retry: number | null;
  readonly timeoutMs: number | null;
  readonly backoffPolicy: 'linear' | 'exponential' | null;
  readonly backoffDelayMs: number | null;
  readonly retryAfterMsMax: number | null;
  readonly format: 'binary' | 'json' | null;
}

export type DeliverySpecResult =
  | { readonly ok: true; readonly spec: DeliverySpec }
  | { readonly ok: false; readonly problems: readonly SpecProblem[] };

export const EMPTY_DELIVERY: DeliverySpec = {
  deadLetterSink: null,
  retry: null,
  timeoutMs: null,
  backoffPolicy: null,
  backoffDelayMs: null,
  retryAfterMsMax: null,
  format: null,
};

/** What Knative ships for a Broker without `delivery`: retry 10, exponential, PT0.2S. */
export const KNATIVE_BROKER_DELIVERY: DeliverySpec = {
  ...EMPTY_DELIVERY,
  retry: 10,
  backoffPolicy: 'exponential',
  backoffDelayMs: 200,
};

/** As Knative's Kafka broker; its other broker has none, and a hung subscriber hangs for ever. */
export const TIMEOUT_MS_DEFAULT = 600_000;
/** Longer answers are for callbacks; a request open for days cannot survive a restart anyway. */
export const TIMEOUT_MS_MAX = 86_400_000;
export const RETRY_COUNT_MAX = 2 ** 31 - 1;

const DELIVERY_FIELDS = [
  'deadLetterSink',
  'retry',
  'timeout',
  'backoffPolicy',
  'backoffDelay',
  'retryAfterMax',
  'format',
];

/**
 * Checks and reads a `delivery`. Absent and null are an empty one. All problems are reported.
 *
 * @param path of the delivery itself, such as `spec.delivery`.
 */
export function parseDeliverySpec(raw: unknown, path: string): DeliverySpecResult {
  if (raw === undefined || raw === null) return { ok: true, spec: EMPTY_DELIVERY };
  if (!isRecord(raw)) return { ok: false, problems: [{ path, message: 'expected an object' }] };
  const problems = unknownFields(raw, DELIVERY_FIELDS, path);
  const spec: DeliverySpec = {
    deadLetterSink: readSink(raw['deadLetterSink'], `${path}.deadLetterSink`, problems),
    retry: readRetry(raw['retry'], `${path}.retry`, problems),
    timeoutMs: readDuration(raw, 'timeout', path, problems),
    backoffPolicy: readWord(raw, 'backoffPolicy', path, problems, ['linear', 'exponential']),
    backoffDelayMs: readDuration(raw, 'backoffDelay', path, problems),
    retryAfterMsMax: readDuration(raw, 'retryAfterMax', path, problems),
    format: readWord(raw, 'format', path, problems, ['json', 'binary']),
  };
  if (spec.timeoutMs === 0) {
    problems.push({ path: `${path}.timeout`, message: `invalid value: ${shown(raw['timeout'])}` });
  }
  return problems.length === 0 ? { ok: true, spec } : { ok: false, problems };
}

function readSink(raw: unknown, path: string, problems: SpecProblem[]): DestinationSpec | null {
  if (raw === undefined || raw === null) return null;
  const result = parseDestination(raw, path);
  if (result.ok) return result.destination;
  problems.push(...result.problems);
  return null;
}

function readRetry(raw: unknown, path: string, problems: SpecProblem[]): number | null {
  if (raw === undefined || raw === null) return null;
  const isCount =
    typeof raw === 'number' && Number.isInteger(raw) && raw >= 0 && raw <= RETRY_COUNT_MAX;
  if (isCount) return raw;
  problems.push({ path, message: `invalid value: ${shown(raw)}` });
  return null;
}

// The message is Knative's; what follows the value says why, which Knative leaves out.
function readDuration(
  raw: Readonly<Record<string, unknown>>,
  field: string,
  path: string,
  problems: SpecProblem[],
): number | null {
  const text = textField(raw, field, path, problems);
  if (text === null) return null;
  const parsed = parseIsoDuration(text);
  if (parsed.ok) return parsed.ms;
  const message = `invalid value: ${shown(text)} (an ISO 8601 period; this one ${parsed.message})`;
  problems.push({ path: `${path}.${field}`, message });
  return null;
}

function readWord<Word extends string>(
  raw: Readonly<Record<string, unknown>>,
  field: string,
  path: string,
  problems: SpecProblem[],
  words: readonly Word[],
): Word | null {
  const text = textField(raw, field, path, problems);
  if (text === null) return null;
  const word = words.find((known) => known === text);
  if (word !== undefined) return word;
  const message = `invalid value: ${shown(text)} (known: ${words.join(', ')})`;
  problems.push({ path: `${path}.${field}`, message });
  return null;
}

export interface DeliverySources {
  /** `spec.delivery` of the Trigger; `null` when there is none. */
  readonly trigger: DeliverySpec | null;
  /** `spec.delivery` of the Broker; `null` when there is none. */
  readonly broker: DeliverySpec | null;
  /** What a Broker without `delivery` gets. */
  readonly defaults: DeliverySpec;
  /** Annotation `millrace.dev/delivery-merge`: each field from the first that gives it. */
  readonly merge: boolean;
}

export interface EffectiveDelivery {
  readonly policy: DeliveryPolicy;
  readonly deadLetterSink: DestinationSpec | null;
  /** For the status of the Trigger: what was accepted and does not mean what it seems to. */
  readonly warnings: readonly string[];
}

/** The settings that apply. For a Broker's own deliveries give `trigger: null`. */
export function effectiveDelivery(sources: DeliverySources): EffectiveDelivery {
  const brokerSpec = givenFields(sources.broker).length > 0 ? sources.broker : null;
  const broker = brokerSpec ?? sources.defaults;
  const triggerFields = givenFields(sources.trigger);
  const trigger = triggerFields.length > 0 ? sources.trigger : null;
  const warnings: string[] = [];
  if (trigger === null) return finish(broker, warnings);
  if (sources.merge) return finish(merged(trigger, broker), warnings);
  const lost = givenFields(broker).filter(
    (field) => field !== 'deadLetterSink' && trigger[field] === null,
  );
  if (lost.length > 0) warnings.push(replacedWarning(lost));
  const deadLetterSink = trigger.deadLetterSink ?? broker.deadLetterSink;
  return finish({ ...trigger, deadLetterSink }, warnings);
}

const SPEC_NAMES: Readonly<Record<keyof DeliverySpec, string>> = {
  deadLetterSink: 'deadLetterSink',
  retry: 'retry',
  timeoutMs: 'timeout',
  backoffPolicy: 'backoffPolicy',
  backoffDelayMs: 'backoffDelay',
  retryAfterMsMax: 'retryAfterMax',
  format: 'format',
};

const SPEC_KEYS: readonly (keyof DeliverySpec)[] = [
  'deadLetterSink',
  'retry',
  'timeoutMs',
  'backoffPolicy',
  'backoffDelayMs',
  'retryAfterMsMax',
  'format',
];

/** `delivery: {}` gives nothing, so it replaces nothing. */
function givenFields(spec: DeliverySpec | null): readonly (keyof DeliverySpec)[] {
  return spec === null ? [] : SPEC_KEYS.filter((key) => spec[key] !== null);
}

function replacedWarning(lost: readonly (keyof DeliverySpec)[]): string {
  const names = lost.map((field) => SPEC_NAMES[field]).join(', ');
  return (
    `delivery of the Trigger replaces the Broker's whole, so the Broker's ${names} do not apply; ` +
    'set them here too, or annotate the Trigger with millrace.dev/delivery-merge: "true"'
  );
}

function merged(trigger: DeliverySpec, broker: DeliverySpec): DeliverySpec {
  return {
    deadLetterSink: trigger.deadLetterSink ?? broker.deadLetterSink,
    retry: trigger.retry ?? broker.retry,
    timeoutMs: trigger.timeoutMs ?? broker.timeoutMs,
    backoffPolicy: trigger.backoffPolicy ?? broker.backoffPolicy,
    backoffDelayMs: trigger.backoffDelayMs ?? broker.backoffDelayMs,
    retryAfterMsMax: trigger.retryAfterMsMax ?? broker.retryAfterMsMax,
    format: trigger.format ?? broker.format,
  };
}

function finish(spec: DeliverySpec, warnings: string[]): EffectiveDelivery {
  const retryCount = spec.retry ?? 0;
  const policy: DeliveryPolicy = {
    retryCount,
    backoff: spec.backoffPolicy ?? 'exponential',
    backoffDelayMs: backoffDelay(spec, retryCount, warnings),
    timeoutMs: capped(spec.timeoutMs ?? TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, 'timeout', warnings),
    retryAfterMsMax: capped(spec.retryAfterMsMax ?? 0, BACKOFF_MS_MAX, 'retryAfterMax', warnings),
    format: spec.format ?? 'binary',
  };
  return { policy, deadLetterSink: spec.deadLetterSink, warnings };
}

/**
 * Knative accepts a policy without a delay, or the reverse, and then retries at once, for ever faster
 * than the subscriber can recover. Here such retries wait the floor: a delay of 0 gives it every time.
 */
function backoffDelay(spec: DeliverySpec, retryCount: number, warnings: string[]): number {
  const { backoffPolicy, backoffDelayMs } = spec;
  if (backoffPolicy !== null && backoffDelayMs !== null) {
    return capped(backoffDelayMs, BACKOFF_MS_MAX, 'backoffDelay', warnings);
  }
  if (retryCount > 0) {
    const missing =
      backoffPolicy !== null
        ? 'backoffPolicy without backoffDelay has no effect'
        : backoffDelayMs !== null
          ? 'backoffDelay without backoffPolicy has no effect'
          : 'neither backoffPolicy nor backoffDelay is set';
    warnings.push(`${missing}: retries wait ${BACKOFF_MS_MIN} ms each`);
  }
  return 0;
}

function capped(valueMs: number, maxMs: number, field: string, warnings: string[]): number {
  if (valueMs <= maxMs) return valueMs;
  warnings.push(`${field} is longer than ${maxMs / 3_600_000} h, and is taken as that`);
  return maxMs;
}
