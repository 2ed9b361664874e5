/**
 * The extensions that a dead letter carries about its failure: Knative's three names, and our own.
 * Used when an event is encoded for a dead-letter sink. Invariant: all names are legal and at most 20
 * characters; an event's own values of these names never pass for ours.
 */
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import type { ExtraExtension } from '#lib/cloudevents/encode-options';
import { ERROR_BODY_BYTES_MAX } from './outcome.ts';

/** Left out of the event and set anew, so that a second dead letter does not mix two failures. */
export const ERROR_EXTENSION_NAMES: ReadonlySet<string> = new Set([
  'knativeerrordest',
  'knativeerrorcode',
  'knativeerrordata',
  'millracereason',
  'millraceattempts',
  'millracefirsttry',
  'millracelasttry',
  'millracetrigger',
  'millracetriggeruid',
]);

export interface FailureInfo {
  /** Attempts made in stage `subscriber`; 0 when none was. */
  readonly attempts: number;
  /** Wall-clock milliseconds of the first and the latest attempt's end; 0 = none. */
  readonly firstFailureMs: number;
  readonly lastFailureMs: number;
  /** `namespace/name` and UID of the Trigger; `null` when no Trigger was concerned. */
  readonly triggerKey: string | null;
  readonly triggerUid: string | null;
}

/** In the order in which they are sent. */
export function errorExtensions(
  failure: DeliveryFailure,
  info: FailureInfo,
): readonly ExtraExtension[] {
  const extensions: ExtraExtension[] = [];
  if (failure.destination !== null) extensions.push(['knativeerrordest', failure.destination]);
  if (failure.status !== null) extensions.push(['knativeerrorcode', failure.status]);
  if (failure.body.length > 0) {
    const data = failure.body.subarray(0, ERROR_BODY_BYTES_MAX).toString('base64');
    extensions.push(['knativeerrordata', data]);
  }
  extensions.push(['millracereason', failure.reason]);
  extensions.push(['millraceattempts', info.attempts]);
  if (info.firstFailureMs > 0) extensions.push(['millracefirsttry', isoTime(info.firstFailureMs)]);
  if (info.lastFailureMs > 0) extensions.push(['millracelasttry', isoTime(info.lastFailureMs)]);
  if (info.triggerKey !== null) extensions.push(['millracetrigger', info.triggerKey]);
  if (info.triggerUid !== null) extensions.push(['millracetriggeruid', info.triggerUid]);
  return extensions;
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
