/**
 * Strict reading of an object as decoded from YAML or JSON: typed access to fields, unknown fields
 * refused with the nearest valid name, every problem collected with its path. Used by the parsers in
 * `api/`. Invariant: only own properties are read, so a key such as `__proto__` is a plain unknown
 * field, and a `null` counts as absent, as in the Kubernetes API.
 */
import { EXPECTED_TEXT, fieldPath, keyPath, problem, shortened } from './field-problem.ts';
import type { FieldProblem } from './field-problem.ts';
import { nearestName } from '#lib/config/nearest-name';

export type Fields = Readonly<Record<string, unknown>>;

/** More than this only repeats itself. */
export const PROBLEMS_MAX = 32;

/** Collects the problems and warnings of one object. */
export class FieldReader {
  readonly problems: FieldProblem[] = [];
  readonly warnings: FieldProblem[] = [];

  refuse(one: FieldProblem): null {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(one);
    return null;
  }

  warn(one: FieldProblem): void {
    if (this.warnings.length < PROBLEMS_MAX) this.warnings.push(one);
  }

  /** The value as a map whose field names are all among `allowed`; `null` when absent or wrong. */
  map(path: string, value: unknown, allowed: readonly string[]): Fields | null {
    const fields = this.openMap(path, value);
    if (fields === null) return null;
    for (const name of Object.keys(fields)) {
      if (!allowed.includes(name)) this.refuseUnknown(path, name, allowed);
    }
    return fields;
  }

  /** The value as a map with any keys. */
  openMap(path: string, value: unknown): Fields | null {
    if (value === undefined || value === null) return null;
    if (isFields(value)) return value;
    return this.refuse(problem(path, `expected a map of fields, got ${kindOf(value)}`));
  }

  list(path: string, value: unknown): readonly unknown[] | null {
    if (value === undefined || value === null) return null;
    if (Array.isArray(value)) return value;
    return this.refuse(problem(path, `expected a list, got ${kindOf(value)}`));
  }

  text(path: string, value: unknown): string | null {
    if (value === undefined || value === null) return null;
    if (typeof value === 'string') return value;
    return this.refuse(problem(path, `${EXPECTED_TEXT}, got ${kindOf(value)}`));
  }

  /** A map of the author's keys to text: labels, annotations. */
  textMap(path: string, value: unknown): Readonly<Record<string, string>> {
    const entries: [string, string][] = [];
    for (const [key, one] of Object.entries(this.openMap(path, value) ?? {})) {
      const text = this.text(keyPath(path, key), one);
      if (text !== null) entries.push([key, text]);
    }
    return Object.fromEntries(entries);
  }

  refuseUnknown(path: string, name: string, allowed: readonly string[]): void {
    const nearest = nearestName(name, allowed);
    const shown = shortened(name);
    this.refuse(
      problem(
        fieldPath(path, shown),
        `unknown field "${shown}"`,
        nearest === null ? `known fields: ${allowed.join(', ')}` : `did you mean "${nearest}"?`,
      ),
    );
  }
}

/** An own field of the map, `undefined` when it is not there. */
export function field(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is there, in words: `a map`, `a list`, `the boolean true`, `the number 5`, `text`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'object':
      return 'a map';
    case 'string':
      return `the text "${shortened(value)}"`;
    case 'boolean':
      return `the boolean ${value}`;
    case 'number':
      return `the number ${value}`;
    default:
      return `a ${typeof value}`;
  }
}
