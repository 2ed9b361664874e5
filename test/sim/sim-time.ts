/**
 * Virtual time: one heap of what is to happen, in order of (time, sequence). Everything that waits in
 * the simulation waits here: timers of processes, answers of the disk, the network and the store.
 * Invariant: nothing happens but by an entry of the heap, so the order of a run follows from its seed.
 */

export interface Entry {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
  isCancelled: boolean;
}

export class SimTime {
  /** Added to virtual time for the wall clock; a step of the clock changes it. */
  wallOffsetMs = 1_800_000_000_000;
  #nowMs = 0;
  #sequence = 0;
  readonly #heap: Entry[] = [];
  #firedCount = 0;

  /** Virtual milliseconds since the start, with a fraction. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get wallMs(): number {
    return Math.floor(this.wallOffsetMs + this.#nowMs);
  }

  get firedCount(): number {
    return this.#firedCount;
  }

  at(atMs: number, run: () => void): Entry {
    const entry = {
      atMs: Math.max(atMs, this.#nowMs),
      sequence: this.#sequence++,
      run,
      isCancelled: false,
    };
    this.#push(entry);
    return entry;
  }

  in(delayMs: number, run: () => void): Entry {
    return this.at(this.#nowMs + Math.max(0, delayMs), run);
  }

  /**
   * Fires everything up to `untilMs`, or until `isOver` holds; between two entries one turn of the
   * real loop, in which every promise that can settle does.
   */
  run(untilMs: number, isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const entry = this.#heap[0];
        if (isOver() || entry === undefined || entry.atMs > untilMs) {
          if (!isOver()) this.#nowMs = Math.max(this.#nowMs, untilMs);
          resolve();
          return;
        }
        this.#pop();
        if (!entry.isCancelled) {
          this.#nowMs = entry.atMs;
          this.#firedCount++;
          try {
            entry.run();
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
            return;
          }
        }
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      const least = right !== undefined && isBefore(right, left) ? right : left;
      if (least === right) child++;
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
}
