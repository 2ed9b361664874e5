/**
 * Which addresses the sender connects to, and whom it trusts there: names that resolve to refused
 * addresses, our own ports, HTTPS with the destination's own CA. Names resolve as each test says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpsServer } from 'node:https';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { startRawServer } from '../kit/raw-server.ts';
import type { RawServer } from '../kit/raw-server.ts';
import { createSenderFixture, send, summary } from '../kit/sender-fixture.ts';
import type { SenderFixture, SenderFixtureOptions } from '../kit/sender-fixture.ts';
import { createCertificateAuthority, issueCertificate } from '../kit/test-certificates.ts';
import type { CertificateAuthority } from '../kit/test-certificates.ts';

function fixture(t: TestContext, options: SenderFixtureOptions = {}): SenderFixture {
  const made = createSenderFixture(options);
  t.after(() => made.sender.close());
  return made;
}

/** Answers 200 and ends the connection, so that every request connects anew. */
async function closingServer(t: TestContext): Promise<RawServer> {
  const made = await startRawServer(({ socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  t.after(() => made.close());
  return made;
}

async function messageOf(t: TestContext, url: string, options: SenderFixtureOptions) {
  const result = await send(fixture(t, options).open(url));
  assert.ok(result.kind === 'error');
  return result;
}

test('a name is judged by its addresses: one bad one refuses it', async (t) => {
  const raw = await closingServer(t);
  const url = `http://subscriber.test:${raw.port}/`;
  const bad = [
    ['169.254.169.254'],
    ['127.0.0.1', '169.254.169.254'],
    ['::ffff:169.254.169.254'],
    ['64:ff9b::a9fe:a9fe', '127.0.0.1'],
    ['0.0.0.0'],
    ['fe80::1'],
  ];
  for (const addresses of bad) {
    const result = await messageOf(t, url, { addressesOf: () => addresses });
    assert.equal(result.reason, 'AddressRefused', addresses.join());
    assert.match(result.message, /Cannot send to "subscriber\.test": it resolves to/);
  }
  assert.equal(raw.connectionCount, 0);
});

test('every new connection is judged anew: a name that turns bad is refused', async (t) => {
  const raw = await closingServer(t);
  let addresses = ['127.0.0.1'];
  const { open } = fixture(t, { addressesOf: () => addresses });
  const destination = open(`http://subscriber.test:${raw.port}/`);
  assert.equal(summary(await send(destination)), '200');
  addresses = ['169.254.169.254'];
  assert.equal(summary(await send(destination)), 'AddressRefused');
  addresses = ['127.0.0.1'];
  assert.equal(summary(await send(destination)), '200');
  assert.equal(raw.connectionCount, 2);
});

test('our own ports are refused on loopback, by address and by name', async (t) => {
  const raw = await closingServer(t);
  const options = { ownPorts: [raw.port] };
  for (const host of [
    '127.0.0.1',
    'localhost',
    'subscriber.test',
    '[::ffff:127.0.0.1]',
    '2130706433',
  ]) {
    const result = await messageOf(t, `http://${host}:${raw.port}/`, options);
    assert.equal(result.reason, 'AddressRefused', host);
  }
  assert.equal(raw.connectionCount, 0);
});

test('addresses and schemes that are refused outright end every send', async (t) => {
  const { open } = fixture(t);
  for (const url of ['http://169.254.169.254/', 'ftp://a/', 'http://u:p@127.0.0.1/', 'nonsense']) {
    assert.equal(summary(await send(open(url))), 'AddressRefused', url);
  }
  const refused = open('http://metadata.google.internal/');
  const result = await send(refused);
  assert.ok(result.kind === 'error' && /metadata/.test(result.message));
  refused.close();
});

test('unknown names and closed ports', async (t) => {
  const unknown = await messageOf(t, 'http://subscriber.test/', { addressesOf: () => [] });
  assert.equal(unknown.reason, 'DnsFailed');
  assert.match(unknown.message, /"subscriber\.test": ENOTFOUND/);
  const raw = await closingServer(t);
  await raw.close();
  const closed = await messageOf(t, raw.url, {});
  assert.equal(closed.reason, 'ConnectionFailed');
  assert.match(closed.message, /ECONNREFUSED/);
  const several = await messageOf(t, `http://subscriber.test:${raw.port}/`, {
    addressesOf: () => ['127.0.0.1', '127.0.0.2'],
  });
  assert.equal(several.reason, 'ConnectionFailed');
});

test('the next address is tried when the first does not answer', async (t) => {
  const raw = await closingServer(t);
  const { open } = fixture(t, { addressesOf: () => ['127.0.0.2', '127.0.0.1'] });
  assert.equal(summary(await send(open(`http://subscriber.test:${raw.port}/`))), '200');
});

const authority = createCertificateAuthority('Test CA');
const otherAuthority = createCertificateAuthority('Other CA');

async function secureServer(
  t: TestContext,
  names: readonly string[],
  issuer: CertificateAuthority = authority,
): Promise<{ readonly port: number; readonly seen: (string | false | null | undefined)[] }> {
  const seen: (string | false | null | undefined)[] = [];
  const server = createHttpsServer(issueCertificate(issuer, names), (request, response) => {
    const { socket } = request;
    seen.push('servername' in socket ? (socket.servername as string | false) : null);
    response.end('safe');
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

test('HTTPS with the CACerts of the destination, by name and by address', async (t) => {
  const { port, seen } = await secureServer(t, ['subscriber.test', '127.0.0.1']);
  const { open, counted } = fixture(t);
  const byName = open(`https://subscriber.test:${port}/`, { caCerts: authority.pem });
  assert.equal(summary(await send(byName)), '200 safe');
  assert.equal(summary(await send(byName)), '200 safe');
  assert.equal(counted('millrace.sender.connections'), 1);
  const byAddress = open(`https://127.0.0.1:${port}/`, {
    caCerts: `${otherAuthority.pem}\n${authority.pem}`,
  });
  assert.equal(summary(await send(byAddress)), '200 safe');
  assert.deepEqual(seen, ['subscriber.test', 'subscriber.test', false]);
});

test('HTTPS is refused: no CA, another CA, wrong name, broken CACerts', async (t) => {
  const { port, seen } = await secureServer(t, ['subscriber.test']);
  const { open } = fixture(t);
  const url = `https://subscriber.test:${port}/`;
  const cases: readonly (readonly [string, string | undefined, RegExp])[] = [
    [url, undefined, /unable to verify|self.signed|local issuer/i],
    [url, otherAuthority.pem, /unable to verify|self.signed|local issuer/i],
    [`https://other.test:${port}/`, authority.pem, /altnames|other\.test/],
    [`https://127.0.0.1:${port}/`, authority.pem, /IP: 127\.0\.0\.1/],
    [url, 'nonsense', /Cannot use CACerts: no PEM block/],
  ];
  for (const [target, caCerts, why] of cases) {
    const result = await send(open(target, caCerts === undefined ? {} : { caCerts }));
    assert.ok(result.kind === 'error', target);
    assert.equal(result.reason, 'TlsFailed', target);
    assert.match(result.message, why);
  }
  assert.deepEqual(seen, []);
});

test('destinations with different CACerts do not share connections', async (t) => {
  const { port } = await secureServer(t, ['subscriber.test']);
  const { open } = fixture(t);
  const url = `https://subscriber.test:${port}/`;
  assert.equal(summary(await send(open(url, { caCerts: authority.pem }))), '200 safe');
  assert.equal(summary(await send(open(url, { caCerts: otherAuthority.pem }))), 'TlsFailed');
  assert.equal(summary(await send(open(url))), 'TlsFailed');
});

test('the wrong protocol on a port, both ways', async (t) => {
  const { port } = await secureServer(t, ['subscriber.test']);
  const raw = await closingServer(t);
  const { open } = fixture(t);
  const plain = summary(await send(open(`http://127.0.0.1:${port}/`)));
  assert.ok(['BadResponse', 'ConnectionReset', '400'].includes(plain.slice(0, 15)), plain);
  const secured = await send(open(`https://127.0.0.1:${raw.port}/`), 500);
  assert.ok(secured.kind === 'error' && ['TlsFailed', 'Timeout'].includes(secured.reason));
});
