/**
 * The LIKE operator: `%` is any run of characters, `_` one character (a code point), a backslash
 * before either makes it literal. Used by `compiler.ts`; `anchors.ts` reads the literal ends.
 * Invariant: never backtracks over a `%`. Time is linear in the text, but for a run that has `_`
 * between literals: that costs text × run at worst and is cut off by the caller's limit.
 */
import { widthAt, widthBefore } from '#lib/filters/cesql/characters';

/** `tooMuchWork` means that the limit was reached before an answer. */
export type LikeOutcome = 'match' | 'mismatch' | 'tooMuchWork';

export interface LikePattern {
  /** Decides in at most about `workMax` character comparisons. */
  readonly match: (text: string, workMax: number) => LikeOutcome;
  /** The literal that the whole text must equal; `null` when the pattern has a wildcard. */
  readonly literal: string | null;
  /** What every matching text starts and ends with; may be empty. */
  readonly literalStart: string;
  readonly literalEnd: string;
}

/** A code unit of a literal, or one of the two wildcards. */
const ANY_ONE = -1;
const ANY_RUN = -2;

/** Up to this length the plain search of the engine is linear enough: its worst case is text × 32. */
const PLAIN_SEARCH_CHARS_MAX = 32;

/** What stands between two `%`. */
interface Run {
  /** Characters (code points) that must lie between the end of the run before and this one. */
  readonly skip: number;
  /** Code units, with {@link ANY_ONE} for `_`. */
  readonly elements: readonly number[];
  /** The elements as text when none is a wildcard. */
  readonly text: string | null;
  /** For a long plain run: how far a partial match may fall back (Knuth, Morris, Pratt). */
  readonly fallback: Int32Array | null;
}

export function compileLike(pattern: string): LikePattern {
  const { head, rest } = runsOf(elementsOf(pattern));
  const tail = rest.at(-1);
  const literalStart = literalBefore(head.elements);
  if (tail === undefined) {
    const { elements } = head;
    return {
      match: (text) => (endOfMatch(elements, text, 0) === text.length ? 'match' : 'mismatch'),
      literal: head.text,
      literalStart,
      literalEnd: literalAfter(elements),
    };
  }
  const middles = rest.slice(0, -1);
  return {
    match: (text, workMax) => matchRuns(head, middles, tail, text, workMax),
    literal: null,
    literalStart,
    literalEnd: literalAfter(tail.elements),
  };
}

function elementsOf(pattern: string): readonly number[] {
  const elements: number[] = [];
  for (let index = 0; index < pattern.length; index += 1) {
    const character = pattern.charAt(index);
    const next = pattern.charAt(index + 1);
    if (character === '\\' && (next === '%' || next === '_')) {
      elements.push(next.charCodeAt(0));
      index += 1;
    } else if (character === '%') elements.push(ANY_RUN);
    else if (character === '_') elements.push(ANY_ONE);
    else elements.push(character.charCodeAt(0));
  }
  return elements;
}

/**
 * Splits at the runs of wildcards that hold a `%`; their `_` become the skip of the run that follows.
 * So only the head can begin, and only the last can end, with a wildcard. No rest = no `%` at all.
 */
function runsOf(elements: readonly number[]): {
  readonly head: Run;
  readonly rest: readonly Run[];
} {
  const rest: Run[] = [];
  let head: Run | null = null;
  let current: number[] = [];
  let skip = 0;
  let index = 0;
  while (index < elements.length) {
    const gapEnd = endOfWildcards(elements, index);
    const gap = elements.slice(index, gapEnd);
    if (gap.includes(ANY_RUN)) {
      if (head === null) head = createRun(skip, current);
      else rest.push(createRun(skip, current));
      current = [];
      skip = gap.filter((element) => element === ANY_ONE).length;
      index = gapEnd;
    } else {
      const end = Math.max(gapEnd, index + 1);
      current.push(...elements.slice(index, end));
      index = end;
    }
  }
  const last = createRun(skip, current);
  if (head === null) return { head: last, rest };
  rest.push(last);
  return { head, rest };
}

function endOfWildcards(elements: readonly number[], from: number): number {
  let end = from;
  while (elements[end] === ANY_ONE || elements[end] === ANY_RUN) end += 1;
  return end;
}

function createRun(skip: number, elements: readonly number[]): Run {
  const text = elements.includes(ANY_ONE) ? null : unitsToText(elements);
  const isLong = text !== null && text.length > PLAIN_SEARCH_CHARS_MAX;
  return { skip, elements, text, fallback: isLong ? fallbackTable(elements) : null };
}

function literalBefore(elements: readonly number[]): string {
  const end = elements.indexOf(ANY_ONE);
  return unitsToText(end === -1 ? elements : elements.slice(0, end));
}

function literalAfter(elements: readonly number[]): string {
  return unitsToText(elements.slice(elements.lastIndexOf(ANY_ONE) + 1));
}

function unitsToText(units: readonly number[]): string {
  return units.map((unit) => String.fromCharCode(unit)).join('');
}

/** Leftmost match of every run in turn: what lies between is free, so no earlier choice is undone. */
function matchRuns(
  head: Run,
  middles: readonly Run[],
  tail: Run,
  text: string,
  workMax: number,
): LikeOutcome {
  let position = endOfMatch(head.elements, text, 0);
  let workLeft = workMax;
  for (const run of middles) {
    if (position !== -1) position = skipCharacters(text, position, run.skip);
    if (position === -1) return 'mismatch';
    if (run.text === null) {
      const { end, work } = findWithWildcards(run.elements, text, position, workLeft);
      workLeft -= work;
      if (workLeft < 0) return 'tooMuchWork';
      position = end;
    } else {
      position = findPlain(run, run.text, text, position);
    }
  }
  if (position !== -1) position = skipCharacters(text, position, tail.skip);
  if (position === -1) return 'mismatch';
  const tailStart = startOfMatch(tail.elements, text);
  return tailStart >= position ? 'match' : 'mismatch';
}

/** Where `elements` end when they match `text` at `from`, or -1. */
function endOfMatch(elements: readonly number[], text: string, from: number): number {
  let position = from;
  for (const element of elements) {
    if (position >= text.length) return -1;
    if (element === ANY_ONE) position += widthAt(text, position);
    else if (text.charCodeAt(position) === element) position += 1;
    else return -1;
  }
  return position;
}

/** Where `elements` start when they match the end of `text`, or -1. */
function startOfMatch(elements: readonly number[], text: string): number {
  let position = text.length;
  for (let index = elements.length - 1; index >= 0; index -= 1) {
    if (position <= 0) return -1;
    const element = elements[index];
    if (element === ANY_ONE) position -= widthBefore(text, position);
    else if (text.charCodeAt(position - 1) === element) position -= 1;
    else return -1;
  }
  return position;
}

function findPlain(run: Run, wanted: string, text: string, from: number): number {
  if (run.fallback === null) {
    const found = text.indexOf(wanted, from);
    return found === -1 ? -1 : found + wanted.length;
  }
  let matched = 0;
  for (let position = from; position < text.length; position += 1) {
    const unit = text.charCodeAt(position);
    while (matched > 0 && run.elements[matched] !== unit) matched = run.fallback[matched - 1] ?? 0;
    if (run.elements[matched] === unit) matched += 1;
    if (matched === wanted.length) return position + 1;
  }
  return -1;
}

/** For each prefix of `elements`: the length of its longest proper prefix that is also its suffix. */
function fallbackTable(elements: readonly number[]): Int32Array {
  const table = new Int32Array(elements.length);
  let matched = 0;
  for (let index = 1; index < elements.length; index += 1) {
    while (matched > 0 && elements[matched] !== elements[index]) matched = table[matched - 1] ?? 0;
    if (elements[matched] === elements[index]) matched += 1;
    table[index] = matched;
  }
  return table;
}

function findWithWildcards(
  elements: readonly number[],
  text: string,
  from: number,
  workMax: number,
): { readonly end: number; readonly work: number } {
  let work = 0;
  for (let start = from; start < text.length && work <= workMax; start += 1) {
    let position = start;
    let matched = 0;
    while (matched < elements.length && position < text.length) {
      const element = elements[matched];
      work += 1;
      if (element === ANY_ONE) position += widthAt(text, position);
      else if (text.charCodeAt(position) === element) position += 1;
      else break;
      matched += 1;
    }
    if (matched === elements.length) return { end: position, work };
  }
  return { end: -1, work };
}

function skipCharacters(text: string, from: number, count: number): number {
  let position = from;
  for (let left = count; left > 0; left -= 1) {
    if (position >= text.length) return -1;
    position += widthAt(text, position);
  }
  return position;
}
