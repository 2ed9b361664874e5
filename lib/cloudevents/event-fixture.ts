/** For tests: the smallest legal event, from which each test makes its own. Invariant: only required attributes. */
import { NO_EXTENSIONS } from './cloud-event.ts';
import type { CloudEvent } from './cloud-event.ts';

export const SMALLEST_EVENT: CloudEvent = {
  specversion: '1.0',
  id: 'i',
  source: '/s',
  type: 't',
  subject: null,
  time: null,
  datacontenttype: null,
  dataschema: null,
  extensions: NO_EXTENSIONS,
  data: null,
};
