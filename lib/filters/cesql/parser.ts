/**
 * Parses CESQL v1 text into a syntax tree. Used by `expression.ts`.
 * Precedence, tightest first: call and parentheses; NOT and unary minus; LIKE; EXISTS; IN; `* / %`;
 * `+ -`; comparisons; AND, OR, XOR (one rank). All binary operators associate to the left.
 * Invariant: text, nesting and node count are bounded before anything is compiled.
 */
import { lexCesql, type Token } from '#lib/filters/cesql/lexer';
import {
  type ArithmeticOperator,
  CESQL_BYTES_MAX,
  CESQL_DEPTH_MAX,
  CESQL_NODES_MAX,
  type CesqlNode,
  type CesqlParseResult,
  type ComparisonOperator,
  type LogicOperator,
} from '#lib/filters/cesql/syntax';
import { assert } from '#lib/assert/assert';

const LOGIC_RANK = 1;
const COMPARISON_RANK = 2;
const ADDITIVE_RANK = 3;
const MULTIPLICATIVE_RANK = 4;

const LOGIC: ReadonlyMap<string, LogicOperator> = new Map([
  ['AND', 'AND'],
  ['OR', 'OR'],
  ['XOR', 'XOR'],
]);
const COMPARISONS: ReadonlyMap<string, ComparisonOperator> = new Map([
  ['=', '='],
  ['!=', '!='],
  ['<>', '!='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
]);
const ADDITIVES: ReadonlyMap<string, ArithmeticOperator> = new Map([
  ['+', '+'],
  ['-', '-'],
]);
const MULTIPLICATIVES: ReadonlyMap<string, ArithmeticOperator> = new Map([
  ['*', '*'],
  ['/', '/'],
  ['%', '%'],
]);
const KEYWORDS: ReadonlySet<string> = new Set([
  'AND',
  'OR',
  'XOR',
  'NOT',
  'LIKE',
  'EXISTS',
  'IN',
  'TRUE',
  'FALSE',
]);

const INTEGER_MAX = 2_147_483_647;

/** The tree of `text`, or a `parse` error whose message names the column, counted from 1. */
export function parseCesql(text: string): CesqlParseResult {
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > CESQL_BYTES_MAX) {
    const message = `expression has ${sizeBytes} bytes, at most ${CESQL_BYTES_MAX} are allowed`;
    return { ok: false, error: { kind: 'parse', message } };
  }
  const lexed = lexCesql(text);
  if (!lexed.ok) return failure(lexed.position, lexed.message);
  return new Parser(text, lexed.tokens).parse();
}

function failure(position: number, message: string): CesqlParseResult {
  const error = { kind: 'parse', message: `at column ${position + 1}: ${message}` } as const;
  return { ok: false, error };
}

/** Recursive descent with one token of look-ahead; a method returns `null` once something failed. */
class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;
  #nodeCount = 0;
  #failure: CesqlParseResult | null = null;

  constructor(source: string, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  parse(): CesqlParseResult {
    const root = this.#expression(LOGIC_RANK);
    if (root !== null && this.#peek().kind !== 'end') this.#refuse('an operator or the end');
    if (this.#failure !== null) return this.#failure;
    assert(root !== null, 'a parse without failure has a tree');
    return { ok: true, root };
  }

  #expression(rankMin: number): CesqlNode | null {
    let left = this.#operand();
    while (left !== null) {
      const next: CesqlNode | null | undefined = this.#infix(left, rankMin);
      if (next === undefined) return left;
      left = next;
    }
    return null;
  }

  /** Extends `left` by the operator that follows; `undefined` when none of that rank follows. */
  #infix(left: CesqlNode, rankMin: number): CesqlNode | null | undefined {
    const token = this.#peek();
    if (token.kind === 'word') {
      const logic = LOGIC.get(token.text);
      if (logic !== undefined) {
        if (rankMin > LOGIC_RANK) return undefined;
        return this.#binary(left, LOGIC_RANK, (right) => ({
          kind: 'logic',
          operator: logic,
          left,
          right,
          start: left.start,
          end: right.end,
        }));
      }
      return this.#likeOrIn(left);
    }
    if (token.kind !== 'symbol') return undefined;
    const comparison = COMPARISONS.get(token.text);
    if (comparison !== undefined) {
      if (rankMin > COMPARISON_RANK) return undefined;
      return this.#binary(left, COMPARISON_RANK, (right) => ({
        kind: 'comparison',
        operator: comparison,
        left,
        right,
        start: left.start,
        end: right.end,
      }));
    }
    const additive = ADDITIVES.get(token.text);
    const arithmetic = additive ?? MULTIPLICATIVES.get(token.text);
    if (arithmetic === undefined) return undefined;
    const rank = additive === undefined ? MULTIPLICATIVE_RANK : ADDITIVE_RANK;
    if (rankMin > rank) return undefined;
    return this.#binary(left, rank, (right) => ({
      kind: 'arithmetic',
      operator: arithmetic,
      left,
      right,
      start: left.start,
      end: right.end,
    }));
  }

  #binary(left: CesqlNode, rank: number, build: (right: CesqlNode) => CesqlNode): CesqlNode | null {
    this.#index += 1;
    const right = this.#expression(rank + 1);
    return right === null ? null : this.#counted(build(right), left);
  }

  /** LIKE and IN bind tighter than any binary operator, so no rank can keep them from `operand`. */
  #likeOrIn(operand: CesqlNode): CesqlNode | null | undefined {
    const isNegated = this.#peek().text === 'NOT';
    const keyword = isNegated ? this.#peek(1) : this.#peek();
    if (keyword.kind === 'word' && keyword.text === 'LIKE') {
      this.#index += isNegated ? 2 : 1;
      const pattern = this.#take('string');
      if (pattern === null) return this.#refuse('a pattern in quotes');
      const { start } = operand;
      const node = { operand, pattern: pattern.text, isNegated, start, end: pattern.end };
      return this.#counted({ kind: 'like', ...node }, operand);
    }
    if (keyword.kind === 'word' && keyword.text === 'IN') {
      this.#index += isNegated ? 2 : 1;
      if (!this.#takeSymbol('(')) return this.#refuse('"("');
      const elements = this.#list();
      if (elements === null) return null;
      if (elements.length === 0) return this.#refuse('a set with at least one element');
      const { start } = operand;
      const node = { operand, elements, isNegated, start, end: this.#peek(-1).end };
      return this.#counted({ kind: 'in', ...node }, operand);
    }
    return isNegated ? this.#refuse('LIKE or IN after NOT', 1) : undefined;
  }

  /** Expressions up to and with the closing parenthesis. */
  #list(): CesqlNode[] | null {
    const elements: CesqlNode[] = [];
    if (this.#takeSymbol(')')) return elements;
    for (;;) {
      const element = this.#nested(() => this.#expression(LOGIC_RANK));
      if (element === null) return null;
      elements.push(element);
      if (this.#takeSymbol(')')) return elements;
      if (!this.#takeSymbol(',')) return this.#refuse('"," or ")"');
    }
  }

  #operand(): CesqlNode | null {
    const token = this.#peek();
    this.#index += 1;
    switch (token.kind) {
      case 'integer':
        return this.#integer(token, '', token.start);
      case 'string':
        return this.#counted({ kind: 'literal', value: token.text, ...spanOf(token) });
      case 'symbol':
        return this.#afterSymbol(token);
      case 'word':
        return this.#afterWord(token);
      case 'end':
        this.#index -= 1;
        return this.#refuse('a value');
    }
  }

  #afterSymbol(token: Token): CesqlNode | null {
    if (token.text === '(') {
      const inner = this.#nested(() => this.#expression(LOGIC_RANK));
      if (inner === null) return null;
      if (!this.#takeSymbol(')')) return this.#refuse('")"');
      return { ...inner, start: token.start, end: this.#peek(-1).end };
    }
    if (token.text === '-' || token.text === '+') {
      const literal = this.#take('integer');
      if (literal !== null) return this.#integer(literal, token.text, token.start);
      if (token.text === '-') {
        const operand = this.#nested(() => this.#operand());
        if (operand === null) return null;
        return this.#counted({ kind: 'negate', operand, start: token.start, end: operand.end });
      }
    }
    this.#index -= 1;
    return this.#refuse('a value');
  }

  #afterWord(token: Token): CesqlNode | null {
    const { start } = token;
    switch (token.text) {
      case 'TRUE':
      case 'FALSE':
        return this.#counted({ kind: 'literal', value: token.text === 'TRUE', ...spanOf(token) });
      case 'NOT': {
        const operand = this.#nested(() => this.#operand());
        if (operand === null) return null;
        return this.#counted({ kind: 'not', operand, start, end: operand.end });
      }
      case 'EXISTS': {
        const name = this.#peek();
        if (!isIdentifier(name)) return this.#refuse('an attribute name');
        this.#index += 1;
        return this.#counted({
          kind: 'exists',
          name: name.text.toLowerCase(),
          start,
          end: name.end,
        });
      }
      default:
        return this.#identifierOrCall(token);
    }
  }

  #identifierOrCall(token: Token): CesqlNode | null {
    const { start } = token;
    if (KEYWORDS.has(token.text)) {
      this.#index -= 1;
      return this.#refuse('a value');
    }
    if (isFunctionName(token.text) && this.#takeSymbol('(')) {
      const args = this.#list();
      if (args === null) return null;
      return this.#counted({
        kind: 'call',
        name: token.text,
        args,
        start,
        end: this.#peek(-1).end,
      });
    }
    if (!isIdentifier(token)) {
      this.#index -= 1;
      return this.#refuse('a value');
    }
    return this.#counted({ kind: 'attribute', name: token.text.toLowerCase(), ...spanOf(token) });
  }

  #integer(token: Token, sign: string, start: number): CesqlNode | null {
    const value = Number(`${sign}${token.text}`);
    if (value > INTEGER_MAX || value < -INTEGER_MAX - 1) {
      return this.#fail(start, `${sign}${token.text} is not a 32-bit integer`);
    }
    // `+ 0` makes the zero of "-0" a plain zero.
    return this.#counted({ kind: 'literal', value: value + 0, start, end: token.end });
  }

  #nested(parse: () => CesqlNode | null): CesqlNode | null {
    if (this.#depth === CESQL_DEPTH_MAX) {
      return this.#fail(this.#peek().start, `nested deeper than ${CESQL_DEPTH_MAX}`);
    }
    this.#depth += 1;
    const node = parse();
    this.#depth -= 1;
    return node;
  }

  #counted(node: CesqlNode, at: CesqlNode = node): CesqlNode | null {
    this.#nodeCount += 1;
    if (this.#nodeCount <= CESQL_NODES_MAX) return node;
    return this.#fail(at.start, `more than ${CESQL_NODES_MAX} terms and operators`);
  }

  #peek(ahead = 0): Token {
    const token = this.#tokens[this.#index + ahead];
    assert(token !== undefined, 'nothing reads past the end token');
    return token;
  }

  #take(kind: Token['kind']): Token | null {
    const token = this.#peek();
    if (token.kind !== kind) return null;
    this.#index += 1;
    return token;
  }

  #takeSymbol(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'symbol' || token.text !== text) return false;
    this.#index += 1;
    return true;
  }

  #refuse(wanted: string, ahead = 0): null {
    const token = this.#peek(ahead);
    const written = this.#source.slice(token.start, Math.min(token.end, token.start + 40));
    const found = token.kind === 'end' ? 'the end' : `"${written}"`;
    return this.#fail(token.start, `expected ${wanted}, found ${found}`);
  }

  #fail(position: number, message: string): null {
    this.#failure ??= failure(position, message);
    return null;
  }
}

function spanOf(token: Token): { readonly start: number; readonly end: number } {
  return { start: token.start, end: token.end };
}

/** Letters and digits, in any case, that are no keyword. */
function isIdentifier(token: Token): boolean {
  if (token.kind !== 'word' && token.kind !== 'integer') return false;
  return !token.text.includes('_') && !KEYWORDS.has(token.text);
}

/** Letters and underscores, a letter first. */
function isFunctionName(text: string): boolean {
  if (text.startsWith('_')) return false;
  for (const character of text) {
    if (character >= '0' && character <= '9') return false;
  }
  return true;
}
