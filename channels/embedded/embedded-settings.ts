/** Settings of the embedded store: those of the segment log and those of the database beside it. */
import { defineSettings } from '#lib/config/settings';
import type { SettingsOf } from '#lib/config/settings';
import { EMBEDDED_LOG_ROWS } from './embedded-log-settings.ts';

const HOUR_MS = 3_600_000;

export const EMBEDDED_SETTINGS = defineSettings('embedded', {
  ...EMBEDDED_LOG_ROWS,
  lockWaitMs: {
    type: 'duration',
    default: 5000,
    min: 0,
    max: 600_000,
    description: 'How long a start waits for another process to let the data directory go.',
    source: 'ours: ARCHITECTURE.md',
  },
  dueAheadMsMax: {
    type: 'duration',
    default: HOUR_MS,
    min: 1000,
    max: 24 * HOUR_MS,
    description: 'The furthest that a retry may lie ahead, whatever happens to the clock.',
    source: 'ours: limits on everything',
  },
  databaseBytesMax: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: 2 ** 50,
    description:
      'Bytes the database of waiting and parked events may take; 0 means what the file system has.',
    source: 'ours: limits on everything',
  },
});

export type EmbeddedSettings = SettingsOf<typeof EMBEDDED_SETTINGS>;

/** Everything as declared, with what differs. */
export function embeddedSettings(overrides: Partial<EmbeddedSettings> = {}): EmbeddedSettings {
  const { table } = EMBEDDED_SETTINGS;
  return {
    segmentBytes: table.segmentBytes.default,
    retentionMs: table.retentionMs.default,
    retentionBytes: table.retentionBytes.default,
    tailCacheBytes: table.tailCacheBytes.default,
    capacityBytes: table.capacityBytes.default,
    pendingBytesMax: table.pendingBytesMax.default,
    lockWaitMs: table.lockWaitMs.default,
    dueAheadMsMax: table.dueAheadMsMax.default,
    databaseBytesMax: table.databaseBytesMax.default,
    ...overrides,
  };
}
