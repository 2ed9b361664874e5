/**
 * Invariants. A failed assertion is a bug, never an expected outcome: nothing catches it to go on.
 * The process logs it once and exits with code 70 (see `lib/telemetry/crash.ts`).
 */

/** Thrown by {@link assert}; carries the facts that were true at the time. */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(message: string, facts: Readonly<Record<string, unknown>>) {
    super(`${message} ${JSON.stringify(facts)}`);
    this.facts = facts;
  }
}

/** Crashes on a broken invariant. `facts` must be small and hold no event data. */
export function assert(
  condition: unknown,
  message: string,
  facts: Readonly<Record<string, unknown>> = {},
): asserts condition {
  if (!condition) throw new AssertionFailure(message, facts);
}

/** Marks a branch that the type system has proved unreachable. */
export function unreachable(value: never): never {
  throw new AssertionFailure('unreachable value', { value: String(value) });
}
