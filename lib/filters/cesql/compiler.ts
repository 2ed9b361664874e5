/**
 * Compiles a CESQL syntax tree into closures: names, literals, patterns and functions are resolved
 * here, once. Used by `expression.ts`.
 * Invariant: a compiled node allocates nothing unless it builds a string, and each runs at most once
 * per evaluation.
 */
import type { AttributeValue } from '#lib/cloudevents/cloud-event';
import { createTextReader, createValueReader } from '#lib/filters/attribute-reader';
import {
  castTo,
  clamped,
  errorOf,
  hasFailed,
  hasSteps,
  INTEGER_MAX,
  INTEGER_MIN,
  type Step,
  toBoolean,
  toInteger,
  toText,
} from '#lib/filters/cesql/evaluation';
import { findFunction } from '#lib/filters/cesql/functions';
import { compileLike } from '#lib/filters/cesql/like-pattern';
import {
  type ArithmeticNode,
  type CallNode,
  type CesqlError,
  type CesqlNode,
  type CesqlValue,
  CHARS_PER_STEP,
  type ComparisonNode,
  type InNode,
  type LikeNode,
  type LogicNode,
  typeOfValue,
} from '#lib/filters/cesql/syntax';

const REQUIRED_ATTRIBUTES: ReadonlySet<string> = new Set(['id', 'source', 'type', 'specversion']);
const DIVISION_BY_ZERO = errorOf('math', 'division by zero');

export function compileNode(node: CesqlNode): Step {
  switch (node.kind) {
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'attribute':
      return compileAttribute(node.name);
    case 'exists': {
      if (REQUIRED_ATTRIBUTES.has(node.name)) return () => true;
      const read = createValueReader(node.name);
      return (event) => read(event) !== null;
    }
    case 'not': {
      const operand = compileNode(node.operand);
      return (event, evaluation) => {
        const value = operand(event, evaluation);
        if (hasFailed(evaluation)) return false;
        // The kit wants NOT of what a failed cast gives: `NOT 10` is true, with the error.
        return !toBoolean(value, evaluation);
      };
    }
    case 'negate': {
      const operand = compileNode(node.operand);
      return (event, evaluation) => {
        const value = operand(event, evaluation);
        if (hasFailed(evaluation)) return 0;
        const integer = toInteger(value, evaluation);
        return clamped(0 - integer, evaluation);
      };
    }
    case 'logic':
      return compileLogic(node);
    case 'comparison':
      return compileComparison(node);
    case 'arithmetic':
      return compileArithmetic(node);
    case 'like':
      return compileLikeNode(node);
    case 'in':
      return compileIn(node);
    case 'call':
      return compileCall(node);
  }
}

function missingAttribute(name: string): CesqlError {
  return errorOf('missingAttribute', `event has no attribute "${name}"`);
}

function compileAttribute(name: string): Step {
  const read = createValueReader(name);
  const missing = missingAttribute(name);
  return (event, evaluation) => {
    const value = read(event);
    if (value !== null) return typeof value === 'number' ? integerOrText(value) : value;
    evaluation.error = missing;
    return false;
  };
}

/** A number that is no 32-bit integer is outside CloudEvents' types; its digits are kept as text. */
function integerOrText(value: number): AttributeValue {
  const isInteger = Number.isInteger(value) && value >= INTEGER_MIN && value <= INTEGER_MAX;
  return isInteger ? value : String(value);
}

/** AND and OR do not run their right side when the left one decides. */
function compileLogic(node: LogicNode): Step {
  const left = compileNode(node.left);
  const right = compileNode(node.right);
  const { operator } = node;
  return (event, evaluation) => {
    const leftValue = left(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const isLeft = toBoolean(leftValue, evaluation);
    if (hasFailed(evaluation)) return false;
    if (operator === 'AND' && !isLeft) return false;
    if (operator === 'OR' && isLeft) return true;
    const rightValue = right(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const isRight = toBoolean(rightValue, evaluation);
    if (hasFailed(evaluation)) return false;
    return operator === 'XOR' ? isLeft !== isRight : isRight;
  };
}

function compileComparison(node: ComparisonNode): Step {
  const isEquality = node.operator === '=' || node.operator === '!=';
  if (!isEquality) return compileOrder(node);
  const isWanted = node.operator === '=';
  if (
    node.left.kind === 'attribute' &&
    node.right.kind === 'literal' &&
    typeof node.right.value === 'string'
  ) {
    return compileAttributeEquality(node.left.name, node.right.value, isWanted);
  }
  const left = compileNode(node.left);
  const right = compileNode(node.right);
  return (event, evaluation) => {
    const leftValue = left(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const rightValue = right(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const cast = castTo(typeOfValue(rightValue), leftValue, evaluation);
    if (hasFailed(evaluation)) return false;
    return (cast === rightValue) === isWanted;
  };
}

/** The commonest comparison, without the general way's two calls: about half of its time. */
function compileAttributeEquality(name: string, wanted: string, isWanted: boolean): Step {
  const read = createTextReader(name);
  const missing = missingAttribute(name);
  return (event, evaluation) => {
    const text = read(event);
    if (text !== null) return (text === wanted) === isWanted;
    evaluation.error = missing;
    return false;
  };
}

function compileOrder(node: ComparisonNode): Step {
  const left = compileNode(node.left);
  const right = compileNode(node.right);
  const { operator } = node;
  return (event, evaluation) => {
    const leftValue = left(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const rightValue = right(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const leftInteger = toInteger(leftValue, evaluation);
    const rightInteger = toInteger(rightValue, evaluation);
    if (hasFailed(evaluation)) return false;
    if (operator === '<') return leftInteger < rightInteger;
    if (operator === '<=') return leftInteger <= rightInteger;
    return operator === '>' ? leftInteger > rightInteger : leftInteger >= rightInteger;
  };
}

function compileArithmetic(node: ArithmeticNode): Step {
  const left = compileNode(node.left);
  const right = compileNode(node.right);
  const { operator } = node;
  return (event, evaluation) => {
    const leftValue = left(event, evaluation);
    if (hasFailed(evaluation)) return 0;
    const rightValue = right(event, evaluation);
    if (hasFailed(evaluation)) return 0;
    const leftInteger = toInteger(leftValue, evaluation);
    const rightInteger = toInteger(rightValue, evaluation);
    if (hasFailed(evaluation)) return 0;
    // A product outside 32 bits may be inexact as a double, but then it is clamped anyway.
    if (operator === '+') return clamped(leftInteger + rightInteger, evaluation);
    if (operator === '-') return clamped(leftInteger - rightInteger, evaluation);
    if (operator === '*') return clamped(leftInteger * rightInteger, evaluation);
    if (rightInteger === 0) {
      evaluation.error = DIVISION_BY_ZERO;
      return 0;
    }
    const result =
      operator === '/' ? Math.trunc(leftInteger / rightInteger) : leftInteger % rightInteger;
    return clamped(result, evaluation);
  };
}

function compileLikeNode(node: LikeNode): Step {
  const operand = compileNode(node.operand);
  const pattern = compileLike(node.pattern);
  const { isNegated } = node;
  return (event, evaluation) => {
    const value = operand(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const text = toText(value);
    if (!hasSteps(evaluation, text.length)) return false;
    const outcome = pattern.match(text, evaluation.stepsLeft * CHARS_PER_STEP);
    if (outcome !== 'tooMuchWork') return (outcome === 'match') !== isNegated;
    hasSteps(evaluation, Number.POSITIVE_INFINITY);
    return false;
  };
}

/** Elements run in order up to the first that is equal, each cast to the type of the left side. */
function compileIn(node: InNode): Step {
  const operand = compileNode(node.operand);
  const elements = node.elements.map(compileNode);
  const { isNegated } = node;
  return (event, evaluation) => {
    const value = operand(event, evaluation);
    if (hasFailed(evaluation)) return false;
    const type = typeOfValue(value);
    for (const element of elements) {
      const elementValue = element(event, evaluation);
      if (hasFailed(evaluation)) return false;
      const cast: CesqlValue = castTo(type, elementValue, evaluation);
      if (hasFailed(evaluation)) return false;
      if (cast === value) return !isNegated;
    }
    return isNegated;
  };
}

function compileCall(node: CallNode): Step {
  const found = findFunction(node.name, node.args.length);
  if (found !== null) return found.compile(node.args.map(compileNode));
  const missing = errorOf(
    'missingFunction',
    `no function ${node.name} takes ${node.args.length} arguments`,
  );
  return (_, evaluation) => {
    evaluation.error = missing;
    return false;
  };
}
