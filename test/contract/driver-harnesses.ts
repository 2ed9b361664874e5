/** How the contract suite opens each driver of the registry. A new driver adds one line here. */
import { createMemoryDriver } from '#channels/memory/memory-driver';
import type { DriverHarness } from './contract-case.ts';
import { createStepClock } from './step-clock.ts';

const memory: DriverHarness = {
  name: 'memory',
  async open(options) {
    const clock = createStepClock();
    const driver = createMemoryDriver({ clock }, options);
    const cannot = (): Promise<never> => Promise.reject(new Error('memory cannot be reopened'));
    return { driver, clock, crash: cannot, reopen: cannot, dispose: () => driver.close() };
  },
};

export const HARNESSES: readonly DriverHarness[] = [memory];
