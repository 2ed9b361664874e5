/**
 * Why an event passes or fails a filter, clause by clause, as data and as lines of text. Made by
 * `predicate.ts`; printed by `millrace trigger explain` and `millrace tail`.
 * Invariant: `passed` of the root is what `matches` says of the same event.
 */
import type { AttributeOperator } from '#lib/filters/clause';
import type { CesqlError, CesqlValue } from '#lib/filters/cesql/syntax';

export interface AttributeExplanation {
  readonly kind: 'attribute';
  readonly path: string;
  readonly passed: boolean;
  readonly operator: AttributeOperator;
  readonly attribute: string;
  readonly wanted: string;
  /** `null` when the event lacks the attribute. */
  readonly actual: string | null;
}
export interface GroupExplanation {
  readonly kind: 'all' | 'any';
  readonly path: string;
  readonly passed: boolean;
  readonly children: readonly Explanation[];
}
export interface NotExplanation {
  readonly kind: 'not';
  readonly path: string;
  readonly passed: boolean;
  readonly child: Explanation;
}
export interface CesqlExplanation {
  readonly kind: 'cesql';
  readonly path: string;
  readonly passed: boolean;
  readonly expression: string;
  readonly value: CesqlValue;
  readonly error: CesqlError | null;
  /** The first term of a chain of AND that is not true; `null` when there is no such chain. */
  readonly failedTerm: string | null;
  /** What the expression reads, in order of appearance. */
  readonly reads: readonly AttributeRead[];
}
/** The filter itself cannot be used; nothing passes it. */
export interface BrokenExplanation {
  readonly kind: 'broken';
  readonly path: string;
  readonly passed: false;
  readonly reason: string;
}

export interface AttributeRead {
  readonly attribute: string;
  readonly actual: string | null;
}

export type Explanation =
  | AttributeExplanation
  | GroupExplanation
  | NotExplanation
  | CesqlExplanation
  | BrokenExplanation;

const SHOWN_CHARS_MAX = 200;

/** One line per clause, nested ones indented; each begins with `pass` or `fail`. */
export function explanationLines(explanation: Explanation): readonly string[] {
  const lines: string[] = [];
  addLines(lines, explanation, '');
  return lines;
}

function addLines(lines: string[], explanation: Explanation, indent: string): void {
  lines.push(
    `${indent}${explanation.passed ? 'pass' : 'fail'}  ${explanation.path}: ${sentenceOf(explanation)}`,
  );
  if (explanation.kind === 'not') addLines(lines, explanation.child, `${indent}  `);
  if (explanation.kind !== 'all' && explanation.kind !== 'any') return;
  for (const child of explanation.children) addLines(lines, child, `${indent}  `);
}

function sentenceOf(explanation: Explanation): string {
  switch (explanation.kind) {
    case 'attribute':
      return attributeSentence(explanation);
    case 'all':
      return allSentence(explanation);
    case 'any':
      return `${passedCount(explanation)} of ${explanation.children.length} pass, one must`;
    case 'not':
      return explanation.passed ? 'the filter inside fails' : 'the filter inside passes';
    case 'cesql':
      return cesqlSentence(explanation);
    case 'broken':
      return `cannot be used, so no event passes: ${explanation.reason}`;
  }
}

function allSentence(explanation: GroupExplanation): string {
  const total = explanation.children.length;
  return total === 0 ? 'no filter' : `${passedCount(explanation)} of ${total} pass, all must`;
}

function passedCount(explanation: GroupExplanation): number {
  return explanation.children.filter((child) => child.passed).length;
}

const VERBS = {
  exact: ['is', 'is not'],
  prefix: ['starts with', 'does not start with'],
  suffix: ['ends with', 'does not end with'],
} as const;

function attributeSentence(explanation: AttributeExplanation): string {
  const { attribute, operator, wanted, actual, passed } = explanation;
  if (operator === 'present') {
    const found = actual === null ? 'is missing' : `is ${quoted(actual)}`;
    return `${attribute} ${found}, wanted any non-empty value`;
  }
  const [positive, negative] = VERBS[operator];
  if (actual === null)
    return `${attribute} is missing, wanted one that ${positive} ${quoted(wanted)}`;
  if (passed && operator === 'exact') return `${attribute} is ${quoted(actual)}`;
  return `${attribute} ${quoted(actual)} ${passed ? positive : negative} ${quoted(wanted)}`;
}

function cesqlSentence(explanation: CesqlExplanation): string {
  const { expression, value, error, failedTerm, reads } = explanation;
  const outcome =
    error === null
      ? `is ${typeof value === 'string' ? quoted(value) : String(value)}`
      : `has a ${error.kind} error (${error.message})`;
  const kind = error === null && typeof value !== 'boolean' ? ', which is no Boolean' : '';
  const term = failedTerm === null ? '' : `; not true: ${shortened(failedTerm)}`;
  const values = reads.map(({ attribute, actual }) =>
    actual === null ? `${attribute} is missing` : `${attribute} is ${quoted(actual)}`,
  );
  const where = values.length === 0 ? '' : `; ${values.join(', ')}`;
  return `${shortened(expression)} ${outcome}${kind}${term}${where}`;
}

/** In double quotes with control characters escaped: values come from strangers, lines go to terminals. */
function quoted(text: string): string {
  return JSON.stringify(shortened(text)).replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    escapeCharacter,
  );
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function shortened(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}
