import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { LAPTOP_PROFILE, URL_LENGTH_MAX, createAddressRules } from './address-rules.ts';
import { classOf } from './address-classes.ts';
import { embeddedIpv4, ipText, isInRange, parseIp, parseRange } from './ip-address.ts';

const rules = createAddressRules({
  profile: LAPTOP_PROFILE,
  ownPorts: [9090],
  localAddresses: () => ['127.0.0.1', '192.168.1.5', 'fe80::1', 'fd12::5'],
});

function messageOf(verdict: { ok: boolean; message?: string }): string {
  return verdict.ok ? 'ok' : (verdict.message ?? '');
}

const ALLOWED = [
  '127.0.0.1',
  '127.255.255.254',
  '::1',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '172.32.0.1',
  '192.168.0.1',
  '100.64.0.1',
  '198.18.0.1',
  '8.8.8.8',
  '1.0.0.0',
  '223.255.255.255',
  '169.253.255.255',
  '169.255.0.0',
  '2606:4700::1111',
  'fd00::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
  '2002:808:808::1',
];

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['169.254.169.254', /metadata/],
  ['168.63.129.16', /metadata/],
  ['100.100.100.200', /metadata/],
  ['192.0.0.192', /metadata/],
  ['fd00:ec2::254', /metadata/],
  ['fd20:ce::254', /metadata/],
  ['169.254.0.0', /link-local/],
  ['169.254.255.255', /link-local/],
  ['fe80::1', /link-local/],
  ['febf::1', /link-local/],
  ['fec0::1', /reserved/],
  ['0.0.0.0', /this network/],
  ['0.1.2.3', /this network/],
  ['::', /this network/],
  ['224.0.0.1', /multicast/],
  ['239.255.255.255', /multicast/],
  ['ff02::1', /multicast/],
  ['255.255.255.255', /broadcast/],
  ['240.0.0.1', /reserved/],
  ['192.0.0.1', /reserved/],
  ['192.0.2.1', /documentation/],
  ['198.51.100.1', /documentation/],
  ['203.0.113.1', /documentation/],
  ['2001:db8::1', /documentation/],
  ['3fff::1', /documentation/],
  ['100::1', /reserved/],
  ['5f00::1', /reserved/],
  ['2001:10::1', /reserved/],
  ['64:ff9b:1::1', /reserved/],
  ['::ffff:169.254.169.254', /IPv4-mapped.*metadata/],
  ['::ffff:a9fe:a9fe', /IPv4-mapped.*metadata/],
  ['::ffff:0:169.254.169.254', /IPv4-translated.*metadata/],
  ['::169.254.169.254', /IPv4-compatible.*metadata/],
  ['::5', /IPv4-compatible.*this network/],
  ['64:ff9b::169.254.169.254', /NAT64.*metadata/],
  ['2002:a9fe:a9fe::1', /6to4.*metadata/],
  ['2001:0:a9fe:a9fe::1', /Teredo server.*metadata/],
  ['2001:0:808:808:0:0:5601:5601', /Teredo client.*metadata/],
  ['2606:4700::5efe:a9fe:a9fe', /ISATAP.*metadata/],
  ['2606:4700::200:5efe:a9fe:a9fe', /ISATAP.*metadata/],
  ['localhost', /no IP address/],
  ['1.2.3', /no IP address/],
  ['0177.0.0.1', /no IP address/],
];

test('addresses that may be connected to on a laptop', () => {
  for (const ip of ALLOWED) assert.equal(messageOf(rules.checkAddress(ip, 8080)), 'ok', ip);
});

test('addresses that are refused, each with its kind', () => {
  for (const [ip, why] of REFUSED) assert.match(messageOf(rules.checkAddress(ip, 8080)), why, ip);
});

test('our own ports are refused on loopback and on our own addresses, in every spelling', () => {
  const own = ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '192.168.1.5', 'fd12::5'];
  for (const ip of own) assert.match(messageOf(rules.checkAddress(ip, 9090)), /own admin/, ip);
  assert.equal(messageOf(rules.checkAddress('192.168.1.6', 9090)), 'ok');
  assert.equal(messageOf(rules.checkAddress('127.0.0.1', 9091)), 'ok');
});

test('ports: both sides of every limit', () => {
  for (const bad of [0, -1, 65_536, 22, 25, 2379, 2380, 4222, 6379, 6443, 9092, 10250, 10255]) {
    assert.match(messageOf(rules.checkAddress('8.8.8.8', bad)), /port/, String(bad));
  }
  for (const good of [1, 21, 23, 80, 443, 2378, 2381, 8080, 65_535]) {
    assert.equal(messageOf(rules.checkAddress('8.8.8.8', good)), 'ok', String(good));
  }
});

test("the system is asked for this machine's addresses when none are given", () => {
  const real = createAddressRules({ profile: LAPTOP_PROFILE, ownPorts: [9090] });
  assert.match(messageOf(real.checkAddress('127.0.0.1', 9090)), /own admin/);
  assert.equal(messageOf(real.checkAddress('8.8.8.8', 9090)), 'ok');
});

const GOOD_URLS = [
  'http://localhost:8080',
  'http://localhost.:8080/a',
  'https://example.com/path?q=1#f',
  'HTTP://Example.com',
  'http://127.0.0.1:9091/',
  'http://[::1]:8080/x',
  'http://10.0.0.7',
  'http://bücher.example/',
];

test('URLs that may be sent to, as far as their text tells', () => {
  for (const url of GOOD_URLS) assert.equal(messageOf(rules.checkUrl(url)), 'ok', url);
});

const BAD_URLS: readonly (readonly [string, RegExp])[] = [
  ['file:///etc/passwd', /scheme is "file"/],
  ['gopher://a/', /scheme is "gopher"/],
  ['ftp://a/', /scheme is "ftp"/],
  ['javascript:alert(1)', /scheme is "javascript"/],
  ['unix:/var/run/docker.sock', /scheme is "unix"/],
  ['http:a', /no host/],
  ['http:///a', /no host/],
  ['//evil/a', /absolute/],
  ['/a', /absolute/],
  ['', /absolute/],
  ['example.com', /absolute/],
  ['http://user:pw@host/', /user name/],
  ['http://@host/', /user name/],
  ['http://10.0.0.1\\@evil', /backslash/],
  ['http://a/\r\nx', /control/],
  ['http://a/\tx', /control/],
  [' http://a/', /space/],
  ['http://a b/', /space/],
  ['http://a:0/', /port 0/],
  ['http://a:65536/', /not a valid URL/],
  ['http://a:22/', /SSH/],
  ['http://a:10250/', /kubelet/],
  ['http://127.0.0.1:9090/', /own admin/],
  ['http://localhost:9090/', /own admin/],
  ['http://x.localhost:9090/', /own admin/],
  ['http://[::ffff:7f00:1]:9090/', /own admin/],
  ['http://0x7f.1:9090/', /own admin/],
  ['http://169.254.169.254/latest/meta-data', /metadata/],
  ['http://2852039166/', /metadata/],
  ['http://0xa9fea9fe/', /metadata/],
  ['http://0251.0376.0251.0376/', /metadata/],
  ['http://169.254.43518/', /metadata/],
  ['http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/', /metadata/],
  ['http://169.254.169.254./', /metadata/],
  ['http://[::ffff:169.254.169.254]/', /metadata/],
  ['http://[64:ff9b::a9fe:a9fe]/', /metadata/],
  ['http://metadata.google.internal/', /metadata/],
  ['http://METADATA.google.internal./', /metadata/],
  ['http://0/', /this network/],
  ['http://[fe80::1%25eth0]/', /not a valid URL/],
  [`http://a/${'x'.repeat(URL_LENGTH_MAX)}`, /longer/],
];

test('URLs that are refused, each with its reason', () => {
  for (const [url, why] of BAD_URLS) assert.match(messageOf(rules.checkUrl(url)), why, url);
});

test('a URL of exactly the longest length is taken', () => {
  const base = 'http://a/';
  const longest = base + 'x'.repeat(URL_LENGTH_MAX - base.length);
  assert.equal(messageOf(rules.checkUrl(longest)), 'ok');
});

test('every IPv4 address in mapped, NAT64 and 6to4 form is allowed exactly when it is itself', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      const [a = 0, b = 0, c = 0, d = 0] = bytes;
      const plain = rules.checkAddress(`${a}.${b}.${c}.${d}`, 80).ok;
      const hex = [(a << 8) | b, (c << 8) | d].map((group) => group.toString(16)).join(':');
      for (const form of [`::ffff:${hex}`, `64:ff9b::${hex}`, `2002:${hex}::`]) {
        assert.equal(rules.checkAddress(form, 80).ok, plain, form);
      }
    }),
  );
});

test('every IPv6 address is parsed to the bytes that its text names', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const address = parseIp(text);
      assert.ok(address !== null);
      assert.deepEqual(parseIp(ipText(address)), address);
      assert.ok(classOf(address) !== undefined);
      for (const inner of embeddedIpv4(address)) assert.equal(inner.address.family, 4);
    }),
  );
});

test('ranges: the edges of a prefix that ends inside a byte', () => {
  const range = parseRange('172.16.0.0/12');
  const inside = (text: string): boolean => {
    const address = parseIp(text);
    return address !== null && isInRange(address, range);
  };
  assert.equal(inside('172.15.255.255'), false);
  assert.equal(inside('172.16.0.0'), true);
  assert.equal(inside('172.31.255.255'), true);
  assert.equal(inside('172.32.0.0'), false);
  assert.equal(inside('::1'), false);
  assert.throws(() => parseRange('10.0.0.0/33'));
  assert.throws(() => parseRange('ten/8'));
});
