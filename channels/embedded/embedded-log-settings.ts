/**
 * Settings of the segment log. The composition merges them into the section of the embedded store and
 * hands the values to `openEmbeddedLog`.
 */
import type { SettingsTable } from '#lib/config/settings';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 60 * 60 * 1000;

export const EMBEDDED_LOG_ROWS = {
  segmentBytes: {
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * KIB,
    max: GIB,
    description:
      'Size at which a partition begins a new segment file, and smaller where the capacity is small.',
    source: 'ours: ARCHITECTURE.md',
  },
  retentionMs: {
    type: 'duration',
    default: 7 * DAY_MS,
    min: 0,
    max: 3650 * DAY_MS,
    description: 'How long events that every reader has passed are kept for replays.',
    source: 'ours: ARCHITECTURE.md',
  },
  retentionBytes: {
    type: 'bytes',
    default: GIB,
    min: 0,
    max: 2 ** 50,
    description:
      'Bytes of the whole log above which the oldest events that every reader has passed are removed.',
    source: 'ours: ARCHITECTURE.md',
  },
  tailCacheBytes: {
    type: 'bytes',
    default: 16 * MIB,
    min: 0,
    max: 16 * GIB,
    description: 'Memory for the latest events, so that readers that keep up never touch the disk.',
    source: 'ours: ARCHITECTURE.md',
  },
  capacityBytes: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: 2 ** 50,
    description:
      'Bytes the store may take, of which producers get 85 %; 0 means what the file system has.',
    source: 'ours: ARCHITECTURE.md',
  },
  pendingBytesMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: MIB,
    max: 4 * GIB,
    description: 'Memory for events that wait for the disk; producers are refused above it.',
    source: 'ours: limits on everything',
  },
} as const satisfies SettingsTable;

/** The values of {@link EMBEDDED_LOG_ROWS}. */
export type EmbeddedLogSettings = {
  readonly [Key in keyof typeof EMBEDDED_LOG_ROWS]: number;
};

/** All defaults. */
export const EMBEDDED_LOG_DEFAULTS: EmbeddedLogSettings = {
  segmentBytes: EMBEDDED_LOG_ROWS.segmentBytes.default,
  retentionMs: EMBEDDED_LOG_ROWS.retentionMs.default,
  retentionBytes: EMBEDDED_LOG_ROWS.retentionBytes.default,
  tailCacheBytes: EMBEDDED_LOG_ROWS.tailCacheBytes.default,
  capacityBytes: EMBEDDED_LOG_ROWS.capacityBytes.default,
  pendingBytesMax: EMBEDDED_LOG_ROWS.pendingBytesMax.default,
};
