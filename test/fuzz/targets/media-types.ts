/** Media types against a grammar written as one pattern, and charsets against Node's own parser. */
import assert from 'node:assert/strict';
import { MIMEType } from 'node:util';
import { decodeContentType } from '#lib/cloudevents/http-decode';
import { charsetOf, contentMode, essence, isMediaType } from '#lib/cloudevents/media-type';
import { createTarget } from '../fuzz-target.ts';

const WORDS = [
  ...['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json'],
  ...['application/cloudevents', '; charset=', 'charset', 'utf-8', 'UTF-8', 'utf-7', '"utf-8"'],
  ...[';', '=', '"', '\\', '\\"', '\t', ' ', '/', '+json', ',', ';;', '; a=b', '; a="b;charset=c"'],
];

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"';
/** Each space has one place in the pattern, so that it cannot backtrack. */
const GRAMMAR = new RegExp(
  `^${TOKEN}/${TOKEN}[ \\t]*(?:;[ \\t]*(?:${TOKEN}=(?:${TOKEN}|${QUOTED})[ \\t]*)?)*$`,
);
/** Behind a parameter space must be followed by a semicolon. */
const LOOSE_END = /[^; \t][ \t]+$/;

export const MEDIA_TYPES = createTarget('media-types', WORDS, (input) => {
  const value = input.toString('latin1');
  const result = decodeContentType(['Content-Type', value]);
  assert.equal(isMediaType(value), GRAMMAR.test(value) && !LOOSE_END.test(value), 'the grammar');
  if (!isMediaType(value)) {
    assert.ok(!result.ok);
    return;
  }
  const theirs = new MIMEType(value);
  assert.equal(essence(value), theirs.essence);
  const mode = contentMode(value);
  const isOurs = theirs.essence.startsWith('application/cloudevents');
  if (!isOurs) assert.equal(mode, 'binary');
  const charset = charsetOf(value);
  // Node takes the first of two.
  if (charset !== undefined)
    assert.equal(charset, theirs.params.get('charset')?.toLowerCase() ?? null);
  if (result.ok && mode !== 'binary') assert.ok(charset === null || charset === 'utf-8');
});
