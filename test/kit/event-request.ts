/**
 * CloudEvents as HTTP requests, byte for byte, written here and not with our own codec: a producer
 * that shares the codec under test would share its mistakes.
 */

/** What a test sends. All attributes are strings; names of extensions are lower case. */
export interface TestEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Also `subject`, `time`, `dataschema`. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly data: Buffer;
}

export type Encoding = 'binary' | 'structured' | 'batch';

export interface RequestLine {
  /** `127.0.0.1:8080` */
  readonly host: string;
  /** `/default/default` */
  readonly path: string;
}

const DEFAULT_CONTENT_TYPE = 'application/octet-stream';

/** One request; only a batch takes other than one event. */
export function eventRequest(
  line: RequestLine,
  encoding: Encoding,
  events: readonly TestEvent[],
): Buffer {
  if (encoding === 'batch') {
    const body = Buffer.from(JSON.stringify(events.map(jsonEvent)));
    return request(line, ['content-type: application/cloudevents-batch+json'], body);
  }
  const [event] = events;
  if (event === undefined || events.length > 1) {
    throw new Error(`Cannot send ${events.length} events as ${encoding}: exactly one`);
  }
  if (encoding === 'structured') {
    const body = Buffer.from(JSON.stringify(jsonEvent(event)));
    return request(line, ['content-type: application/cloudevents+json'], body);
  }
  return request(line, binaryHeaders(event), event.data);
}

/** Any POST. @param headers lines without their end. */
export function request(line: RequestLine, headers: readonly string[], body: Buffer): Buffer {
  const head = [
    `POST ${line.path} HTTP/1.1`,
    `host: ${line.host}`,
    ...headers,
    `content-length: ${body.length}`,
  ].join('\r\n');
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), body]);
}

function binaryHeaders(event: TestEvent): readonly string[] {
  const { id, source, type, attributes = {}, contentType = DEFAULT_CONTENT_TYPE } = event;
  return [
    'ce-specversion: 1.0',
    ...Object.entries({ id, source, type, ...attributes }).map(
      ([name, value]) => `ce-${name}: ${headerValue(value)}`,
    ),
    `content-type: ${contentType}`,
  ];
}

/** Percent-coding of the CloudEvents HTTP binding: all but printable ASCII, and `"`, `%`, space. */
export function headerValue(value: string): string {
  return value.replace(/[^!#$&-~]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

function jsonEvent(event: TestEvent): object {
  const { id, source, type, attributes = {}, contentType = DEFAULT_CONTENT_TYPE } = event;
  return {
    ...{ specversion: '1.0', id, source, type, ...attributes, datacontenttype: contentType },
    data_base64: event.data.toString('base64'),
  };
}
