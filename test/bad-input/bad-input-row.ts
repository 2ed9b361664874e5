/**
 * One row of the catalogue of bad input: the bytes, and all that must come of them. Made by the files
 * in `rows/`, run by `row-run.ts` against a real listener. A row is data: what it asks for stands in
 * it, so that the same row can be sent to an ingress in this process and to `millrace up`.
 */
import type { CloudEventProblemCode } from '#lib/cloudevents/cloudevents-errors';
import type { AttributeValue } from '#lib/cloudevents/cloud-event';
import type { HttpErrorCode } from '#lib/http/http-errors';
import type { IngressErrorCode } from '#services/ingress/ingress-errors';
import { rawJsonRequest, rawRequest } from '#services/ingress/raw-client';

export type RefusalCode = HttpErrorCode | IngressErrorCode | CloudEventProblemCode;

/** One answer on the connection. `code` is what is counted and shown; `null` for one that is no refusal. */
export interface ExpectedAnswer {
  readonly status: number;
  readonly code: RefusalCode | null;
}

/** What must be in the last event that the row stored; what is not named is not looked at. */
export interface ExpectedRecord {
  readonly id?: string;
  readonly subject?: string | null;
  /** One byte per character; `null`: no data. */
  readonly data?: string | null;
  readonly datacontenttype?: string | null;
  /** `null`: the event must not have it. */
  readonly extensions?: Readonly<Record<string, AttributeValue | null>>;
  readonly ttl?: number;
  readonly passThrough?: readonly string[];
}

export interface BadInputRow {
  /** The number of the catalogue, I-1 to I-59; `null`: a case of our own. */
  readonly number: number | null;
  readonly name: string;
  /** One byte per character; each piece is written when the one before has gone out. */
  readonly pieces: readonly string[];
  /** In this order, and no more of them. */
  readonly answers: readonly ExpectedAnswer[];
  /** Counted although nobody is answered. */
  readonly silentCode: RefusalCode | null;
  readonly storedCount: number;
  readonly record: ExpectedRecord | null;
  /** The client ends its half behind the last piece. */
  readonly isHalfClosed: boolean;
  /** The server must close the connection. */
  readonly isEnd: boolean;
  /** Needs an ingress with short time-outs. */
  readonly isHurried: boolean;
  /** The answers have no body, as HEAD asks for it. */
  readonly isHead: boolean;
}

export type RowExtras = Partial<
  Pick<
    BadInputRow,
    'pieces' | 'silentCode' | 'storedCount' | 'isHalfClosed' | 'isEnd' | 'isHurried' | 'isHead'
  >
>;

const PLAIN = {
  silentCode: null,
  storedCount: 0,
  record: null,
  isHalfClosed: false,
  isEnd: false,
  isHurried: false,
  isHead: false,
} as const;

/** One request that is answered with that code and not stored. */
export function refused(
  number: number | null,
  name: string,
  bytes: string,
  status: number,
  code: RefusalCode,
  extras: RowExtras = {},
): BadInputRow {
  return { ...PLAIN, number, name, pieces: [bytes], answers: [{ status, code }], ...extras };
}

/** One request that is stored as one event. */
export function accepted(
  number: number | null,
  name: string,
  bytes: string,
  record: ExpectedRecord | null = null,
  extras: RowExtras = {},
): BadInputRow {
  const answers = [TAKEN];
  return { ...PLAIN, number, name, pieces: [bytes], answers, storedCount: 1, record, ...extras };
}

/** Several requests, or what is no request. */
export function sequence(
  number: number | null,
  name: string,
  bytes: string,
  answers: readonly ExpectedAnswer[],
  extras: RowExtras = {},
): BadInputRow {
  const storedCount = answers.filter(({ status }) => status === 202).length;
  return { ...PLAIN, number, name, pieces: [bytes], answers, storedCount, ...extras };
}

export const TAKEN: ExpectedAnswer = { status: 202, code: null };
export const CONTINUE: ExpectedAnswer = { status: 100, code: null };
export const MALFORMED: ExpectedAnswer = { status: 400, code: 'HTTP_REQUEST_MALFORMED' };

export function no(status: number, code: RefusalCode): ExpectedAnswer {
  return { status, code };
}

/** A valid event with these lines instead of Content-Length, and whatever follows the head. */
export function framed(lines: readonly string[], rest: string): string {
  return rawRequest({ without: ['content-length'], lines, body: rest });
}

export function chunked(rest: string): string {
  return framed(['Transfer-Encoding: chunked'], rest);
}

/** A valid event with one more header line, less those of the named headers. */
export function withLine(line: string, without: readonly string[] = []): string {
  return rawRequest({ lines: [line], without });
}

/** A valid event with another value of one header. */
export function replaced(name: string, value: string): string {
  return withLine(`${name}: ${value}`, [name]);
}

/** The members that every JSON event here has. */
export const EVENT = '"specversion":"1.0","id":"1","source":"/test","type":"t"';
export const BATCH = 'application/cloudevents-batch+json';

/** A JSON event with these members added. */
export function jsonEvent(members: string): string {
  return rawJsonRequest(`{${EVENT},${members}}`);
}

/** A batch of JSON texts. */
export function jsonBatch(elements: readonly string[]): string {
  return rawJsonRequest(`[${elements.join()}]`, BATCH);
}

/** The text as the bytes of its UTF-8, one per character. */
export function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
