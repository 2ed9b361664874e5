/** Faults of running Millrace on one machine: the data directory, listeners, children, the control socket. */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const LOCAL_ERRORS = {
  LOCAL_DATA_HELD: {
    meaning: 'Another Millrace runs on the same data directory',
    next: 'Stop the process named in the message, or choose another directory with --data-dir',
    retry: 'backoff',
  },
  LOCAL_DATA_OPEN_TO_OTHERS: {
    meaning: 'Other users of this machine can read or write the data directory',
    next: 'Take the rights away with the chmod in the message, or choose another directory',
    retry: 'never',
  },
  LOCAL_DATA_UNUSABLE: {
    meaning: 'The data directory cannot be made, read or written',
    next: 'Choose a directory of your own with --data-dir, on a local disk with free space',
    retry: 'never',
  },
  LOCAL_STATE_UNKNOWN: {
    meaning: 'The state of the objects was written by a newer Millrace',
    next: 'Start that newer version again, or choose another directory with --data-dir',
    retry: 'never',
  },
  LOCAL_ADDRESS_IN_USE: {
    meaning: 'The address of a listener is taken by another program, or must not be used',
    next: 'Stop that program, or choose another address with the flag in the message',
    retry: 'backoff',
  },
  LOCAL_MANIFEST_MISSING: {
    meaning: 'A file or directory given with -f cannot be read at the start',
    next: 'Correct the path; it is relative to the directory the command was started in',
    retry: 'never',
  },
  LOCAL_CHILD_FAILED: {
    meaning: 'A process of the event side ended or refused to start',
    next: 'Look at the log lines of that process; it is started again with a growing delay',
    retry: 'backoff',
  },
  LOCAL_CHILD_BUSY: {
    meaning: 'A process of the event side does not answer, or has too many open requests',
    next: 'Try again; if it goes on, the machine or its disk is overloaded',
    retry: 'backoff',
    httpStatus: 503,
  },
  LOCAL_NOT_RUNNING: {
    meaning: 'No Millrace answers on the control socket of the data directory',
    next: 'Start it with "millrace up", or name its directory with --data-dir',
    retry: 'backoff',
  },
  LOCAL_OBJECT_UNKNOWN: {
    meaning: 'There is no object of that name',
    next: 'Names are NAME or NAMESPACE/NAME; "millrace trigger list" shows what there is',
    retry: 'never',
    httpStatus: 404,
  },
  LOCAL_PARKED_UNKNOWN: {
    meaning: 'No event is parked under that number',
    next: 'It was redriven or dropped meanwhile; "millrace parked list" shows what there is',
    retry: 'never',
    httpStatus: 404,
  },
  LOCAL_REQUEST_INVALID: {
    meaning: 'A request to the control socket is not understood',
    next: 'Use the same version of the command and of the running Millrace',
    retry: 'never',
    httpStatus: 400,
  },
} as const satisfies ErrorTable;

export const localError = defineErrors(LOCAL_ERRORS);
