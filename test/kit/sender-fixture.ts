/**
 * A sender on real time for tests against local servers, and sends as promises. Names resolve as the
 * test says; nothing else differs from the real one.
 */
import { createHttpSender } from '#lib/delivery/http-sender';
import type {
  Destination,
  OpenOptions,
  OutgoingMessage,
  SendResult,
  Sender,
  SenderOptions,
} from '#lib/delivery/http-sender';
import { DEFAULT_SENDER_OPTIONS } from '#lib/delivery/http-sender';
import { createResolver } from '#lib/delivery/sender-resolver';
import { LAPTOP_PROFILE, createAddressRules } from '#lib/security/address-rules';
import { createMetrics } from '#lib/telemetry/metrics';
import { createSystemClock } from '#lib/time/system-clock';

export interface SenderFixtureOptions extends Partial<SenderOptions> {
  /** Addresses of a host name, asked at every look-up; loopback by default. An empty list: unknown. */
  readonly addressesOf?: (hostname: string) => readonly string[];
  readonly ownPorts?: readonly number[];
}

export interface SenderFixture {
  readonly sender: Sender;
  open(url: string, options?: Partial<OpenOptions> & { readonly caCerts?: string }): Destination;
  counted(name: string): number;
}

export function createSenderFixture(options: SenderFixtureOptions = {}): SenderFixture {
  const { addressesOf = () => ['127.0.0.1'], ownPorts = [], ...senderOptions } = options;
  const clock = createSystemClock();
  const metrics = createMetrics();
  const resolver = createResolver(clock, (hostname, done) => {
    const addresses = addressesOf(hostname);
    if (addresses.length === 0) {
      done(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), []);
      return;
    }
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  });
  const addressRules = createAddressRules({ profile: LAPTOP_PROFILE, ownPorts });
  const sender = createHttpSender(
    { clock, addressRules, metrics, resolver },
    { ...DEFAULT_SENDER_OPTIONS, ...senderOptions },
  );
  return {
    sender,
    open: (url, { connectionsMax = 10, caCerts } = {}) =>
      sender.open({ url, caCerts: caCerts ?? null, audience: null }, { connectionsMax }),
    counted(name) {
      const family = metrics.snapshot().find((known) => known.name === name);
      return family?.series[0]?.values[0] ?? 0;
    },
  };
}

export const SMALL_MESSAGE: OutgoingMessage = {
  headers: ['ce-id', '1', 'content-type', 'text/plain'],
  body: Buffer.from('hello'),
};

export function send(
  destination: Destination,
  timeoutMs = 5_000,
  message: OutgoingMessage = SMALL_MESSAGE,
): Promise<SendResult> {
  return new Promise((resolve) => {
    destination.send(message, timeoutMs, resolve);
  });
}

/** One line for comparisons: `200 hello`, `200+ …` when truncated, or the reason of an error. */
export function summary(result: SendResult): string {
  if (result.kind === 'error') return result.reason;
  return `${result.status}${result.bodyTruncated ? '+' : ''} ${result.body.toString('latin1')}`.trim();
}
