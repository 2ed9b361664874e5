/**
 * The annotations under `millrace.dev/` (and Knative's Kafka one) that set how a Broker or Trigger is
 * delivered: names, allowed forms, parsing. Bad values and unknown names are problems, never ignored:
 * a misspelt `paused` would go on delivering. `docs` and the error texts come from the same table.
 */
import { nearestName } from '#lib/config/nearest-name';
import { parseSettingText } from '#lib/config/setting-text';
import type { BacklogPolicy, StartPosition } from '#lib/contract/routing';
import { invalidValue, keyPath, problem } from '../../meta/v1/field-problem.ts';
import type { FieldReader } from '../../meta/v1/field-reader.ts';

export const MILLRACE_PREFIX = 'millrace.dev/';
export const KAFKA_ORDER_ANNOTATION = 'kafka.eventing.knative.dev/delivery.order';

export const CONCURRENCY_DEFAULT = 100;
export const CONCURRENCY_MAX = 1_000;
const BACKLOG_BYTES_MIN = 1024;
const EVENT_ID_CHARS_MAX = 8_192;

export interface TriggerAnnotations {
  readonly order: 'ordered' | 'unordered';
  readonly concurrency: number;
  readonly start: StartPosition | null;
  readonly isPaused: boolean;
  readonly backlog: BacklogPolicy | null;
  /** Fields missing in the Trigger's delivery come from the Broker's, instead of replacing it whole. */
  readonly mergesDelivery: boolean;
  /** `null`: as the Broker says. */
  readonly nonEventReply: 'fail' | 'ignore' | null;
}

export interface BrokerAnnotations {
  readonly nonEventReply: 'fail' | 'ignore';
}

/** Name after the prefix, and the allowed forms as an author reads them. */
const TRIGGER_FORMS = {
  'delivery-order': 'ordered or unordered',
  concurrency: `a whole number from 1 to ${CONCURRENCY_MAX}`,
  'start-position': 'latest, earliest, a time as 2026-01-31T12:00:00Z, or event:<id>',
  paused: '"true" or "false"',
  'backlog-policy': 'refuse:<size> or drop:<size>, as refuse:100Mi',
  'delivery-merge': '"true" or "false"',
  'non-event-reply': 'fail or ignore',
} as const;

const BROKER_FORMS = { 'non-event-reply': TRIGGER_FORMS['non-event-reply'] } as const;

type TriggerAnnotation = keyof typeof TRIGGER_FORMS;
type Annotations = Readonly<Record<string, string>>;

/** Everything has a value; problems are in `reader`. */
export function parseTriggerAnnotations(
  reader: FieldReader,
  annotations: Annotations,
): TriggerAnnotations {
  refuseUnknown(reader, annotations, Object.keys(TRIGGER_FORMS));
  const read = <Value>(
    name: TriggerAnnotation,
    parse: (text: string) => Value | null,
    absent: Value,
  ): Value =>
    readAnnotation(reader, annotations, MILLRACE_PREFIX + name, TRIGGER_FORMS[name], parse) ??
    absent;
  return {
    order: parseOrder(reader, annotations),
    concurrency: read('concurrency', parseConcurrency, CONCURRENCY_DEFAULT),
    start: read<StartPosition | null>('start-position', parseStartPosition, null),
    isPaused: read('paused', parseBoolean, false),
    backlog: read<BacklogPolicy | null>('backlog-policy', parseBacklogPolicy, null),
    mergesDelivery: read('delivery-merge', parseBoolean, false),
    nonEventReply: read<'fail' | 'ignore' | null>('non-event-reply', parseNonEventReply, null),
  };
}

export function parseBrokerAnnotations(
  reader: FieldReader,
  annotations: Annotations,
): BrokerAnnotations {
  refuseUnknown(reader, annotations, Object.keys(BROKER_FORMS));
  const name = 'non-event-reply';
  const key = MILLRACE_PREFIX + name;
  const reply = readAnnotation(reader, annotations, key, BROKER_FORMS[name], parseNonEventReply);
  return { nonEventReply: reply ?? 'fail' };
}

function refuseUnknown(
  reader: FieldReader,
  annotations: Annotations,
  known: readonly string[],
): void {
  for (const key of Object.keys(annotations)) {
    if (!key.startsWith(MILLRACE_PREFIX)) continue;
    const name = key.slice(MILLRACE_PREFIX.length);
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    const details =
      nearest === null
        ? `known here: ${known.map((one) => MILLRACE_PREFIX + one).join(', ')}`
        : `did you mean "${MILLRACE_PREFIX}${nearest}"?`;
    reader.refuse(
      problem(keyPath('metadata.annotations', key), `unknown annotation "${key}"`, details),
    );
  }
}

function readAnnotation<Value>(
  reader: FieldReader,
  annotations: Annotations,
  key: string,
  form: string,
  parse: (text: string) => Value | null,
): Value | null {
  if (!Object.hasOwn(annotations, key)) return null;
  const text = annotations[key] ?? '';
  const value = parse(text);
  if (value !== null) return value;
  return reader.refuse(invalidValue(keyPath('metadata.annotations', key), text, `wanted ${form}`));
}

function parseOrder(reader: FieldReader, annotations: Annotations): 'ordered' | 'unordered' {
  const form = TRIGGER_FORMS['delivery-order'];
  const ownKey = `${MILLRACE_PREFIX}delivery-order`;
  const own = readAnnotation(reader, annotations, ownKey, form, parseOrderText);
  const kafka = readAnnotation(reader, annotations, KAFKA_ORDER_ANNOTATION, form, parseOrderText);
  if (own !== null && kafka !== null && own !== kafka) {
    const details = `${KAFKA_ORDER_ANNOTATION} says ${kafka}: keep one of the two`;
    reader.refuse(invalidValue(keyPath('metadata.annotations', ownKey), own, details));
  }
  return own ?? kafka ?? 'unordered';
}

function parseOrderText(text: string): 'ordered' | 'unordered' | null {
  return text === 'ordered' || text === 'unordered' ? text : null;
}

function parseNonEventReply(text: string): 'fail' | 'ignore' | null {
  return text === 'fail' || text === 'ignore' ? text : null;
}

function parseBoolean(text: string): boolean | null {
  return text === 'true' ? true : text === 'false' ? false : null;
}

function parseConcurrency(text: string): number | null {
  if (!/^[0-9]{1,9}$/.test(text)) return null;
  const count = Number(text);
  return count >= 1 && count <= CONCURRENCY_MAX ? count : null;
}

/** `latest`, `earliest`, an RFC 3339 time with its zone, or `event:<id>`. */
export function parseStartPosition(text: string): StartPosition | null {
  if (text === 'latest' || text === 'earliest') return { at: text };
  if (text.startsWith('event:')) {
    const id = text.slice('event:'.length);
    return id !== '' && id.length <= EVENT_ID_CHARS_MAX ? { at: 'event', id } : null;
  }
  const timeMs = parseTime(text);
  return timeMs === null ? null : { at: 'time', timeMs };
}

const TIME_PATTERN =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

function parseTime(text: string): number | null {
  const match = TIME_PATTERN.exec(text);
  if (match === null) return null;
  // Date.parse turns 2026-02-30 into a day of March: the day must exist in its month.
  const lastDay = new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate();
  if (Number(match[3]) < 1 || Number(match[3]) > lastDay) return null;
  const timeMs = Date.parse(text.toUpperCase());
  return Number.isNaN(timeMs) ? null : timeMs;
}

function parseBacklogPolicy(text: string): BacklogPolicy | null {
  const match = /^(refuse|drop):(\S+)$/.exec(text);
  if (match === null) return null;
  const definition = {
    type: 'bytes',
    description: '',
    source: '',
    default: BACKLOG_BYTES_MIN,
    min: BACKLOG_BYTES_MIN,
    max: Number.MAX_SAFE_INTEGER,
  } as const;
  const size = parseSettingText(definition, match[2] ?? '');
  if (size.kind !== 'value' || typeof size.value !== 'number') return null;
  return { bytesMax: size.value, then: match[1] === 'drop' ? 'drop' : 'refuse' };
}
