import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCesql } from '#lib/filters/cesql/parser';
import type { CesqlNode } from '#lib/filters/cesql/syntax';

/** The tree with every operator in parentheses. */
function shown(node: CesqlNode): string {
  switch (node.kind) {
    case 'literal':
      return typeof node.value === 'string' ? `'${node.value}'` : String(node.value);
    case 'attribute':
      return node.name;
    case 'exists':
      return `(EXISTS ${node.name})`;
    case 'not':
      return `(NOT ${shown(node.operand)})`;
    case 'negate':
      return `(- ${shown(node.operand)})`;
    case 'like':
      return `(${shown(node.operand)} ${node.isNegated ? 'NOT ' : ''}LIKE '${node.pattern}')`;
    case 'in':
      return `(${shown(node.operand)} ${node.isNegated ? 'NOT ' : ''}IN [${node.elements.map(shown).join()}])`;
    case 'call':
      return `${node.name}[${node.args.map(shown).join()}]`;
    default:
      return `(${shown(node.left)} ${node.operator} ${shown(node.right)})`;
  }
}

function parsed(text: string): string {
  const result = parseCesql(text);
  assert(result.ok, JSON.stringify(result));
  return shown(result.root);
}

function messageOf(text: string): string {
  const result = parseCesql(text);
  assert(!result.ok, `expected ${text} to be refused`);
  assert.equal(result.error.kind, 'parse');
  return result.error.message;
}

describe('trees', () => {
  const rows: readonly [string, string][] = [
    ['a', 'a'],
    [' \t\r\na ', 'a'],
    ['Type', 'type'],
    ['1abc', '1abc'],
    ['12', '12'],
    ['-12', '-12'],
    ['+12', '12'],
    ['-0', '0'],
    ['- 12', '-12'],
    ['--12', '(- -12)'],
    ['-a', '(- a)'],
    ["-'1'", "(- '1')"],
    ['2147483647', '2147483647'],
    ['-2147483648', '-2147483648'],
    ['0000000000000000000001', '1'],
    ['tRuE', 'true'],
    ["'a\\'b\"'", "'a'b\"'"],
    ['"a\\"b\'"', "'a\"b''"],
    ["'a\\\\'", "'a\\\\'"],
    ["'é😀'", "'é😀'"],
    ['a = b', '(a = b)'],
    ['a<>b', '(a != b)'],
    ['a!=b', '(a != b)'],
    ['a<=b', '(a <= b)'],
    ['a >= b', '(a >= b)'],
    ['a < b', '(a < b)'],
    ['a > b', '(a > b)'],
    ['a AND b OR c XOR d', '(((a AND b) OR c) XOR d)'],
    ['a or b and c', '((a OR b) AND c)'],
    ['a = 1 AND b = 2', '((a = 1) AND (b = 2))'],
    ['a = b = c', '((a = b) = c)'],
    ['a + b * c - d', '((a + (b * c)) - d)'],
    ['a-1', '(a - 1)'],
    ['4 -1', '(4 - 1)'],
    ['a - -1', '(a - -1)'],
    ['a / b % c', '((a / b) % c)'],
    ['a + b < c * d', '((a + b) < (c * d))'],
    ['1 + a IN (2)', '(1 + (a IN [2]))'],
    ['NOT a = b', '((NOT a) = b)'],
    ['NOT a AND b', '((NOT a) AND b)'],
    ['NOT NOT a', '(NOT (NOT a))'],
    ['NOT -a', '(NOT (- a))'],
    ["NOT a LIKE 'b'", "((NOT a) LIKE 'b')"],
    ['NOT EXISTS a', '(NOT (EXISTS a))'],
    ['EXISTS A1 AND b', '((EXISTS a1) AND b)'],
    ["a LIKE 'b%'", "(a LIKE 'b%')"],
    ["a not like 'b%'", "(a NOT LIKE 'b%')"],
    ["a LIKE 'b' = TRUE", "((a LIKE 'b') = true)"],
    ["a IN ('x', b, 1 + 2)", "(a IN ['x',b,(1 + 2)])"],
    ['a NOT IN (1)', '(a NOT IN [1])'],
    ["a IN (1) LIKE 'x'", "((a IN [1]) LIKE 'x')"],
    ['(a)', 'a'],
    ['(a OR b) AND c', '((a OR b) AND c)'],
    ['abs(a)', 'ABS[a]'],
    ['concat_ws(a, b)', 'CONCAT_WS[a,b]'],
    ['CONCAT()', 'CONCAT[]'],
    ['ABC (a)', 'ABC[a]'],
    ['LENGTH(a) > 3', '(LENGTH[a] > 3)'],
    ['not(a)', '(NOT a)'],
  ];
  for (const [text, wanted] of rows) {
    test(text, () => assert.equal(parsed(text), wanted));
  }
});

describe('what is refused, and where', () => {
  const rows: readonly [string, string][] = [
    ['', 'at column 1: expected a value, found the end'],
    ['   ', 'at column 4: expected a value, found the end'],
    ['ABC(', 'at column 5: expected a value, found the end'],
    ['ABC(a', 'at column 6: expected "," or ")", found the end'],
    ['ABC(a b)', 'at column 7: expected "," or ")", found "b"'],
    ['ABC(a,)', 'at column 7: expected a value, found ")"'],
    ['(a', 'at column 3: expected ")", found the end'],
    ['()', 'at column 2: expected a value, found ")"'],
    ['a)', 'at column 2: expected an operator or the end, found ")"'],
    ['a b', 'at column 3: expected an operator or the end, found "b"'],
    ['a = ', 'at column 5: expected a value, found the end'],
    ['= a', 'at column 1: expected a value, found "="'],
    ['a AND', 'at column 6: expected a value, found the end'],
    ['AND a', 'at column 1: expected a value, found "AND"'],
    ['a = IN', 'at column 5: expected a value, found "IN"'],
    ['a LIKE 123', 'at column 8: expected a pattern in quotes, found "123"'],
    ['a LIKE b', 'at column 8: expected a pattern in quotes, found "b"'],
    ['a NOT b', 'at column 7: expected LIKE or IN after NOT, found "b"'],
    ['a NOT', 'at column 6: expected LIKE or IN after NOT, found the end'],
    ['a IN b', 'at column 6: expected "(", found "b"'],
    ['a IN ()', 'at column 8: expected a set with at least one element, found the end'],
    ['a IN (1', 'at column 8: expected "," or ")", found the end'],
    ["EXISTS 'a'", `at column 8: expected an attribute name, found "'a'"`],
    ['EXISTS', 'at column 7: expected an attribute name, found the end'],
    ['EXISTS a_b', 'at column 8: expected an attribute name, found "a_b"'],
    ['EXISTS NOT', 'at column 8: expected an attribute name, found "NOT"'],
    ['NOT', 'at column 4: expected a value, found the end'],
    ['-', 'at column 2: expected a value, found the end'],
    ['+a', 'at column 1: expected a value, found "+"'],
    ['a_b', 'at column 1: expected a value, found "a_b"'],
    ['_abc(1)', 'at column 1: expected a value, found "_abc"'],
    ['abc1(1)', 'at column 5: expected an operator or the end, found "("'],
    ['TRUE()', 'at column 5: expected an operator or the end, found "("'],
    ["'a", 'at column 1: string has no closing quote'],
    ['a = "b', 'at column 5: string has no closing quote'],
    ["'a\\'", 'at column 1: string has no closing quote'],
    ["'it''s'", `at column 5: expected an operator or the end, found "'s'"`],
    ['a ! b', 'at column 3: unexpected character "!"'],
    ['a.b', 'at column 2: unexpected character "."'],
    ['a = é', 'at column 5: unexpected character "é"'],
    ['a = 😀', 'at column 5: unexpected character "😀"'],
    ['a\u0000b', 'at column 2: unexpected character "\u0000"'],
    ['a\u00a0b', 'at column 2: unexpected character "\u00a0"'],
    ['a; DROP', 'at column 2: unexpected character ";"'],
    ['2147483648', 'at column 1: 2147483648 is not a 32-bit integer'],
    ['a = -2147483649', 'at column 5: -2147483649 is not a 32-bit integer'],
  ];
  for (const [text, wanted] of rows) {
    test(JSON.stringify(text), () => assert.equal(messageOf(text), wanted));
  }
});

describe('limits', () => {
  test('text', () => {
    const ofBytes = (count: number): string => `'${'é'.repeat((count - 2) / 2)}'`;
    assert(parseCesql(ofBytes(4_096)).ok);
    assert.equal(messageOf(ofBytes(4_098)), 'expression has 4098 bytes, at most 4096 are allowed');
    assert.match(messageOf('x'.repeat(1_048_576)), /1048576 bytes/);
  });

  const wrapped = (open: string, inner: string, close: string, depth: number): string =>
    open.repeat(depth) + inner + close.repeat(depth);

  test('nesting, whatever nests', () => {
    const rows: readonly [string, string, string][] = [
      ['(', 'a', ')'],
      ['NOT ', 'a', ''],
      ['- ', 'a', ''],
      ['ABS(', 'a', ')'],
      ['a IN (', 'a', ')'],
    ];
    for (const [open, inner, close] of rows) {
      assert(parseCesql(wrapped(open, inner, close, 32)).ok, open);
      assert.match(messageOf(wrapped(open, inner, close, 33)), /nested deeper than 32$/);
    }
    assert.match(messageOf(wrapped('(', 'a', ')', 2_000)), /^at column 34: nested deeper than 32$/);
    assert.match(messageOf('('.repeat(10_000)), /10000 bytes/);
  });

  test('a chain does not nest', () => {
    assert(parseCesql(Array.from({ length: 128 }, () => 'a').join(' AND ')).ok);
  });

  test('nodes', () => {
    const chain = (terms: number): string => Array.from({ length: terms }, () => 'a').join('+');
    const set = (count: number): string =>
      `a IN (${Array.from({ length: count }, () => '1').join()})`;
    assert(parseCesql(chain(128)).ok);
    assert.match(messageOf(chain(129)), /more than 256 terms and operators$/);
    assert(parseCesql(set(254)).ok);
    assert.match(messageOf(set(255)), /more than 256 terms and operators$/);
    assert.match(messageOf(`ABS(${set(300)})`), /more than 256/);
  });
});
