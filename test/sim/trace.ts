/**
 * What happened, line by line: a hash over all of it, and the last lines for people. Two runs of one
 * seed have the same hash, or the simulation is not deterministic.
 */
import { createHash } from 'node:crypto';
import type { SimTime } from './sim-time.ts';

const LINES_KEPT = 600;

export class Trace {
  readonly #time: SimTime;
  readonly #hash = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #print: ((line: string) => void) | null;
  #count = 0;

  constructor(time: SimTime, print: ((line: string) => void) | null) {
    this.#time = time;
    this.#print = print;
  }

  get count(): number {
    return this.#count;
  }

  add(text: string): void {
    const line = `${this.#time.nowMs.toFixed(3)} ${text}`;
    this.#count++;
    this.#hash.update(line);
    this.#lines[this.#count % LINES_KEPT] = line;
    this.#print?.(line);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  last(count: number): readonly string[] {
    const lines: string[] = [];
    const kept = Math.min(count, this.#count, LINES_KEPT);
    for (let at = this.#count - kept + 1; at <= this.#count; at++) {
      lines.push(this.#lines[at % LINES_KEPT] ?? '');
    }
    return lines;
  }
}
