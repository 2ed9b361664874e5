/** Faults of the configuration: one code, because every problem is reported in one message. */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const CONFIG_ERRORS = {
  CONFIG_INVALID: {
    meaning: 'One or more settings, from flags or the environment, cannot be used.',
    next: 'Correct every line of the message; docs/config.md lists the settings and their ranges.',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export const configError = defineErrors(CONFIG_ERRORS);
