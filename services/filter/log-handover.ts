/**
 * The hand-over to a dispatcher in another process: one record per matched event in the deliveries
 * log, naming its targets. One batch is under way at a time and a failed one is repeated before any
 * later one, so the log holds no gap: what is there is a prefix of what was matched.
 */
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type {
  AppendRecord,
  EventRecord,
  PoisonRecord,
  ReaderName,
  SourcePosition,
} from '#lib/channel/event-record';
import { deadTargetUid, deliveriesTopic } from '#lib/delivery/handover';
import type { Handover } from '#lib/delivery/handover';
import type { PairSource } from '#lib/delivery/pair';
import { poisonEvent } from '#lib/delivery/poison';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';

const BATCH_COUNT_MAX = 512;
/** Records that may wait to be written before the shared reader stops. */
const QUEUE_COUNT_MAX = 2_048;
const RETRY_DELAY_MS = 200;

export interface LogHandoverDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
}

interface Outbox {
  readonly topic: string;
  readonly partition: number;
  queue: AppendRecord[];
  isFlushing: boolean;
  isScheduled: boolean;
  waiters: (() => void)[];
}

export class LogHandover implements Handover {
  onWanted: ((topic: string) => void) | null = null;
  readonly #deps: LogHandoverDeps;
  readonly #outboxes = new Map<string, Outbox>();
  #queued = 0;
  #isClosed = false;

  constructor(deps: LogHandoverDeps) {
    this.#deps = deps;
  }

  deliver(
    source: PairSource,
    record: EventRecord,
    targets: readonly string[],
    revision: number,
  ): void {
    this.#push(source, { kind: 'delivery', source: place(source), targets, revision, record });
  }

  deliverDead(source: PairSource, record: EventRecord | PoisonRecord, brokerUid: string): void {
    const event =
      record.kind === 'poison' ? poisonEvent(source, record, this.#deps.clock.wallMs()) : record;
    const targets = [deadTargetUid(brokerUid)];
    this.#push(source, {
      kind: 'delivery',
      source: place(source),
      targets,
      revision: 0,
      record: event,
    });
  }

  changeReader(source: SourcePosition, uid: string, reader: ReaderName): void {
    this.#push(source, {
      kind: 'readerChange',
      source: place(source),
      triggers: [{ uid, reader }],
    });
  }

  room(): Promise<void> | null {
    if (this.#queued < QUEUE_COUNT_MAX) return null;
    const fullest = [...this.#outboxes.values()].find((outbox) => outbox.queue.length > 0);
    if (fullest === undefined) return null;
    return new Promise((resolve) => fullest.waiters.push(resolve));
  }

  /** Everything pushed before is in the log. */
  async checkpoint(source: SourcePosition): Promise<void> {
    const outbox = this.#outbox(source);
    while (!this.#isClosed && (outbox.queue.length > 0 || outbox.isFlushing)) {
      await new Promise<void>((resolve) => outbox.waiters.push(resolve));
    }
  }

  advance(): void {
    // A dispatcher elsewhere reads the committed cursor.
  }

  takeWanted(): readonly string[] {
    return []; // requests come as cursors
  }

  close(): void {
    this.#isClosed = true;
    for (const outbox of this.#outboxes.values()) wake(outbox);
  }

  #push(source: SourcePosition, record: AppendRecord): void {
    const outbox = this.#outbox(source);
    outbox.queue.push(record);
    this.#queued++;
    this.#schedule(outbox);
  }

  #outbox(source: SourcePosition): Outbox {
    const key = `${source.partition} ${source.topic}`;
    const known = this.#outboxes.get(key);
    if (known !== undefined) return known;
    const outbox: Outbox = {
      topic: deliveriesTopic(source.topic),
      partition: source.partition,
      queue: [],
      isFlushing: false,
      isScheduled: false,
      waiters: [],
    };
    this.#outboxes.set(key, outbox);
    return outbox;
  }

  #schedule(outbox: Outbox): void {
    if (outbox.isFlushing || outbox.isScheduled || this.#isClosed) return;
    outbox.isScheduled = true;
    this.#deps.clock.soon(() => {
      outbox.isScheduled = false;
      void this.#flush(outbox); // never rejects
    });
  }

  async #flush(outbox: Outbox): Promise<void> {
    if (outbox.isFlushing) return;
    outbox.isFlushing = true;
    const batch = outbox.queue.splice(0, BATCH_COUNT_MAX);
    try {
      const { partition } = outbox;
      await this.#deps.driver.log.appendAll(outbox.topic, batch, { reserved: true, partition });
      this.#queued -= batch.length;
      outbox.isFlushing = false;
      wake(outbox);
      if (outbox.queue.length > 0) this.#schedule(outbox);
    } catch (error) {
      outbox.queue = [...batch, ...outbox.queue];
      this.#deps.logger.warn('Cannot write matched events down: it is tried again', {
        topic: outbox.topic,
        error: messageOf(error),
      });
      this.#deps.clock.after(RETRY_DELAY_MS, () => {
        outbox.isFlushing = false;
        this.#schedule(outbox);
      });
    }
  }
}

function place(source: SourcePosition): SourcePosition {
  return { topic: source.topic, partition: source.partition, offset: source.offset };
}

function wake(outbox: Outbox): void {
  const waiters = outbox.waiters;
  outbox.waiters = [];
  for (const waiter of waiters) waiter();
}
