/**
 * The commands' way to a running Millrace: HTTP over its control socket. Bounded in time; an answer that
 * is an error is thrown as what it was there.
 */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { isFields } from '#api/meta/v1/field-reader';
import { localError } from '../local-errors.ts';

/** An error that the running Millrace answered. */
export class ControlFault extends Error {
  override readonly name = 'ControlFault';
  readonly code: string;
  readonly next: string | null;

  constructor(code: string, message: string, next: string | null) {
    super(message);
    this.code = code;
    this.next = next;
  }
}

export interface ControlClient {
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** Calls `onLine` for each JSON line until the other side or `signal` ends it. */
  lines(path: string, onLine: (line: unknown) => void, signal: AbortSignal): Promise<void>;
}

const ANSWER_TIMEOUT_MS = 60_000;
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

export function createControlClient(socketPath: string): ControlClient {
  const send = (method: string, path: string, body: string | null): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers: Record<string, string> = { host: 'millrace' };
      if (body !== null) headers['content-type'] = 'application/json';
      const request = httpRequest({ socketPath, method, path, headers, agent: false });
      request.on('response', resolve);
      request.on('error', (error) => reject(connectionError(socketPath, error)));
      request.setTimeout(ANSWER_TIMEOUT_MS, () => request.destroy(new Error('no answer in 60 s')));
      request.end(body ?? undefined);
    });
  const call = async (method: string, path: string, body: string | null): Promise<unknown> => {
    const response = await send(method, path, body);
    return answerOf(response, await textOf(response));
  };
  return {
    get: (path) => call('GET', path, null),
    post: (path, body) => call('POST', path, JSON.stringify(body)),
    async lines(path, onLine, signal) {
      const response = await send('GET', path, null);
      response.socket.setTimeout(0);
      if (response.statusCode !== 200) answerOf(response, await textOf(response));
      await readLines(response, onLine, signal);
    },
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk as Uint8Array);
    sizeBytes += bytes.length;
    if (sizeBytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answerOf(response: IncomingMessage, text: string): unknown {
  const value: unknown = text === '' ? null : JSON.parse(text);
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return value;
  const { code, message, next } = isFields(value)
    ? value
    : { code: null, message: null, next: null };
  throw new ControlFault(
    typeof code === 'string' ? code : 'INTERNAL',
    typeof message === 'string' ? message : `the control socket answered ${status}`,
    typeof next === 'string' ? next : null,
  );
}

async function readLines(
  response: IncomingMessage,
  onLine: (line: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const onAbort = (): void => void response.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') onLine(JSON.parse(line));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function connectionError(socketPath: string, error: Error): Error {
  const code = 'code' in error ? error.code : null;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    const message = `Cannot reach a running Millrace: nothing answers at ${socketPath}`;
    return localError('LOCAL_NOT_RUNNING', message, { cause: error });
  }
  return localError('LOCAL_NOT_RUNNING', `Cannot use ${socketPath}: ${error.message}`, {
    cause: error,
  });
}
