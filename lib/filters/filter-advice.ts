/**
 * What is legal in a filter and yet surely not meant: clauses that are never true. Used for a Trigger's
 * condition, as a warning; it never refuses anything.
 * Invariant: says "never" only of what no event at all can change.
 */
import { type Anchor, requirementsOf } from '#lib/filters/anchors';
import { type Clause, compileClause } from '#lib/filters/clause';
import { isAlwaysText } from '#lib/filters/attribute-reader';
import { findFunction } from '#lib/filters/cesql/functions';
import { type CesqlNode, type CesqlType, typeOfValue, visit } from '#lib/filters/cesql/syntax';
import type { TriggerFilterSpec } from '#lib/filters/dialect';

/** One sentence per oddity; empty for nearly every filter. */
export function filterAdvice(filter: TriggerFilterSpec): readonly string[] {
  const result = compileClause(filter);
  if (!result.ok) return [`${result.path}: cannot be used, so no event matches: ${result.reason}`];
  const advice: string[] = [];
  addCesqlAdvice(advice, result.clause);
  const anchors = requirementsOf(result.clause).flatMap((requirement) =>
    requirement.anchors.length === 1 ? requirement.anchors : [],
  );
  const conflict = conflictIn(anchors);
  if (conflict !== null) advice.push(`no event can match: ${conflict}`);
  return advice;
}

function addCesqlAdvice(advice: string[], clause: Clause): void {
  switch (clause.kind) {
    case 'attribute':
      return;
    case 'not':
      addCesqlAdvice(advice, clause.clause);
      return;
    case 'all':
    case 'any':
      for (const inner of clause.clauses) addCesqlAdvice(advice, inner);
      return;
    case 'cesql': {
      const { root } = clause.expression;
      const type = staticTypeOf(root);
      if (type !== null && type !== 'Boolean') {
        advice.push(
          `${clause.path}: never true, the result is always of type ${type}, not Boolean`,
        );
      }
      for (const name of unknownFunctionsIn(root)) {
        advice.push(`${clause.path}: never true once it gets to ${name}, which does not exist`);
      }
    }
  }
}

/** The type of every result without error, or `null` when it depends on the event. */
export function staticTypeOf(node: CesqlNode): CesqlType | null {
  switch (node.kind) {
    case 'literal':
      return typeOfValue(node.value);
    case 'attribute':
      return isAlwaysText(node.name) ? 'String' : null;
    case 'negate':
    case 'arithmetic':
      return 'Integer';
    case 'call':
      return findFunction(node.name, node.args.length)?.returns ?? null;
    default:
      return 'Boolean';
  }
}

function unknownFunctionsIn(root: CesqlNode): readonly string[] {
  const names = new Set<string>();
  visit(root, (node) => {
    if (node.kind !== 'call' || findFunction(node.name, node.args.length) !== null) return;
    const count = node.args.length;
    names.add(`${node.name} with ${count} ${count === 1 ? 'argument' : 'arguments'}`);
  });
  return [...names];
}

/** The first pair that no text satisfies together. Quadratic in at most a few hundred anchors. */
function conflictIn(anchors: readonly Anchor[]): string | null {
  for (const [index, anchor] of anchors.entries()) {
    const { attribute, kind, value } = anchor;
    if (attribute === 'specversion' && kind === 'exact' && value !== '1.0' && value !== '0.3') {
      return `specversion is 1.0 or 0.3, never ${JSON.stringify(value)}`;
    }
    for (const other of anchors.slice(index + 1)) {
      if (other.attribute === attribute && !canBothHold(anchor, other)) {
        return `${attribute} must ${phraseOf(anchor)} and ${phraseOf(other)}`;
      }
    }
  }
  return null;
}

/** Of one attribute the exact anchors come first, so `other` is exact only if `one` is. */
function canBothHold(one: Anchor, other: Anchor): boolean {
  if (one.kind === 'exact') return holdsFor(other, one.value);
  if (one.kind !== other.kind) return true;
  const [shorter, longer] = one.value.length <= other.value.length ? [one, other] : [other, one];
  return holdsFor(shorter, longer.value);
}

function holdsFor({ kind, value }: Anchor, text: string): boolean {
  if (kind === 'exact') return text === value;
  return kind === 'prefix' ? text.startsWith(value) : text.endsWith(value);
}

const PHRASES = { exact: 'be', prefix: 'start with', suffix: 'end with' } as const;

function phraseOf({ kind, value }: Anchor): string {
  return `${PHRASES[kind]} ${JSON.stringify(value)}`;
}
