/** Every target there is. Used by the runner and by the test of the corpora. */
import type { FuzzTarget } from './fuzz-target.ts';
import { BASE64, REQUEST_TARGETS, TIMESTAMPS, URIS } from './targets/attribute-forms.ts';
import { DELIVERY_STEPS, OUTCOMES } from './targets/delivery-steps.ts';
import { ISO_DURATIONS, RETRY_AFTER } from './targets/delivery-times.ts';
import { CESQL, FILTER_TREES } from './targets/filters.ts';
import { HEADER_CODEC } from './targets/header-codec.ts';
import { JSON_BATCH, JSON_GRAMMAR, STRUCTURED_JSON } from './targets/json-events.ts';
import { MEDIA_TYPES } from './targets/media-types.ts';
import { PERCENT_DECODING } from './targets/percent-decoding.ts';
import { RAW_HTTP } from './targets/raw-http.ts';
import { SEGMENT_RECOVERY } from './targets/segment-recovery.ts';
import { STORED_EVENTS } from './targets/stored-events.ts';

export const TARGETS: readonly FuzzTarget[] = [
  HEADER_CODEC,
  JSON_GRAMMAR,
  STRUCTURED_JSON,
  JSON_BATCH,
  PERCENT_DECODING,
  MEDIA_TYPES,
  TIMESTAMPS,
  URIS,
  BASE64,
  REQUEST_TARGETS,
  CESQL,
  FILTER_TREES,
  ISO_DURATIONS,
  RETRY_AFTER,
  OUTCOMES,
  DELIVERY_STEPS,
  STORED_EVENTS,
  SEGMENT_RECOVERY,
  RAW_HTTP,
];
