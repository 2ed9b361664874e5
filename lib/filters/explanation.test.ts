import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterExpression } from '#lib/filters/dialect';
import { type EventParts, eventWith } from '#lib/filters/event-fixture';
import { explanationLines } from '#lib/filters/explanation';
import { compileFilter } from '#lib/filters/predicate';

function linesOf(filters: readonly FilterExpression[], parts: EventParts = {}): readonly string[] {
  const { explain } = compileFilter({ attributes: null, filters });
  return explanationLines(explain(eventWith(parts)));
}

test('says which clause failed on which value', () => {
  const lines = linesOf([
    { exact: { type: 'com.example.created' } },
    { prefix: { source: '/x' } },
    { any: [{ suffix: { subject: '.png' } }, { exact: { region: 'eu' } }] },
    { not: { suffix: { type: 'created' } } },
  ]);
  assert.deepEqual(lines, [
    'fail  spec.filters: 1 of 4 pass, all must',
    '  pass  spec.filters[0].exact.type: type is "com.example.created"',
    '  fail  spec.filters[1].prefix.source: source "/source" does not start with "/x"',
    '  fail  spec.filters[2].any: 0 of 2 pass, one must',
    '    fail  spec.filters[2].any[0].suffix.subject: subject is missing, wanted one that ends with ".png"',
    '    fail  spec.filters[2].any[1].exact.region: region is missing, wanted one that is "eu"',
    '  fail  spec.filters[3]: the filter inside passes',
    '    pass  spec.filters[3].not.suffix.type: type "com.example.created" ends with "created"',
  ]);
});

test('a not that passes, a value that is another', () => {
  assert.deepEqual(linesOf([{ not: { exact: { type: 'a' } } }]), [
    'pass  spec.filters[0]: the filter inside fails',
    '  fail  spec.filters[0].not.exact.type: type "com.example.created" is not "a"',
  ]);
});

test('filter.attributes and no filter at all', () => {
  const explain = (attributes: Record<string, string> | null, parts: EventParts): string[] => [
    ...explanationLines(compileFilter({ attributes, filters: null }).explain(eventWith(parts))),
  ];
  assert.deepEqual(explain(null, {}), ['pass  spec.filter.attributes: no filter']);
  assert.deepEqual(explain({ subject: '' }, {}), [
    'fail  spec.filter.attributes.subject: subject is missing, wanted any non-empty value',
  ]);
  assert.deepEqual(explain({ subject: '' }, { subject: 'x' }), [
    'pass  spec.filter.attributes.subject: subject is "x", wanted any non-empty value',
  ]);
});

test('CESQL: the term that is not true, the error, the kind of result', () => {
  const event = { extensions: { n: 5 } };
  const cesql = (text: string): string | undefined =>
    linesOf([{ cesql: text }], event)[0]?.slice(29);
  assert.equal(cesql('TRUE'), 'TRUE is true');
  assert.equal(
    cesql("source = '/source' AND (n > 7 OR n < 2) AND TRUE"),
    'source = \'/source\' AND (n > 7 OR n < 2) AND TRUE is false; not true: (n > 7 OR n < 2); source is "/source", n is "5"',
  );
  assert.equal(
    cesql("n = 5 AND other = 'x'"),
    'n = 5 AND other = \'x\' has a missingAttribute error (event has no attribute "other"); not true: other = \'x\'; n is "5", other is missing',
  );
  assert.equal(cesql('n'), 'n is 5, which is no Boolean; n is "5"');
  assert.equal(cesql("'a'"), '\'a\' is "a", which is no Boolean');
  assert.equal(
    cesql("'true' AND 'false' AND TRUE"),
    "'true' AND 'false' AND TRUE is false; not true: 'false'",
  );
  assert.equal(cesql('n = 5 AND TRUE'), 'n = 5 AND TRUE is true; n is "5"');
});

test('a filter that cannot be used', () => {
  assert.deepEqual(linesOf([{ any: [{ cesql: '(' }] }]), [
    'fail  spec.filters[0].any[0].cesql: cannot be used, so no event passes: at column 2: expected a value, found the end',
  ]);
});

test('values of strangers are escaped and shortened', () => {
  const [line] = linesOf([{ exact: { subject: 'a' } }], {
    subject: `\u001b[31m\u009b${'x'.repeat(5_000)}`,
  });
  assert(line !== undefined);
  assert.match(line, /subject "\\u001b\[31m\\u009bx+…" is not "a"$/);
  assert(line.length < 400);
});
