/**
 * A CESQL expression, ready to evaluate: the door to this folder for filters and tests.
 * Invariant: evaluation never throws, never changes the event and keeps nothing of it.
 */
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { compileNode } from '#lib/filters/cesql/compiler';
import type { Evaluation } from '#lib/filters/cesql/evaluation';
import { parseCesql } from '#lib/filters/cesql/parser';
import {
  CESQL_STEPS_MAX,
  type CesqlError,
  type CesqlNode,
  type CesqlValue,
} from '#lib/filters/cesql/syntax';

/** Both outputs of an evaluation. Evaluation is fail-fast, so there is at most one error. */
export interface CesqlResult {
  readonly value: CesqlValue;
  readonly errors: readonly CesqlError[];
}

export interface CesqlExpression {
  readonly text: string;
  readonly root: CesqlNode;
  readonly evaluate: (event: CloudEvent) => CesqlResult;
  /** True only for the Boolean true without an error. Allocates nothing of its own. */
  readonly matches: (event: CloudEvent) => boolean;
}

export type CesqlCompileResult =
  | { readonly ok: true; readonly expression: CesqlExpression }
  | { readonly ok: false; readonly error: CesqlError };

/** Parses and compiles `text`; the error is of kind `parse` and says where. */
export function compileCesql(text: string): CesqlCompileResult {
  const parsed = parseCesql(text);
  if (!parsed.ok) return parsed;
  return { ok: true, expression: createExpression(text, parsed.root) };
}

/** An expression for a part of a tree, for telling which part of a filter failed. */
export function createExpression(text: string, root: CesqlNode): CesqlExpression {
  const run = compileNode(root);
  const evaluation: Evaluation = { error: null, stepsLeft: 0 };
  const evaluateOnce = (event: CloudEvent): CesqlValue => {
    evaluation.error = null;
    evaluation.stepsLeft = CESQL_STEPS_MAX;
    return run(event, evaluation);
  };
  return {
    text,
    root,
    evaluate: (event) => {
      const value = evaluateOnce(event);
      return { value, errors: evaluation.error === null ? [] : [evaluation.error] };
    },
    matches: (event) => evaluateOnce(event) === true && evaluation.error === null,
  };
}
