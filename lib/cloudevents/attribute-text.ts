/**
 * What a String attribute and an attribute name may hold. Used by every decoder of this folder.
 * Source: CloudEvents 1.0.2, "Type System" and "Attribute Naming Convention".
 */

const SURROGATE_FIRST = 0xd800;
const SURROGATE_LOW_FIRST = 0xdc00;
const SURROGATE_LAST = 0xdfff;

/**
 * True when no character is forbidden: C0 and C1 controls, DEL, noncharacters, unpaired surrogates.
 */
export function isAttributeText(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x20 && unit < 0x7f) continue;
    if (unit < 0xa0) return false;
    if (unit < SURROGATE_FIRST) continue;
    if (unit <= SURROGATE_LAST) {
      if (!isLegalPair(text, index)) return false;
      index += 1;
    } else if ((unit >= 0xfdd0 && unit <= 0xfdef) || unit >= 0xfffe) {
      return false;
    }
  }
  return true;
}

/** A high and a low surrogate that do not make U+nFFFE or U+nFFFF. */
function isLegalPair(text: string, index: number): boolean {
  if (text.charCodeAt(index) >= SURROGATE_LOW_FIRST) return false;
  const low = text.charCodeAt(index + 1);
  if (!(low >= SURROGATE_LOW_FIRST && low <= SURROGATE_LAST)) return false;
  const codePoint = text.codePointAt(index) ?? 0;
  return (codePoint & 0xfffe) !== 0xfffe;
}

/** True for the empty string and for spaces only. */
export function isBlank(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) !== 0x20) return false;
  }
  return true;
}

/** `[a-z0-9]{1,lengthMax}`. */
export function isAttributeName(name: string, lengthMax: number): boolean {
  if (name.length === 0 || name.length > lengthMax) return false;
  for (let index = 0; index < name.length; index += 1) {
    const unit = name.charCodeAt(index);
    const isLetter = unit >= 0x61 && unit <= 0x7a;
    const isDigit = unit >= 0x30 && unit <= 0x39;
    if (!isLetter && !isDigit) return false;
  }
  return true;
}
