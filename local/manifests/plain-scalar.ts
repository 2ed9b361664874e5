/**
 * What a plain (unquoted) YAML scalar means to kubectl, which reads YAML 1.1 as its Go library does:
 * `on`, `n` and `Yes` are booleans, `1_000`, `0o17` and `010` are numbers, `.inf` is infinity, times
 * stay text. Used by `yaml-document.ts`, so that a file means here what it means in a cluster.
 */

export type PlainValue = string | number | boolean | null;

const NULLS: ReadonlySet<string> = new Set(['', '~', 'null', 'Null', 'NULL']);
const TRUE_WORDS = ['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'];
const FALSE_WORDS = ['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'];
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...TRUE_WORDS.map((word) => [word, true] as const),
  ...FALSE_WORDS.map((word) => [word, false] as const),
]);
const FLOATS: ReadonlyMap<string, number> = new Map([
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['', '+'].flatMap((sign) =>
    ['.inf', '.Inf', '.INF'].map((word) => [sign + word, Number.POSITIVE_INFINITY] as const),
  ),
  ...['.inf', '.Inf', '.INF'].map((word) => [`-${word}`, Number.NEGATIVE_INFINITY] as const),
]);
/** A number of more characters is text in every file we were shown. */
const NUMBER_CHARS_MAX = 64;

/** The value of an unquoted scalar. Integers outside the safe range come back rounded, as floats do. */
export function plainScalarValue(text: string): PlainValue {
  if (NULLS.has(text)) return null;
  const boolean = BOOLEANS.get(text);
  if (boolean !== undefined) return boolean;
  const float = FLOATS.get(text);
  if (float !== undefined) return float;
  if (!/^[-+.0-9]/.test(text) || text.length > NUMBER_CHARS_MAX) return text;
  const plain = text.replaceAll('_', '');
  return integerValue(plain) ?? floatValue(plain) ?? text;
}

/** Go's `ParseInt(text, 0, 64)`: the prefix decides the base, and a leading zero means octal. */
function integerValue(plain: string): number | null {
  const match = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/.exec(
    plain,
  );
  if (match === null) return null;
  const [, sign, hex, binary, octal, decimal] = match;
  const size =
    hex !== undefined
      ? Number.parseInt(hex, 16)
      : binary !== undefined
        ? Number.parseInt(binary, 2)
        : octal !== undefined
          ? Number.parseInt(octal, 8)
          : Number(decimal);
  return sign === '-' && size !== 0 ? -size : size;
}

function floatValue(plain: string): number | null {
  return /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(plain) ? Number(plain) : null;
}

/** What to do about an unquoted word that is not text; `null` when it is text, or nothing. */
export function quotingAdvice(source: string, value: PlainValue): string | null {
  if (typeof value === 'string' || value === null) return null;
  const advice = `put it in quotes: "${source}"`;
  return source === String(value)
    ? advice
    : `YAML reads an unquoted ${source} as ${value}; ${advice}`;
}
