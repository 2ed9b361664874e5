/**
 * `spec.delivery` of Brokers and Triggers: the parser of `lib/delivery` with its problems placed on
 * fields. Text fields are checked first, so that an unquoted word that YAML turns into something else
 * gets its own advice.
 */
import { parseDeliverySpec as parseSpec } from '#lib/delivery/delivery-policy';
import type { DeliverySpec } from '#lib/delivery/delivery-policy';
import { problem } from '../../meta/v1/field-problem.ts';
import type { FieldReader } from '../../meta/v1/field-reader.ts';
import { field, isFields } from '../../meta/v1/field-reader.ts';
import { checkDestination, checkTexts } from './destination.ts';

export type { DeliverySpec };

const TEXTS = ['timeout', 'backoffPolicy', 'backoffDelay', 'retryAfterMax', 'format'];
const SINK_TEXTS = ['uri', 'CACerts', 'audience'];

/** `null` when absent or wrong; problems tell which. */
export function parseDeliverySpec(
  reader: FieldReader,
  path: string,
  raw: unknown,
  parentNamespace: string,
): DeliverySpec | null {
  const fields = reader.openMap(path, raw);
  if (fields === null) return null;
  const before = reader.problems.length;
  checkTexts(reader, path, fields, TEXTS);
  const sinkPath = `${path}.deadLetterSink`;
  const sink = field(fields, 'deadLetterSink');
  if (isFields(sink)) checkTexts(reader, sinkPath, sink, SINK_TEXTS);
  if (reader.problems.length > before) return null;
  const result = parseSpec(fields, path);
  if (!result.ok) {
    for (const one of result.problems) reader.refuse(problem(one.path, one.message));
    return null;
  }
  const { deadLetterSink } = result.spec;
  if (deadLetterSink === null) return result.spec;
  return checkDestination(reader, sinkPath, deadLetterSink, parentNamespace) ? result.spec : null;
}
