/** Derived names, and the declarations that the docs check must refuse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from './nearest-name.ts';
import {
  defineSettings,
  environmentName,
  flagName,
  sectionProblems,
  settingPath,
} from './settings.ts';
import type { SettingDefinition } from './settings.ts';
import { childEnvironment, readEnvironment } from './environment.ts';

const base = { description: 'A setting.', source: 'test' };
const integer = { ...base, type: 'integer', default: 1, min: 1, max: 9 } as const;

test('names are derived from section and key', () => {
  const section = defineSettings('queue-proxy', { bodyBytesMax: integer });
  assert.equal(settingPath(section, 'bodyBytesMax'), 'queue-proxy.bodyBytesMax');
  assert.equal(environmentName(section, 'bodyBytesMax'), 'MILLRACE_QUEUE_PROXY_BODY_BYTES_MAX');
  assert.equal(flagName(section, 'bodyBytesMax'), '--queue-proxy-body-bytes-max');
  const program = defineSettings('', { dataDir: integer });
  assert.equal(settingPath(program, 'dataDir'), 'dataDir');
  assert.equal(environmentName(program, 'dataDir'), 'MILLRACE_DATA_DIR');
  assert.equal(flagName(program, 'dataDir'), '--data-dir');
});

const BAD: readonly (readonly [string, SettingDefinition, RegExp])[] = [
  ['Count', integer, /camelCase/],
  ['count', { ...integer, description: 'no sentence' }, /sentence/],
  ['count', { ...integer, source: '' }, /source/],
  ['count', { ...integer, default: 10 }, /outside 1 to 9/],
  ['count', { ...integer, max: 1.5 }, /whole/],
  ['timeout', { ...integer, type: 'duration' }, /ends in Ms/],
  ['body', { ...integer, type: 'bytes' }, /has Bytes/],
  ['mode', { ...base, type: 'choice', choices: ['a', 'b'], default: 'c' }, /not a choice/],
  ['mode', { ...base, type: 'choice', choices: ['a', 'a'], default: 'a' }, /two values/],
  ['items', { ...base, type: 'list', default: ['a', 'b'], itemCountMax: 1 }, /too long/],
];

for (const [key, definition, pattern] of BAD) {
  test(`a declaration is refused: ${key} ${pattern.source}`, () => {
    const found = sectionProblems(defineSettings('part', { [key]: definition }));
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', pattern);
    assert.ok(found[0]?.startsWith(`part.${key}: `));
  });
}

test('a sound declaration has no problems, a bad section name is one', () => {
  const table = {
    timeoutMsMax: { ...integer, type: 'duration' },
    bytes: { ...integer, type: 'bytes' },
    bodyBytes: { ...integer, type: 'bytes' },
  } as const;
  assert.deepEqual(sectionProblems(defineSettings('part-two', table)), []);
  assert.deepEqual(sectionProblems(defineSettings('', table)), []);
  assert.equal(sectionProblems(defineSettings('Part_two', table)).length, 1);
});

test('the nearest name: typos, swaps, case; nothing when nothing is near', () => {
  const names = ['subscriber', 'filter', 'filters', 'delivery'];
  assert.equal(nearestName('subscirber', names), 'subscriber');
  assert.equal(nearestName('Filter', names), 'filter');
  assert.equal(nearestName('filtre', names), 'filter');
  assert.equal(nearestName('delivry', names), 'delivery');
  assert.equal(nearestName('broker', names), null);
  assert.equal(nearestName('', names), null);
  assert.equal(nearestName('x'.repeat(129), ['x'.repeat(129)]), null);
  assert.equal(nearestName('a', []), null);
});

test('the environment is a frozen copy, and a child gets what it is given', () => {
  assert.ok(Object.isFrozen(readEnvironment()));
  assert.deepEqual(childEnvironment({ A: '1', B: '2' }, { B: '3', C: '4' }, ['A']), {
    B: '3',
    C: '4',
  });
});
