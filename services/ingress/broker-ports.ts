/**
 * What ingress keeps per Broker: its route, its share of the memory, its series; found by the request
 * target as it was written, so that the hot path does one look-up and parses nothing.
 * Follows the routing table. Invariant: a target is only remembered while its Broker exists, and in
 * at most two spellings, so clients cannot fill the memory with targets.
 */
import type { BrokerRoute } from '#lib/contract/routing';
import type { RoutingTable } from '#lib/contract/routing-table';
import type { Share } from './admission.ts';
import type { BrokerMeter, IngressMetrics } from './ingress-metrics.ts';

export interface BrokerPort extends Share {
  route: BrokerRoute;
  meter: BrokerMeter;
}

export class BrokerPorts {
  readonly #byKey = new Map<string, BrokerPort>();
  readonly #byTarget = new Map<string, BrokerPort>();
  readonly #metrics: IngressMetrics;
  readonly #stop: () => void;

  constructor(routing: RoutingTable, metrics: IngressMetrics) {
    this.#metrics = metrics;
    for (const { broker } of routing.brokers()) this.#put(broker);
    this.#stop = routing.listen((change) => {
      if (change.kind === 'broker') this.#put(change.snapshot.broker);
      else if (change.kind === 'brokerRemoved') this.#remove(change.broker);
    });
  }

  get(key: string): BrokerPort | undefined {
    return this.#byKey.get(key);
  }

  /** By `/namespace/name` or `/namespace/name/`, without a query. */
  forTarget(target: string): BrokerPort | undefined {
    return this.#byTarget.get(target);
  }

  stop(): void {
    this.#stop();
  }

  #put(route: BrokerRoute): void {
    const known = this.#byKey.get(route.key);
    if (known !== undefined) {
      known.route = route;
      return;
    }
    const port: BrokerPort = { route, bytesInFlight: 0, meter: this.#metrics.forBroker(route) };
    this.#byKey.set(route.key, port);
    this.#byTarget.set(`/${route.key}`, port);
    this.#byTarget.set(`/${route.key}/`, port);
  }

  #remove({ key }: BrokerRoute): void {
    this.#byKey.get(key)?.meter.forget();
    this.#byKey.delete(key);
    this.#byTarget.delete(`/${key}`);
    this.#byTarget.delete(`/${key}/`);
  }
}
