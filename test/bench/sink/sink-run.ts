/** What is asked of the sink process, and what it answers. */
import type { SinkCounts } from './counting-server.ts';

export type SinkRequest =
  | { readonly kind: 'listen' }
  | { readonly kind: 'begin'; readonly triggerCount: number }
  /** Answers when all expected pairs are there, or at the limit. */
  | { readonly kind: 'finish'; readonly accepted: Uint8Array; readonly limitMs: number };

export interface SinkResult extends SinkCounts {
  readonly port: number;
  readonly lostCount: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}
