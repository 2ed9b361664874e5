/** Routes of the simulated Triggers, their filters and policies, and the events that they match. */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { BrokerRoute, DeliveryPolicy, TriggerRoute } from '#lib/contract/routing';
import type { TriggerFilterSpec } from '#lib/filters/dialect';
import { EVERY_EVENT } from '#lib/filters/dialect';
import type { Random } from '#lib/random/random';
import type { Scenario } from './scenario.ts';
import { pick } from './sim-network.ts';

export const TYPES = ['order.made', 'order.paid', 'stock.low', 'ping'];

export function brokerRoute(scenario: Scenario): BrokerRoute {
  const url = 'http://dead/broker/broker-uid/1';
  return {
    ...{ key: 'sim/broker', namespace: 'sim', name: 'broker', uid: 'broker-uid' },
    ...{ topic: 'broker/sim/broker', partitions: scenario.partitions },
    policy: { countsTtl: true, nonEventReply: 'fail' },
    deadLetter: scenario.hasBrokerDeadLetter ? { url, caCerts: null, audience: null } : null,
    delivery: policy(2, 200, 2_000, 'linear'),
  };
}

export function otherFilter(random: Random): TriggerFilterSpec {
  switch (random.below(5)) {
    case 0:
      return EVERY_EVENT;
    case 1:
      return { attributes: { type: pick(random, TYPES) }, filters: null };
    case 2:
      return { attributes: null, filters: [{ prefix: { type: 'order.' } }] };
    case 3:
      return {
        attributes: null,
        filters: [{ cesql: `type = '${pick(random, TYPES)}' OR subject = 's1'` }],
      };
    default:
      return { attributes: null, filters: [{ not: { exact: { type: pick(random, TYPES) } } }] };
  }
}

export function otherDelivery(random: Random, timeoutMs: number): DeliveryPolicy {
  const retryCount = pick(random, [0, 1, 3, 5]);
  const delayMs = pick(random, [0, 200, 500, 3_000]);
  return {
    ...policy(retryCount, delayMs, timeoutMs, random.below(2) === 0 ? 'linear' : 'exponential'),
    retryAfterMsMax: random.below(2) === 0 ? 0 : 3_000,
    format: random.below(4) === 0 ? 'json' : 'binary',
  };
}

export function firstRoute(random: Random, scenario: Scenario, name: string): TriggerRoute {
  const isOrdered = random.below(3) === 0;
  const endpoint = { url: 'http://set/later', caCerts: null, audience: null };
  return {
    ...{ uid: '', key: `sim/${name}`, namespace: 'sim', name, brokerKey: 'sim/broker' },
    ...{ generation: 0, filter: random.below(2) === 0 ? EVERY_EVENT : otherFilter(random) },
    subscriber: endpoint,
    deadLetter: random.below(2) === 0 ? endpoint : null,
    delivery: otherDelivery(random, scenario.timeoutMs),
    nonEventReply: random.below(2) === 0 ? 'fail' : 'ignore',
    order: isOrdered ? 'ordered' : 'unordered',
    concurrency: pick(random, [1, 3, 20, 100]),
    ...{ inFlightBytesMax: 8 * 1_048_576, isPaused: false, start: null, backlog: null },
  };
}

export function eventOf(random: Random, id: string, key: string | null): CloudEvent {
  return {
    ...{ specversion: '1.0', id, source: '/sim', type: pick(random, TYPES) },
    ...{ subject: `s${random.below(3)}`, time: null, dataschema: null },
    datacontenttype: 'text/plain',
    extensions: key === null ? NO_EXTENSIONS : new Map([['partitionkey', key]]),
    data: Buffer.from(`data of ${id}`),
  };
}

function policy(
  retryCount: number,
  backoffDelayMs: number,
  timeoutMs: number,
  backoff: DeliveryPolicy['backoff'],
): DeliveryPolicy {
  return { retryCount, backoff, backoffDelayMs, timeoutMs, retryAfterMsMax: 0, format: 'binary' };
}
