/**
 * Compiles a Trigger's filter into a predicate over events, and explains its answer. Used by
 * `trigger-index.ts`, by own readers (one Trigger, no index) and by the commands that explain.
 * Invariant: fails closed: an error, a result that is no Boolean, or a filter that cannot be compiled
 * is no match.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { createTextReader } from '#lib/filters/attribute-reader';
import { createExpression } from '#lib/filters/cesql/expression';
import { attributesReadBy, type CesqlNode, conjunctsOf } from '#lib/filters/cesql/syntax';
import {
  type AttributeClause,
  type CesqlClause,
  type Clause,
  compileClause,
} from '#lib/filters/clause';
import type { TriggerFilterSpec } from '#lib/filters/dialect';
import type { CesqlExplanation, Explanation } from '#lib/filters/explanation';

export type EventPredicate = (event: CloudEvent) => boolean;

export interface CompiledFilter {
  /** The hot call: allocates nothing unless a CESQL function builds a string. */
  readonly matches: EventPredicate;
  /** Evaluates every clause, also those that `matches` would skip. */
  readonly explain: (event: CloudEvent) => Explanation;
  /** The tree for analysis; `null` when the filter cannot be used, and then nothing matches. */
  readonly clause: Clause | null;
}

/** Compiles an admitted filter. One that skipped admission and is bad compiles to "no event". */
export function compileFilter(filter: TriggerFilterSpec): CompiledFilter {
  const result = compileClause(filter);
  if (!result.ok) {
    const { path, reason } = result;
    return {
      matches: () => false,
      explain: () => ({ kind: 'broken', path, passed: false, reason }),
      clause: null,
    };
  }
  const { clause } = result;
  return { matches: toPredicate(clause), explain: (event) => explainClause(clause, event), clause };
}

function toPredicate(clause: Clause): EventPredicate {
  switch (clause.kind) {
    case 'attribute':
      return attributePredicate(clause);
    case 'cesql':
      return clause.expression.matches;
    case 'not': {
      const inner = toPredicate(clause.clause);
      return (event) => !inner(event);
    }
    case 'all': {
      const inner = clause.clauses.map(toPredicate);
      return (event) => {
        for (const matches of inner) if (!matches(event)) return false;
        return true;
      };
    }
    case 'any': {
      const inner = clause.clauses.map(toPredicate);
      return (event) => {
        for (const matches of inner) if (matches(event)) return true;
        return false;
      };
    }
  }
}

function attributePredicate(clause: AttributeClause): EventPredicate {
  const { read, wanted } = clause;
  switch (clause.operator) {
    case 'exact':
      return (event) => read(event) === wanted;
    case 'prefix':
      return (event) => read(event)?.startsWith(wanted) === true;
    case 'suffix':
      return (event) => read(event)?.endsWith(wanted) === true;
    case 'present':
      return (event) => {
        const text = read(event);
        return text !== null && text !== '';
      };
  }
}

function explainClause(clause: Clause, event: CloudEvent): Explanation {
  const { path } = clause;
  switch (clause.kind) {
    case 'attribute': {
      const { operator, attribute, wanted } = clause;
      const passed = attributePredicate(clause)(event);
      const actual = clause.read(event);
      return { kind: 'attribute', path, passed, operator, attribute, wanted, actual };
    }
    case 'not': {
      const child = explainClause(clause.clause, event);
      return { kind: 'not', path, passed: !child.passed, child };
    }
    case 'all':
    case 'any': {
      const children = clause.clauses.map((one) => explainClause(one, event));
      const passed =
        clause.kind === 'all'
          ? children.every((child) => child.passed)
          : children.some((child) => child.passed);
      return { kind: clause.kind, path, passed, children };
    }
    case 'cesql':
      return explainCesql(clause, event);
  }
}

function explainCesql(clause: CesqlClause, event: CloudEvent): CesqlExplanation {
  const { expression, path } = clause;
  const { value, errors } = expression.evaluate(event);
  return {
    kind: 'cesql',
    path,
    passed: expression.matches(event),
    expression: expression.text,
    value,
    error: errors[0] ?? null,
    failedTerm: failedTermOf(clause, event),
    reads: attributesReadBy(expression.root).map((attribute) => ({
      attribute,
      actual: createTextReader(attribute)(event),
    })),
  };
}

function failedTermOf(clause: CesqlClause, event: CloudEvent): string | null {
  const terms = conjunctsOf(clause.expression.root);
  if (terms.length === 1) return null;
  for (const term of terms) {
    const { start, end } = term;
    const text = clause.expression.text.slice(start, end);
    // Beside a true literal the term is cast to a Boolean just as it is in the chain.
    const right: CesqlNode = { kind: 'literal', value: true, start, end };
    const beside: CesqlNode = { kind: 'logic', operator: 'AND', left: term, right, start, end };
    if (!createExpression(text, beside).matches(event)) return text;
  }
  return null;
}
