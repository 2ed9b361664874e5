/** One window of load as plain data: what is asked of the load process, and what it answers. */
import type { BenchEncoding } from '../bench-event.ts';

export interface LoadRequest {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly connectionCount: number;
  /** Open loop; `null` for the closed one. */
  readonly ratePerSecond: number | null;
  readonly encoding: BenchEncoding;
  readonly type: string;
  readonly keyCount: number;
  readonly durationMs: number;
}

export interface LoadResult {
  /** Ids are 0 … sentCount - 1; 1 where it was accepted. */
  readonly accepted: Uint8Array;
  readonly sentCount: number;
  readonly acceptedCount: number;
  /** By status, `0` for no answer. */
  readonly otherAnswers: Readonly<Record<string, number>>;
  readonly elapsedMs: number;
  /** Of the load itself. */
  readonly cpuMicrosPerEvent: number;
}
