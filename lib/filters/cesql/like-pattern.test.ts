import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileLike } from '#lib/filters/cesql/like-pattern';
import { createSystemClock } from '#lib/time/system-clock';

const PLENTY = 160_000;

function isLike(text: string, pattern: string): boolean {
  const outcome = compileLike(pattern).match(text, PLENTY);
  assert.notEqual(outcome, 'tooMuchWork');
  return outcome === 'match';
}

/** The definition, written for clearness: dynamic programming over characters. */
function isLikeByDefinition(text: string, pattern: string): boolean {
  const characters = [...text];
  const units = [...pattern];
  const parts: { readonly kind: 'one' | 'run' | 'literal'; readonly character: string }[] = [];
  for (let index = 0; index < units.length; index += 1) {
    const character = units[index] ?? '';
    const next = units[index + 1] ?? '';
    if (character === '\\' && (next === '%' || next === '_')) {
      parts.push({ kind: 'literal', character: next });
      index += 1;
    } else if (character === '%') parts.push({ kind: 'run', character });
    else if (character === '_') parts.push({ kind: 'one', character });
    else parts.push({ kind: 'literal', character });
  }
  let reachable = new Set([0]);
  for (const { kind, character } of parts) {
    const next = new Set<number>();
    for (const at of reachable) {
      if (kind === 'run') for (let to = at; to <= characters.length; to += 1) next.add(to);
      else if (at < characters.length && (kind === 'one' || characters[at] === character)) {
        next.add(at + 1);
      }
    }
    reachable = next;
  }
  return reachable.has(characters.length);
}

describe('LIKE', () => {
  const rows: readonly [string, string, boolean][] = [
    ['', '', true],
    ['a', '', false],
    ['', '%', true],
    ['', '_', false],
    ['', '%_', false],
    ['abc', 'abc', true],
    ['abc', 'ABC', false],
    ['abc', 'a%', true],
    ['abc', '%c', true],
    ['abc', '%b%', true],
    ['abc', '%x%', false],
    ['abc', '%x%y%', false],
    ['abc', 'b%', false],
    ['abc', 'abc%', true],
    ['abc', 'abcd%', false],
    ['abc', '%abcd', false],
    ['abc', 'ab%bc', false],
    ['abbc', 'ab%bc', true],
    ['abc', '__%_', true],
    ['abc', '__%__', false],
    ['abc', '%_%_%_%', true],
    ['abc', '%_%_%_%_%', false],
    ['abcd', '%a_c%', true],
    ['xabaYc', '%a_c%', true],
    ['xabacY', '%a_c_c%', false],
    ['aXcaYc', '%a_c', true],
    ['abc', '_b%', true],
    ['abc', '%b_', true],
    ['abc', '%b__', false],
    ['ac', '%a_c%', false],
    ['a%c', 'a\\%c', true],
    ['abc', 'a\\%c', false],
    ['a_c', 'a\\_c', true],
    ['a\\c', 'a\\c', true],
    ['a\\%', 'a\\\\%', true],
    ['a\\b', 'a\\\\%', false],
    ['a\\', 'a\\', true],
    ['😀', '_', true],
    ['😀', '__', false],
    ['a😀b', 'a_b', true],
    ['a😀😀b', 'a%_b', true],
    ['x😀', '%_', true],
    ['😀x', '%😀_', true],
    ['y😀', 'y%_', true],
    ['é', '_', true],
    ['(a+)+$', '(a+)+$', true],
    ['aaa', '(a+)+$', false],
    ['line\nbreak', 'line_break', true],
    ['line\nbreak', '%break', true],
  ];
  for (const [text, pattern, wanted] of rows) {
    test(`${JSON.stringify(text)} LIKE ${JSON.stringify(pattern)} is ${wanted}`, () => {
      assert.equal(isLike(text, pattern), wanted);
      assert.equal(isLikeByDefinition(text, pattern), wanted);
    });
  }

  test('agrees with its definition', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '%', '\\'), maxLength: 10 });
    const pattern = fc.string({
      unit: fc.constantFrom('a', 'b', '😀', '%', '_', '\\', '\\%', '\\_'),
      maxLength: 8,
    });
    fc.assert(
      fc.property(text, pattern, (one, like) => {
        assert.equal(isLike(one, like), isLikeByDefinition(one, like));
      }),
      { numRuns: 5_000 },
    );
  });

  test('a long run without wildcards is searched as the engine would', () => {
    const long = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 33, maxLength: 40 });
    fc.assert(
      fc.property(
        long,
        fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60 }),
        (run, rest) => {
          for (const text of [rest, rest + run, rest + run + rest, run.slice(1) + rest + run]) {
            assert.equal(isLike(text, `%${run}%`), text.includes(run));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('literal ends, for the index', () => {
  const ends = (pattern: string): unknown => {
    const { literal, literalStart, literalEnd } = compileLike(pattern);
    return [literal, literalStart, literalEnd];
  };
  test('are what every match must have', () => {
    assert.deepEqual(ends('abc'), ['abc', 'abc', 'abc']);
    assert.deepEqual(ends(''), ['', '', '']);
    assert.deepEqual(ends('a\\%%b'), [null, 'a%', 'b']);
    assert.deepEqual(ends('a_b'), [null, 'a', 'b']);
    assert.deepEqual(ends('_b_'), [null, '', '']);
    assert.deepEqual(ends('ab_%_cd'), [null, 'ab', 'cd']);
    assert.deepEqual(ends('%b%'), [null, '', '']);
    assert.deepEqual(ends('a%b_'), [null, 'a', '']);
  });
});

describe('work', () => {
  const text = 'a'.repeat(8_192);
  const spentMs = (run: () => void): number => {
    const clock = createSystemClock();
    const startMs = clock.monotonicMs();
    run();
    return clock.monotonicMs() - startMs;
  };

  test('a run of wildcards is one gap, however long', () => {
    assert.equal(isLike(text, `${'%'.repeat(4_094)}_`), true);
    assert.equal(isLike('', `${'%'.repeat(4_094)}_`), false);
    assert.equal(isLike(text, `${'%_'.repeat(2_047)}b`), false);
    assert.equal(isLike(text, `${'%a'.repeat(2_000)}%b`), false);
    assert.equal(isLike(text, `${'a%'.repeat(2_000)}a`), true);
  });

  test('a run without wildcards is found in linear time', () => {
    const pattern = compileLike(`%b${'a'.repeat(4_000)}%`);
    const other = compileLike(`%${'a'.repeat(4_000)}b%`);
    const ms = spentMs(() => {
      for (let round = 0; round < 20; round += 1) {
        assert.equal(pattern.match(text, PLENTY), 'mismatch');
        assert.equal(other.match(text, PLENTY), 'mismatch');
      }
    });
    assert(ms < 1_000, `${ms} ms for 40 matches of 8 KiB`);
  });

  test('a long run with a wildcard inside stops at the limit', () => {
    const pattern = compileLike(`%${'a'.repeat(2_000)}_${'a'.repeat(2_000)}b%`);
    assert.equal(pattern.match(text, PLENTY), 'tooMuchWork');
    assert.equal(pattern.match('a'.repeat(30), PLENTY), 'mismatch');
    const small = compileLike('%a_b%');
    assert.equal(small.match('aaaaab', 100), 'match');
    assert.equal(small.match('aaaaab', 5), 'tooMuchWork');
    assert.equal(compileLike('%a_b%c_d%').match('xaabxccd', 100), 'match');
  });
});
