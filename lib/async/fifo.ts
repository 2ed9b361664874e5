/**
 * A first-in-first-out queue with O(1) push and shift, for the windows of delivery. It grows in
 * powers of two and never shrinks below its first size. Its users bound it: every `push` outside
 * this file stands beside a check of a limit.
 */

const CAPACITY_MIN = 16;

export class Fifo<Item> {
  #slots: (Item | undefined)[] = new Array<Item | undefined>(CAPACITY_MIN);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: Item): void {
    if (this.#size === this.#slots.length) this.#resize(this.#slots.length * 2);
    this.#slots[(this.#head + this.#size) & (this.#slots.length - 1)] = item;
    this.#size++;
  }

  /** Puts an item before all others: for one that was taken and could not be used. */
  unshift(item: Item): void {
    if (this.#size === this.#slots.length) this.#resize(this.#slots.length * 2);
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = item;
    this.#size++;
  }

  peek(): Item | undefined {
    return this.#size === 0 ? undefined : this.#slots[this.#head];
  }

  shift(): Item | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#size--;
    if (this.#size === 0 && this.#slots.length > CAPACITY_MIN * 64) this.#resize(CAPACITY_MIN);
    return item;
  }

  /** Takes everything out, in order. */
  drain(): Item[] {
    const items: Item[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  #resize(capacity: number): void {
    const slots = new Array<Item | undefined>(capacity);
    for (let index = 0; index < this.#size; index++) {
      slots[index] = this.#slots[(this.#head + index) & (this.#slots.length - 1)];
    }
    this.#slots = slots;
    this.#head = 0;
  }
}
