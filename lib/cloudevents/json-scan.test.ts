/** The JSON grammar, with JSON.parse as the oracle; limits on depth and keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createJsonScan, isJsonValue, scanValue } from './json-scan.ts';

const LIMITS = { depthMax: 64, keysMax: 10_000 };

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    assert(error instanceof SyntaxError);
    return false;
  }
}

const EXAMPLES = [
  'null',
  'true',
  'false',
  'nul',
  'nulll',
  'True',
  '',
  ' ',
  '0',
  '-0',
  '-',
  '+1',
  '01',
  '1.',
  '.5',
  '1.5',
  '1e5',
  '1E+5',
  '1e-5',
  '1e',
  '1e+',
  '1.e5',
  '-1.5e-10',
  '1e400',
  '12345678901234567890',
  '0x1',
  'NaN',
  'Infinity',
  '""',
  '"a"',
  '"',
  '"a',
  '"\\"',
  '"\\n\\t\\b\\f\\r\\/\\\\\\""',
  '"\\u00e9\\uD800"',
  '"\\u12"',
  '"\\u12G4"',
  '"\\uG234"',
  '"\\x"',
  '"\t"',
  '"\n"',
  '"\u007f"',
  '"é"',
  "'a'",
  '[]',
  '[ ]',
  '[1]',
  '[1,2]',
  '[1,]',
  '[,1]',
  '[1 2]',
  '[',
  ']',
  '[1',
  '[[]]',
  '[[],[]]',
  '[}',
  '{]',
  '{}',
  '{ }',
  '{"a":1}',
  '{"a":1,"b":[{"c":null}]}',
  '{"a":1,}',
  '{,}',
  '{"a"}',
  '{"a":}',
  '{"a" 1}',
  '{a:1}',
  '{"a":1 "b":2}',
  '{1:2}',
  '{"a":1',
  '{"a":1}}',
  '{"a":1}{',
  ' \t\r\n[ 1 , { "a" : 2 } ] \n',
  '\u00a01',
  '1\u2028',
  '\ufeff1',
  '[1]x',
  '{"a":1,"a":2}',
  '"a" "b"',
  '{"a":"',
  '{"a',
  '{"a":[}',
  '[{"a":1]}',
  '/**/1',
];

test('agrees with JSON.parse on every example', () => {
  for (const text of EXAMPLES) {
    assert.equal(isJsonValue(Buffer.from(text), LIMITS), isJson(text), JSON.stringify(text));
  }
});

test('agrees with JSON.parse on generated and on damaged JSON', () => {
  const damage = fc.tuple(
    fc.jsonValue({ maxDepth: 6 }),
    fc.nat(),
    fc.constantFrom(...'{}[],:"\\0123e-+.tfn \u00e9'),
  );
  fc.assert(
    fc.property(damage, ([value, place, character]) => {
      const text = JSON.stringify(value, null, place % 3);
      assert.equal(isJsonValue(Buffer.from(text), LIMITS), true, text);
      const at = place % (text.length + 1);
      for (const damaged of [
        text.slice(0, at),
        text.slice(0, at) + character + text.slice(at + 1),
      ]) {
        assert.equal(isJsonValue(Buffer.from(damaged), LIMITS), isJson(damaged), damaged);
      }
    }),
    { numRuns: 300 },
  );
});

test('depth counts containers, at both sides of the limit and far beyond it', () => {
  const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
  assert.equal(isJsonValue(nested(64), LIMITS), true);
  assert.equal(isJsonValue(nested(65), LIMITS), false);
  assert.equal(isJsonValue(nested(1_000_000), LIMITS), false);
  const scan = createJsonScan(Buffer.from('{"a":{"a":{}}}'), { depthMax: 3, keysMax: 9 });
  assert.equal(scanValue(scan, 0, 0), 14);
  assert.equal(scanValue(scan, 0, 1), -1);
  assert.equal(scan.fault, 'depth');
  assert.equal(scan.faultAt, 10);
  assert.equal(scanValue(scan, 0, 9), -1);
});

test('keys are counted at all levels', () => {
  const text = Buffer.from('[{"a":1},{"b":{"c":2}}]');
  assert.equal(isJsonValue(text, { depthMax: 9, keysMax: 3 }), true);
  assert.equal(isJsonValue(text, { depthMax: 9, keysMax: 2 }), false);
});
