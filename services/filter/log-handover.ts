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
const QUEUE_BYTES_MAX = 16 * 1_048_576;
const RETRY_DELAY_MS = 200;

export interface LogHandoverDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly driver: ChannelDriver;
}

interface Queued {
  readonly record: AppendRecord;
  readonly sizeBytes: number;
}

interface Outbox {
  readonly topic: string;
  readonly partition: number;
  queue: Queued[];
  queuedBytes: number;
  /** Records taken, and records written, since the start. */
  pushedCount: number;
  writtenCount: number;
  isFlushing: boolean;
  isScheduled: boolean;
  waiters: (() => void)[];
}

export class LogHandover implements Handover {
  onWanted: ((topic: string) => void) | null = null;
  readonly #deps: LogHandoverDeps;
  readonly #outboxes = new Map<string, Outbox>();
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
    const delivery = {
      kind: 'delivery',
      source: place(source),
      targets,
      revision,
      record,
    } as const;
    this.#push(source, delivery, source.sizeBytes);
  }

  deliverDead(source: PairSource, record: EventRecord | PoisonRecord, brokerUid: string): void {
    const event =
      record.kind === 'poison' ? poisonEvent(source, record, this.#deps.clock.wallMs()) : record;
    const targets = [deadTargetUid(brokerUid)];
    const delivery = { kind: 'delivery', source: place(source), targets, revision: 0 } as const;
    this.#push(source, { ...delivery, record: event }, source.sizeBytes);
  }

  changeReader(source: SourcePosition, uid: string, reader: ReaderName): void {
    const triggers = [{ uid, reader }];
    this.#push(source, { kind: 'readerChange', source: place(source), triggers }, 0);
  }

  room(topic: string, partition: number): Promise<void> | null {
    const outbox = this.#outboxes.get(keyOf(topic, partition));
    if (outbox === undefined || this.#isClosed) return null;
    const count = outbox.pushedCount - outbox.writtenCount;
    if (count < QUEUE_COUNT_MAX && outbox.queuedBytes < QUEUE_BYTES_MAX) return null;
    return new Promise((resolve) => outbox.waiters.push(resolve));
  }

  /** Everything pushed before is in the log, whatever is pushed meanwhile. */
  async checkpoint(source: SourcePosition): Promise<void> {
    const outbox = this.#outbox(source);
    const wanted = outbox.pushedCount;
    while (outbox.writtenCount < wanted) {
      if (this.#isClosed) throw new Error('the hand-over was closed before it wrote everything');
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

  #push(source: SourcePosition, record: AppendRecord, sizeBytes: number): void {
    const outbox = this.#outbox(source);
    outbox.queue.push({ record, sizeBytes });
    outbox.queuedBytes += sizeBytes;
    outbox.pushedCount++;
    this.#schedule(outbox);
  }

  #outbox(source: SourcePosition): Outbox {
    const key = keyOf(source.topic, source.partition);
    const known = this.#outboxes.get(key);
    if (known !== undefined) return known;
    const outbox: Outbox = {
      topic: deliveriesTopic(source.topic),
      partition: source.partition,
      queue: [],
      queuedBytes: 0,
      pushedCount: 0,
      writtenCount: 0,
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
      const { topic, partition } = outbox;
      const records = batch.map((queued) => queued.record);
      await this.#deps.driver.log.appendAll(topic, records, { reserved: true, partition });
      outbox.writtenCount += batch.length;
      for (const { sizeBytes } of batch) outbox.queuedBytes -= sizeBytes;
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

function keyOf(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}

function place(source: SourcePosition): SourcePosition {
  return { topic: source.topic, partition: source.partition, offset: source.offset };
}

function wake(outbox: Outbox): void {
  const waiters = outbox.waiters;
  outbox.waiters = [];
  for (const waiter of waiters) waiter();
}
