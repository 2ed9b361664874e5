/** Every row there is. Used by the tests of this folder; `catalogue.test.ts` holds it to I-1 to I-59. */
import type { BadInputRow } from './bad-input-row.ts';
import { FRAMING_ROWS } from './rows/framing-rows.ts';
import { HEADER_ROWS } from './rows/header-rows.ts';
import { JSON_ROWS } from './rows/json-rows.ts';
import { TARGET_ROWS } from './rows/target-rows.ts';

export const CATALOGUE: readonly BadInputRow[] = [
  ...FRAMING_ROWS,
  ...TARGET_ROWS,
  ...HEADER_ROWS,
  ...JSON_ROWS,
];

/** `I-7 chunk extension of 20 KB`, or the name alone. Unique. */
export function rowTitle(row: BadInputRow): string {
  return row.number === null ? row.name : `I-${row.number} ${row.name}`;
}
