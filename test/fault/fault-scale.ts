/**
 * How much of a fault test runs: short in `npm test`, full with FAULT_SCALE=full. And its
 * seed: FAULT_SEED, or a new one that every failure names.
 */

export const IS_FULL = process.env['FAULT_SCALE'] === 'full';

/** `full` sizes for FAULT_SCALE=full, else `short`. */
export function scaled(size: { readonly short: number; readonly full: number }): number {
  return IS_FULL ? size.full : size.short;
}

export function testSeed(): number {
  const given = process.env['FAULT_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}
