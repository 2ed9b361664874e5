/**
 * The functions of CESQL v1, by name and number of arguments, with IS_INT and IS_BOOL, which Go's
 * implementation (and so Knative) has too. Used by `compiler.ts`.
 * Invariant: characters are code points; an argument's error or a failed cast gives the zero value of
 * the function's type; work that grows with the text is paid for in steps.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { widthAt } from '#lib/filters/cesql/characters';
import {
  clamped,
  errorOf,
  type Evaluation,
  hasFailed,
  hasSteps,
  parseBoolean,
  parseInteger,
  type Step,
  toBooleanExplicitly,
  toInteger,
  toText,
} from '#lib/filters/cesql/evaluation';
import { type CesqlType, type CesqlValue, zeroOf } from '#lib/filters/cesql/syntax';

export interface CesqlFunction {
  readonly returns: CesqlType;
  /** The number of arguments; for a variadic function the least number. */
  readonly arity: number;
  readonly isVariadic: boolean;
  readonly compile: (args: readonly Step[]) => Step;
}

const NEGATIVE_COUNT = errorOf('functionEvaluation', 'number of characters is negative');
const OUTSIDE_TEXT = errorOf('functionEvaluation', 'position is outside the string');

/** Name in upper case → overloads. */
const FUNCTIONS: ReadonlyMap<string, readonly CesqlFunction[]> = new Map([
  ['LENGTH', [ofText('Integer', characterCount)]],
  ['LOWER', [ofText('String', (text) => text.toLowerCase())]],
  ['UPPER', [ofText('String', (text) => text.toUpperCase())]],
  ['TRIM', [ofText('String', trimmed)]],
  ['CONCAT', [ofTexts(0, (texts) => texts.join(''))]],
  ['CONCAT_WS', [ofTexts(1, ([separator, ...texts]) => texts.join(separator))]],
  ['LEFT', [ofTextAndIntegers(1, left)]],
  ['RIGHT', [ofTextAndIntegers(1, right)]],
  [
    'SUBSTRING',
    [
      ofTextAndIntegers(1, (text, position, _, evaluation) =>
        substring(text, position, Number.POSITIVE_INFINITY, evaluation),
      ),
      ofTextAndIntegers(2, substring),
    ],
  ],
  [
    'ABS',
    [
      ofAny('Integer', (value, evaluation) =>
        clamped(Math.abs(toInteger(value, evaluation)), evaluation),
      ),
    ],
  ],
  ['INT', [ofAny('Integer', toInteger)]],
  ['BOOL', [ofAny('Boolean', toBooleanExplicitly)]],
  ['STRING', [ofAny('String', toText)]],
  ['IS_INT', [ofAny('Boolean', (value) => parseInteger(toNumberText(value)) !== null)]],
  [
    'IS_BOOL',
    [
      ofAny(
        'Boolean',
        (value) => typeof value === 'number' || parseBoolean(toText(value)) !== null,
      ),
    ],
  ],
]);

/** The overload for that many arguments, or `null`. `name` is in upper case. */
export function findFunction(name: string, argumentCount: number): CesqlFunction | null {
  const overloads = FUNCTIONS.get(name) ?? [];
  return (
    overloads.find((one) =>
      one.isVariadic ? argumentCount >= one.arity : argumentCount === one.arity,
    ) ?? null
  );
}

/** Stands in for an argument that the arity check has proved to be there. */
const ABSENT: Step = () => 0;

function ofAny(
  returns: CesqlType,
  apply: (value: CesqlValue, evaluation: Evaluation) => CesqlValue,
): CesqlFunction {
  return {
    returns,
    arity: 1,
    isVariadic: false,
    compile: ([argument = ABSENT]) => {
      return (event, evaluation) => {
        const value = argument(event, evaluation);
        return hasFailed(evaluation) ? zeroOf(returns) : apply(value, evaluation);
      };
    },
  };
}

function ofText(returns: CesqlType, apply: (text: string) => CesqlValue): CesqlFunction {
  return ofAny(returns, (value, evaluation) => {
    const text = toText(value);
    return hasSteps(evaluation, text.length) ? apply(text) : zeroOf(returns);
  });
}

function ofTexts(arity: number, apply: (texts: readonly string[]) => string): CesqlFunction {
  return {
    returns: 'String',
    arity,
    isVariadic: true,
    compile: (args) => (event, evaluation) => {
      const texts = textsOf(args, event, evaluation);
      return hasFailed(evaluation) ? '' : apply(texts);
    },
  };
}

/** Stops at the first error; a separator is paid for once for every text that it may follow. */
function textsOf(args: readonly Step[], event: CloudEvent, evaluation: Evaluation): string[] {
  const texts: string[] = [];
  for (const argument of args) {
    const text = toText(argument(event, evaluation));
    if (hasFailed(evaluation)) break;
    if (!hasSteps(evaluation, text.length + (texts[0]?.length ?? 0))) break;
    texts.push(text);
  }
  return texts;
}

/** A text and one or two integers; the second is 0 for a function of one. */
function ofTextAndIntegers(
  integerCount: 1 | 2,
  apply: (text: string, first: number, second: number, evaluation: Evaluation) => string,
): CesqlFunction {
  return {
    returns: 'String',
    arity: 1 + integerCount,
    isVariadic: false,
    compile: ([textArgument = ABSENT, firstArgument = ABSENT, secondArgument = ABSENT]) => {
      return (event, evaluation) => {
        const text = toText(textArgument(event, evaluation));
        if (hasFailed(evaluation)) return '';
        const first = toInteger(firstArgument(event, evaluation), evaluation);
        if (hasFailed(evaluation)) return '';
        const second = toInteger(secondArgument(event, evaluation), evaluation);
        if (hasFailed(evaluation) || !hasSteps(evaluation, text.length)) return '';
        return apply(text, first, second, evaluation);
      };
    },
  };
}

function left(text: string, count: number, _: number, evaluation: Evaluation): string {
  if (count >= 0) return text.slice(0, offsetOf(text, count));
  evaluation.error = NEGATIVE_COUNT;
  return text;
}

function right(text: string, count: number, _: number, evaluation: Evaluation): string {
  if (count >= 0) return text.slice(offsetOf(text, Math.max(0, characterCount(text) - count)));
  evaluation.error = NEGATIVE_COUNT;
  return text;
}

/** Positions count from 1, negative ones from the end; 0 gives the empty string. */
function substring(
  text: string,
  position: number,
  lengthMax: number,
  evaluation: Evaluation,
): string {
  const length = characterCount(text);
  if (lengthMax < 0) {
    evaluation.error = NEGATIVE_COUNT;
    return '';
  }
  if (position > length || position < -length) {
    evaluation.error = OUTSIDE_TEXT;
    return '';
  }
  if (position === 0) return '';
  const from = position > 0 ? position - 1 : length + position;
  return text.slice(offsetOf(text, from), offsetOf(text, from + lengthMax));
}

function characterCount(text: string): number {
  let count = 0;
  for (let offset = 0; offset < text.length; offset += widthAt(text, offset)) count += 1;
  return count;
}

/** The UTF-16 offset of the character with that index from 0; past the end it is the end. */
function offsetOf(text: string, index: number): number {
  let offset = 0;
  for (let left = index; left > 0 && offset < text.length; left -= 1) {
    offset += widthAt(text, offset);
  }
  return offset;
}

/** Without Unicode's White_Space at both ends; unlike `trim()` that has U+0085 and not U+FEFF. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhiteSpace(text.charAt(start))) start += 1;
  while (end > start && isWhiteSpace(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isWhiteSpace(character: string): boolean {
  if (character === '\u0085') return true;
  return character !== '\ufeff' && character.trim() === '';
}

function toNumberText(value: CesqlValue): string {
  return typeof value === 'boolean' ? '0' : toText(value);
}
