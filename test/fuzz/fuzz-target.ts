/**
 * What the runner fuzzes: a name, and a check that any bytes must pass. Each target has a file in
 * `targets/` and its inputs in `corpus/<name>/`. Invariant: a check depends on its input alone, so
 * that the input is all one needs to see a failure again.
 */

export interface FuzzTarget {
  /** Also the name of its folder in the corpus. */
  readonly name: string;
  /** Words that mean something to the target; mutations put them in. One byte per character. */
  readonly dictionary: readonly string[];
  readonly inputBytesMax: number;
  /** Makes what the checks need. */
  open(): Promise<FuzzCheck>;
}

export interface FuzzCheck {
  /** Throws, or rejects, when the input shows a bug. */
  check(input: Buffer): void | Promise<void>;
  /** Throws when what all inputs together left behind is wrong. */
  close(): Promise<void>;
}

const INPUT_BYTES_MAX = 4_096;

/** A target of a function without surroundings. */
export function createTarget(
  name: string,
  dictionary: readonly string[],
  check: (input: Buffer) => void | Promise<void>,
): FuzzTarget {
  const opened: FuzzCheck = { check, close: async () => undefined };
  return { name, dictionary, inputBytesMax: INPUT_BYTES_MAX, open: async () => opened };
}
