/** The port for chance. `Math.random` is banned elsewhere, so that one seed replays a whole run. */

export interface Random {
  /** A float in [0, 1). */
  float(): number;
  /** An integer in [0, below). */
  below(below: number): number;
}

/** Real chance; not for secrets (use `lib/ids` for identities and node:crypto for keys). */
export function createSystemRandom(): Random {
  return { float: () => Math.random(), below: (below) => Math.floor(Math.random() * below) };
}

/** A small fast seeded generator (mulberry32): same seed, same numbers. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0;
  const float = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { float, below: (below) => Math.floor(float() * below) };
}
