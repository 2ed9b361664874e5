/** One problem of the files, with its place; made by `manifest-reader.ts`, shown by logs and commands. */

export interface ManifestProblem {
  /** As it is shown. */
  readonly file: string;
  /** Counted from 1; `null` when the whole file is meant. */
  readonly line: number | null;
  readonly column: number | null;
  /** `Trigger default/audit`, or `null` when it cannot be told. */
  readonly object: string | null;
  /** `spec.subscriber.uri`; empty when the whole object is meant. */
  readonly field: string;
  readonly message: string;
  readonly details: string | null;
  /** A warning does not keep the object from being in force. */
  readonly isWarning: boolean;
}

/** `triggers.yaml:12:7 Trigger default/audit: spec.filter.attributes.type: expected text, …` and advice. */
export function formatManifestProblem(problem: ManifestProblem): string {
  const place =
    problem.line === null ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const object = problem.object === null ? '' : `${problem.object}: `;
  const inField = problem.field === '' ? '' : `${problem.field}: `;
  const details = problem.details === null ? '' : ` (${problem.details})`;
  return `${place} ${object}${inField}${problem.message}${details}`;
}
