/**
 * The event of the bench, as the load writes it and the sink recognises it: 1 KiB of JSON data that
 * carry the time of sending, six attributes, an id that is a number. Both sides compile it once; per
 * event only digits change.
 */

/** 1 KiB exactly. */
export const DATA_BYTES = 1_024;
/** Digits of microseconds since the machine's start. */
export const STAMP_DIGITS = 16;
export const ID_DIGITS = 10;
export const STAMP_MARK = '{"t":"';
const DATA_TAIL = '"}';
const FILLER = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** What follows the stamp in the data; never changes, so the sink can compare it. */
export const DATA_REST: string = (() => {
  const head = '","pad":"';
  const length = DATA_BYTES - STAMP_MARK.length - STAMP_DIGITS - head.length - DATA_TAIL.length;
  return `${head}${FILLER.repeat(Math.ceil(length / FILLER.length)).slice(0, length)}${DATA_TAIL}`;
})();

export type BenchEncoding = 'binary' | 'structured';

export interface EventTemplateOptions {
  /** `127.0.0.1:8080` */
  readonly host: string;
  readonly path: string;
  readonly encoding: BenchEncoding;
  readonly type: string;
  /** Ordering keys in turn; 0: no `partitionkey`. */
  readonly keyCount: number;
}

const KEY_DIGITS = 5;

/** One request that is written again and again; each connection has its own. */
export interface EventTemplate {
  readonly bytes: Buffer;
  write(id: number, stampMicros: number): void;
}

export function createEventTemplate(options: EventTemplateOptions): EventTemplate {
  const { encoding, host, path } = options;
  const attributes = {
    specversion: '1.0',
    id: 'I'.repeat(ID_DIGITS),
    source: '/bench/orders',
    type: options.type,
    subject: 'order-4711',
    time: '2026-01-02T03:04:05.678901Z',
    ...(options.keyCount > 0 ? { partitionkey: 'K'.repeat(KEY_DIGITS) } : {}),
  };
  const data = `${STAMP_MARK}${'T'.repeat(STAMP_DIGITS)}${DATA_REST}`;
  const fields = Object.entries(attributes);
  const [headers, body] =
    encoding === 'binary'
      ? [
          [
            ...fields.map(([name, value]) => `ce-${name}: ${value}`),
            'content-type: application/json',
          ],
          data,
        ]
      : [
          ['content-type: application/cloudevents+json'],
          `${JSON.stringify({ ...attributes, datacontenttype: 'application/json' }).slice(0, -1)},"data":${data}}`,
        ];
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: ${host}`,
    ...headers,
    `content-length: ${body.length}`,
  ];
  const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
  const idAt = bytes.indexOf('I'.repeat(ID_DIGITS));
  const stampAt = bytes.indexOf('T'.repeat(STAMP_DIGITS));
  const keyAt = bytes.indexOf('K'.repeat(KEY_DIGITS));
  return {
    bytes,
    write(id, stampMicros) {
      writeDigits(bytes, idAt, ID_DIGITS, id);
      writeDigits(bytes, stampAt, STAMP_DIGITS, stampMicros);
      if (keyAt >= 0) writeDigits(bytes, keyAt, KEY_DIGITS, id % options.keyCount);
    },
  };
}

/** Microseconds of a clock that all processes of the machine share. */
export function nowMicros(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1_000);
}

function writeDigits(bytes: Buffer, at: number, count: number, value: number): void {
  let rest = value;
  for (let index = at + count - 1; index >= at; index--) {
    const next = Math.floor(rest / 10);
    bytes[index] = 48 + rest - next * 10;
    rest = next;
  }
}

export function readDigits(bytes: Buffer, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) value = value * 10 + (bytes[index] ?? 48) - 48;
  return value;
}
