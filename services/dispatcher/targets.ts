/**
 * The targets of this dispatcher, made from the routing table: one per Trigger, and one per Broker
 * for dead letters that no Trigger answers for. Opens and closes destinations as routes change.
 */
import type { BrokerRoute, DeliveryPolicy, Endpoint, TriggerRoute } from '#lib/contract/routing';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import { deadTargetUid } from '#lib/delivery/handover';
import type { Destination, Sender } from '#lib/delivery/http-sender';
import type { Target, TargetSettings } from '#lib/delivery/target';

/** Requests that a Broker's own dead-letter target may have open. */
const DEAD_CONCURRENCY = 16;
const DEAD_BYTES_MAX = 8 * 1_048_576;

export interface TargetsDeps {
  readonly engine: DeliveryEngine;
  readonly sender: Sender;
}

interface Opened {
  readonly subscriber: Destination | null;
  readonly deadLetter: Destination | null;
}

export class Targets {
  readonly #deps: TargetsDeps;
  readonly #opened = new Map<string, Opened>();

  constructor(deps: TargetsDeps) {
    this.#deps = deps;
  }

  putTrigger(route: TriggerRoute, broker: BrokerRoute): Target {
    const subscriber = this.#open(route.subscriber, route.concurrency);
    const deadLetter = this.#openOptional(route.deadLetter, route.concurrency);
    const target = this.#deps.engine.putTarget(
      {
        uid: route.uid,
        key: route.key,
        namespace: route.namespace,
        brokerKey: broker.key,
        topic: broker.topic,
        isOrdered: route.order === 'ordered',
        isPaused: route.isPaused,
        concurrency: route.concurrency,
        inFlightBytesMax: route.inFlightBytesMax,
        policy: route.delivery,
        nonEventReply: route.nonEventReply,
        subscriber,
        subscriberUrl: route.subscriber.url,
        deadLetter,
        deadLetterUrl: route.deadLetter?.url ?? null,
        encoding: encoding(route.delivery, route.namespace),
      },
      route.start === null,
    );
    this.#replace(route.uid, { subscriber, deadLetter });
    return target;
  }

  putBroker(broker: BrokerRoute): Target {
    const uid = deadTargetUid(broker.uid);
    const deadLetter = this.#openOptional(broker.deadLetter, DEAD_CONCURRENCY);
    const url = broker.deadLetter?.url ?? null;
    const target = this.#deps.engine.putTarget({
      ...this.#bare(uid, broker.topic),
      key: `${broker.key} (dead letters)`,
      namespace: broker.namespace,
      brokerKey: broker.key,
      policy: broker.delivery,
      deadLetter,
      deadLetterUrl: url,
      encoding: encoding(broker.delivery, broker.namespace),
    });
    this.#replace(uid, { subscriber: null, deadLetter });
    return target;
  }

  remove(uid: string): void {
    this.#deps.engine.freezeTarget(uid);
    this.#replace(uid, null);
  }

  /**
   * A target that was deleted before this process heard of it: what comes for it is only stored, for
   * whoever has or gets its name (`namespace/name`; the UID while that is not known).
   */
  orphan(uid: string, topic: string, key = uid): Target {
    return this.#deps.engine.orphanTarget({ ...this.#bare(uid, topic), key });
  }

  /** Ends every connection; for the end of the process. */
  close(): void {
    for (const uid of [...this.#opened.keys()]) this.#replace(uid, null);
  }

  #bare(uid: string, topic: string): TargetSettings {
    return {
      uid,
      key: uid,
      namespace: '',
      brokerKey: '/',
      topic,
      isOrdered: false,
      isPaused: false,
      concurrency: DEAD_CONCURRENCY,
      inFlightBytesMax: DEAD_BYTES_MAX,
      policy: NO_POLICY,
      nonEventReply: 'fail',
      subscriber: null,
      subscriberUrl: null,
      deadLetter: null,
      deadLetterUrl: null,
      encoding: encoding(NO_POLICY, ''),
    };
  }

  /** New destinations are in use before old ones close; open requests go on to their end. */
  #replace(uid: string, opened: Opened | null): void {
    const former = this.#opened.get(uid);
    if (opened === null) this.#opened.delete(uid);
    else this.#opened.set(uid, opened);
    former?.subscriber?.close();
    former?.deadLetter?.close();
  }

  #openOptional(endpoint: Endpoint | null, connectionsMax: number): Destination | null {
    return endpoint === null ? null : this.#open(endpoint, connectionsMax);
  }

  #open(endpoint: Endpoint, connectionsMax: number): Destination {
    return this.#deps.sender.open(endpoint, { connectionsMax });
  }
}

const NO_POLICY: DeliveryPolicy = {
  retryCount: 0,
  backoff: 'exponential',
  backoffDelayMs: 200,
  timeoutMs: 30_000,
  retryAfterMsMax: 0,
  format: 'binary',
};

function encoding(policy: DeliveryPolicy, namespace: string): TargetSettings['encoding'] {
  return { format: policy.format, namespace, prefersReply: true, extra: null };
}
