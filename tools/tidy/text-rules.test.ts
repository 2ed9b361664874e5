/** Names, comments, texts, Markdown and READMEs. Offending texts are built so that tidy skips them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTree } from './source-tree.ts';
import type { Rule } from './source-tree.ts';
import {
  commentRule,
  markdownRule,
  nameRule,
  openingCommentRule,
  readmeRule,
  textRule,
} from './text-rules.ts';

function run(rule: Rule, files: Readonly<Record<string, string>>): readonly string[] {
  const findings = [...rule(createTree(new Map(Object.entries(files))))];
  return findings.map(({ file, line, message }) => `${file}:${line} ${message}`);
}

const count = (rule: Rule, file: string, text: string): number =>
  run(rule, { [file]: text }).length;

test('file names are kebab-case nouns that say something', () => {
  for (const file of ['retry-policy.ts', 'a.test.ts', 'media-types.ts', 'v1.ts', 'main.ts']) {
    assert.equal(count(nameRule, `lib/time/${file}`, ''), 0, file);
  }
  for (const file of [
    ...['retryPolicy.ts', 'Retry.ts', 'a_b.ts', 'utils.ts', 'http-utils.ts', 'types.ts'],
    ...['lease-manager.ts', 'helpers.test.ts', 'common.ts', 'shared.ts'],
  ]) {
    assert.equal(count(nameRule, `lib/time/${file}`, ''), 1, file);
  }
  assert.equal(count(nameRule, 'lib/theTime/clock.ts', ''), 1);
});

test('a file opens with a comment that says something', () => {
  const opening = '/** The port for time, used by all. */\n';
  assert.equal(count(openingCommentRule, 'a/b.ts', `${opening}import './c.ts';`), 0);
  assert.equal(count(openingCommentRule, 'a/b.ts', `#!/usr/bin/env node\n${opening}f();`), 0);
  assert.equal(count(openingCommentRule, 'a/b.ts', `import './c.ts';\n${opening}f();`), 1);
  assert.equal(count(openingCommentRule, 'a/b.ts', '/** Time. */\nf();'), 1);
  assert.equal(count(openingCommentRule, 'a/b.ts', ''), 1);
  assert.equal(count(openingCommentRule, 'a/b.test.ts', 'f();'), 1);
  assert.equal(run(openingCommentRule, { 'a/b.test.ts': 'f();', 'a/b.ts': opening }).length, 0);
});

test('open ends and switched-off checkers are found in comments, not in strings', () => {
  const todo = ['TO', 'DO'].join('');
  const ignore = ['@ts', 'ignore'].join('-');
  const expected = ['@ts', 'expect-error'].join('-');
  const disable = ['eslint', 'disable-next-line'].join('-');
  assert.equal(count(commentRule, 'a/b.ts', `f(); // ${todo}: later`), 1);
  assert.equal(count(commentRule, 'a/b.ts', `f(); // ${todo}(#12): later`), 0);
  assert.equal(count(commentRule, 'a/b.ts', `f('// ${todo}: later');`), 0);
  assert.equal(count(commentRule, 'a/b.ts', `f({ /* ${todo} */ });`), 1);
  assert.equal(count(commentRule, 'a/b.ts', `// ${ignore}\nf();`), 1);
  assert.equal(count(commentRule, 'a/b.ts', `// ${expected}\nf();`), 1);
  assert.equal(count(commentRule, 'a/b.test.ts', `// ${expected}\nf();`), 0);
  assert.equal(count(commentRule, 'a/b.ts', `// ${disable} some-rule\nf();`), 1);
  assert.equal(count(commentRule, 'a/b.ts', `// ${disable} some-rule -- because\nf();`), 0);
});

test('paths and hosts of one machine are found in every text', () => {
  const work = ['', 'work', 'x'].join('/');
  const home = ['', 'home', 'ann', 'x'].join('/');
  const host = ['registry', 'npmjs', 'org'].join('.');
  const outside = ['..', 'shared'].join('/');
  for (const text of [work, ` ${home}`, `https://${host}/`, `see ${outside}/x`]) {
    assert.equal(count(textRule, 'docs/a.md', `fine\n${text}`), 1, text);
  }
  for (const text of ['a/work/b', '$HOME/x', '/homes/x', 'registry.k8s.io', './shared/x']) {
    assert.equal(count(textRule, 'docs/a.md', text), 0, text);
  }
});

test('one package.json, no hosts in the lockfile, no registry in .npmrc', () => {
  assert.equal(run(textRule, { 'package.json': '', 'cli/package.json': '' }).length, 1);
  assert.equal(count(textRule, 'package-lock.json', '{\n  "resolved": "x"\n}'), 1);
  assert.equal(count(textRule, '.npmrc', 'registry=x'), 1);
  assert.equal(count(textRule, '.npmrc', '@scope:registry=x'), 1);
  assert.equal(count(textRule, '.npmrc', 'omit-lockfile-registry-resolved=true'), 0);
});

test('Markdown has one title, first, and links that lead somewhere', () => {
  assert.equal(count(markdownRule, 'docs/a.md', '# A\n\n```sh\n# a comment\n```\n'), 0);
  assert.equal(count(markdownRule, 'docs/a.md', 'A\n'), 1);
  assert.equal(count(markdownRule, 'docs/a.md', '# A\n# B\n'), 1);
  const files = { 'docs/a.md': '# A\n[b](b.md#x) [c](../c/) [d](https://d.example) [e](#e)' };
  assert.equal(run(markdownRule, { ...files, 'docs/b.md': '# B', 'c/d.ts': '' }).length, 0);
  assert.deepEqual(run(markdownRule, { ...files, 'docs/b.md': '# B' }), [
    'docs/a.md:2 the link leads nowhere: there is no c',
  ]);
});

test('each top folder with sources has a README of at most 60 lines', () => {
  assert.equal(run(readmeRule, { 'cli/a.ts': '', 'cli/deep/b.ts': '' }).length, 1);
  assert.equal(run(readmeRule, { 'cli/a.ts': '', 'cli/README.md': 'x\n'.repeat(60) }).length, 0);
  assert.equal(run(readmeRule, { 'cli/a.ts': '', 'cli/README.md': 'x\n'.repeat(61) }).length, 1);
  assert.equal(run(readmeRule, { 'a.ts': '', 'docs/x.md': '' }).length, 0);
});
