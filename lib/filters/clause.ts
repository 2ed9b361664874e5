/**
 * A Trigger's filter as one tree of clauses, with names resolved to readers and CESQL compiled: what
 * `predicate.ts`, `anchors.ts` and `filter-advice.ts` work on.
 * Invariant: fails closed. A filter with a part that cannot be compiled has no clause tree at all, so
 * that no NOT above the bad part can turn it into a match.
 */
import { essence } from '#lib/cloudevents/media-type';
import { createTextReader, type TextReader } from '#lib/filters/attribute-reader';
import { type CesqlExpression, compileCesql } from '#lib/filters/cesql/expression';
import type { AttributeMap, FilterExpression, TriggerFilterSpec } from '#lib/filters/dialect';

/** `present` is `filter.attributes` with the value "": any non-empty value. */
export type AttributeOperator = 'exact' | 'prefix' | 'suffix' | 'present';

export interface AttributeClause {
  readonly kind: 'attribute';
  readonly path: string;
  readonly operator: AttributeOperator;
  readonly attribute: string;
  readonly wanted: string;
  readonly read: TextReader;
}
/** `all` without clauses lets everything pass; it stands for a Trigger without filter only. */
export interface GroupClause {
  readonly kind: 'all' | 'any';
  readonly path: string;
  readonly clauses: readonly Clause[];
}
export interface NotClause {
  readonly kind: 'not';
  readonly path: string;
  readonly clause: Clause;
}
export interface CesqlClause {
  readonly kind: 'cesql';
  readonly path: string;
  readonly expression: CesqlExpression;
}

export type Clause = AttributeClause | GroupClause | NotClause | CesqlClause;

/** The tree, or why there is none, which only a filter that skipped admission can bring about. */
export type ClauseResult =
  | { readonly ok: true; readonly clause: Clause }
  | { readonly ok: false; readonly path: string; readonly reason: string };

export function compileClause(filter: TriggerFilterSpec): ClauseResult {
  if (filter.filters !== null && filter.filters.length > 0) {
    return compileGroup('all', 'spec.filters', filter.filters);
  }
  const path = 'spec.filter.attributes';
  const clauses = Object.entries(filter.attributes ?? {}).map(([name, wanted]) =>
    createAttributeClause(path, wanted === '' ? 'present' : 'exact', name, wanted),
  );
  return { ok: true, clause: groupOf('all', path, clauses) };
}

function compileExpression(path: string, expression: FilterExpression): ClauseResult {
  if ('exact' in expression) return compileMap(`${path}.exact`, 'exact', expression.exact);
  if ('prefix' in expression) return compileMap(`${path}.prefix`, 'prefix', expression.prefix);
  if ('suffix' in expression) return compileMap(`${path}.suffix`, 'suffix', expression.suffix);
  if ('all' in expression) return compileGroup('all', `${path}.all`, expression.all);
  if ('any' in expression) return compileGroup('any', `${path}.any`, expression.any);
  if ('not' in expression) {
    const inner = compileExpression(`${path}.not`, expression.not);
    return inner.ok ? { ok: true, clause: { kind: 'not', path, clause: inner.clause } } : inner;
  }
  const compiled = compileCesql(expression.cesql);
  if (!compiled.ok) return broken(`${path}.cesql`, compiled.error.message);
  const clause = { kind: 'cesql', path: `${path}.cesql`, expression: compiled.expression } as const;
  return { ok: true, clause };
}

function compileGroup(
  kind: 'all' | 'any',
  path: string,
  expressions: readonly FilterExpression[],
): ClauseResult {
  if (expressions.length === 0) return broken(path, 'no filter in the list');
  const clauses: Clause[] = [];
  for (const [index, expression] of expressions.entries()) {
    const result = compileExpression(`${path}[${index}]`, expression);
    if (!result.ok) return result;
    clauses.push(result.clause);
  }
  return { ok: true, clause: groupOf(kind, path, clauses) };
}

function compileMap(path: string, operator: AttributeOperator, map: AttributeMap): ClauseResult {
  const entries = Object.entries(map);
  if (entries.length === 0) return broken(path, 'no attribute in the map');
  if (entries.some(([, wanted]) => wanted === '')) return broken(path, 'empty value');
  const clauses = entries.map(([name, wanted]) =>
    createAttributeClause(path, operator, name, wanted),
  );
  return { ok: true, clause: groupOf('all', path, clauses) };
}

function broken(path: string, reason: string): ClauseResult {
  return { ok: false, path, reason };
}

function groupOf(kind: 'all' | 'any', path: string, clauses: readonly Clause[]): Clause {
  const [first] = clauses;
  return first !== undefined && clauses.length === 1 ? first : { kind, path, clauses };
}

function createAttributeClause(
  path: string,
  operator: AttributeOperator,
  attribute: string,
  wanted: string,
): AttributeClause {
  const read = createFilterReader(attribute);
  return { kind: 'attribute', path: `${path}.${attribute}`, operator, attribute, wanted, read };
}

/**
 * Filters know one name more than events: Knative's `datamediatype`, the content type without its
 * parameters. An extension of that name comes first.
 */
export function createFilterReader(name: string): TextReader {
  const read = createTextReader(name);
  if (name !== 'datamediatype') return read;
  return (event) => {
    const extension = read(event);
    if (extension !== null) return extension;
    return event.datacontenttype === null ? null : essence(event.datacontenttype);
  };
}
