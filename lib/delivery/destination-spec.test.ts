import assert from 'node:assert/strict';
import { rootCertificates } from 'node:tls';
import test from 'node:test';
import { certificatesProblem, parseDestination } from './destination-spec.ts';

const PEM = rootCertificates[0] ?? '';
const SECOND_PEM = rootCertificates[1] ?? '';
const REF = { apiVersion: 'v1', kind: 'Service', name: 'a' };

function problemsOf(raw: unknown): string[] {
  const result = parseDestination(raw, 'spec.subscriber');
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

test('what is taken', () => {
  const result = parseDestination({ uri: 'https://a/', CACerts: PEM, audience: 'x' }, 'p');
  assert.deepEqual(result, {
    ok: true,
    destination: { ref: null, uri: 'https://a/', caCerts: PEM, audience: 'x' },
  });
  const referenced = parseDestination({ ref: { ...REF, namespace: 'n' }, uri: '/path' }, 'p');
  assert.deepEqual(referenced, {
    ok: true,
    destination: { ref: { ...REF, namespace: 'n' }, uri: '/path', caCerts: null, audience: null },
  });
  assert.deepEqual(problemsOf({ ref: REF }), []);
});

test('what is refused, with path and message', () => {
  const table: readonly (readonly [unknown, RegExp])[] = [
    [null, /^spec\.subscriber: expected an object$/],
    ['http://a', /^spec\.subscriber: expected an object$/],
    [{}, /^spec\.subscriber\.ref, spec\.subscriber\.uri: expected at least one, got none$/],
    [{ uri: '' }, /expected at least one, got none$/],
    [{ ref: null }, /expected at least one, got none$/],
    [{ uri: '/a' }, /uri: invalid value: Relative URI is not allowed when Ref and/],
    [{ uri: '//evil' }, /Relative URI is not allowed/],
    [{ uri: 'http:///x' }, /Relative URI is not allowed/],
    [{ uri: 7 }, /^spec\.subscriber\.uri: invalid value: 7$/],
    [{ ref: REF, uri: 'http://a/' }, /Absolute URI is not allowed when Ref or/],
    [{ ref: { kind: 'Service', apiVersion: 'v1' } }, /^spec\.subscriber\.ref\.name: missing field/],
    [{ ref: { ...REF, group: 'g' } }, /ref\.group: must not set the field\(s\)$/],
    [{ ref: 'x' }, /ref: expected an object$/],
    [{ uir: 'http://a/', uri: 'http://b/' }, /unknown field "uir"; did you mean "uri"$/],
    [{ uri: 'http://a/', caCerts: PEM }, /unknown field "caCerts"; did you mean "CACerts"$/],
    [{ uri: 'https://a/', CACerts: 'x' }, /CACerts: invalid value: no PEM block/],
  ];
  for (const [raw, wanted] of table) {
    const problems = problemsOf(raw);
    assert.equal(problems.length, 1, JSON.stringify([raw, problems]));
    assert.match(problems[0] ?? '', wanted);
  }
});

test('certificates: a bundle with text between is fine, one broken block is not', () => {
  assert.equal(certificatesProblem(`# a\n${PEM}\n# b\n${SECOND_PEM}`), null);
  const broken = `${PEM}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`;
  assert.match(certificatesProblem(broken) ?? '', /^certificate 2 of 2 cannot be read/);
  assert.match(certificatesProblem('-----BEGIN PRIVATE KEY-----') ?? '', /no PEM block/);
});
