/**
 * Where events may be sent to. Used twice: on a URL when a manifest is read, for an early and precise
 * answer, and on the IP address at the moment of connecting, which is what decides: a name may resolve
 * to anything, and to something else each time. A profile is a table, so a cluster's rules are another
 * value of {@link AddressProfile}. Invariant: what no rule allows is refused.
 */
import { networkInterfaces } from 'node:os';
import { CLASS_NAMES, classOf } from './address-classes.ts';
import type { AddressClass } from './address-classes.ts';
import { embeddedIpv4, ipText, parseIp } from './ip-address.ts';
import type { IpAddress } from './ip-address.ts';

export interface AddressProfile {
  readonly name: string;
  readonly allowed: readonly AddressClass[];
  /** Refused on every address. */
  readonly portsRefused: readonly PortRange[];
  /** In lower case without a dot at the end. */
  readonly hostsRefused: readonly string[];
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
  readonly what: string;
}

function port(number: number, what: string): PortRange {
  return { from: number, to: number, what };
}

const PORTS_REFUSED: readonly PortRange[] = [
  port(22, 'SSH'),
  port(25, 'mail'),
  { from: 2379, to: 2380, what: 'etcd' },
  port(4222, 'NATS'),
  port(6379, 'Redis'),
  port(6443, 'the Kubernetes API'),
  port(9092, 'Kafka'),
  port(10250, 'the kubelet'),
  port(10255, 'the kubelet'),
];

const METADATA_HOSTS: readonly string[] = [
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'metadata.tencentyun.com',
  'instance-data',
  'instance-data.ec2.internal',
];

/** One machine: subscribers on loopback and in the own network are the normal case. */
export const LAPTOP_PROFILE: AddressProfile = {
  name: 'laptop',
  allowed: ['public', 'private', 'loopback'],
  portsRefused: PORTS_REFUSED,
  hostsRefused: METADATA_HOSTS,
};

/** `allowed`, or why not; `message` goes on after the name of the address. */
export type AddressVerdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly message: string };

export type UrlVerdict =
  | { readonly ok: true; readonly url: URL }
  | { readonly ok: false; readonly message: string };

export interface AddressRules {
  /** Judges an address that is about to be connected to. */
  checkAddress(ip: string, portNumber: number): AddressVerdict;
  /** Judges a host name before it is resolved; its addresses are judged as well. */
  checkHost(hostname: string): AddressVerdict;
  /** Judges a URL as far as its text tells. */
  checkUrl(text: string): UrlVerdict;
}

export interface AddressRulesOptions {
  readonly profile: AddressProfile;
  /** Our own admin and API ports: refused on loopback and on this machine's own addresses. */
  readonly ownPorts: readonly number[];
  /** The addresses of this machine; by default asked from the operating system at each check. */
  readonly localAddresses?: () => readonly string[];
}

/** Longer URLs are refused by many servers, and by this check. */
export const URL_LENGTH_MAX = 4_096;

const ALLOWED: AddressVerdict = { ok: true };

export function createAddressRules(options: AddressRulesOptions): AddressRules {
  const { profile, ownPorts } = options;
  const localAddresses = options.localAddresses ?? interfaceAddresses;

  const checkPort = (portNumber: number): AddressVerdict => {
    if (portNumber < 1 || portNumber > 65_535) return refused(`port ${portNumber} is no port`);
    const range = profile.portsRefused.find(
      ({ from, to }) => portNumber >= from && portNumber <= to,
    );
    return range === undefined
      ? ALLOWED
      : refused(`port ${portNumber} is the port of ${range.what}, not of a subscriber`);
  };
  const isOwn = (address: IpAddress, portNumber: number): boolean => {
    if (!ownPorts.includes(portNumber)) return false;
    if (classOf(address) === 'loopback') return true;
    const text = ipText(address);
    return localAddresses().some((local) => {
      const parsed = parseIp(local);
      return parsed !== null && ipText(parsed) === text;
    });
  };
  const checkIp = (address: IpAddress, portNumber: number): AddressVerdict => {
    const addressClass = classOf(address);
    if (!profile.allowed.includes(addressClass)) {
      return refused(`${ipText(address)} is ${CLASS_NAMES[addressClass]}`);
    }
    if (isOwn(address, portNumber)) {
      return refused(`port ${portNumber} of this machine is Millrace's own admin or API port`);
    }
    // ::1 is not the IPv4-compatible form of 0.0.0.1.
    if (addressClass === 'loopback') return ALLOWED;
    for (const { form, address: inner } of embeddedIpv4(address)) {
      const verdict = checkIp(inner, portNumber);
      if (!verdict.ok) return refused(`${ipText(address)} (${form}): ${verdict.message}`);
    }
    return ALLOWED;
  };

  const rules: AddressRules = {
    checkAddress(ip, portNumber) {
      const address = parseIp(ip);
      if (address === null) return refused(`"${ip}" is no IP address`);
      const verdict = checkPort(portNumber);
      return verdict.ok ? checkIp(address, portNumber) : verdict;
    },
    checkHost(hostname) {
      const host = hostname.toLowerCase().replace(/\.$/, '');
      if (!profile.hostsRefused.includes(host)) return ALLOWED;
      return refused(`"${host}" is a cloud metadata host`);
    },
    checkUrl(text) {
      const parsed = parseUrl(text);
      if (!parsed.ok) return parsed;
      const { url } = parsed;
      const verdict = checkUrlHost(url, rules, { checkPort, ownPorts });
      return verdict.ok ? parsed : verdict;
    },
  };
  return rules;
}

interface PortRules {
  readonly checkPort: (portNumber: number) => AddressVerdict;
  readonly ownPorts: readonly number[];
}

function checkUrlHost(url: URL, rules: AddressRules, ports: PortRules): AddressVerdict {
  const portNumber = portOf(url);
  if (parseIp(url.hostname) !== null) return rules.checkAddress(url.hostname, portNumber);
  const verdict = rules.checkHost(url.hostname);
  if (!verdict.ok) return verdict;
  const isLocal = /^(?:.+\.)?localhost\.?$/.test(url.hostname);
  if (isLocal && ports.ownPorts.includes(portNumber)) {
    return refused(`port ${portNumber} of this machine is Millrace's own admin or API port`);
  }
  return ports.checkPort(portNumber);
}

/** The port that a URL is connected to. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/**
 * The strict part of reading a URL: the parser of the platform would silently drop line breaks, turn
 * backslashes round and accept user-info.
 */
function parseUrl(text: string): UrlVerdict {
  if (text.length > URL_LENGTH_MAX)
    return refused(`it is longer than ${URL_LENGTH_MAX} characters`);
  if (/[\u0000-\u0020\u007f-\u00a0\\]/.test(text)) {
    return refused('it has a space, a control character or a backslash');
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined)
    return refused('it is not absolute: it must begin with http:// or https://');
  if (scheme !== 'http' && scheme !== 'https') {
    return refused(`its scheme is "${scheme}", and only http and https can be sent to`);
  }
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(text)?.[1];
  if (authority === undefined || authority === '') return refused('it has no host');
  if (authority.includes('@')) return refused('it has a user name or password');
  if (!URL.canParse(text)) return refused('it is not a valid URL: look at host and port');
  const url = new URL(text);
  return url.port === '0' ? refused('port 0 is no port') : { ok: true, url };
}

function refused(message: string): { readonly ok: false; readonly message: string } {
  return { ok: false, message };
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map((entry) => entry.address),
  );
}
