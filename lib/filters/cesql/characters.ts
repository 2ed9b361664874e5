/**
 * Characters of CESQL are code points; JavaScript's strings count UTF-16 units. Used by LIKE, the
 * string functions and the lexer. An unpaired surrogate counts as one character.
 */

/** UTF-16 units of the character that starts at `position`. */
export function widthAt(text: string, position: number): number {
  const isPair = isHigh(text.charCodeAt(position)) && isLow(text.charCodeAt(position + 1));
  return isPair ? 2 : 1;
}

/** UTF-16 units of the character that ends before `position`. */
export function widthBefore(text: string, position: number): number {
  const isPair = isLow(text.charCodeAt(position - 1)) && isHigh(text.charCodeAt(position - 2));
  return isPair ? 2 : 1;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
