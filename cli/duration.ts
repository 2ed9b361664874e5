/** `100ms`, `2s`, `1m` on the command line, in milliseconds. */
import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION_MS_MAX = 24 * 3_600_000;

/** @throws InvalidArgumentError, which commander shows with the option. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = Math.round(Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? 0));
  if (match !== null && ms <= DURATION_MS_MAX) return ms;
  throw new InvalidArgumentError('wanted a duration up to 24h, as 100ms or 2s');
}

/** A whole number in the range. @throws InvalidArgumentError. */
export function parseCount(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    if (count >= min && count <= max) return count;
    throw new InvalidArgumentError(`wanted a whole number from ${min} to ${max}`);
  };
}
