/**
 * Finds what an event must have for a filter to pass, in a form that an index can look up: an
 * attribute that equals, starts or ends with a literal. Used by `trigger-index.ts` and the advice.
 * Invariant: a requirement is necessary, never sufficient. An event that passes the filter satisfies at
 * least one anchor of every requirement; leaving requirements out is always correct.
 */
import { isAlwaysText } from '#lib/filters/attribute-reader';
import type { Clause } from '#lib/filters/clause';
import { compileLike } from '#lib/filters/cesql/like-pattern';
import type { CesqlNode, ComparisonNode, InNode, LikeNode } from '#lib/filters/cesql/syntax';

export type AnchorKind = 'exact' | 'prefix' | 'suffix';

export interface Anchor {
  readonly kind: AnchorKind;
  readonly attribute: string;
  readonly value: string;
}

/** Alternatives: one of them must hold. Never empty. */
export interface Requirement {
  readonly anchors: readonly Anchor[];
}

/** A requirement with more alternatives is not worth its entries in an index. */
export const ANCHORS_PER_REQUIREMENT_MAX = 256;

/** Lower is likelier to tell events apart. */
const ATTRIBUTE_RANKS: ReadonlyMap<string, number> = new Map([
  ['type', 0],
  ['source', 1],
  ['subject', 2],
  ['id', 2],
  ['time', 4],
  ['dataschema', 4],
  ['datacontenttype', 6],
  ['datamediatype', 6],
  ['specversion', 7],
]);
const EXTENSION_RANK = 3;
const AFFIX_PENALTY = 8;

/** Every requirement of `clause` that can be found by looking at it, most useful first. */
export function requirementsOf(clause: Clause): readonly Requirement[] {
  return requirementsOfClause(clause)
    .map(withoutDuplicates)
    .toSorted((one, other) => rankOf(one) - rankOf(other));
}

/** How well a requirement tells events apart, from its shape alone: lower is better. */
export function rankOf(requirement: Requirement): number {
  const ranks = requirement.anchors.map(
    ({ kind, attribute }) =>
      (ATTRIBUTE_RANKS.get(attribute) ?? EXTENSION_RANK) + (kind === 'exact' ? 0 : AFFIX_PENALTY),
  );
  return Math.max(...ranks);
}

function requirementsOfClause(clause: Clause): readonly Requirement[] {
  switch (clause.kind) {
    case 'attribute':
      return clause.operator === 'present'
        ? []
        : [single(clause.operator, clause.attribute, clause.wanted)];
    case 'all':
      return clause.clauses.flatMap(requirementsOfClause);
    case 'any':
      return alternatives(clause.clauses.map(requirementsOfClause));
    case 'not':
      return [];
    case 'cesql':
      return requirementsOfNode(clause.expression.root);
  }
}

/** An operand of AND or OR that is false or fails cannot be outvoted, so each side's are kept. */
function requirementsOfNode(node: CesqlNode): readonly Requirement[] {
  switch (node.kind) {
    case 'logic': {
      const left = requirementsOfNode(node.left);
      const right = requirementsOfNode(node.right);
      if (node.operator === 'AND') return [...left, ...right];
      return node.operator === 'OR' ? alternatives([left, right]) : [];
    }
    case 'comparison':
      return node.operator === '=' ? requirementsOfEquality(node) : [];
    case 'in':
      return requirementsOfIn(node);
    case 'like':
      return requirementsOfLike(node);
    default:
      return [];
  }
}

/**
 * `=` casts its left side to the type of its right side. A text on the right compares texts, whatever
 * the attribute; an attribute on the right does so only if it is a String in every event.
 */
function requirementsOfEquality({ left, right }: ComparisonNode): readonly Requirement[] {
  if (left.kind === 'attribute' && right.kind === 'literal' && typeof right.value === 'string') {
    return [single('exact', left.name, right.value)];
  }
  if (left.kind === 'literal' && right.kind === 'attribute' && isAlwaysText(right.name)) {
    return [single('exact', right.name, String(left.value))];
  }
  return [];
}

/** IN casts its elements to the type of its left side. */
function requirementsOfIn({ operand, elements, isNegated }: InNode): readonly Requirement[] {
  if (isNegated || operand.kind !== 'attribute' || !isAlwaysText(operand.name)) return [];
  const anchors: Anchor[] = [];
  for (const element of elements) {
    if (element.kind !== 'literal') return [];
    anchors.push({ kind: 'exact', attribute: operand.name, value: String(element.value) });
  }
  return [{ anchors }];
}

function requirementsOfLike({ operand, pattern, isNegated }: LikeNode): readonly Requirement[] {
  if (isNegated || operand.kind !== 'attribute') return [];
  const { literal, literalStart, literalEnd } = compileLike(pattern);
  if (literal !== null) return [single('exact', operand.name, literal)];
  const found: Requirement[] = [];
  if (literalStart !== '') found.push(single('prefix', operand.name, literalStart));
  if (literalEnd !== '') found.push(single('suffix', operand.name, literalEnd));
  return found;
}

/** One of several filters must pass, so one requirement of each, together, is required. */
function alternatives(branches: readonly (readonly Requirement[])[]): readonly Requirement[] {
  const anchors: Anchor[] = [];
  for (const branch of branches) {
    const best = bestOf(branch);
    if (best === null) return [];
    anchors.push(...best.anchors);
    if (anchors.length > ANCHORS_PER_REQUIREMENT_MAX) return [];
  }
  return [{ anchors }];
}

function bestOf(requirements: readonly Requirement[]): Requirement | null {
  return requirements.toSorted((one, other) => rankOf(one) - rankOf(other))[0] ?? null;
}

function single(kind: AnchorKind, attribute: string, value: string): Requirement {
  return { anchors: [{ kind, attribute, value }] };
}

function withoutDuplicates({ anchors }: Requirement): Requirement {
  const byKey = new Map(anchors.map((anchor) => [keyOf(anchor), anchor]));
  return { anchors: [...byKey.values()] };
}

function keyOf({ kind, attribute, value }: Anchor): string {
  return `${kind} ${attribute} ${value}`;
}
