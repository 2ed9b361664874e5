/**
 * Reads what comes as JSON over the local socket: trusted types inside, one parser at the edge.
 * Used by the server's session and the client's link. Whatever does not fit is a RangeError.
 */
import type { PartitionEnds, StoreUsage } from '#lib/channel/channel-driver';
import type { DurabilityLevel } from '#lib/channel/channel-driver';
import type { AnnouncedEnds, Hello, StoreCall, Welcome, WireError } from './store-protocol.ts';

type Fields = Readonly<Record<string, unknown>>;

export function readHello(value: unknown): Hello {
  const fields = fieldsOf(value);
  return { protocol: numberOf(fields['protocol']), pid: numberOf(fields['pid']) };
}

export function readWelcome(value: unknown): Welcome {
  const fields = fieldsOf(value);
  return {
    protocol: numberOf(fields['protocol']),
    pid: numberOf(fields['pid']),
    logDirectory: textOf(fields['logDirectory']),
    ends: readAnnounced(fields['ends']),
  };
}

export function readAnnounced(value: unknown): AnnouncedEnds {
  return listOf(value).map((each) => {
    const [topic, partition, next] = listOf(each);
    return [textOf(topic), numberOf(partition), numberOf(next)] as const;
  });
}

export function readCall(value: unknown): StoreCall {
  const fields = fieldsOf(value);
  const call = textOf(fields['call']);
  switch (call) {
    case 'ensureTopic':
      return {
        call,
        topic: textOf(fields['topic']),
        partitions: numberOf(fields['partitions']),
      };
    case 'removeTopic':
    case 'ends':
      return { call, topic: textOf(fields['topic']) };
    case 'topics':
    case 'verify':
    case 'usage':
      return { call };
    case 'backlogBytes':
      return {
        call,
        topic: textOf(fields['topic']),
        partition: numberOf(fields['partition']),
        from: numberOf(fields['from']),
      };
    case 'seekTime':
      return {
        call,
        topic: textOf(fields['topic']),
        partition: numberOf(fields['partition']),
        timeMs: numberOf(fields['timeMs']),
      };
    default:
      throw new RangeError(`the call "${call}" is not known`);
  }
}

export function readWireError(value: unknown): WireError {
  const fields = fieldsOf(value);
  return { code: textOf(fields['code']), message: textOf(fields['message']) };
}

export function readTexts(value: unknown): readonly string[] {
  return listOf(value).map(textOf);
}

export function readEnds(value: unknown): readonly PartitionEnds[] {
  return listOf(value).map((each) => {
    const fields = fieldsOf(each);
    return {
      partition: numberOf(fields['partition']),
      first: numberOf(fields['first']),
      next: numberOf(fields['next']),
    };
  });
}

export function readVerdict(value: unknown): {
  readonly level: DurabilityLevel;
  readonly reason: string | null;
} {
  const fields = fieldsOf(value);
  const level = textOf(fields['level']);
  if (!isLevel(level)) throw new RangeError(`the durability "${level}" is not known`);
  return { level, reason: textOrNull(fields['reason']) };
}

export function readUsage(value: unknown): StoreUsage {
  const fields = fieldsOf(value);
  const backlog = fields['largestBacklog'];
  return {
    storedBytes: numberOf(fields['storedBytes']),
    capacityBytes: fields['capacityBytes'] === null ? null : numberOf(fields['capacityBytes']),
    isFull: fields['isFull'] === true,
    largestBacklog: backlog === null ? null : readBacklog(fieldsOf(backlog)),
    quarantined: readTexts(fields['quarantined']),
  };
}

function readBacklog(fields: Fields): NonNullable<StoreUsage['largestBacklog']> {
  return {
    topic: textOf(fields['topic']),
    cursor: textOf(fields['cursor']),
    bytes: numberOf(fields['bytes']),
  };
}

function isLevel(text: string): text is DurabilityLevel {
  return ['D0', 'D1', 'D2', 'D3', 'D4'].includes(text);
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new RangeError('an object was expected');
  return Object.fromEntries(Object.entries(value));
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new RangeError('a list was expected');
  return value;
}

export function numberOf(value: unknown): number {
  if (typeof value !== 'number') throw new RangeError('a number was expected');
  return value;
}

export function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new RangeError('a text was expected');
  return value;
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : textOf(value);
}
