/**
 * The latest pairs that a deliveries reader has taken in this life. A filter that restarts writes what
 * it had not checkpointed once more; a pair that was taken here is settled, open or stored already, and
 * taking it again would begin its attempts anew. Per pair, not per event: the second copy of an event
 * can name a target that the first did not. Bounded; what it has forgotten is a duplicate, no loss.
 */

/** Filter steps back by at most a checkpoint's span; this is more than twice that. */
const EVENTS_MAX = 10_000;

export class TakenPairs {
  readonly #targets = new Map<number, readonly string[]>();

  /** Notes the targets of the event at `offset`; returns those that were not taken before. */
  add(offset: number, targets: readonly string[]): readonly string[] {
    const known = this.#targets.get(offset);
    if (known === undefined) {
      this.#targets.set(offset, targets);
      if (this.#targets.size > EVENTS_MAX) this.#forgetOldest();
      return targets;
    }
    const fresh = targets.filter((uid) => !known.includes(uid));
    if (fresh.length > 0) this.#targets.set(offset, [...known, ...fresh]);
    return fresh;
  }

  #forgetOldest(): void {
    const oldest = this.#targets.keys().next();
    if (oldest.done !== true) this.#targets.delete(oldest.value);
  }
}
