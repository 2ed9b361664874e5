/**
 * How far the shared reader of each partition has come, for own readers, which never run ahead of
 * it. Fused processes set it directly; a dispatcher on its own sets it from the committed cursor.
 */

export class SharedPositions {
  readonly #offsets = new Map<string, number>();
  readonly #waiters = new Set<() => void>();

  set(topic: string, partition: number, offset: number): void {
    const key = keyOf(topic, partition);
    if ((this.#offsets.get(key) ?? -1) >= offset) return;
    this.#offsets.set(key, offset);
    if (this.#waiters.size > 0) this.wake();
  }

  /** 0 while nothing is known. */
  get(topic: string, partition: number): number {
    return this.#offsets.get(keyOf(topic, partition)) ?? 0;
  }

  /** The topic is opened anew: its offsets may begin again. */
  forget(topic: string, partition: number): void {
    this.#offsets.delete(keyOf(topic, partition));
  }

  /** Calls `wake` once at the next movement of any partition. Returns the way to stop waiting. */
  onMove(wake: () => void): () => void {
    this.#waiters.add(wake);
    return () => void this.#waiters.delete(wake);
  }

  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}
