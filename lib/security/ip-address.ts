/**
 * IP addresses as bytes, and the IPv4 addresses that hide in IPv6 ones. Used by the address rules.
 * Invariant: text that is not exactly one IPv4 (four decimal parts) or IPv6 address is refused, never
 * guessed at; other spellings (decimal, octal, short) are folded by the URL parser before they get here.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface IpAddress {
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
}

/** Reads an address; a zone (`fe80::1%eth0`) and brackets are dropped. `null` when it is none. */
export function parseIp(text: string): IpAddress | null {
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  const zone = inner.indexOf('%');
  const plain = zone === -1 ? inner : inner.slice(0, zone);
  if (isIPv4(plain)) return { family: 4, bytes: Uint8Array.from(plain.split('.'), Number) };
  return isIPv6(plain) ? { family: 6, bytes: ipv6Bytes(plain) } : null;
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const left = groupBytes(head);
  const right = tail === undefined ? [] : groupBytes(tail);
  const bytes = new Uint8Array(16);
  bytes.set(left, 0);
  bytes.set(right, 16 - right.length);
  return bytes;
}

/** `2001:db8` or `ffff:1.2.3.4` as bytes. */
function groupBytes(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

export interface IpRange {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** Reads `10.0.0.0/8`. For tables: a mistake throws. */
export function parseRange(text: string): IpRange {
  const [base = '', length = ''] = text.split('/');
  const address = parseIp(base);
  const prefixLength = Number(length);
  if (address === null || !(prefixLength >= 0 && prefixLength <= address.bytes.length * 8)) {
    throw new TypeError(`not an address range: ${text}`);
  }
  return { address, prefixLength };
}

export function isInRange(address: IpAddress, range: IpRange): boolean {
  if (address.family !== range.address.family) return false;
  let bitsLeft = range.prefixLength;
  for (let index = 0; bitsLeft > 0; index += 1, bitsLeft -= 8) {
    const mask = bitsLeft >= 8 ? 0xff : (0xff << (8 - bitsLeft)) & 0xff;
    const difference = (address.bytes[index] ?? 0) ^ (range.address.bytes[index] ?? 0);
    if ((difference & mask) !== 0) return false;
  }
  return true;
}

/** Where an IPv6 address of that prefix holds an IPv4 one. */
interface Embedding {
  readonly name: string;
  readonly range: IpRange;
  readonly offset: number;
  /** Teredo stores the client's address with all bits flipped. */
  readonly isFlipped: boolean;
}

function embedding(name: string, range: string, offset: number, isFlipped = false): Embedding {
  return { name, range: parseRange(range), offset, isFlipped };
}

const EMBEDDINGS: readonly Embedding[] = [
  embedding('IPv4-mapped', '::ffff:0:0/96', 12),
  embedding('IPv4-translated', '::ffff:0:0:0/96', 12),
  embedding('IPv4-compatible', '::/96', 12),
  embedding('NAT64', '64:ff9b::/96', 12),
  embedding('6to4', '2002::/16', 2),
  embedding('Teredo server', '2001::/32', 4),
  embedding('Teredo client', '2001::/32', 12, true),
];

/** Interface identifiers of ISATAP: `0:5efe:a.b.c.d`, also with the universal bit. */
const ISATAP: readonly (readonly number[])[] = [
  [0x00, 0x00, 0x5e, 0xfe],
  [0x02, 0x00, 0x5e, 0xfe],
];

export interface EmbeddedAddress {
  readonly form: string;
  readonly address: IpAddress;
}

/** The IPv4 addresses that traffic to this IPv6 address could end at. */
export function embeddedIpv4(address: IpAddress): readonly EmbeddedAddress[] {
  if (address.family === 4) return [];
  const found: EmbeddedAddress[] = [];
  for (const { name, range, offset, isFlipped } of EMBEDDINGS) {
    if (!isInRange(address, range)) continue;
    const bytes = address.bytes.slice(offset, offset + 4);
    const shown = isFlipped ? bytes.map((byte) => byte ^ 0xff) : bytes;
    found.push({ form: name, address: { family: 4, bytes: shown } });
  }
  if (ISATAP.some((marker) => marker.every((byte, index) => address.bytes[8 + index] === byte))) {
    found.push({ form: 'ISATAP', address: { family: 4, bytes: address.bytes.slice(12, 16) } });
  }
  return found;
}

/** For messages; IPv6 without the `::` shortening. */
export function ipText(address: IpAddress): string {
  if (address.family === 4) return address.bytes.join('.');
  const groups: string[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(
      (((address.bytes[index] ?? 0) << 8) | (address.bytes[index + 1] ?? 0)).toString(16),
    );
  }
  return groups.join(':');
}
