/** Only receipts make a 202, and only one file can say it. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { acceptWith } from './accept.ts';
import type { Stored } from './accept.ts';

test('no other file of ingress has the status in its code', () => {
  const files = readdirSync(import.meta.dirname).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
  );
  assert.ok(files.length > 10);
  const saying = files.filter((name) => {
    const text = readFileSync(`${import.meta.dirname}/${name}`, 'utf8');
    const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
    return /\b202\b/.test(code.replace(/description: '.*'/g, ''));
  });
  assert.deepEqual(saying, ['accept.ts']);
});

test('a promise of a receipt does not fit the type of what was stored', () => {
  type Fits<Value> = Value extends Stored ? 'fits' : 'does not fit';
  const promised: Fits<Promise<Stored>> = 'does not fit';
  const many: Fits<readonly Promise<Stored>[]> = 'does not fit';
  assert.deepEqual([promised, many], ['does not fit', 'does not fit']);
  assert.equal(typeof acceptWith, 'function');
});
