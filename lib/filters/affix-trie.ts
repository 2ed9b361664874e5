/**
 * A compressed trie over prefixes or suffixes: finds every stored key that a text starts (or ends)
 * with in one walk over the text. Used by `trigger-index.ts`.
 *
 *   keys "com.a", "com.a.b", "com.x":     "com." ─┬─ "a" (value) ── ".b" (value)
 *                                                 └─ "x" (value)
 *
 * Invariant: every node but the root has a value or at least two children, so a walk takes no more
 * steps than there are stored keys on its way, and never more than the text is long.
 */
import { assert } from '#lib/assert/assert';

/** From which end of the text keys are compared. */
export type AffixEnd = 'start' | 'end';

export interface AffixTrie<Value> {
  readonly size: number;
  /** Nodes without the root, counted by walking: fewer than twice the keys, or deletion leaks. */
  readonly nodeCount: number;
  readonly get: (key: string) => Value | null;
  readonly set: (key: string, value: Value) => void;
  /** The key must be stored. */
  readonly delete: (key: string) => void;
  /** Appends the values of all keys that `text` starts (or ends) with, shortest key first. */
  readonly findAll: (text: string, found: Value[]) => void;
}

interface TrieNode<Value> {
  /** What this node adds to the key, in reading order whatever the end. */
  label: string;
  value: Value | null;
  /** By the code unit next to what is consumed: the first of a prefix, the last of a suffix. */
  readonly children: Map<number, TrieNode<Value>>;
}

export function createAffixTrie<Value>(end: AffixEnd): AffixTrie<Value> {
  return new CompressedTrie<Value>(end === 'start');
}

class CompressedTrie<Value> implements AffixTrie<Value> {
  readonly #isFromStart: boolean;
  readonly #root: TrieNode<Value> = createNode<Value>('');
  #size = 0;

  constructor(isFromStart: boolean) {
    this.#isFromStart = isFromStart;
  }

  get size(): number {
    return this.#size;
  }

  get nodeCount(): number {
    return countBelow(this.#root);
  }

  readonly get = (key: string): Value | null => {
    let node: TrieNode<Value> | undefined = this.#root;
    let consumed = 0;
    while (consumed < key.length) {
      node = node.children.get(this.#unitAt(key, consumed));
      if (node === undefined || !this.#continues(key, consumed, node.label)) return null;
      consumed += node.label.length;
    }
    return node.value;
  };

  readonly set = (key: string, value: Value): void => {
    let node = this.#root;
    let consumed = 0;
    while (consumed < key.length) {
      const unit = this.#unitAt(key, consumed);
      const child = node.children.get(unit);
      if (child === undefined) {
        const leaf = createNode<Value>(this.#rest(key, consumed));
        node.children.set(unit, leaf);
        node = leaf;
        break;
      }
      const shared = this.#sharedLength(key, consumed, child.label);
      node = shared < child.label.length ? this.#split(node, unit, child, shared) : child;
      consumed += shared;
    }
    if (node.value === null) this.#size += 1;
    node.value = value;
  };

  readonly delete = (key: string): void => {
    const path: TrieNode<Value>[] = [this.#root];
    let node = this.#root;
    let consumed = 0;
    while (consumed < key.length) {
      const child = node.children.get(this.#unitAt(key, consumed));
      assert(child !== undefined, 'a key to delete is stored');
      consumed += child.label.length;
      node = child;
      path.push(node);
    }
    assert(node.value !== null, 'a key to delete has a value');
    node.value = null;
    this.#size -= 1;
    this.#tidy(path.at(-2), node);
    const parent = path.at(-2);
    if (parent !== undefined) this.#tidy(path.at(-3), parent);
  };

  readonly findAll = (text: string, found: Value[]): void => {
    let node = this.#root;
    let consumed = 0;
    for (;;) {
      if (node.value !== null) found.push(node.value);
      if (consumed >= text.length) return;
      const child = node.children.get(this.#unitAt(text, consumed));
      if (child === undefined || !this.#continues(text, consumed, child.label)) return;
      consumed += child.label.length;
      node = child;
    }
  };

  #unitAt(text: string, consumed: number): number {
    return text.charCodeAt(this.#isFromStart ? consumed : text.length - 1 - consumed);
  }

  #continues(text: string, consumed: number, label: string): boolean {
    return this.#isFromStart
      ? text.startsWith(label, consumed)
      : text.endsWith(label, text.length - consumed);
  }

  #rest(key: string, consumed: number): string {
    return this.#isFromStart ? key.slice(consumed) : key.slice(0, key.length - consumed);
  }

  #sharedLength(key: string, consumed: number, label: string): number {
    const most = Math.min(key.length - consumed, label.length);
    let shared = 0;
    while (shared < most && this.#unitAt(key, consumed + shared) === this.#unitAt(label, shared)) {
      shared += 1;
    }
    return shared;
  }

  /** Puts a node between `parent` and `child` that holds the first `shared` units of the label. */
  #split(
    parent: TrieNode<Value>,
    unit: number,
    child: TrieNode<Value>,
    shared: number,
  ): TrieNode<Value> {
    const { label } = child;
    const middle = createNode<Value>(
      this.#isFromStart ? label.slice(0, shared) : label.slice(label.length - shared),
    );
    child.label = this.#rest(label, shared);
    middle.children.set(this.#unitAt(child.label, 0), child);
    parent.children.set(unit, middle);
    return middle;
  }

  /** Removes an empty leaf, and joins a node without value to its only child. */
  #tidy(parent: TrieNode<Value> | undefined, node: TrieNode<Value>): void {
    if (parent === undefined || node.value !== null || node.children.size > 1) return;
    const unit = this.#unitAt(node.label, 0);
    const [only] = node.children.values();
    if (only === undefined) {
      parent.children.delete(unit);
      return;
    }
    only.label = this.#isFromStart ? node.label + only.label : only.label + node.label;
    parent.children.set(unit, only);
  }
}

function createNode<Value>(label: string): TrieNode<Value> {
  return { label, value: null, children: new Map() };
}

function countBelow<Value>(node: TrieNode<Value>): number {
  let count = node.children.size;
  for (const child of node.children.values()) count += countBelow(child);
  return count;
}
