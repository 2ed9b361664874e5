/**
 * The administrators' half of the embedded driver: topics over both stores, the live durability, and
 * what is stored and pinned. Made by `embedded-driver.ts`.
 */
import { assert } from '#lib/assert/assert';
import type { ChannelAdmin, StoreUsage, TopicOptions } from '#lib/channel/channel-driver';
import type { Clock } from '#lib/time/clock';
import { messageOf } from '#lib/errors/mesh-error';
import type { CursorMirror } from './cursor-mirror.ts';
import type { EmbeddedLog } from './embedded-log.ts';
import { CellReader } from './store-request.ts';

export interface EmbeddedAdminDeps {
  readonly clock: Clock;
  /** The database, with the mirror of its cursors. */
  readonly mirror: CursorMirror;
}

/** A refusal names the largest backlog; it is looked for once a second at most. */
const BACKLOG_AGE_MS_MAX = 1000;

export interface ShrinkOptions {
  readonly pagesMax: number;
  /** True: enough free pages stay for the next outage. */
  readonly keepsSome: boolean;
}

export class EmbeddedAdmin implements ChannelAdmin {
  readonly #deps: EmbeddedAdminDeps;
  #log: EmbeddedLog | null = null;
  #backlog: StoreUsage['largestBacklog'] = null;
  #backlogMs = Number.NEGATIVE_INFINITY;

  constructor(deps: EmbeddedAdminDeps) {
    this.#deps = deps;
  }

  /** The log asks for the backlog already while it opens, so it comes after the admin. */
  attach(log: EmbeddedLog): void {
    this.#log = log;
  }

  async ensureTopic(topic: string, options: TopicOptions): Promise<void> {
    await this.#require().ensureTopic(topic, options);
  }

  /** The database first: after a crash in between the topic is still there to be removed. */
  async removeTopic(topic: string): Promise<void> {
    await this.#deps.mirror.request({ op: 'topicRemove', cells: [topic], bytes: null });
    await this.#require().removeTopic(topic);
  }

  async topics(): Promise<readonly string[]> {
    return this.#require().topics();
  }

  async verify(): ReturnType<ChannelAdmin['verify']> {
    try {
      const reason = await this.#durabilityProblem();
      return reason === null ? { level: 'D2', reason } : { level: 'D1', reason };
    } catch (error) {
      return { level: 'D0', reason: messageOf(error) };
    }
  }

  async usage(): Promise<StoreUsage> {
    this.#backlogMs = Number.NEGATIVE_INFINITY;
    return this.#require().usage();
  }

  async backlogBytes(topic: string, partition: number, from: number): Promise<number> {
    return this.#require().backlogBytes(topic, partition, from);
  }

  /** The cursor that pins most, looked for again when the last look is older than a second. */
  recentBacklog(): StoreUsage['largestBacklog'] {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#backlogMs >= BACKLOG_AGE_MS_MAX) {
      this.#backlog = this.#findBacklog();
      this.#backlogMs = nowMs;
    }
    return this.#backlog;
  }

  /** Gives free pages of the database back to the disk. Answers how many went. */
  async shrinkDatabase({ pagesMax, keepsSome }: ShrinkOptions): Promise<number> {
    const cells = [pagesMax, keepsSome ? 1 : 0];
    const answer = await this.#deps.mirror.request({ op: 'tidy', cells, bytes: null });
    return new CellReader(answer.cells).number();
  }

  /** Reads the live pragmas of the database: why it is not durable to D2, or `null`. */
  async #durabilityProblem(): Promise<string | null> {
    const answer = await this.#deps.mirror.request({ op: 'status', cells: [], bytes: null });
    return new CellReader(answer.cells).textOrNull();
  }

  #findBacklog(): StoreUsage['largestBacklog'] {
    const log = this.#log;
    if (log === null) return null;
    const sums = new Map<string, NonNullable<StoreUsage['largestBacklog']>>();
    let largest: StoreUsage['largestBacklog'] = null;
    for (const { topic, name, partition, offset } of this.#deps.mirror.pins()) {
      const key = `${topic}\n${name}`;
      const bytes = log.backlogBytes(topic, partition, offset) + (sums.get(key)?.bytes ?? 0);
      const sum = { topic, cursor: name, bytes };
      sums.set(key, sum);
      if (bytes > (largest?.bytes ?? 0)) largest = sum;
    }
    return largest;
  }

  #require(): EmbeddedLog {
    assert(this.#log !== null, 'the log is open');
    return this.#log;
  }
}
