/**
 * The memory driver for tests beside the sources of services, which may not import a driver's folder.
 */
import { createMemoryDriver } from '#channels/memory/memory-driver';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { Clock } from '#lib/time/clock';

export function memoryDriver(clock: Clock, capacityBytes?: number): ChannelDriver {
  return createMemoryDriver({ clock }, capacityBytes === undefined ? {} : { capacityBytes });
}
