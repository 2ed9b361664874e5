/**
 * The embedded driver in a process that does not own the store: filter and dispatcher when the roles
 * are separate, and the command line. Appends, waiting pairs, cursors and administration cross the
 * local socket; the log is read from its files, up to the ends that the owner has announced. While
 * the owner is away every call fails with CHANNEL_NOT_CONNECTED and readers wait.
 */
import { assert } from '#lib/assert/assert';
import { channelError } from '#lib/channel/channel-errors';
import type {
  AppendOptions,
  ChannelAdmin,
  ChannelDriver,
  EventLog,
  LogReader,
} from '#lib/channel/channel-driver';
import type { AppendRecord } from '#lib/channel/event-record';
import { issueReceipt } from '#lib/channel/receipt';
import type { Receipt } from '#lib/channel/receipt';
import type { Disk } from '#lib/disk/disk';
import { createRealDisk } from '#lib/disk/real-disk';
import type { MeshError } from '#lib/errors/mesh-error';
import type { Random } from '#lib/random/random';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { createCursorStore } from './cursor-store.ts';
import { EMBEDDED_CAPABILITIES } from './embedded-capabilities.ts';
import { openLogReadOnly } from './log-read-only.ts';
import type { ReadOnlyLog } from './log-read-only.ts';
import type { Frame } from './store-frames.ts';
import { StoreLink } from './store-link.ts';
import { numberOf, readEnds, readTexts, readUsage, readVerdict } from './store-messages.ts';
import {
  FRAME_CALL,
  RECEIPT_BYTES,
  planAppend,
  readJson,
  readReply,
  writeAppend,
  writeAppendAll,
  writeRequest,
} from './store-protocol.ts';
import type { AnnouncedEnds, PlannedRecord, StoreCall } from './store-protocol.ts';
import type { StoreReply, StoreTransport } from './store-request.ts';
import { storeSocketPath } from './store-socket.ts';
import { createWaitingStore } from './waiting-store.ts';

export interface StoreClientDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The real one unless a test says otherwise. */
  readonly disk?: Disk;
}

export interface StoreClientOptions {
  readonly dataDir: string;
  /** How long to wait for the owner to appear; afterwards the client reconnects by itself. */
  readonly connectWaitMs?: number;
}

const CONNECT_WAIT_MS = 10_000;
const CLOSE_WAIT_MS = 10_000;
/** Appends of more are sent in parts, each with an answer of its own. */
const APPEND_PART_BYTES = 16 * 1024 * 1024;

/**
 * Connects to the owner of the data directory.
 * @throws CHANNEL_NOT_CONNECTED, STORE_PROTOCOL_MISMATCH, STORE_SOCKET_PATH_TOO_LONG.
 */
export async function createStoreClient(
  deps: StoreClientDeps,
  options: StoreClientOptions,
): Promise<ChannelDriver> {
  const client = new StoreClient(deps, storeSocketPath(options.dataDir));
  try {
    await client.connect(options.connectWaitMs ?? CONNECT_WAIT_MS);
  } catch (error) {
    await client.close();
    throw error;
  }
  const { waiting, cursors, admin } = client;
  return {
    name: 'embedded',
    capabilities: EMBEDDED_CAPABILITIES,
    log: client,
    cursors,
    waiting,
    admin,
    close: () => client.close(),
  };
}

class StoreClient implements EventLog, StoreTransport {
  readonly waiting: ChannelDriver['waiting'];
  readonly cursors: ChannelDriver['cursors'];
  readonly admin: ChannelAdmin;
  readonly #deps: StoreClientDeps;
  readonly #link: StoreLink;
  #files: ReadOnlyLog | null = null;
  /** Partitions announced so far, by topic: how far each is durable. */
  readonly #ends = new Map<string, Map<number, number>>();
  #closing: Promise<void> | null = null;

  constructor(deps: StoreClientDeps, socketPath: string) {
    this.#deps = deps;
    this.#link = new StoreLink(deps, {
      socketPath,
      onWelcome: ({ logDirectory, ends }) => this.#onWelcome(logDirectory, ends),
      onEnds: (ends) => this.#onEnds(ends),
      onTopicRemoved: (topic) => this.#forget(topic),
    });
    this.waiting = createWaitingStore({ transport: this, clock: deps.clock });
    this.cursors = createCursorStore(this);
    this.admin = this.#createAdmin();
  }

  connect(waitMs: number): Promise<void> {
    return this.#link.waitForWelcome(waitMs);
  }

  request(request: Parameters<StoreTransport['request']>[0]): Promise<StoreReply> {
    return new Promise((resolve, reject) => {
      this.#link.send(
        { onAnswer: (frame) => resolve(readReply(frame)), onError: reject },
        (writer, id) => writeRequest(writer, id, request),
      );
    });
  }

  append(topic: string, record: AppendRecord, options: AppendOptions = {}): Promise<Receipt> {
    const planned = planAppend(record);
    const refusal = tooLarge(topic, record);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#link.send(new SingleCall(topic, resolve, reject), (writer, id) =>
        writeAppend(writer, id, { topic, options }, planned),
      );
    });
  }

  // async: a refusal is a rejection, never a throw.
  async appendAll(
    topic: string,
    records: readonly AppendRecord[],
    options: AppendOptions = {},
  ): Promise<readonly Receipt[]> {
    for (const record of records) {
      const refusal = tooLarge(topic, record);
      if (refusal !== null) throw refusal;
    }
    const receipts: Receipt[] = [];
    for (const part of partsOf(records.map(planAppend))) {
      receipts.push(...(await this.#appendPart(topic, part, options)));
    }
    return receipts;
  }

  #appendPart(
    topic: string,
    part: readonly PlannedRecord[],
    options: AppendOptions,
  ): Promise<readonly Receipt[]> {
    return new Promise((resolve, reject) => {
      this.#link.send(
        { onAnswer: (frame) => resolve(readReceipts(topic, frame)), onError: reject },
        (writer, id) => writeAppendAll(writer, id, { topic, options }, part),
      );
    });
  }

  read(topic: string, partition: number, from: number): Promise<LogReader> {
    return this.#requireFiles().read(topic, partition, from);
  }

  async ends(topic: string): ReturnType<EventLog['ends']> {
    const ends = readEnds(await this.#call({ call: 'ends', topic }));
    this.#onEnds(ends.map(({ partition, next }) => [topic, partition, next]));
    return ends;
  }

  async seekTime(topic: string, partition: number, timeMs: number): Promise<number> {
    return numberOf(await this.#call({ call: 'seekTime', topic, partition, timeMs }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await this.#link.close(CLOSE_WAIT_MS);
    this.#files?.close();
  }

  #createAdmin(): ChannelAdmin {
    return {
      ensureTopic: async (topic, { partitions }) => {
        await this.#call({ call: 'ensureTopic', topic, partitions });
      },
      removeTopic: async (topic) => {
        await this.#call({ call: 'removeTopic', topic });
      },
      topics: async () => readTexts(await this.#call({ call: 'topics' })),
      verify: async () => readVerdict(await this.#call({ call: 'verify' })),
      usage: async () => readUsage(await this.#call({ call: 'usage' })),
      backlogBytes: async (topic, partition, from) =>
        numberOf(await this.#call({ call: 'backlogBytes', topic, partition, from })),
    };
  }

  #call(call: StoreCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#link.send(
        { onAnswer: (frame) => resolve(readJson(frame)), onError: reject },
        (writer, id) => writer.json(FRAME_CALL, id, call),
      );
    });
  }

  /** The first one opens the files; a later one is an owner that started again. */
  #onWelcome(logDirectory: string, ends: AnnouncedEnds): void {
    this.#files ??= openLogReadOnly(
      { disk: this.#deps.disk ?? createRealDisk(), logger: this.#deps.logger },
      { directory: logDirectory },
    );
    const present = new Set(ends.map(([topic]) => topic));
    for (const topic of [...this.#ends.keys()]) if (!present.has(topic)) this.#forget(topic);
    for (const [topic, partition, next] of ends) {
      // What was announced was durable, so only a topic that was made anew can be behind it.
      if (next < (this.#ends.get(topic)?.get(partition) ?? 0)) this.#forget(topic);
    }
    this.#onEnds(ends);
  }

  #onEnds(ends: AnnouncedEnds): void {
    for (const [topic, partition, next] of ends) {
      const partitions = this.#ends.get(topic) ?? new Map<number, number>();
      this.#ends.set(topic, partitions);
      partitions.set(partition, Math.max(next, partitions.get(partition) ?? 0));
      this.#files?.announceEnd(topic, partition, next);
    }
  }

  #forget(topic: string): void {
    this.#ends.delete(topic);
    this.#files?.forgetTopic(topic);
  }

  #requireFiles(): ReadOnlyLog {
    assert(this.#files !== null, 'the client was connected once');
    return this.#files;
  }
}

class SingleCall {
  readonly #topic: string;
  readonly #resolve: (receipt: Receipt) => void;
  readonly onError: (error: MeshError) => void;

  constructor(
    topic: string,
    resolve: (receipt: Receipt) => void,
    reject: (error: MeshError) => void,
  ) {
    this.#topic = topic;
    this.#resolve = resolve;
    this.onError = reject;
  }

  onAnswer({ bytes, start }: Frame): void {
    const partition = bytes.readUInt32LE(start);
    this.#resolve(issueReceipt(this.#topic, partition, bytes.readDoubleLE(start + 4)));
  }
}

function readReceipts(topic: string, { bytes, start, end }: Frame): readonly Receipt[] {
  const receipts: Receipt[] = [];
  for (let at = start; at < end; at += RECEIPT_BYTES) {
    receipts.push(issueReceipt(topic, bytes.readUInt32LE(at), bytes.readDoubleLE(at + 4)));
  }
  return receipts;
}

/** The owner would refuse it as well, but such a record need not cross the socket. */
function tooLarge(topic: string, record: AppendRecord): MeshError | null {
  const dataBytes = record.kind === 'event' ? (record.event.data?.length ?? 0) : 0;
  const limitBytes = EMBEDDED_CAPABILITIES.recordBytesMax ?? Number.POSITIVE_INFINITY;
  if (dataBytes <= limitBytes) return null;
  return channelError(
    'CHANNEL_RECORD_TOO_LARGE',
    `Cannot append to "${topic}": the event has ${dataBytes} bytes, limit is ${limitBytes}`,
  );
}

function* partsOf(planned: readonly PlannedRecord[]): Generator<readonly PlannedRecord[]> {
  let part: PlannedRecord[] = [];
  let bytes = 0;
  for (const each of planned) {
    if (part.length > 0 && bytes + each.sizeBytes > APPEND_PART_BYTES) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(each);
    bytes += each.sizeBytes;
  }
  if (part.length > 0) yield part;
}
