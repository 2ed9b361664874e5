/**
 * What is wrong with an object as its author wrote it: Knative's wording, one path per problem. Made
 * by the parsers in `api/`, shown by `local/manifests` with line and column.
 * Invariant: a path is what `fieldPath` makes, so that it can be walked back to the place in the text.
 */

export interface FieldProblem {
  /** `spec.filters[0].exact`, `metadata.annotations[millrace.dev/paused]`; empty = the whole object. */
  readonly path: string;
  readonly message: string;
  /** Knative's second line: why, and what to write instead; `null` when there is none. */
  readonly details: string | null;
}

/** Parsed, or everything that is wrong with it; `warnings` do not stop the object. */
export type ParseResult<Value> =
  | { readonly ok: true; readonly value: Value; readonly warnings: readonly FieldProblem[] }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** Begins the message of every problem "text was wanted and something else is there". */
export const EXPECTED_TEXT = 'expected text';

export function problem(
  path: string,
  message: string,
  details: string | null = null,
): FieldProblem {
  return { path, message, details };
}

export function missingField(path: string, details: string | null = null): FieldProblem {
  return problem(path, 'missing field(s)', details);
}

export function disallowedField(path: string, details: string | null = null): FieldProblem {
  return problem(path, 'must not set the field(s)', details);
}

export function invalidValue(
  path: string,
  value: unknown,
  details: string | null = null,
): FieldProblem {
  return problem(path, `invalid value: ${shortened(String(value))}`, details);
}

/** A field below `base`; both may be empty. */
export function fieldPath(base: string, name: string): string {
  return base === '' ? name : `${base}.${name}`;
}

/** An entry of a map whose keys are the author's, as `annotations[millrace.dev/paused]`. */
export function keyPath(base: string, key: string): string {
  return `${base}[${shortened(key)}]`;
}

/** The segments of a path, list indexes and map keys included. */
export function pathSegments(path: string): readonly string[] {
  const segments: string[] = [];
  for (const match of path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)) {
    segments.push(match[1] ?? match[2] ?? '');
  }
  return segments;
}

/**
 * Knative's text of several problems: `MESSAGE: path, path` and the details on a line of their own;
 * equal messages merge their paths, paths and messages are sorted.
 */
export function formatProblems(problems: readonly FieldProblem[]): string {
  const groups = new Map<string, { readonly problem: FieldProblem; readonly paths: Set<string> }>();
  for (const one of problems) {
    const key = `${one.message}\u0000${one.details ?? ''}`;
    const group = groups.get(key) ?? { problem: one, paths: new Set<string>() };
    group.paths.add(one.path);
    groups.set(key, group);
  }
  return [...groups.entries()]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([, group]) => {
      const paths = [...group.paths].filter((path) => path !== '').toSorted();
      const head =
        paths.length === 0
          ? group.problem.message
          : `${group.problem.message}: ${paths.join(', ')}`;
      return group.problem.details === null ? head : `${head}\n${group.problem.details}`;
    })
    .join('\n');
}

const SHOWN_CHARS_MAX = 120;

/** Text of the author's that is safe to show: one line, bounded. */
export function shortened(text: string): string {
  const cut = text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f]/g, escapeCharacter);
}

/** Control characters must not reach a terminal. */
function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
