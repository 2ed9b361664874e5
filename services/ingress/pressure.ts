/**
 * How near the process is to its limits, as one number: memory against the limit of the container or
 * the heap, and the delay of the event loop. Sampled four times a second; ingress sheds in stages.
 *
 *   0.8  answers end their connections      0.9  events are refused      0.95  connections are reset
 */
import { getHeapStatistics } from 'node:v8';
import { totalmem } from 'node:os';
import type { Clock, Timer } from '#lib/time/clock';

export const KEEP_ALIVE_LEVEL_MAX = 0.8;
export const EVENTS_LEVEL_MAX = 0.9;
export const CONNECTIONS_LEVEL_MAX = 0.95;
const SAMPLE_MS = 250;

export interface Pressure {
  /** 0 is idle, 1 is at a limit. */
  readonly level: number;
  stop(): void;
}

export interface PressureDeps {
  readonly clock: Clock;
  /** The used share of the memory, from 0; asked on every sample. */
  readonly readMemory: () => number;
}

export function createPressure(deps: PressureDeps, loopDelayMsMax: number): Pressure {
  return new SampledPressure(deps, loopDelayMsMax);
}

class SampledPressure implements Pressure {
  readonly #deps: PressureDeps;
  readonly #loopDelayMsMax: number;
  readonly #timer: Timer;
  #sampledMs: number;
  level = 0;

  constructor(deps: PressureDeps, loopDelayMsMax: number) {
    this.#deps = deps;
    this.#loopDelayMsMax = loopDelayMsMax;
    this.#sampledMs = deps.clock.monotonicMs();
    this.#timer = deps.clock.every(SAMPLE_MS, () => this.#sample());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #sample(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const delayMs = nowMs - this.#sampledMs - SAMPLE_MS;
    this.#sampledMs = nowMs;
    this.level = Math.max(0, delayMs / this.#loopDelayMsMax, this.#deps.readMemory());
  }
}

/** Reads the memory of this process. `memoryBytesMax` 0 takes the container's limit, or the machine's. */
export function createMemoryReader(memoryBytesMax: number): () => number {
  const machineBytes = totalmem();
  // 0, or more than there is, means that nothing limits the process.
  const groupBytes = process.constrainedMemory();
  const isGrouped = groupBytes > 0 && groupBytes < machineBytes;
  const limitBytes = memoryBytesMax > 0 ? memoryBytesMax : isGrouped ? groupBytes : machineBytes;
  return () => {
    const heap = getHeapStatistics();
    const resident = process.memoryUsage.rss() / limitBytes;
    return Math.max(resident, heap.used_heap_size / heap.heap_size_limit);
  };
}
