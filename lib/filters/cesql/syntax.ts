/**
 * The syntax tree of a CESQL v1 expression, its value and error types, and its limits.
 * Made by `parser.ts`, compiled by `compiler.ts`, read by the analysis in `anchors.ts`.
 * Invariant: a tree has at most {@link CESQL_NODES_MAX} nodes and each runs at most once per event.
 */
import type { AttributeValue } from '#lib/cloudevents/cloud-event';

export type CesqlValue = AttributeValue;
export type CesqlType = 'Boolean' | 'Integer' | 'String';

/** The seven error kinds of the specification. */
export type CesqlErrorKind =
  | 'parse'
  | 'math'
  | 'cast'
  | 'missingAttribute'
  | 'missingFunction'
  | 'functionEvaluation'
  | 'generic';

export interface CesqlError {
  readonly kind: CesqlErrorKind;
  readonly message: string;
}

export const CESQL_BYTES_MAX = 4_096;
/** Nesting of parentheses, unary operators, function arguments and sets. */
export const CESQL_DEPTH_MAX = 32;
export const CESQL_NODES_MAX = 256;
/** Work per evaluation; operators cost nothing, a step is 16 characters read or written. */
export const CESQL_STEPS_MAX = 10_000;
export const CHARS_PER_STEP = 16;

export type LogicOperator = 'AND' | 'OR' | 'XOR';
export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>=';
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%';

/** Where in the text a node stands, as UTF-16 offsets. */
interface Span {
  readonly start: number;
  readonly end: number;
}

export interface LiteralNode extends Span {
  readonly kind: 'literal';
  readonly value: CesqlValue;
}
export interface AttributeNode extends Span {
  readonly kind: 'attribute';
  readonly name: string;
}
export interface ExistsNode extends Span {
  readonly kind: 'exists';
  readonly name: string;
}
export interface NotNode extends Span {
  readonly kind: 'not';
  readonly operand: CesqlNode;
}
export interface NegateNode extends Span {
  readonly kind: 'negate';
  readonly operand: CesqlNode;
}
export interface LogicNode extends Span {
  readonly kind: 'logic';
  readonly operator: LogicOperator;
  readonly left: CesqlNode;
  readonly right: CesqlNode;
}
export interface ComparisonNode extends Span {
  readonly kind: 'comparison';
  readonly operator: ComparisonOperator;
  readonly left: CesqlNode;
  readonly right: CesqlNode;
}
export interface ArithmeticNode extends Span {
  readonly kind: 'arithmetic';
  readonly operator: ArithmeticOperator;
  readonly left: CesqlNode;
  readonly right: CesqlNode;
}
export interface LikeNode extends Span {
  readonly kind: 'like';
  readonly operand: CesqlNode;
  readonly pattern: string;
  readonly isNegated: boolean;
}
export interface InNode extends Span {
  readonly kind: 'in';
  readonly operand: CesqlNode;
  readonly elements: readonly CesqlNode[];
  readonly isNegated: boolean;
}
export interface CallNode extends Span {
  readonly kind: 'call';
  /** In upper case. */
  readonly name: string;
  readonly args: readonly CesqlNode[];
}

export type CesqlNode =
  | LiteralNode
  | AttributeNode
  | ExistsNode
  | NotNode
  | NegateNode
  | LogicNode
  | ComparisonNode
  | ArithmeticNode
  | LikeNode
  | InNode
  | CallNode;

export type CesqlParseResult =
  | { readonly ok: true; readonly root: CesqlNode }
  | { readonly ok: false; readonly error: CesqlError };

/** Type of a value at run time. */
export function typeOfValue(value: CesqlValue): CesqlType {
  if (typeof value === 'string') return 'String';
  return typeof value === 'number' ? 'Integer' : 'Boolean';
}

/** The value that stands in for a failed expression of that type. */
export function zeroOf(type: CesqlType): CesqlValue {
  if (type === 'String') return '';
  return type === 'Integer' ? 0 : false;
}

/** Every attribute that the expression reads, once each, in order of appearance. */
export function attributesReadBy(root: CesqlNode): readonly string[] {
  const names = new Set<string>();
  visit(root, (node) => {
    if (node.kind === 'attribute' || node.kind === 'exists') names.add(node.name);
  });
  return [...names];
}

/** Calls `see` for each node, parents first. */
export function visit(node: CesqlNode, see: (node: CesqlNode) => void): void {
  see(node);
  for (const child of childrenOf(node)) visit(child, see);
}

function childrenOf(node: CesqlNode): readonly CesqlNode[] {
  switch (node.kind) {
    case 'literal':
    case 'attribute':
    case 'exists':
      return [];
    case 'not':
    case 'negate':
    case 'like':
      return [node.operand];
    case 'logic':
    case 'comparison':
    case 'arithmetic':
      return [node.left, node.right];
    case 'in':
      return [node.operand, ...node.elements];
    case 'call':
      return node.args;
  }
}

/** The operands of a chain of AND at the top: each must be true for the expression to be true. */
export function conjunctsOf(root: CesqlNode): readonly CesqlNode[] {
  return operandsOf(root, 'AND');
}

/** The operands of a chain of one logic operator; the node alone when it is something else. */
export function operandsOf(root: CesqlNode, operator: LogicOperator): readonly CesqlNode[] {
  if (root.kind !== 'logic' || root.operator !== operator) return [root];
  return [...operandsOf(root.left, operator), ...operandsOf(root.right, operator)];
}
