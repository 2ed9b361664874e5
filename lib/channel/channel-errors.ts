/** Faults that every channel driver translates its own errors into. */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const CHANNEL_ERRORS = {
  CHANNEL_NOT_CONNECTED: {
    meaning: 'The back end of the channel cannot be reached',
    next: 'Check that it runs and that the address and credentials in its settings are right',
    retry: 'backoff',
    httpStatus: 503,
  },
  CHANNEL_FULL: {
    meaning: 'The store has reached its limit and takes no more events from producers',
    next: 'Free space, raise the limit, or let the Trigger named in the message catch up',
    retry: 'backoff',
    httpStatus: 503,
  },
  CHANNEL_RECORD_TOO_LARGE: {
    meaning: 'One event is larger than the channel can store',
    next: 'Send smaller events, or raise the limit named in the message',
    retry: 'never',
    httpStatus: 413,
  },
  CHANNEL_TOPIC_UNKNOWN: {
    meaning: 'The topic does not exist, or is not open yet',
    next: 'Wait until the Broker is Ready; the producer should try again',
    retry: 'backoff',
    httpStatus: 503,
  },
  CHANNEL_EPOCH_STALE: {
    meaning: 'Another owner has taken the partition over',
    next: 'Nothing: the former owner stops by itself and the new one goes on',
    retry: 'never',
    httpStatus: 503,
  },
  CHANNEL_FAILED: {
    meaning:
      'A write or a sync failed, so the store stopped taking events until it has been recovered',
    next: 'Look at the disk and the log; Millrace recovers the store when it starts again',
    retry: 'never',
    httpStatus: 503,
  },
  CHANNEL_CLOSED: {
    meaning: 'The channel is closed because the process is ending',
    next: 'Send the event again, to another replica or after the restart',
    retry: 'backoff',
    httpStatus: 503,
  },
} as const satisfies ErrorTable;

export const channelError = defineErrors(CHANNEL_ERRORS);
