/**
 * Posts events over HTTP, a bounded number at a time, at a rate if one is asked for. It does not try
 * again: what was refused is reported, and the caller decides.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { encodeBatch, encodeBinary, encodeStructured } from '#lib/cloudevents/http-encode';
import type { Ids } from '#lib/ids/ids';
import { sleep } from '#lib/time/clock';
import type { Clock } from '#lib/time/clock';
import { CliError } from './cli-error.ts';

export type SendMode = 'binary' | 'structured' | 'batch';

export interface SendResult {
  /** Of the first event of a batch. */
  readonly id: string;
  readonly count: number;
  readonly isAccepted: boolean;
  /** `null` without an answer. */
  readonly status: number | null;
  readonly retryAfter: string | null;
  /** What the answer says, or why there was none; empty on success. */
  readonly answer: string;
}

export interface SendReport {
  readonly accepted: number;
  readonly refused: number;
  readonly durationMs: number;
  readonly last: SendResult;
}

const OPEN_REQUESTS_MAX = 32;
const TIMEOUT_MS = 30_000;
const ANSWER_BYTES_MAX = 4_096;

interface Message {
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export function createEventSender(
  deps: { readonly clock: Clock; readonly ids: Ids },
  options: { readonly url: string; readonly mode: SendMode; readonly rate: number | null },
): {
  /** Sends the events `count` times over; the second time on with ids of their own. */
  send(
    events: readonly CloudEvent[],
    count: number,
    onResult: (result: SendResult) => void,
  ): Promise<SendReport>;
} {
  const url = URL.canParse(options.url) ? new URL(options.url) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CliError(`Cannot send to "${options.url}": not an http or https address`);
  }
  const agent =
    url.protocol === 'https:'
      ? new HttpsAgent({ keepAlive: true, maxSockets: OPEN_REQUESTS_MAX })
      : new HttpAgent({ keepAlive: true, maxSockets: OPEN_REQUESTS_MAX });
  const groups = (events: readonly CloudEvent[]): readonly (readonly CloudEvent[])[] =>
    options.mode === 'batch' ? [events] : events.map((event) => [event]);

  const sendGroup = async (group: readonly CloudEvent[]): Promise<SendResult> => {
    const answer = await post(url, agent, messageOf(group, options.mode));
    return { id: group[0]?.id ?? '', count: group.length, ...answer };
  };
  return {
    async send(events, count, onResult) {
      const { clock, ids } = deps;
      const startMs = clock.monotonicMs();
      let accepted = 0;
      let refused = 0;
      let sent = 0;
      const results: SendResult[] = [];
      const open = new Set<Promise<void>>();
      for (let round = 0; round < count; round++) {
        for (const group of groups(events)) {
          const own = round === 0 ? group : group.map((event) => ({ ...event, id: ids.uid() }));
          if (options.rate !== null) {
            const dueMs = startMs + (sent * 1000) / options.rate;
            if (dueMs > clock.monotonicMs()) await sleep(clock, dueMs - clock.monotonicMs());
          }
          while (open.size >= OPEN_REQUESTS_MAX) await Promise.race(open);
          sent += own.length;
          const one = sendGroup(own).then((result) => {
            if (result.isAccepted) accepted += result.count;
            else refused += result.count;
            results[0] = result;
            onResult(result);
          });
          open.add(one);
          void one.finally(() => open.delete(one));
        }
      }
      await Promise.all(open);
      agent.destroy();
      const [last] = results;
      if (last === undefined) throw new CliError('Cannot send: there is no event');
      return { accepted, refused, durationMs: clock.monotonicMs() - startMs, last };
    },
  };
}

function messageOf(events: readonly CloudEvent[], mode: SendMode): Message {
  const [event] = events;
  if (mode === 'batch' || event === undefined) {
    const { contentType, body } = encodeBatch(events);
    return { headers: ['content-type', contentType], body };
  }
  if (mode === 'structured') {
    const { contentType, body } = encodeStructured(event);
    return { headers: ['content-type', contentType], body };
  }
  const headers: string[] = [];
  const body = encodeBinary(event, headers);
  return { headers, body };
}

type Answer = Omit<SendResult, 'id' | 'count'>;

function post(url: URL, agent: HttpAgent | HttpsAgent, message: Message): Promise<Answer> {
  return new Promise((resolve) => {
    const fail = (error: Error): void =>
      resolve({ isAccepted: false, status: null, retryAfter: null, answer: failureText(error) });
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const length = ['content-length', String(message.body.length)];
    // Raw headers take no Host of their own.
    const headers = ['host', url.host, ...message.headers, ...length];
    const request = send(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (text.length < ANSWER_BYTES_MAX) text += chunk;
      });
      response.on('error', fail);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const isAccepted = status >= 200 && status < 300;
        const retryAfter = response.headers['retry-after'] ?? null;
        resolve({ isAccepted, status, retryAfter, answer: isAccepted ? '' : answerText(text) });
      });
    });
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error('no answer in 30 s')));
    request.on('error', fail);
    request.end(message.body);
  });
}

/** Ingress answers JSON with a `message`; anything else is shown as it is. */
function answerText(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'message' in value) {
      return String(value.message);
    }
  } catch {
    // Not JSON: shown as it is.
  }
  return text.trim().slice(0, ANSWER_BYTES_MAX);
}

/** A refused connection to several addresses is an error of errors without a text of its own. */
function failureText(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error ? String(error.code) : error.name;
}
