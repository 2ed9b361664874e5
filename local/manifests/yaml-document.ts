/**
 * One YAML document to plain data with a way back from each field to its line and column. Strict: a
 * duplicate key, a tag, a bomb of aliases or a key that is no text is a problem, not a surprise. Used
 * by `manifest-reader.ts`. Invariant: the result holds own properties only (`__proto__` is a field).
 */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, Scalar } from 'yaml';
import type { Document, Pair, ParsedNode, YAMLMap } from 'yaml';
import { fieldPath, pathSegments, shortened } from '#api/meta/v1/field-problem';
import { plainScalarValue, quotingAdvice } from './plain-scalar.ts';

/** Counted from 1, in the file. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

export interface YamlProblem extends TextPosition {
  readonly message: string;
  readonly details: string | null;
}

export interface YamlValue {
  readonly value: unknown;
  /** The place of a field's value by its path as the parsers in `api/` write it; as deep as it goes. */
  locate(path: string): TextPosition;
  /** The place of the field's name. */
  locateName(path: string): TextPosition;
  /** For a field that is not text only because it is not quoted: what to do. */
  quotingAdviceAt(path: string): string | null;
}

export type YamlResult =
  | { readonly ok: true; readonly yaml: YamlValue }
  | { readonly ok: false; readonly problems: readonly YamlProblem[] };

/** Values of one document, aliases counted as often as they are used. */
export const NODES_MAX = 100_000;
export const NESTING_MAX = 64;
const PROBLEMS_MAX = 8;
const CORE_TAGS: ReadonlySet<string> = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`),
);

class YamlFault extends Error {
  readonly offset: number;
  readonly details: string | null;

  constructor(offset: number, message: string, details: string | null = null) {
    super(message);
    this.offset = offset;
    this.details = details;
  }
}

/** Parses one document that begins at line `firstLine` of its file. */
export function parseYamlDocument(text: string, firstLine: number): YamlResult {
  const lines = new LineCounter();
  // `failsafe` leaves every scalar as it is written: what it means is decided in plain-scalar.ts.
  const document = parseDocument(text, {
    schema: 'failsafe',
    version: '1.2',
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: 'silent',
  });
  const at = (offset: number): TextPosition => {
    const { line, col } = lines.linePos(offset);
    return { line: firstLine + Math.max(line, 1) - 1, column: Math.max(col, 1) };
  };
  const [first] = document.errors;
  if (first !== undefined) {
    const problems = document.errors.slice(0, PROBLEMS_MAX).map((error) => ({
      ...at(error.pos[0]),
      message: syntaxMessage(error.message),
      details: adviceOf(error.code),
    }));
    return { ok: false, problems };
  }
  try {
    const conversion = new Conversion(document);
    return { ok: true, yaml: conversion.result(at) };
  } catch (error) {
    if (!(error instanceof YamlFault)) throw error;
    const problem = { ...at(error.offset), message: error.message, details: error.details };
    return { ok: false, problems: [problem] };
  }
}

/** Far too deep nesting ends the parser's recursion; it reports that as any other error. */
function syntaxMessage(message: string): string {
  if (/call stack/i.test(message)) return `nested deeper than ${NESTING_MAX} levels`;
  return `not YAML: ${shortened(message)}`;
}

function adviceOf(code: string): string | null {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'indent with spaces';
    case 'DUPLICATE_KEY':
      return 'keep one of the two';
    default:
      return null;
  }
}

type AnyNode = ParsedNode | null;

/** Walks the tree once; aliases are followed, with every step counted. */
class Conversion {
  readonly #document: Document.Parsed;
  readonly #open = new Set<object>();
  #nodeCount = 0;

  constructor(document: Document.Parsed) {
    this.#document = document;
  }

  result(at: (offset: number) => TextPosition): YamlValue {
    const root = this.#document.contents;
    const value = this.#value(root, 0);
    return {
      value,
      locate: (path) => at(this.#find(path).offset),
      locateName: (path) => at(this.#find(path).nameOffset),
      quotingAdviceAt: (path) => {
        const { node } = this.#find(path);
        if (!isScalar(node) || node.type !== Scalar.PLAIN || node.tag !== undefined) return null;
        const source = String(node.value);
        return quotingAdvice(source, plainScalarValue(source));
      },
    };
  }

  #value(node: AnyNode, depth: number): unknown {
    if (node === null) return null;
    const offset = offsetOf(node);
    this.#nodeCount++;
    if (this.#nodeCount > NODES_MAX) {
      throw new YamlFault(
        offset,
        `more than ${NODES_MAX} values in one document, aliases included`,
      );
    }
    if (depth > NESTING_MAX)
      throw new YamlFault(offset, `nested deeper than ${NESTING_MAX} levels`);
    if (isAlias(node))
      return this.#aliased(node.source, node.resolve(this.#document), offset, depth);
    checkTag(node, offset);
    if (isScalar(node)) return scalarValue(node, offset);
    if (this.#open.has(node)) throw new YamlFault(offset, 'an anchor that contains itself');
    this.#open.add(node);
    const value = isMap(node)
      ? this.#map(node, depth)
      : isSeq(node)
        ? node.items.map((item) => this.#value(asNode(item), depth + 1))
        : null;
    this.#open.delete(node);
    return value;
  }

  #aliased(name: string, target: unknown, offset: number, depth: number): unknown {
    if (!isNode(target)) throw new YamlFault(offset, `unknown anchor "${shortened(name)}"`);
    if (this.#open.has(target)) {
      throw new YamlFault(offset, `anchor "${shortened(name)}" contains itself`);
    }
    return this.#value(asNode(target), depth);
  }

  #map(map: YAMLMap, depth: number): unknown {
    const own = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    for (const pair of map.items) {
      const key = this.#key(pair, offsetOf(map));
      const value = this.#value(asNode(pair.value), depth + 1);
      if (key === null) this.#merge(merged, value, offsetOf(asNode(pair.value) ?? map));
      else own.set(key, value);
    }
    // fromEntries defines own properties: a key `__proto__` reaches no prototype.
    return Object.fromEntries([...merged, ...own]);
  }

  /** The key as text; `null` for the merge key `<<`. */
  #key(pair: Pair, mapOffset: number): string | null {
    const raw = asNode(pair.key);
    const key = isAlias(raw) ? asNode(raw.resolve(this.#document) ?? null) : raw;
    if (!isScalar(key)) {
      throw new YamlFault(raw === null ? mapOffset : offsetOf(raw), 'a key must be text');
    }
    const offset = offsetOf(key);
    checkTag(key, offset);
    const source = String(key.value ?? '');
    if (key.type !== Scalar.PLAIN || key.tag !== undefined) return source;
    if (source === '<<') return null;
    const value = plainScalarValue(source);
    if (typeof value === 'string') return value;
    const advice =
      quotingAdvice(source, value) ?? `YAML reads an unquoted ${source} as null; put it in quotes`;
    throw new YamlFault(offset, `a key must be text, got ${value}`, advice);
  }

  /** YAML 1.1 merge: what the map says itself wins, then the earlier of several sources. */
  #merge(into: Map<string, unknown>, value: unknown, offset: number): void {
    const sources: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const source of sources) {
      if (typeof source !== 'object' || source === null || Array.isArray(source)) {
        throw new YamlFault(offset, 'a merge key << takes a map or a list of maps');
      }
      for (const [key, one] of Object.entries(source)) if (!into.has(key)) into.set(key, one);
    }
  }

  /** The node of a path, or the deepest one on the way to it. */
  #find(path: string): Step {
    let node: AnyNode = this.#document.contents;
    let offset = node === null ? 0 : offsetOf(node);
    let nameOffset = offset;
    for (const segment of pathSegments(path)) {
      if (isAlias(node)) node = asNode(node.resolve(this.#document) ?? null);
      const step = isMap(node)
        ? stepInMap(node, segment)
        : isSeq(node)
          ? stepInList(node.items, segment)
          : null;
      if (step === null) return { node: null, offset, nameOffset };
      ({ node, offset, nameOffset } = step);
    }
    return { node, offset, nameOffset };
  }
}

interface Step {
  readonly node: AnyNode;
  readonly offset: number;
  readonly nameOffset: number;
}

/** A field's place is its key's, unless its value stands on the same line and says more. */
function stepInMap(map: YAMLMap, name: string): Step | null {
  for (const pair of map.items) {
    const key = asNode(pair.key);
    if (!isScalar(key) || String(key.value) !== name) continue;
    const value = asNode(pair.value);
    const nameOffset = offsetOf(key);
    const isHere = isScalar(value) && value.value !== '';
    return { node: value, offset: isHere ? offsetOf(value) : nameOffset, nameOffset };
  }
  return null;
}

function stepInList(items: readonly unknown[], segment: string): Step | null {
  const node = asNode(items[Number(segment)] ?? null);
  return node === null ? null : { node, offset: offsetOf(node), nameOffset: offsetOf(node) };
}

function scalarValue(node: Scalar.Parsed, offset: number): unknown {
  const source = String(node.value ?? '');
  if (node.tag === 'tag:yaml.org,2002:str') return source;
  if (node.type !== Scalar.PLAIN && node.tag === undefined) return source;
  const value = plainScalarValue(source);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new YamlFault(offset, `an object cannot hold ${source}`, quotingAdvice(source, value));
  }
  return value;
}

function checkTag(node: ParsedNode, offset: number): void {
  const { tag } = node;
  if (tag === undefined || CORE_TAGS.has(tag)) return;
  throw new YamlFault(offset, `unknown tag ${shortened(tag)}`, 'remove the tag: plain data only');
}

function offsetOf(node: { readonly range?: readonly [number, number, number] | null }): number {
  return node.range?.[0] ?? 0;
}

/** What a parsed document holds is nodes; `yaml` types them loosely. */
function asNode(value: unknown): AnyNode {
  return isNode(value) ? (value as ParsedNode) : null;
}

/** A path of a problem inside an item of a `List`. */
export function itemPath(index: number, path: string): string {
  return fieldPath(`items[${index}]`, path).replace(/\.\[/, '[');
}
