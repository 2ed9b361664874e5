/** Faults of the delivery library; outcomes of single deliveries are not faults (see `outcome.ts`). */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const DELIVERY_ERRORS = {
  DELIVERY_URL_REFUSED: {
    meaning: 'The address is not one that events may be sent to',
    next: 'Use an http or https URL whose host is not one of the refused kinds named in the message',
    retry: 'never',
  },
  DELIVERY_CERTIFICATE_INVALID: {
    meaning: 'The CACerts of an address are not PEM certificates that can be read',
    next: 'Give one or more blocks of BEGIN CERTIFICATE and END CERTIFICATE, unbroken',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export const deliveryError = defineErrors(DELIVERY_ERRORS);
