/**
 * The network and the subscribers on it: an implementation of the `Sender` port in which every request
 * is an event that takes time, arrives or does not, and is answered or is not. What a subscriber does
 * is decided by the seed; what happened is told to the oracle from both ends.
 */
import type { Destination, OutgoingMessage, Sender, SendResult } from '#lib/delivery/http-sender';
import type { Random } from '#lib/random/random';
import type { Life } from './life.ts';
import type { SimTime } from './sim-time.ts';

/** How a subscriber (or a sink) behaves; shares are probabilities of one request. */
export interface Behaviour {
  readonly latencyMs: number;
  readonly refuseShare: number;
  readonly failShare: number;
  /** Answers that are never tried again, such as 400. */
  readonly finalShare: number;
  readonly hangShare: number;
  readonly resetShare: number;
  readonly slowShare: number;
  readonly replyShare: number;
  readonly nonEventShare: number;
}

export const HEALTHY: Behaviour = {
  latencyMs: 5,
  refuseShare: 0,
  failShare: 0,
  finalShare: 0,
  hangShare: 0,
  resetShare: 0,
  slowShare: 0,
  replyShare: 0,
  nonEventShare: 0,
};

/** One request as both ends see it. */
export interface Exchange {
  readonly life: Life;
  readonly url: string;
  readonly eventId: string;
  readonly message: OutgoingMessage;
  readonly startedMs: number;
  hasArrived: boolean;
}

export interface NetworkWatcher {
  begun(exchange: Exchange): void;
  /** The process heard the result (or was on the way down when it came). */
  heard(exchange: Exchange, result: SendResult): void;
  /** The process died or gave up before it heard. */
  abandoned(exchange: Exchange): void;
  /** The event that a subscriber answers with; `null` when it has none to send. */
  reply(exchange: Exchange): { readonly rawHeaders: string[]; readonly body: Buffer } | null;
  behaviour(url: string): Behaviour;
}

export interface SimNetworkDeps {
  readonly time: SimTime;
  readonly random: Random;
  readonly watcher: NetworkWatcher;
}

const STATUSES_RETRIED = [500, 502, 503, 503, 429, 408, 404, 409];
const STATUSES_FINAL = [400, 401, 403, 410, 301];
const NO_BYTES = Buffer.alloc(0);

export class SimNetwork {
  readonly #deps: SimNetworkDeps;

  constructor(deps: SimNetworkDeps) {
    this.#deps = deps;
  }

  /** The sender of one process. */
  sender(life: Life): Sender {
    const open = new Set<Exchange>();
    life.onEnd(() => {
      for (const exchange of open) this.#deps.watcher.abandoned(exchange);
      open.clear();
    });
    return {
      open: (endpoint) => this.#destination(life, open, endpoint.url),
      close: () => Promise.resolve(),
    };
  }

  #destination(life: Life, open: Set<Exchange>, url: string): Destination {
    return {
      send: (message, timeoutMs, done) => {
        const exchange: Exchange = {
          ...{ life, url, message, hasArrived: false },
          eventId: eventIdOf(message),
          startedMs: this.#deps.time.nowMs,
        };
        open.add(exchange);
        this.#deps.watcher.begun(exchange);
        const finish = (delayMs: number, result: SendResult): void => {
          life.later(delayMs, () => {
            if (!open.delete(exchange)) return;
            this.#deps.watcher.heard(exchange, result);
            done(result);
          });
        };
        this.#travel(exchange, timeoutMs, finish);
        return {
          abort: () => {
            if (open.delete(exchange)) this.#deps.watcher.abandoned(exchange);
          },
        };
      },
      close: () => undefined,
    };
  }

  #travel(
    exchange: Exchange,
    timeoutMs: number,
    finish: (delayMs: number, result: SendResult) => void,
  ): void {
    const { random, watcher } = this.#deps;
    const behaviour = watcher.behaviour(exchange.url);
    const chance = random.float();
    let share = behaviour.refuseShare;
    if (chance < share) return finish(0.2, failed('ConnectionFailed'));
    if (chance < (share += behaviour.resetShare)) {
      exchange.hasArrived = random.below(2) === 0;
      return finish(this.#latencyMs(behaviour), failed('ConnectionReset'));
    }
    exchange.hasArrived = true;
    if (chance < (share += behaviour.hangShare)) return finish(timeoutMs, failed('Timeout'));
    const isSlow = chance < (share += behaviour.slowShare);
    const takesMs = this.#latencyMs(behaviour) + (isSlow ? random.float() * timeoutMs * 1.3 : 0);
    if (takesMs > timeoutMs) return finish(timeoutMs, failed('Timeout'));
    if (chance < (share += behaviour.failShare)) {
      return finish(takesMs, this.#status(pick(random, STATUSES_RETRIED)));
    }
    if (chance < (share += behaviour.finalShare)) {
      return finish(takesMs, this.#status(pick(random, STATUSES_FINAL)));
    }
    if (chance < (share += behaviour.nonEventShare)) {
      return finish(takesMs, answered(200, ['content-type', 'text/plain'], Buffer.from('thanks')));
    }
    const wantsReply = random.float() < behaviour.replyShare;
    const reply = wantsReply ? watcher.reply(exchange) : null;
    if (reply !== null) return finish(takesMs, answered(200, reply.rawHeaders, reply.body));
    finish(takesMs, answered(pick(random, [200, 202, 204]), [], NO_BYTES));
  }

  #status(status: number): SendResult {
    const { random } = this.#deps;
    const hasHeader = (status === 503 || status === 429) && random.below(2) === 0;
    const headers = hasHeader ? ['retry-after', String(random.below(5))] : [];
    return answered(status, headers, Buffer.from('no'));
  }

  #latencyMs(behaviour: Behaviour): number {
    return 0.3 + this.#deps.random.float() * behaviour.latencyMs * 2;
  }
}

function answered(status: number, rawHeaders: string[], body: Buffer): SendResult {
  const at = rawHeaders.indexOf('content-type');
  const contentType = at < 0 ? null : (rawHeaders[at + 1] ?? null);
  return { kind: 'response', status, contentType, rawHeaders, body, bodyTruncated: false };
}

function failed(reason: 'ConnectionFailed' | 'ConnectionReset' | 'Timeout'): SendResult {
  return { kind: 'error', reason, message: `simulated ${reason}` };
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error('there is something to pick from');
  return item;
}

/** Of both content modes. */
function eventIdOf(message: OutgoingMessage): string {
  const { headers, body } = message;
  const id = headerOf(headers, 'ce-id');
  if (id !== null) return id;
  const parsed: unknown = JSON.parse(body?.toString('utf8') ?? '{}');
  if (typeof parsed === 'object' && parsed !== null && 'id' in parsed) return String(parsed.id);
  return '';
}

export function headerOf(headers: readonly string[], name: string): string | null {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() === name) return headers[at + 1] ?? null;
  }
  return null;
}
