/**
 * Why a message is not an event that Millrace takes: the expected outcome of every decoder here, used
 * by ingress for its answers and by the dispatcher for replies. Invariant: neither message nor
 * attribute name carries bytes of the message that could break a log line or a page.
 */
import { CLOUDEVENTS_ERRORS } from './cloudevents-errors.ts';
import type { CloudEventProblemCode } from './cloudevents-errors.ts';

export interface CloudEventProblem {
  readonly code: CloudEventProblemCode;
  readonly httpStatus: 400 | 413 | 415;
  /** The attribute (or `data`, `data_base64`, `content-type`) at fault; `null`: the whole message. */
  readonly attribute: string | null;
  /** Place of the event in its batch, from 0; `null` outside a batch or for the batch itself. */
  readonly index: number | null;
  /** One line without any value of the event. */
  readonly message: string;
}

/** The names that the specification defines, in the order in which problems are reported. */
const REPORT_ORDER: readonly string[] = [
  'content-type',
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'dataschema',
  'schemaurl',
  'datacontenttype',
];

const NAME_SHOWN_LENGTH_MAX = 64;

/** @param attribute as the sender wrote it; cut and cleaned here. */
export function problem(
  code: CloudEventProblemCode,
  attribute: string | null,
  reason: string,
): CloudEventProblem {
  const shown = attribute === null ? null : shownName(attribute);
  const message =
    shown === null
      ? `Cannot take the event: ${reason}`
      : `Cannot take the event: attribute "${shown}" ${reason}`;
  const { httpStatus } = CLOUDEVENTS_ERRORS[code];
  return { code, httpStatus, attribute: shown, index: null, message };
}

/** The same problem as found in the event at `index` of a batch. */
export function problemInBatch(found: CloudEventProblem, index: number): CloudEventProblem {
  const message = found.message.replace('the event', `event ${index} of the batch`);
  return { ...found, index, message };
}

/**
 * Puts problems into the order in which they are reported: the specification's attributes first, in
 * a fixed order, then the rest as they were found. So the first one does not depend on header order.
 */
export function inReportOrder(problems: readonly CloudEventProblem[]): CloudEventProblem[] {
  return problems.toSorted((a, b) => reportRank(a) - reportRank(b));
}

function reportRank(found: CloudEventProblem): number {
  const rank = found.attribute === null ? -1 : REPORT_ORDER.indexOf(found.attribute);
  return rank === -1 ? REPORT_ORDER.length : rank;
}

function shownName(name: string): string {
  return name.slice(0, NAME_SHOWN_LENGTH_MAX).replace(/[^A-Za-z0-9_.-]/g, '?');
}
