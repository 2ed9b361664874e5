/** RFC 3986: what is a URI-reference, and what is a URI with a scheme. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUri, isUriReference } from './uri-reference.ts';

const URIS = [
  'https://github.com/cloudevents',
  'mailto:cncf-wg-serverless@lists.cncf.io',
  'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
  'http://user:pa%20ss@example.com:8080/a;b=c/d?x=/?&y#frag/?',
  'file:///etc/hosts',
  'http://[::1]:80/',
  'http://[2001:db8::1]',
  'http://[v1.fe:1]/',
  'http://[V1f.a]/',
  'http://example.com:/',
  'a+b-c.1:x',
  'x:',
  "s://h/!$&'()*+,;=:@-._~",
];
const RELATIVE = [
  'abc',
  'cloudevents/spec/pull/123',
  '/sensors/tn-1234567/alerts',
  '1-555-123-4567',
  '/apis/v1/namespaces/default/pods/x#y:z',
  '//host/path',
  '//user@host:1',
  '?query',
  '#',
  './a:b',
  '.',
];
const NEITHER = [
  '',
  ' ',
  'a b',
  ' /a',
  '/a\r\nb',
  '/é',
  '%',
  '/%2',
  '/%zz',
  '/%2g',
  'a:b#c#d',
  '1a:b',
  'a_b:c',
  ':a',
  '/a[b]',
  '/a"b',
  '/<>',
  '/{x}',
  '/a|b',
  '/a\\b',
  '/a^b',
  '/a`b',
  'http://[::1',
  'http://[zz]/',
  'http://[::1%25eth0]/',
  'http://[fe80::1%eth0]/',
  'http://[::1]x/',
  'http://[v.a]/',
  'http://[v1.]/',
  'http://[vg.a]/',
  'http://[v1.a/]/',
  'http://[v1.a"]/',
  'http://[x1.a]/',
  'http://h:8a/',
  'http://a:b:c/',
  'http://a@b@c/',
  'http://u"@h/',
  'http://h%2/',
  'http://h"/',
];

test('URIs are also URI-references', () => {
  for (const text of URIS) {
    assert.equal(isUri(text), true, text);
    assert.equal(isUriReference(text), true, text);
  }
});

test('a relative reference is no URI', () => {
  for (const text of RELATIVE) {
    assert.equal(isUriReference(text), true, text);
    assert.equal(isUri(text), false, text);
  }
});

test('everything else is neither', () => {
  for (const text of NEITHER) {
    assert.equal(isUriReference(text), false, text);
    assert.equal(isUri(text), false, text);
  }
});
