/** What the embedded driver can do; the owner of the store and its clients are the same in this. */
import type { DriverCapabilities } from '#lib/channel/channel-driver';
import { EMBEDDED_RECORD_BYTES_MAX } from './embedded-log.ts';

export const EMBEDDED_CAPABILITIES: DriverCapabilities = {
  durability: 'D2',
  seek: true,
  shared: true,
  recordBytesMax: EMBEDDED_RECORD_BYTES_MAX,
  reopen: true,
};
