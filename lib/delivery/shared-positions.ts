/**
 * How far the shared reader of each partition has come, for own readers, which never run ahead of
 * it. Fused processes set it directly; a dispatcher on its own sets it from the committed cursor.
 */

export class SharedPositions {
  readonly #offsets = new Map<string, number>();
  #waiters: (() => void)[] = [];

  set(topic: string, partition: number, offset: number): void {
    const key = keyOf(topic, partition);
    if ((this.#offsets.get(key) ?? -1) >= offset) return;
    this.#offsets.set(key, offset);
    if (this.#waiters.length > 0) this.wake();
  }

  /** 0 while nothing is known. */
  get(topic: string, partition: number): number {
    return this.#offsets.get(keyOf(topic, partition)) ?? 0;
  }

  /** Calls `wake` once at the next movement of any partition. */
  onMove(wake: () => void): void {
    this.#waiters.push(wake);
  }

  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}
