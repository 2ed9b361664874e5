/**
 * Settings of the segment log. The composition merges them into the section of the embedded store and
 * hands the values to `openEmbeddedLog`.
 */
import type { SettingsTable } from '#lib/config/settings';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const DAY_MS = 24 * 60 * 60 * 1000;

export const EMBEDDED_LOG_SETTINGS = {
  segmentBytes: {
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * KIB,
    max: GIB,
    description:
      'Size at which a partition begins a new segment file, and smaller where the capacity is small.',
    source: 'architecture.md §3',
  },
  retentionMs: {
    type: 'duration',
    default: 7 * DAY_MS,
    min: 0,
    max: 3650 * DAY_MS,
    description: 'How long events that every reader has passed are kept for replays.',
    source: 'architecture.md §3',
  },
  retentionBytes: {
    type: 'bytes',
    default: GIB,
    min: 0,
    max: 2 ** 50,
    description:
      'Bytes of the whole log above which the oldest events that every reader has passed are removed.',
    source: 'architecture.md §3',
  },
  tailCacheBytes: {
    type: 'bytes',
    default: 16 * MIB,
    min: 0,
    max: 16 * GIB,
    description: 'Memory for the latest events, so that readers that keep up never touch the disk.',
    source: 'architecture.md §8',
  },
  capacityBytes: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: 2 ** 50,
    description:
      'Bytes the store may take, of which producers get 85 %; 0 means what the file system has.',
    source: 'architecture.md §2.2',
  },
  pendingBytesMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: MIB,
    max: 4 * GIB,
    description: 'Memory for events that wait for the disk; producers are refused above it.',
    source: 'reliability.md §2.11',
  },
} as const satisfies SettingsTable;

/** The values of {@link EMBEDDED_LOG_SETTINGS}. */
export type EmbeddedLogSettings = {
  readonly [Key in keyof typeof EMBEDDED_LOG_SETTINGS]: number;
};

/** All defaults. */
export const EMBEDDED_LOG_DEFAULTS: EmbeddedLogSettings = {
  segmentBytes: EMBEDDED_LOG_SETTINGS.segmentBytes.default,
  retentionMs: EMBEDDED_LOG_SETTINGS.retentionMs.default,
  retentionBytes: EMBEDDED_LOG_SETTINGS.retentionBytes.default,
  tailCacheBytes: EMBEDDED_LOG_SETTINGS.tailCacheBytes.default,
  capacityBytes: EMBEDDED_LOG_SETTINGS.capacityBytes.default,
  pendingBytesMax: EMBEDDED_LOG_SETTINGS.pendingBytesMax.default,
};
