/**
 * Splits the text of a CESQL expression into tokens. Used by `parser.ts` only.
 * Invariant: linear in the text, no regular expressions, and every token knows where it stands.
 */
import { widthAt } from '#lib/filters/cesql/characters';

export type TokenKind = 'integer' | 'string' | 'word' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Symbols and integers as written, words in upper case, strings unquoted and unescaped. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export type LexResult =
  | { readonly ok: true; readonly tokens: readonly Token[] }
  | { readonly ok: false; readonly position: number; readonly message: string };

const TWO_CHARACTER_SYMBOLS: ReadonlySet<string> = new Set(['!=', '<>', '<=', '>=']);
const ONE_CHARACTER_SYMBOLS = '()=<>+-*/%,';

/** Tokens of `source`, the last of kind `end`; or the first thing that is no token. */
export function lexCesql(source: string): LexResult {
  const tokens: Token[] = [];
  let position = 0;
  while (position < source.length) {
    const character = source.charAt(position);
    if (isSpace(character)) {
      position += 1;
      continue;
    }
    const token = isWordCharacter(character)
      ? readWord(source, position)
      : character === '"' || character === "'"
        ? readString(source, position, character)
        : readSymbol(source, position);
    if (token === null) return { ok: false, position, message: complaint(source, position) };
    tokens.push(token);
    position = token.end;
  }
  tokens.push({ kind: 'end', text: '', start: source.length, end: source.length });
  return { ok: true, tokens };
}

function readWord(source: string, start: number): Token {
  let end = start;
  let isNumber = true;
  while (end < source.length && isWordCharacter(source.charAt(end))) {
    if (!isDigit(source.charAt(end))) isNumber = false;
    end += 1;
  }
  const text = source.slice(start, end);
  return isNumber
    ? { kind: 'integer', text, start, end }
    : { kind: 'word', text: text.toUpperCase(), start, end };
}

/** A backslash escapes the quote it precedes; before anything else it stays a backslash. */
function readString(source: string, start: number, quote: string): Token | null {
  let text = '';
  let copiedTo = start + 1;
  let position = copiedTo;
  while (position < source.length) {
    const character = source.charAt(position);
    if (character === quote) {
      text += source.slice(copiedTo, position);
      return { kind: 'string', text, start, end: position + 1 };
    }
    if (character === '\\') {
      if (source.charAt(position + 1) === quote) {
        text += source.slice(copiedTo, position);
        copiedTo = position + 1;
      }
      position += 1;
    }
    position += 1;
  }
  return null;
}

function readSymbol(source: string, start: number): Token | null {
  const two = source.slice(start, start + 2);
  if (TWO_CHARACTER_SYMBOLS.has(two)) {
    return { kind: 'symbol', text: two, start, end: start + 2 };
  }
  const one = source.charAt(start);
  if (!ONE_CHARACTER_SYMBOLS.includes(one)) return null;
  return { kind: 'symbol', text: one, start, end: start + 1 };
}

function complaint(source: string, position: number): string {
  const character = source.slice(position, position + widthAt(source, position));
  return character === '"' || character === "'"
    ? 'string has no closing quote'
    : `unexpected character "${character}"`;
}

function isSpace(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\n' || character === '\r';
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

function isWordCharacter(character: string): boolean {
  return (
    (character >= 'a' && character <= 'z') ||
    (character >= 'A' && character <= 'Z') ||
    isDigit(character) ||
    character === '_'
  );
}
