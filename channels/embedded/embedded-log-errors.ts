/** Faults of the segment log that no other channel driver has; the rest are `CHANNEL_…`. */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const EMBEDDED_LOG_ERRORS = {
  EMBEDDED_FORMAT_UNKNOWN: {
    meaning:
      'A file of the embedded store was written by a version of Millrace that this one does not know',
    next: 'Start the version that wrote it; nothing was changed',
    retry: 'never',
  },
  EMBEDDED_RECORD_INVALID: {
    meaning: 'A stored record passed its checksum and yet cannot be decoded',
    next: 'Report it; the record is kept and goes to the dead letters or to the parking store',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export const embeddedLogError = defineErrors(EMBEDDED_LOG_ERRORS);
