import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AssertionFailure } from '#lib/assert/assert';
import { type AffixEnd, createAffixTrie } from '#lib/filters/affix-trie';

function found(keys: readonly string[], end: AffixEnd, text: string): readonly string[] {
  const trie = createAffixTrie<string>(end);
  for (const key of keys) trie.set(key, key);
  const values: string[] = [];
  trie.findAll(text, values);
  return values;
}

describe('finding', () => {
  test('all prefixes, shortest first', () => {
    const keys = ['com.a.b', 'com.a', 'com.x', 'com', 'org', 'com.a.bc'];
    assert.deepEqual(found(keys, 'start', 'com.a.b'), ['com', 'com.a', 'com.a.b']);
    assert.deepEqual(found(keys, 'start', 'co'), []);
    assert.deepEqual(found(keys, 'start', ''), []);
    assert.deepEqual(found(['', 'a'], 'start', 'b'), ['']);
  });

  test('all suffixes, shortest first', () => {
    const keys = ['b.png', '.png', 'png', 'x.png', '.gif'];
    assert.deepEqual(found(keys, 'end', 'a/b.png'), ['png', '.png', 'b.png']);
    assert.deepEqual(found(keys, 'end', 'ng'), []);
  });
});

describe('changing', () => {
  test('a key is replaced, counted once, and gone when deleted', () => {
    const trie = createAffixTrie<number>('start');
    trie.set('ab', 1);
    trie.set('ab', 2);
    assert.equal(trie.size, 1);
    assert.equal(trie.get('ab'), 2);
    assert.equal(trie.get('a'), null);
    assert.equal(trie.get('abc'), null);
    trie.delete('ab');
    assert.equal(trie.size, 0);
    assert.equal(trie.get('ab'), null);
  });

  test('a node that is left with one child joins it, from either end', () => {
    for (const [end, keys] of [
      ['start', ['ab', 'abcd', 'abxy', 'abcdz']],
      ['end', ['ba', 'dcba', 'yxba', 'zdcba']],
    ] as const) {
      const trie = createAffixTrie<string>(end);
      for (const key of keys) trie.set(key, key);
      trie.delete(keys[2]);
      trie.delete(keys[0]);
      trie.delete(keys[1]);
      const values: string[] = [];
      trie.findAll(keys[3], values);
      assert.deepEqual(values, [keys[3]]);
    }
  });

  test('deleting a key that is not stored is a bug', () => {
    const trie = createAffixTrie<number>('start');
    trie.set('abc', 1);
    trie.set('abd', 1);
    assert.throws(() => trie.delete('ab'), AssertionFailure);
    assert.throws(() => trie.delete('x'), AssertionFailure);
  });
});

test('agrees with a plain list of keys, whatever is added and removed', () => {
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '.'), maxLength: 6 });
  const change = fc.record({ isAdded: fc.boolean(), key });
  fc.assert(
    fc.property(
      fc.constantFrom<AffixEnd>('start', 'end'),
      fc.array(change, { maxLength: 40 }),
      fc.array(key, { minLength: 1, maxLength: 5 }),
      (end, changes, texts) => {
        const trie = createAffixTrie<string>(end);
        const plain = new Set<string>();
        for (const step of changes) {
          if (step.isAdded) {
            trie.set(step.key, step.key);
            plain.add(step.key);
          } else if (plain.delete(step.key)) trie.delete(step.key);
        }
        assert.equal(trie.size, plain.size);
        assert(
          trie.nodeCount <= Math.max(0, 2 * plain.size - 1),
          'a deleted key leaves nodes behind',
        );
        for (const text of texts) {
          const values: string[] = [];
          trie.findAll(text, values);
          const wanted = [...plain]
            .filter((one) => (end === 'start' ? text.startsWith(one) : text.endsWith(one)))
            .toSorted((one, other) => one.length - other.length);
          assert.deepEqual(values, wanted);
          assert.equal(trie.get(text), plain.has(text) ? text : null);
        }
      },
    ),
    { numRuns: 500 },
  );
});
