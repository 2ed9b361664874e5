/**
 * Every IP address has a class, by one table: what it is for, not whether we send there (that is a
 * profile's to say, `address-rules.ts`). Used by the address rules. Invariant: an address that no row
 * knows is `reserved` in IPv6, where only 2000::/3 is given out, and `public` in IPv4.
 * Source: IANA special-purpose address registries; the metadata addresses of the large clouds.
 */
import { isInRange, parseRange } from './ip-address.ts';
import type { IpAddress, IpRange } from './ip-address.ts';

export type AddressClass =
  | 'public'
  | 'private'
  | 'loopback'
  | 'linkLocal'
  | 'metadata'
  | 'unspecified'
  | 'multicast'
  | 'broadcast'
  | 'documentation'
  | 'reserved';

/** For messages: "… is a link-local address". */
export const CLASS_NAMES: Readonly<Record<AddressClass, string>> = {
  public: 'a public address',
  private: 'a private address',
  loopback: 'a loopback address',
  linkLocal: 'a link-local address',
  metadata: 'a cloud metadata address',
  unspecified: 'an address of "this network"',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  documentation: 'an address for documentation',
  reserved: 'a reserved address',
};

interface Row {
  readonly range: IpRange;
  readonly class: AddressClass;
}

function row(range: string, addressClass: AddressClass): Row {
  return { range: parseRange(range), class: addressClass };
}

/** The first row that fits decides. */
const ROWS: readonly Row[] = [
  // Metadata services: AWS, Azure and most others; ECS; Azure's wire server; Alibaba; Oracle.
  row('169.254.169.254/32', 'metadata'),
  row('169.254.170.2/32', 'metadata'),
  row('168.63.129.16/32', 'metadata'),
  row('100.100.100.200/32', 'metadata'),
  row('192.0.0.192/32', 'metadata'),
  row('fd00:ec2::/32', 'metadata'),
  row('fd20:ce::254/128', 'metadata'),
  row('0.0.0.0/8', 'unspecified'),
  row('127.0.0.0/8', 'loopback'),
  row('10.0.0.0/8', 'private'),
  row('172.16.0.0/12', 'private'),
  row('192.168.0.0/16', 'private'),
  row('100.64.0.0/10', 'private'),
  // Benchmark networks; local proxies and VPNs hand them out as stand-ins for real hosts.
  row('198.18.0.0/15', 'private'),
  row('169.254.0.0/16', 'linkLocal'),
  row('192.0.2.0/24', 'documentation'),
  row('198.51.100.0/24', 'documentation'),
  row('203.0.113.0/24', 'documentation'),
  row('192.0.0.0/24', 'reserved'),
  row('192.88.99.0/24', 'reserved'),
  row('224.0.0.0/4', 'multicast'),
  row('255.255.255.255/32', 'broadcast'),
  row('240.0.0.0/4', 'reserved'),
  row('0.0.0.0/0', 'public'),

  row('::/128', 'unspecified'),
  row('::1/128', 'loopback'),
  row('fc00::/7', 'private'),
  row('fe80::/10', 'linkLocal'),
  row('ff00::/8', 'multicast'),
  row('2001:db8::/32', 'documentation'),
  row('3fff::/20', 'documentation'),
  // Transition forms are as public as the IPv4 address inside, which is judged as well.
  row('::ffff:0:0/96', 'public'),
  row('::ffff:0:0:0/96', 'public'),
  row('::/96', 'public'),
  row('64:ff9b::/96', 'public'),
  row('2001::/32', 'public'),
  // IETF protocol assignments: ORCHID, benchmarking, anycast services.
  row('2001::/23', 'reserved'),
  row('2000::/3', 'public'),
  row('::/0', 'reserved'),
];

export function classOf(address: IpAddress): AddressClass {
  for (const { range, class: addressClass } of ROWS) {
    if (isInRange(address, range)) return addressClass;
  }
  return 'reserved';
}
