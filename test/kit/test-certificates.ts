/**
 * X.509 certificates made on the spot, for tests of TLS: no files, no openssl, no keys in the tree.
 * ECDSA P-256, valid from yesterday for ten days.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateAuthority {
  readonly name: string;
  readonly pem: string;
  readonly key: KeyObject;
}

export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A root that issues {@link issueCertificate}. */
export function createCertificateAuthority(name: string): CertificateAuthority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension('551d13', sequence(tlv(0x01, Buffer.from([0xff]))), true);
  const pem = certificate({ subject: name, issuer: name, publicKey, signer: privateKey }, [
    isAuthority,
  ]);
  return { name, pem, key: privateKey };
}

/** A server's certificate for these DNS names and IPv4 addresses. */
export function issueCertificate(
  authority: CertificateAuthority,
  names: readonly string[],
): ServerCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const alternatives = names.map((name) =>
    isIP(name) === 4
      ? tlv(0x87, Buffer.from(name.split('.').map(Number)))
      : tlv(0x82, Buffer.from(name, 'ascii')),
  );
  const subject = names[0] ?? 'test';
  const cert = certificate({ subject, issuer: authority.name, publicKey, signer: authority.key }, [
    extension('551d11', sequence(...alternatives), false),
  ]);
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

interface CertificateFields {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
}

function certificate(fields: CertificateFields, extensions: readonly Buffer[]): string {
  const algorithm = sequence(tlv(0x06, Buffer.from('2a8648ce3d040302', 'hex'))); // ecdsa-with-SHA256
  const serial = randomBytes(8);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 1; // positive, and without leading zeros
  const signed = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, serial),
    algorithm,
    commonName(fields.issuer),
    sequence(utcTime(-86_400_000), utcTime(9 * 86_400_000)),
    commonName(fields.subject),
    fields.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', signed, fields.signer);
  const der = sequence(signed, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function commonName(name: string): Buffer {
  const attribute = sequence(tlv(0x06, Buffer.from('550403', 'hex')), tlv(0x0c, Buffer.from(name)));
  return sequence(tlv(0x31, attribute));
}

function extension(oidHex: string, value: Buffer, isCritical: boolean): Buffer {
  const critical = isCritical ? [tlv(0x01, Buffer.from([0xff]))] : [];
  return sequence(tlv(0x06, Buffer.from(oidHex, 'hex')), ...critical, tlv(0x04, value));
}

function utcTime(fromNowMs: number): Buffer {
  const text = new Date(Date.now() + fromNowMs)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
  return tlv(0x17, Buffer.from(text, 'ascii'));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

/** Tag, length, value. */
function tlv(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}
