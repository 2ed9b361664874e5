/**
 * One coarse timer for the timeouts of all open requests: a wheel of slots with intrusive lists, so
 * that a request adds no timer of its own. Used by the sender. Accuracy: an entry expires never early,
 * and at most two ticks (20 ms) late, plus what the event loop is late.
 */
import type { Clock, Timer } from '#lib/time/clock';

export const TICK_MS = 10;
const SLOT_COUNT = 2_048; // One turn of the wheel is 20 s; longer timeouts stay in for more turns.

/** Embedded in what has a deadline; the fields below `expire` are the wheel's. */
export interface Deadline {
  /** Called once, with the entry taken out already. */
  expire(): void;

  dueTick: number;
  /** The slot it is in, or -1. */
  wheelSlot: number;
  previous: Deadline | null;
  next: Deadline | null;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #slots = new Array<Deadline | null>(SLOT_COUNT).fill(null);
  #count = 0;
  #lastTick = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  add(deadline: Deadline, timeoutMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#timer === null) this.#start(nowMs);
    // One more than the tick that `nowMs` is in: the slot of the present tick has been looked at.
    const dueTick = Math.max(
      Math.ceil((nowMs + timeoutMs) / TICK_MS),
      Math.floor(nowMs / TICK_MS) + 1,
    );
    const slot = dueTick & (SLOT_COUNT - 1);
    const head = this.#slots[slot] ?? null;
    deadline.dueTick = dueTick;
    deadline.wheelSlot = slot;
    deadline.previous = null;
    deadline.next = head;
    if (head !== null) head.previous = deadline;
    this.#slots[slot] = deadline;
    this.#count += 1;
  }

  /** Idempotent. */
  remove(deadline: Deadline): void {
    if (deadline.wheelSlot === -1) return;
    if (deadline.previous === null) this.#slots[deadline.wheelSlot] = deadline.next;
    else deadline.previous.next = deadline.next;
    if (deadline.next !== null) deadline.next.previous = deadline.previous;
    deadline.wheelSlot = -1;
    deadline.previous = null;
    deadline.next = null;
    this.#count -= 1;
  }

  #start(nowMs: number): void {
    this.#lastTick = Math.floor(nowMs / TICK_MS);
    this.#timer = this.#clock.every(TICK_MS, () => this.#turn());
  }

  #turn(): void {
    const tick = Math.floor(this.#clock.monotonicMs() / TICK_MS);
    // After a long stall every slot is looked at once, not once per tick that was missed.
    const first = Math.max(this.#lastTick + 1, tick - SLOT_COUNT + 1);
    this.#lastTick = tick;
    const due: Deadline[] = [];
    for (let each = first; each <= tick; each += 1) {
      const head = this.#slots[each & (SLOT_COUNT - 1)] ?? null;
      for (let entry = head; entry !== null; entry = entry.next) {
        if (entry.dueTick <= tick) due.push(entry);
      }
    }
    for (const entry of due) {
      // One that another's expiry has taken out is not due any more.
      if (entry.wheelSlot === -1) continue;
      this.remove(entry);
      entry.expire();
    }
    if (this.#count > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }
}
