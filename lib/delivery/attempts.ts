/**
 * One attempt of one pair: encodes it, sends it (or appends it, for a reply), judges the answer and
 * says what comes next. Knows nothing of windows and stores; the engine does what it says.
 * The hot path of the dispatcher: one callback per event, no promise for a plain delivery.
 */
import { assert } from '#lib/assert/assert';
import type { EventRecord } from '#lib/channel/event-record';
import { isReceipt } from '#lib/channel/receipt';
import type { Receipt } from '#lib/channel/receipt';
import type { DeliveryFailure } from '#lib/channel/waiting-store';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Random } from '#lib/random/random';
import type { Clock } from '#lib/time/clock';
import { backoffDelayMs } from './backoff.ts';
import { errorExtensions } from './error-extensions.ts';
import { encodeDelivery } from './http-message.ts';
import type { SendResult } from './http-sender.ts';
import { giveUp, nextStep } from './next-step.ts';
import type { Step } from './next-step.ts';
import { judge } from './outcome.ts';
import type { Pair } from './pair.ts';

/** Our own store refused a reply: that is not the subscriber's failure, so it is tried until it is taken. */
const REPLY_DELAY_MS_MAX = 60_000;

export interface AttemptDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Appends a reply to the Broker with reserved capacity. */
  readonly append: (topic: string, record: EventRecord) => Promise<Receipt>;
  /** Called once per attempt, with what comes next. */
  readonly finished: (pair: Pair, step: Step) => void;
}

export class Attempts {
  readonly #deps: AttemptDeps;

  constructor(deps: AttemptDeps) {
    this.#deps = deps;
  }

  /** Begins the attempt that `pair.attempt` counts; its stage's destination must exist. */
  begin(pair: Pair): void {
    pair.startedMs = this.#deps.clock.monotonicMs();
    if (pair.stage === 'reply') {
      void this.#appendReply(pair); // never rejects
      return;
    }
    const settings = pair.target.settings;
    const isSubscriber = pair.stage === 'subscriber';
    const destination = isSubscriber ? settings.subscriber : settings.deadLetter;
    assert(destination !== null, 'a pair is sent only where its stage has a destination', {
      target: settings.key,
      stage: pair.stage,
    });
    const encoding = isSubscriber
      ? settings.encoding
      : { ...settings.encoding, prefersReply: false, extra: extensionsOf(pair) };
    destination.send(encodeDelivery(pair.record, encoding), settings.policy.timeoutMs, (result) =>
      this.#done(pair, result),
    );
  }

  #done(pair: Pair, result: SendResult): void {
    const settings = pair.target.settings;
    const isSubscriber = pair.stage === 'subscriber';
    const stage = isSubscriber ? 'subscriber' : 'deadLetter';
    pair.status = result.kind === 'response' ? result.status : 0;
    const outcome = judge(result, {
      stage,
      destination: isSubscriber ? settings.subscriberUrl : settings.deadLetterUrl,
      nonEventReply: settings.nonEventReply,
      acceptsReply: isSubscriber,
      nowWallMs: this.#deps.clock.wallMs(),
    });
    if (outcome.kind === 'retry' || outcome.kind === 'failed') this.#note(pair, outcome.failure);
    const step = nextStep({
      stage,
      attempt: pair.attempt,
      policy: settings.policy,
      outcome,
      hasDeadLetter: settings.deadLetter !== null,
      random: this.#deps.random,
    });
    this.#deps.finished(pair, step);
  }

  #note(pair: Pair, failure: DeliveryFailure): void {
    // A dead letter says when and why its subscriber failed, not the sink.
    if (pair.stage !== 'subscriber' && pair.failure !== null) return;
    const nowMs = this.#deps.clock.wallMs();
    if (pair.firstFailureMs === 0) pair.firstFailureMs = nowMs;
    pair.lastFailureMs = nowMs;
    pair.failure = failure;
  }

  /** Append, then settle: a crash between the two repeats the pair, it never drops it. */
  async #appendReply(pair: Pair): Promise<void> {
    assert(pair.reply !== null, 'stage reply has a reply', { target: pair.target.settings.key });
    let step: Step = { do: 'settle' };
    try {
      const receipt = await this.#deps.append(pair.topic, pair.reply);
      assert(isReceipt(receipt), 'an append answers with a receipt', { topic: pair.topic });
    } catch (error) {
      step = this.#replyRefused(pair, error);
    }
    this.#deps.finished(pair, step);
  }

  #replyRefused(pair: Pair, error: unknown): Step {
    const { settings } = pair.target;
    this.#deps.logger.warn('Cannot store the reply of a subscriber', {
      'knative.dev/key': settings.key,
      code: isMeshError(error) ? error.code : 'UNKNOWN',
      error: messageOf(error),
    });
    if (isMeshError(error, 'CHANNEL_RECORD_TOO_LARGE')) {
      // It never fits. The subscriber has done its work, so it is not asked again.
      const nowMs = this.#deps.clock.wallMs();
      if (pair.firstFailureMs === 0) pair.firstFailureMs = nowMs;
      pair.lastFailureMs = nowMs;
      return giveUp(
        { stage: 'subscriber', hasDeadLetter: settings.deadLetter !== null },
        {
          destination: settings.subscriberUrl,
          status: null,
          body: Buffer.alloc(0),
          reason: 'ReplyTooLarge',
        },
      );
    }
    const delayMs = backoffDelayMs(settings.policy, pair.attempt, this.#deps.random);
    return { do: 'wait', delayMs: Math.min(delayMs, REPLY_DELAY_MS_MAX) };
  }
}

function extensionsOf(pair: Pair): ReturnType<typeof errorExtensions> {
  assert(pair.failure !== null, 'a dead letter has a failure', {
    target: pair.target.settings.key,
  });
  return errorExtensions(pair.failure, {
    attempts: pair.failedAttempts,
    firstFailureMs: pair.firstFailureMs,
    lastFailureMs: pair.lastFailureMs,
    triggerKey: pair.target.settings.key,
    triggerUid: pair.target.settings.uid,
  });
}
