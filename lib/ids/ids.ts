/** The port for identities. `randomUUID` is banned elsewhere, so that a simulation can number things. */
import { randomUUID } from 'node:crypto';

export interface Ids {
  /** A fresh identity, unique for ever. System ids are lower-case UUIDs, version 4. */
  uid(): string;
}

export function createSystemIds(): Ids {
  return { uid: () => randomUUID() };
}

/** Numbered ids for tests: `prefix-1`, `prefix-2`, … */
export function createCountingIds(prefix = 'id'): Ids {
  let count = 0;
  return { uid: () => `${prefix}-${++count}` };
}
