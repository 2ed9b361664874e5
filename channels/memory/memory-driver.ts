/**
 * The memory driver: the only fake of the channel port, held to the same contract suite as the real
 * ones. Used by unit tests, the simulation and `millrace` with an explicit unsafe setting (D0).
 * Deterministic: time comes from the clock it is given, and nothing happens by itself.
 */
import type {
  ChannelAdmin,
  ChannelDriver,
  DriverCapabilities,
  StoreUsage,
  TopicOptions,
} from '#lib/channel/channel-driver';
import type { Clock } from '#lib/time/clock';
import { MemoryCursors } from './memory-cursors.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryWaiting } from './memory-waiting.ts';

export interface MemoryDriverDeps {
  readonly clock: Clock;
}

export interface MemoryDriverOptions {
  /** Log and waiting pairs each; producers are refused at 85 % of it. */
  readonly capacityBytes?: number;
  readonly recordBytesMax?: number;
  /** What no cursor pins is kept until the log holds more than this. */
  readonly retainedBytes?: number;
}

const MIB = 1024 * 1024;
const PRODUCER_SHARE = 0.85;

/** A driver that forgets everything at {@link ChannelDriver.close}. */
export function createMemoryDriver(
  deps: MemoryDriverDeps,
  options: MemoryDriverOptions = {},
): ChannelDriver {
  const capacityBytes = options.capacityBytes ?? 256 * MIB;
  const recordBytesMax = options.recordBytesMax ?? 4 * MIB;
  const cursors = new MemoryCursors();
  const log = new MemoryLog(
    { clock: deps.clock, lowestPin: (topic, partition) => cursors.lowestPin(topic, partition) },
    {
      capacityBytes,
      producerShare: PRODUCER_SHARE,
      recordBytesMax,
      retainedBytes: options.retainedBytes ?? Math.floor(capacityBytes / 4),
    },
  );
  const waiting = new MemoryWaiting({ clock: deps.clock, capacityBytes });
  const capabilities: DriverCapabilities = {
    durability: 'D0',
    seek: true,
    shared: false,
    recordBytesMax,
    reopen: false,
  };
  return {
    name: 'memory',
    capabilities,
    log,
    cursors,
    waiting,
    admin: createMemoryAdmin({ log, cursors, waiting, capacityBytes }),
    async close() {
      log.close();
      cursors.close();
      waiting.close();
    },
  };
}

interface MemoryParts {
  readonly log: MemoryLog;
  readonly cursors: MemoryCursors;
  readonly waiting: MemoryWaiting;
  readonly capacityBytes: number;
}

function createMemoryAdmin(parts: MemoryParts): ChannelAdmin {
  const { log, cursors, waiting, capacityBytes } = parts;
  return {
    async ensureTopic(topic: string, options: TopicOptions) {
      log.ensureTopic(topic, options);
    },
    async removeTopic(topic: string) {
      log.removeTopic(topic);
      cursors.removeTopic(topic);
      waiting.removeTopic(topic);
    },
    async topics() {
      return log.topicNames;
    },
    async verify() {
      return { level: 'D0', reason: null };
    },
    async backlogBytes(topic: string, partition: number, from: number) {
      return log.bytesFrom(topic, partition, from);
    },
    async usage() {
      return {
        storedBytes: log.storedBytes + waiting.storedBytes,
        capacityBytes,
        isFull: log.isFull,
        largestBacklog: largestBacklog(parts),
        quarantined: [],
      };
    },
  };
}

function largestBacklog({ log, cursors }: MemoryParts): StoreUsage['largestBacklog'] {
  let largest: StoreUsage['largestBacklog'] = null;
  for (const { topic, cursor } of cursors.pins()) {
    const bytes = log.bytesFrom(topic, cursor.partition, cursor.offset);
    if (bytes > (largest?.bytes ?? 0)) largest = { topic, cursor: cursor.name, bytes };
  }
  return largest;
}
