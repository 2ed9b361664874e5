/**
 * What one evaluation of a compiled CESQL expression carries, and the implicit casts.
 * Used by `compiler.ts` and `functions.ts`.
 * Invariant: the first error ends the evaluation: every operator above it gives the zero value of its
 * type (the specification's fail-fast mode). The event is passed beside it and never kept.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import {
  CHARS_PER_STEP,
  type CesqlError,
  type CesqlErrorKind,
  type CesqlType,
  type CesqlValue,
} from '#lib/filters/cesql/syntax';

/** One per compiled expression, reused: evaluation is synchronous and never re-entered. */
export interface Evaluation {
  error: CesqlError | null;
  stepsLeft: number;
}

/** A compiled node. */
export type Step = (event: CloudEvent, evaluation: Evaluation) => CesqlValue;

export const INTEGER_MAX = 2_147_483_647;
export const INTEGER_MIN = -2_147_483_648;

const OUT_OF_STEPS = errorOf('generic', 'evaluation needs too many steps');
const OVERFLOW = errorOf('math', 'result does not fit in 32 bits');
const NOT_AN_INTEGER = errorOf('cast', 'cannot cast String to Integer');
const NOT_A_BOOLEAN = errorOf('cast', 'cannot cast String to Boolean');
const INTEGER_AS_BOOLEAN = errorOf('cast', 'cannot cast Integer to Boolean without BOOL()');

export function errorOf(kind: CesqlErrorKind, message: string): CesqlError {
  return { kind, message };
}

export function hasFailed(evaluation: Evaluation): boolean {
  return evaluation.error !== null;
}

/** Pays for reading or writing `chars` characters; false, with an error, when the steps are used up. */
export function hasSteps(evaluation: Evaluation, chars: number): boolean {
  evaluation.stepsLeft -= 1 + Math.floor(chars / CHARS_PER_STEP);
  if (evaluation.stepsLeft >= 0) return true;
  evaluation.error ??= OUT_OF_STEPS;
  return false;
}

/** Limits `value` to 32 bits: past an end it is that end, with a math error. Never a negative zero. */
export function clamped(value: number, evaluation: Evaluation): number {
  if (value >= INTEGER_MIN && value <= INTEGER_MAX) return value + 0;
  evaluation.error ??= OVERFLOW;
  return value > 0 ? INTEGER_MAX : INTEGER_MIN;
}

export function toText(value: CesqlValue): string {
  return typeof value === 'string' ? value : String(value);
}

export function toInteger(value: CesqlValue, evaluation: Evaluation): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  const parsed = parseInteger(value);
  if (parsed !== null) return parsed;
  evaluation.error ??= NOT_AN_INTEGER;
  return 0;
}

/** The implicit cast: the kit wants an error for an Integer, which only `BOOL()` may cast. */
export function toBoolean(value: CesqlValue, evaluation: Evaluation): boolean {
  if (typeof value !== 'number') return toBooleanExplicitly(value, evaluation);
  evaluation.error ??= INTEGER_AS_BOOLEAN;
  return false;
}

export function toBooleanExplicitly(value: CesqlValue, evaluation: Evaluation): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  const parsed = parseBoolean(value);
  if (parsed !== null) return parsed;
  evaluation.error ??= NOT_A_BOOLEAN;
  return false;
}

export function castTo(type: CesqlType, value: CesqlValue, evaluation: Evaluation): CesqlValue {
  if (type === 'String') return toText(value);
  return type === 'Integer' ? toInteger(value, evaluation) : toBoolean(value, evaluation);
}

/** Decimal digits with an optional sign that fit in 32 bits; `null` for anything else. */
export function parseInteger(text: string): number | null {
  const first = text.charAt(0);
  const digitsFrom = first === '-' || first === '+' ? 1 : 0;
  if (text.length === digitsFrom) return null;
  let magnitude = 0;
  for (let index = digitsFrom; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return null;
    magnitude = magnitude * 10 + digit;
    if (magnitude > -INTEGER_MIN) return null;
  }
  if (first === '-') return 0 - magnitude;
  return magnitude > INTEGER_MAX ? null : magnitude;
}

export function parseBoolean(text: string): boolean | null {
  if (text.length > 5) return null;
  const lower = text.toLowerCase();
  if (lower === 'true') return true;
  return lower === 'false' ? false : null;
}
