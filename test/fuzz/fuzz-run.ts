/**
 * Runs one target over fresh inputs until its time is over or an input fails, and makes a failing
 * input smaller. Invariant: a failure names seed and iteration, which give the input again.
 */
import type { FuzzCheck, FuzzTarget } from './fuzz-target.ts';
import { inputAt } from './mutation.ts';
import type { MutationSource } from './mutation.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly limitMs: number;
  readonly iterationsMax?: number;
  /** Known inputs to start from. */
  readonly inputs: readonly Buffer[];
}

export interface FuzzFailure {
  readonly iteration: number;
  /** As small as it was made. */
  readonly input: Buffer;
  readonly error: unknown;
}

export interface FuzzReport {
  readonly iterations: number;
  readonly failure: FuzzFailure | null;
}

/** One input may take this long; more is a bug of its own. */
const INPUT_LIMIT_MS = 2_000;
/** Checks that are spent on making an input smaller. */
const SHRINKS_MAX = 400;
const SHRINK_LIMIT_MS = 15_000;
/** A long run of checks without a wait must still let the process breathe. */
const BREATH_EVERY = 256;

export async function runFuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const { dictionary, inputBytesMax } = target;
  const source: MutationSource = { inputs: options.inputs, dictionary, inputBytesMax };
  const check = await target.open();
  const endMs = performance.now() + options.limitMs;
  const iterationsMax = options.iterationsMax ?? Number.POSITIVE_INFINITY;
  let iterations = 0;
  while (iterations < iterationsMax && performance.now() < endMs) {
    const input = inputAt(source, options.seed, iterations);
    iterations += 1;
    if (iterations % BREATH_EVERY === 0) await new Promise(setImmediate);
    const error = await errorOf(check, input);
    if (error === null) continue;
    const smaller = await shrink(check, input);
    const iteration = iterations - 1;
    await closeAfterFailure(check);
    return {
      iterations,
      failure: { iteration, input: smaller.input, error: smaller.error ?? error },
    };
  }
  await check.close();
  return { iterations, failure: null };
}

/** What is wrong is known already; only the resources must go. */
async function closeAfterFailure(check: FuzzCheck): Promise<void> {
  await check.close().then(
    () => undefined,
    () => undefined,
  );
}

/** What the check throws for that input, or `null`. */
export async function errorOf(check: FuzzCheck, input: Buffer): Promise<unknown> {
  const startMs = performance.now();
  try {
    const pending = check.check(Buffer.from(input));
    if (pending !== undefined) await pending;
  } catch (error) {
    return error;
  }
  const tookMs = performance.now() - startMs;
  return tookMs <= INPUT_LIMIT_MS ? null : new Error(`took ${Math.round(tookMs)} ms`);
}

/** Takes out ever smaller parts as long as it still fails. */
async function shrink(
  check: FuzzCheck,
  input: Buffer,
): Promise<{ readonly input: Buffer; readonly error: unknown }> {
  let smallest = input;
  let lastError: unknown = null;
  let left = SHRINKS_MAX;
  const endMs = performance.now() + SHRINK_LIMIT_MS;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length && left > 0; left -= 1) {
      if (performance.now() > endMs) return { input: smallest, error: lastError };
      const tried = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      const error = await errorOf(check, tried);
      if (error === null) {
        at += size;
      } else {
        smallest = tried;
        lastError = error;
      }
    }
  }
  return { input: smallest, error: lastError };
}
