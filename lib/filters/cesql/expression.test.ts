import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileCesql } from '#lib/filters/cesql/expression';
import type { CesqlErrorKind, CesqlValue } from '#lib/filters/cesql/syntax';
import { type EventParts, eventWith } from '#lib/filters/event-fixture';

type Row = readonly [string, CesqlValue, CesqlErrorKind?];

const EVENT: EventParts = {
  subject: '5',
  extensions: { n: 5, yes: true, text: 'abc', smile: 'a😀b', half: 1.5, huge: 2 ** 40, empty: '' },
};

function evaluated(text: string, parts: EventParts = EVENT): readonly unknown[] {
  const compiled = compileCesql(text);
  assert(compiled.ok, JSON.stringify(compiled));
  const event = eventWith(parts);
  const { value, errors } = compiled.expression.evaluate(event);
  assert.equal(compiled.expression.matches(event), value === true && errors.length === 0);
  return [value, ...errors.map((error) => error.kind)];
}

function table(name: string, rows: readonly Row[]): void {
  describe(name, () => {
    for (const [text, ...wanted] of rows) {
      test(text, () => assert.deepEqual(evaluated(text), wanted));
    }
  });
}

table('attributes', [
  ['type', 'com.example.created'],
  ['n', 5],
  ['yes', true],
  ['half', '1.5'],
  ['huge', '1099511627776'],
  ['missing', false, 'missingAttribute'],
  ['constructor', false, 'missingAttribute'],
  ['EXISTS n', true],
  ['EXISTS missing', false],
  ['EXISTS id AND EXISTS source AND EXISTS type AND EXISTS specversion', true],
  ['EXISTS empty', true],
]);

table('the first error ends an expression with the zero value of its type', [
  ['missing = 1', false, 'missingAttribute'],
  ['1 = missing', false, 'missingAttribute'],
  ['missing != 1', false, 'missingAttribute'],
  ["missing = 'x'", false, 'missingAttribute'],
  ["missing != 'x'", false, 'missingAttribute'],
  ['missing < 1', false, 'missingAttribute'],
  ['1 >= missing', false, 'missingAttribute'],
  ['missing + 1', 0, 'missingAttribute'],
  ['1 - missing', 0, 'missingAttribute'],
  ['-missing', 0, 'missingAttribute'],
  ['NOT missing', false, 'missingAttribute'],
  ["missing LIKE '%'", false, 'missingAttribute'],
  ["missing NOT LIKE 'x'", false, 'missingAttribute'],
  ['missing IN (1)', false, 'missingAttribute'],
  ['missing NOT IN (1)', false, 'missingAttribute'],
  ['1 IN (2, missing)', false, 'missingAttribute'],
  ['1 IN (1, missing)', true],
  ['missing AND TRUE', false, 'missingAttribute'],
  ['TRUE AND missing', false, 'missingAttribute'],
  ['FALSE OR missing', false, 'missingAttribute'],
  ['TRUE XOR missing', false, 'missingAttribute'],
  ['CONCAT(text, missing)', '', 'missingAttribute'],
  ['LENGTH(missing)', 0, 'missingAttribute'],
  ['BOOL(missing)', false, 'missingAttribute'],
  ['LEFT(missing, 1)', '', 'missingAttribute'],
  ['LEFT(text, missing)', '', 'missingAttribute'],
  ["LEFT(text, 'x')", '', 'cast'],
  ['SUBSTRING(text, 1, missing)', '', 'missingAttribute'],
  ["SUBSTRING(text, 1, 'x')", '', 'cast'],
  ['NOT (1 / 0 = 0)', false, 'math'],
  ['missing / 0', 0, 'missingAttribute'],
]);

table('short circuit', [
  ['FALSE AND missing', false],
  ['TRUE OR missing', true],
  ['FALSE AND NOSUCH()', false],
  ['FALSE XOR TRUE', true],
  ['TRUE XOR TRUE', false],
  ["'true' AND 'TRUE'", true],
  ["'x' AND TRUE", false, 'cast'],
  ["TRUE AND 'x'", false, 'cast'],
  ['1 OR TRUE', false, 'cast'],
]);

table('casts', [
  ['subject = 5', true],
  ["n = '5'", true],
  ["n = '05'", false],
  ["'05' = n", true],
  ['n = TRUE', false, 'cast'],
  ["yes = 'true'", true],
  ["yes = 'TRUE'", false],
  ["'TRUE' = yes", true],
  ["'x' = yes", false, 'cast'],
  ["'x' != n", false, 'cast'],
  ['yes = 1', true],
  ['text = 5', false, 'cast'],
  ["half = '1.5'", true],
  ['half > 1', false, 'cast'],
  ["'5' < '10'", true],
  ["'5' <= 5", true],
  ["'a' > 1", false, 'cast'],
  ["1 > 'a'", false, 'cast'],
  ['5 >= 6', false],
  ['TRUE > FALSE', true],
  ['5 + yes', 6],
  ["5 + ' 3'", 0, 'cast'],
  ["'x' + 1", 0, 'cast'],
  ["'+3' + '-2'", 1],
  ["'' + 1", 0, 'cast'],
  ["'-' + 1", 0, 'cast'],
  ["'1e3' + 0", 0, 'cast'],
  ["'0x10' + 0", 0, 'cast'],
  ["'2147483647' + 0", 2_147_483_647],
  ["'2147483648' + 0", 0, 'cast'],
  ["'-2147483648' + 0", -2_147_483_648],
  ["'-2147483649' + 0", 0, 'cast'],
  ["'-0' + 0", 0],
  ["'００' + 0", 0, 'cast'],
  ['NOT 10', true, 'cast'],
  ['NOT 0', true, 'cast'],
  ["NOT 'x'", true, 'cast'],
  ["NOT 'False'", true],
  ["BOOL('tRUE')", true],
  ["BOOL('truely')", false, 'cast'],
  ['BOOL(0)', false],
  ['BOOL(yes)', true],
  ["INT('x')", 0, 'cast'],
  ['INT(yes)', 1],
  ['INT(FALSE)', 0],
  ['STRING(n)', '5'],
  ["IS_INT('12')", true],
  ["IS_INT('x')", false],
  ['IS_INT(n)', true],
  ['IS_INT(yes)', true],
  ["IS_BOOL('true')", true],
  ["IS_BOOL('x')", false],
  ['IS_BOOL(n)', true],
  ['IS_BOOL(yes)', true],
]);

table('IN casts its elements to the left type and stops at the first that is equal', [
  ["n IN ('5')", true],
  ["n IN ('x', 5)", false, 'cast'],
  ["n IN (5, 'x')", true],
  ['subject IN (4, 5)', true],
  ['subject NOT IN (4, 5)', false],
  ['yes IN (1)', false, 'cast'],
  ['n NOT IN (1, 2)', true],
]);

table('arithmetic stays within 32 bits', [
  ['2147483647 + 1', 2_147_483_647, 'math'],
  ['-2147483648 - 1', -2_147_483_648, 'math'],
  ['65536 * 65536', 2_147_483_647, 'math'],
  ['65536 * -65536', -2_147_483_648, 'math'],
  ['46341 * 46341', 2_147_483_647, 'math'],
  ['46340 * 46340', 2_147_395_600],
  ['-(-2147483648)', 2_147_483_647, 'math'],
  ['-2147483648 / -1', 2_147_483_647, 'math'],
  ['-2147483648 % -1', 0],
  ['ABS(-2147483648)', 2_147_483_647, 'math'],
  ["ABS('x')", 0, 'cast'],
  ['-7 / 2', -3],
  ['7 / -2', -3],
  ['-7 % 2', -1],
  ['7 % -2', 1],
  ['-4 % 2', 0],
  ['0 * -5', 0],
  ['0 / -5', 0],
  ['-(0)', 0],
  ['1 / 0', 0, 'math'],
  ['1 % 0', 0, 'math'],
]);

table('strings count characters, not code units', [
  ['LENGTH(smile)', 3],
  ['LENGTH(n)', 1],
  ['LEFT(smile, 2)', 'a😀'],
  ['LEFT(smile, 0)', ''],
  ['LEFT(smile, 99)', 'a😀b'],
  ['LEFT(smile, -1)', 'a😀b', 'functionEvaluation'],
  ['RIGHT(smile, 2)', '😀b'],
  ['RIGHT(smile, 0)', ''],
  ['RIGHT(smile, 99)', 'a😀b'],
  ['RIGHT(smile, -1)', 'a😀b', 'functionEvaluation'],
  ['SUBSTRING(smile, 2)', '😀b'],
  ['SUBSTRING(smile, 2, 1)', '😀'],
  ['SUBSTRING(smile, -1, 1)', 'b'],
  ['SUBSTRING(smile, -3)', 'a😀b'],
  ['SUBSTRING(smile, 3, 99)', 'b'],
  ['SUBSTRING(smile, 3, 0)', ''],
  ['SUBSTRING(smile, 0, 1)', ''],
  ['SUBSTRING(smile, 4)', '', 'functionEvaluation'],
  ['SUBSTRING(smile, -4)', '', 'functionEvaluation'],
  ['SUBSTRING(smile, 1, -1)', '', 'functionEvaluation'],
  ["SUBSTRING('', 0)", ''],
  ["smile LIKE 'a_b'", true],
  ["UPPER('straße')", 'STRASSE'],
  ["LOWER('ÀB')", 'àb'],
  ["CONCAT_WS('-', 1, TRUE, 'x')", '1-true-x'],
  ["CONCAT_WS('-')", ''],
  ["CONCAT('a', n, yes)", 'a5true'],
  ['LOWER(missing)', '', 'missingAttribute'],
  ["TRIM(' \t\r\n\u0085\u00a0\u2003x\ufeff ')", 'x\ufeff'],
  ["TRIM('  ')", ''],
]);

table('functions that are not there', [
  ['NOSUCH()', false, 'missingFunction'],
  ['LENGTH()', false, 'missingFunction'],
  ["LENGTH('a', 'b')", false, 'missingFunction'],
  ['CONCAT_WS()', false, 'missingFunction'],
  ['CONSTRUCTOR(1)', false, 'missingFunction'],
]);

describe('work is bounded', () => {
  const LIMIT_CHARS = 160_000;

  test('a function on a text that is too long is a generic error', () => {
    const small = { extensions: { big: 'x'.repeat(LIMIT_CHARS - 100) } };
    const large = { extensions: { big: 'x'.repeat(LIMIT_CHARS + 100) } };
    assert.deepEqual(evaluated('LENGTH(big)', small), [LIMIT_CHARS - 100]);
    assert.deepEqual(evaluated('LENGTH(big)', large), [0, 'generic']);
    assert.deepEqual(evaluated('LEFT(big, 1)', large), ['', 'generic']);
    assert.deepEqual(evaluated("CONCAT(big, 'a')", large), ['', 'generic']);
    assert.deepEqual(evaluated("big LIKE '%x'", small), [true]);
    assert.deepEqual(evaluated("big LIKE '%x'", large), [false, 'generic']);
    assert.deepEqual(evaluated("big NOT LIKE '%x'", large), [false, 'generic']);
  });

  test('a text cannot be multiplied without paying for it', () => {
    const parts = { extensions: { big: 'x'.repeat(8_192) } };
    const many = `LENGTH(CONCAT(${Array.from({ length: 200 }, () => 'big').join()}))`;
    assert.deepEqual(evaluated(many, parts), [0, 'generic']);
    const separators = `CONCAT_WS(big, ${Array.from({ length: 200 }, () => "''").join()})`;
    assert.deepEqual(evaluated(separators, parts), ['', 'generic']);
  });

  test('the worst LIKE ends with an error instead of late', () => {
    const run = `${'a'.repeat(1_900)}_${'a'.repeat(1_900)}b`;
    const parts = { extensions: { big: 'a'.repeat(8_192) } };
    assert.deepEqual(evaluated(`big LIKE '%${run}%'`, parts), [false, 'generic']);
    assert.deepEqual(evaluated(`big NOT LIKE '%${run}%'`, parts), [false, 'generic']);
    assert.deepEqual(evaluated(`big LIKE '${'%'.repeat(4_000)}_'`, parts), [true]);
  });

  test('one evaluation leaves nothing behind for the next', () => {
    const compiled = compileCesql("EXISTS fail AND LENGTH(fail) > 0 OR text = 'abc'");
    assert(compiled.ok);
    const { expression } = compiled;
    const large = eventWith({ extensions: { fail: 'x'.repeat(LIMIT_CHARS + 100), text: 'abc' } });
    const good = eventWith(EVENT);
    assert.equal(expression.matches(large), false);
    assert.equal(expression.matches(good), true);
    assert.deepEqual(expression.evaluate(good), { value: true, errors: [] });
  });
});

test('a text that does not parse is an error value', () => {
  const compiled = compileCesql('a =');
  assert.deepEqual(compiled, {
    ok: false,
    error: { kind: 'parse', message: 'at column 4: expected a value, found the end' },
  });
});
