/**
 * What an answer means, against the table of the outcome written down a second time; and the life of a
 * pair, against a model of a few lines.
 */
import assert from 'node:assert/strict';
import type { DeliveryPolicy } from '#lib/contract/routing';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN } from '#lib/delivery/backoff';
import type { SendResponse } from '#lib/delivery/http-sender';
import { nextStep } from '#lib/delivery/next-step';
import type { SendStage } from '#lib/delivery/next-step';
import { judge } from '#lib/delivery/outcome';
import type { JudgeContext, Outcome } from '#lib/delivery/outcome';
import { createSeededRandom } from '#lib/random/random';
import { ByteReader } from '../byte-reader.ts';
import { createTarget } from '../fuzz-target.ts';
import { eventWith } from '#lib/filters/event-fixture';

const FAILURE = { destination: null, status: null, body: Buffer.alloc(0), reason: 'Timeout' };
const EVENT = eventWith();

/** Input: policy, then one byte and sometimes more for each outcome. */
export const DELIVERY_STEPS = createTarget(
  'delivery-steps',
  ['\u0000', '\u0003', '\u00ff'],
  (input) => {
    const bytes = new ByteReader(input);
    const policy: DeliveryPolicy = {
      retryCount: bytes.byte() % 12,
      backoff: bytes.isOdd() ? 'linear' : 'exponential',
      backoffDelayMs: bytes.pick([0, 1, 199, 200, 1_000, 3_600_000, 2 ** 40]),
      timeoutMs: 1_000,
      retryAfterMsMax: bytes.pick([0, 0, 1, 5_000, 86_400_000]),
      format: 'binary',
    };
    const hasDeadLetter = bytes.isOdd();
    const random = bytes.isOdd() ? createSeededRandom(bytes.byte()) : null;
    let stage: SendStage = 'subscriber';
    let attempt = 0;
    for (let total = 1; ; total += 1) {
      assert.ok(total <= 2 * (policy.retryCount + 1), 'more attempts than two stages have');
      attempt += 1;
      const outcome = outcomeOf(bytes);
      const step = nextStep({ stage, attempt, policy, outcome, hasDeadLetter, random });
      const wanted = wantedStep(outcome, stage, attempt, policy, hasDeadLetter);
      assert.equal(step.do, wanted);
      if (step.do === 'wait') holdDelay(step.delayMs, attempt, policy, outcome);
      else if (step.do === 'deadLetter') {
        stage = 'deadLetter';
        attempt = 0;
      } else return;
    }
  },
);

function outcomeOf(bytes: ByteReader): Outcome {
  const retryAfterMs = bytes.pick([null, 0, 1, 60_000, 1e15]);
  switch (bytes.byte() % 8) {
    case 0:
      return { kind: 'delivered' };
    case 1:
      return { kind: 'reply', event: EVENT, rawHeaders: [] };
    case 2:
      return { kind: 'failed', failure: FAILURE };
    default:
      return { kind: 'retry', failure: FAILURE, retryAfterMs };
  }
}

function wantedStep(
  outcome: Outcome,
  stage: SendStage,
  attempt: number,
  policy: DeliveryPolicy,
  hasDeadLetter: boolean,
): string {
  if (outcome.kind === 'delivered') return 'settle';
  if (outcome.kind === 'reply') return stage === 'subscriber' ? 'reply' : 'settle';
  if (outcome.kind === 'retry' && attempt <= policy.retryCount) return 'wait';
  return stage === 'subscriber' && hasDeadLetter ? 'deadLetter' : 'park';
}

function holdDelay(
  delayMs: number,
  attempt: number,
  policy: DeliveryPolicy,
  outcome: Outcome,
): void {
  const factor = policy.backoff === 'linear' ? attempt : 2 ** attempt;
  const ownMs = Math.min(Math.max(policy.backoffDelayMs * factor, BACKOFF_MS_MIN), BACKOFF_MS_MAX);
  const asked = outcome.kind === 'retry' ? (outcome.retryAfterMs ?? 0) : 0;
  const askedMs = Math.min(asked, policy.retryAfterMsMax);
  const leastMs = Math.min(Math.max(ownMs, askedMs), BACKOFF_MS_MAX);
  const mostMs = Math.min(Math.max(ownMs * 1.1 + 1, askedMs), BACKOFF_MS_MAX);
  assert.ok(delayMs >= leastMs && delayMs <= mostMs, `${leastMs} <= ${delayMs} <= ${mostMs}`);
  assert.equal(delayMs, Math.round(delayMs));
}

const OUTCOME_WORDS = [
  ...['content-type: application/cloudevents+json\n', 'content-type: text/plain\n', 'ce-id: 1\n'],
  ...['ce-specversion: 1.0\n', 'ce-source: /a\n', 'ce-type: t\n', 'retry-after: 120\n', '\n\n'],
  ...['content-encoding: gzip\n', '{"specversion":"1.0","id":"1","source":"/a","type":"t"}'],
];

/** Input: status, flags, then header lines, an empty line, the body. */
export const OUTCOMES = createTarget('outcomes', OUTCOME_WORDS, (input) => {
  const bytes = new ByteReader(input);
  const status = bytes.pick([
    100, 200, 200, 200, 202, 204, 301, 400, 404, 408, 409, 410, 429, 500, 503, 599,
  ]);
  const flags = bytes.byte();
  const context: JudgeContext = {
    stage: (flags & 1) === 0 ? 'subscriber' : 'deadLetter',
    destination: 'http://a/',
    nonEventReply: (flags & 2) === 0 ? 'fail' : 'ignore',
    acceptsReply: (flags & 4) === 0,
    nowWallMs: 0,
  };
  const response = responseOf(status, (flags & 8) !== 0, bytes.rest().toString('latin1'));
  const outcome = judge(response, context);
  assert.equal(outcome.kind, wantedOutcome(response, context));
  if (outcome.kind === 'retry' || outcome.kind === 'failed') {
    assert.ok(outcome.failure.body.length <= 768);
  }
  if (outcome.kind === 'retry' && outcome.retryAfterMs !== null) {
    assert.ok([429, 503].includes(status) && outcome.retryAfterMs >= 0);
  }
});

function responseOf(status: number, bodyTruncated: boolean, text: string): SendResponse {
  const [head = '', ...rest] = text.split('\n\n');
  const rawHeaders = head.split('\n').flatMap((line) => {
    const found = /^([A-Za-z-]+): ?(.*)$/.exec(line);
    return found === null ? [] : [found[1] ?? '', found[2] ?? ''];
  });
  const contentType = headerOf(rawHeaders, 'content-type');
  const body = Buffer.from(rest.join('\n\n'), 'latin1');
  return { kind: 'response', status, contentType, rawHeaders, body, bodyTruncated };
}

function headerOf(rawHeaders: readonly string[], name: string): string | null {
  const at = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? null : (rawHeaders[at + 1] ?? null);
}

function wantedOutcome(response: SendResponse, context: JudgeContext): Outcome['kind'] {
  const { status, rawHeaders, body, bodyTruncated, contentType } = response;
  if ([404, 408, 409, 429].includes(status) || status >= 500) return 'retry';
  if (status < 200 || status > 299) return 'failed';
  if (context.stage === 'deadLetter') return 'delivered';
  const isEmpty = body.length === 0 && !bodyTruncated;
  const isStructured = contentType?.toLowerCase().startsWith('application/cloudevents') === true;
  const isEvent = isStructured ? !isEmpty : headerOf(rawHeaders, 'ce-specversion') !== null;
  if (!isEvent) return isEmpty || context.nonEventReply === 'ignore' ? 'delivered' : 'retry';
  if (status !== 200 || !context.acceptsReply) return 'delivered';
  const coding = headerOf(rawHeaders, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (bodyTruncated || coding !== 'identity') return 'retry';
  const decoded = decodeHttp({ rawHeaders, body, limits });
  return decoded.ok && decoded.mode !== 'batch' ? 'reply' : 'retry';
}
