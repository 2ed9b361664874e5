/**
 * The seeds that stay: those that once found a bug, with the fix, and those whose bug is still open.
 * `seeds.json` is read by the command line and by the tests.
 */
import { readFileSync } from 'node:fs';

export interface KeptSeed {
  readonly seed: number;
  readonly store: 'memory' | 'embedded';
  readonly found: string;
  /** What fixed it; `null` while it is open. */
  readonly fix: string | null;
}

export function keptSeeds(): readonly KeptSeed[] {
  const text = readFileSync(new URL('./seeds.json', import.meta.url), 'utf8');
  return JSON.parse(text) as readonly KeptSeed[];
}

/** They fail, and it is known why. */
export function openSeeds(store: KeptSeed['store']): ReadonlySet<number> {
  const open = keptSeeds().filter((each) => each.fix === null && each.store === store);
  return new Set(open.map(({ seed }) => seed));
}
