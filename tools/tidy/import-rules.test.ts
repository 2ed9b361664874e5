/** The import table, row by row, from trees of a few lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deadFileRule, importRules, unitOf } from './import-rules.ts';
import { LIB_TOPICS } from './structure.ts';
import { createTree } from './source-tree.ts';

/** The message for a file `from` that imports `specifier`, in a tree where `files` exist. */
function importing(from: string, specifier: string, ...files: readonly string[]): string {
  const texts = new Map(files.map((file) => [file, '']));
  texts.set(from, `import { x } from '${specifier}';\n`);
  const messages = [...importRules(createTree(texts))].map(({ message }) => message);
  assert.ok(messages.length <= 1, messages.join('\n'));
  return messages[0] ?? '';
}

test('units are one level deep where the table splits a folder', () => {
  assert.equal(unitOf('lib/time/clock.ts'), 'lib/time');
  assert.equal(unitOf('lib/filters/cesql/lexer.ts'), 'lib/filters');
  assert.equal(unitOf('channels/index.ts'), 'channels');
  assert.equal(unitOf('channels/memory/memory-log.ts'), 'channels/memory');
  assert.equal(unitOf('api/duck/v1/destination.ts'), 'api');
  assert.equal(unitOf('cli/send.ts'), 'cli');
  assert.equal(unitOf('root.ts'), null);
});

/** From, specifier, existing file: allowed. */
const ALLOWED: readonly (readonly [string, string, string])[] = [
  ['lib/time/a.ts', './b.ts', 'lib/time/b.ts'],
  ['lib/filters/cesql/a.ts', '../b.ts', 'lib/filters/b.ts'],
  ['lib/filters/a.ts', '#lib/filters/cesql/b', 'lib/filters/cesql/b.ts'],
  ['lib/delivery/a.ts', '#lib/contract/b', 'lib/contract/b.ts'],
  ['api/duck/v1/a.ts', '../../meta/v1/b.ts', 'api/meta/v1/b.ts'],
  ['channels/index.ts', './memory/b.ts', 'channels/memory/b.ts'],
  ['channels/memory/a.ts', '#lib/channel/b', 'lib/channel/b.ts'],
  ['services/ingress/a.ts', '#channels/index', 'channels/index.ts'],
  ['services/ingress/main.ts', '#kube/client', 'kube/client.ts'],
  ['services/webhook/a.ts', '#kube/client', 'kube/client.ts'],
  ['local/a.ts', '#services/ingress/b', 'services/ingress/b.ts'],
  ['cli/a.ts', '#local/b', 'local/b.ts'],
  ['test/fault/a.ts', '#services/ingress/b', 'services/ingress/b.ts'],
  ['lib/async/a.test.ts', '#test/kit/b', 'test/kit/b.ts'],
  ['tools/docs/a.ts', '#lib/config/b', 'lib/config/b.ts'],
  ['lib/time/a.ts', 'node:events', ''],
  ['lib/time/a.ts', 'node:timers', ''],
  ['lib/telemetry/a.ts', 'pino', ''],
  ['lib/cloudevents/a.test.ts', 'cloudevents', ''],
  ['test/kit/a.ts', 'fast-check', ''],
];

for (const [from, specifier, file] of ALLOWED) {
  test(`allowed: ${from} imports ${specifier}`, () => {
    assert.equal(importing(from, specifier, file), '');
  });
}

/** From, specifier, existing file, message: refused. */
const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ['lib/time/a.ts', '#lib/delivery/b', 'lib/delivery/b.ts', /ranks above/],
  ['lib/time/a.ts', '#lib/newtopic/b', 'lib/newtopic/b.ts', /give it a rank/],
  ['lib/delivery/a.ts', '#channels/index', 'channels/index.ts', /may not import channels/],
  ['lib/delivery/a.ts', '../time/b.ts', 'lib/time/b.ts', /write "#lib\/time\/b"/],
  ['lib/time/a.ts', './b', 'lib/time/b.ts', /write the suffix/],
  ['cli/a.ts', '#lib/time/b.ts', 'lib/time/b.ts', /has no suffix/],
  ['cli/a.ts', '#lib/time/b', '', /names no file/],
  ['channels/memory/a.ts', '#channels/redis/b', 'channels/redis/b.ts', /no other driver/],
  ['services/ingress/a.ts', '#services/filter/b', 'services/filter/b.ts', /never in imports/],
  ['services/ingress/a.ts', '#channels/memory/b', 'channels/memory/b.ts', /may not import/],
  ['services/ingress/a.ts', '#kube/client', 'kube/client.ts', /may not import kube/],
  ['apiserver/a.ts', '#kube/client', 'kube/client.ts', /same mistake/],
  ['local/a.ts', '#cli/b', 'cli/b.ts', /may not import cli/],
  ['cli/a.ts', '#services/ingress/main', 'services/ingress/main.ts', /nothing imports a main/],
  ['cli/a.ts', '#test/kit/b', 'test/kit/b.ts', /nothing imports test/],
  ['cli/a.test.ts', '#test/fault/b', 'test/fault/b.ts', /nothing imports test/],
  ['brandnew/a.ts', '#lib/time/b', 'lib/time/b.ts', /add a row/],
  ['cli/a.ts', 'node:timers/promises', '', /banned here.*sleep/],
  ['cli/a.ts', 'node:test', '', /for tests/],
  ['cli/a.ts', 'pino', '', /is for lib\/telemetry/],
  ['cli/a.ts', 'fs', '', /node:fs/],
  ['cli/a.ts', '@scope/thing/deep', '', /"@scope\/thing" is not in PACKAGE_FOLDERS/],
  ['lib/cloudevents/a.ts', 'cloudevents', '', /for tests only/],
];

for (const [from, specifier, file, message] of REFUSED) {
  test(`refused: ${from} imports ${specifier}`, () => {
    assert.match(importing(from, specifier, file), message);
  });
}

test('lazy imports, re-exports and type imports count', () => {
  for (const text of [
    `const x = () => import('#kube/b');`,
    `export { x } from '#kube/b';`,
    `export type { X } from '#kube/b';`,
    `type X = import('#kube/b').X;`,
  ]) {
    const tree = createTree(
      new Map([
        ['apiserver/a.ts', text],
        ['kube/b.ts', ''],
      ]),
    );
    assert.equal([...importRules(tree)].length, 1, text);
  }
});

test('the ranks name each topic once', () => {
  assert.equal(new Set(LIB_TOPICS).size, LIB_TOPICS.length);
});

function deadFiles(files: Readonly<Record<string, string>>): readonly string[] {
  return [...deadFileRule(createTree(new Map(Object.entries(files))))].map(({ file }) => file);
}

test('a file is dead when nothing imports it, itself included', () => {
  const self = `import { x } from './a.ts';`;
  assert.deepEqual(deadFiles({ 'lib/time/a.ts': self }), ['lib/time/a.ts']);
  assert.deepEqual(deadFiles({ 'lib/time/a.ts': '', 'lib/time/main.ts': `import './a.ts';` }), []);
});

test('a path in a string starts a file: workers and children', () => {
  const worker = `new Worker(new URL('./a.ts', import.meta.url));`;
  assert.deepEqual(deadFiles({ 'cli/a.ts': '', 'cli/main.ts': worker }), []);
  assert.deepEqual(deadFiles({ 'cli/a.ts': '', 'local/main.ts': `fork('cli/a.ts');` }), []);
});

test('a file that only tests use must say that it is for tests', () => {
  const user = `import './a.ts';`;
  const files = { 'lib/time/a.test.ts': user, 'lib/time/a.ts': '/** A clock. */\nexport {};' };
  assert.deepEqual(deadFiles(files), ['lib/time/a.ts']);
  const forTests = { ...files, 'lib/time/a.ts': '/** A clock for tests. */\nexport {};' };
  assert.deepEqual(deadFiles(forTests), []);
});
