/** The generated pages from small tables, and the problems that the check must report. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineSettings } from '#lib/config/settings';
import { configPage } from './config-page.ts';
import { codeDifferences, errorsPage } from './errors-page.ts';
import { exportedNames } from './table-export.ts';

const fault = { meaning: 'It | failed.', next: 'Try again.', retry: 'backoff', httpStatus: 503 };

test('only exported constants with the suffix are tables', () => {
  const text = [
    'export const A_ERRORS = {',
    'const B_ERRORS = {',
    '  export const C_ERRORS',
    'export const D_ERRORS_MAX = 1;',
    'export const aError = defineErrors(A_ERRORS);',
  ].join('\n');
  assert.deepEqual(exportedNames(text, '_ERRORS'), ['A_ERRORS']);
});

test('errors are listed by folder, with escaped cells', () => {
  const { text, problems } = errorsPage([
    { file: 'services/x/errors.ts', name: 'X_ERRORS', value: { X_B: fault, X_A: fault } },
    { file: 'lib/y/y-errors.ts', name: 'Y_ERRORS', value: { Y_A: { ...fault, retry: 'never' } } },
  ]);
  assert.deepEqual(problems, []);
  assert.match(text, /^# Errors\n/);
  assert.ok(text.indexOf('## lib/y') < text.indexOf('## services/x'));
  assert.ok(text.indexOf('`X_A`') < text.indexOf('`X_B`'));
  assert.ok(text.includes('| `X_A` | It \\| failed | Try again | after a back-off | 503 |'));
});

test('a code twice, a code without prefix and a text that is no sentence are problems', () => {
  const { problems } = errorsPage([
    { file: 'lib/a/errors.ts', name: 'A_ERRORS', value: { A_X: fault, BAD: fault } },
    { file: 'lib/b/errors.ts', name: 'B_ERRORS', value: { A_X: { ...fault, next: 'retry' } } },
  ]);
  assert.deepEqual(problems, [
    'lib/a/errors.ts A_ERRORS: BAD: a code is words with a prefix: CHANNEL_NOT_CONNECTED',
    'lib/b/errors.ts B_ERRORS: A_X is already in lib/a/errors.ts',
    'lib/b/errors.ts B_ERRORS: A_X: "next" does not read as a sentence',
  ]);
});

test('a stale page is explained both ways', () => {
  const page = (codes: readonly string[]): string =>
    codes.map((code) => `| \`${code}\` | x |`).join('\n');
  assert.deepEqual(codeDifferences(page(['A_A', 'A_B']), page(['A_B', 'A_C'])), [
    'A_C is not in the page',
    'A_A is in no table',
  ]);
});

const base = { description: 'A size.', source: 'ours' };
const size = { ...base, type: 'bytes', default: 65_536, min: 1, max: 2 ** 20 } as const;

test('settings are listed with every name that they have', () => {
  const section = defineSettings('ingress', {
    bodyBytesMax: size,
    mode: { ...base, type: 'choice', choices: ['a', 'b'], default: 'a', isSecret: true },
    dir: { ...base, type: 'string', default: null },
  });
  const { text, problems } = configPage([{ file: 'x/y.ts', name: 'X_SETTINGS', value: section }]);
  assert.deepEqual(problems, []);
  assert.ok(
    text.includes(
      '| `ingress.bodyBytesMax` | `--ingress-body-bytes-max` `MILLRACE_INGRESS_BODY_BYTES_MAX` | `64KiB` | bytes, 1 to 1MiB | A size | ours |',
    ),
  );
  assert.match(text, /`ingress.mode`.*`a`, `b`.*never logged/);
  assert.match(text, /`ingress.dir`.*\| none \| text \|/);
});

test('bad declarations and shared variables are problems', () => {
  const one = defineSettings('', { ingressBodyBytes: size, body: size });
  const two = defineSettings('ingress', { bodyBytes: size });
  const { problems } = configPage([
    { file: 'a.ts', name: 'A_SETTINGS', value: one },
    { file: 'b.ts', name: 'B_SETTINGS', value: two },
  ]);
  assert.deepEqual(problems, [
    'a.ts: body: a size has Bytes in its name',
    'b.ts: MILLRACE_INGRESS_BODY_BYTES is already used by a.ts',
  ]);
});

test('a table that is not made with defineSettings is a problem', () => {
  const { problems } = configPage([{ file: 'a.ts', name: 'A_SETTINGS', value: { body: size } }]);
  assert.deepEqual(problems, ['a.ts A_SETTINGS: make it with defineSettings(name, table)']);
});
