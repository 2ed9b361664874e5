/** What is asked of a floor process, and what it answers. */

export type FloorRequest =
  /** A bare `node:http` server that answers 202; goes on until the end of the process. */
  | { readonly kind: 'http' }
  /** The embedded driver's append alone, so many at a time. */
  | {
      readonly kind: 'append';
      readonly writers: number;
      readonly durationMs: number;
      readonly dir: string;
    }
  /** undici `dispatch` against the sink, so many at a time. */
  | {
      readonly kind: 'dispatch';
      readonly origin: string;
      readonly concurrency: number;
      readonly durationMs: number;
    };

export interface FloorResult {
  readonly port: number;
  readonly count: number;
  readonly elapsedMs: number;
  readonly cpuMicrosPerEvent: number;
}
