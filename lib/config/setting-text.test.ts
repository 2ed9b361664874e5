/** Each type of setting from text, at both sides of its limits, and back to text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatSettingValue,
  parseBytes,
  parseDurationMs,
  parseSettingText,
} from './setting-text.ts';
import type { SettingDefinition, SettingValue } from './settings.ts';

const base = { description: 'A setting.', source: 'test' };
const duration: SettingDefinition = {
  ...base,
  type: 'duration',
  default: 1000,
  min: 200,
  max: 60_000,
};
const bytes: SettingDefinition = { ...base, type: 'bytes', default: 1024, min: 1, max: 2 ** 20 };

function value(definition: SettingDefinition, text: string): SettingValue {
  const result = parseSettingText(definition, text);
  assert.equal(result.kind, 'value', result.kind === 'problem' ? result.wanted : '');
  return result.kind === 'value' ? result.value : null;
}

function wanted(definition: SettingDefinition, text: string): string {
  const result = parseSettingText(definition, text);
  assert.equal(result.kind, 'problem', `"${text}" was accepted`);
  return result.kind === 'problem' ? result.wanted : '';
}

test('durations: units, digits alone, several units, fractions', () => {
  const table: readonly (readonly [string, number | null])[] = [
    ['0', 0],
    ['250', 250],
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['0.5ms', null],
    ['10 s', null],
    ['-1s', null],
    ['s', null],
    ['1w', null],
    ['', null],
    ['99999999999999999999', null],
  ];
  for (const [text, expected] of table) assert.equal(parseDurationMs(text), expected, text);
});

test('sizes: decimal and binary units, a space before the unit, no negative, no fraction of a byte', () => {
  const table: readonly (readonly [string, number | null])[] = [
    ['0', 0],
    ['1024', 1024],
    ['1k', 1000],
    ['1Ki', 1024],
    ['64KiB', 65_536],
    ['1.5 MiB', 1_572_864],
    ['2GB', 2e9],
    ['1TiB', 2 ** 40],
    ['0.3', null],
    ['-1', null],
    ['1 XB', null],
    ['1constructor', null],
    ['', null],
  ];
  for (const [text, expected] of table) assert.equal(parseBytes(text), expected, text);
});

test('a range includes its bounds and nothing outside them, and the reason names both', () => {
  assert.equal(value(duration, '200ms'), 200);
  assert.equal(value(duration, '1m'), 60_000);
  assert.equal(
    wanted(duration, '199ms'),
    'must be a duration such as 250ms, 10s, 1h30m from 200ms to 1m',
  );
  wanted(duration, '60001');
  assert.equal(value(bytes, '1MiB'), 2 ** 20);
  assert.match(wanted(bytes, '1048577'), /from 1 to 1MiB/);
});

test('integers and numbers', () => {
  const integer: SettingDefinition = { ...base, type: 'integer', default: 1, min: -5, max: 5 };
  const number: SettingDefinition = { ...base, type: 'number', default: 1, min: 0, max: 1 };
  assert.equal(value(integer, '-5'), -5);
  assert.equal(value(integer, ' 5 '), 5);
  for (const text of ['5.0', '1e2', '0x1', '', 'NaN', '6']) wanted(integer, text);
  assert.equal(value(number, '0.25'), 0.25);
  assert.equal(value(number, '1e-3'), 0.001);
  for (const text of ['1.01', 'Infinity', '-0.1', '.', '']) wanted(number, text);
});

test('booleans, choices, strings', () => {
  const boolean: SettingDefinition = { ...base, type: 'boolean', default: false };
  const choice: SettingDefinition = { ...base, type: 'choice', choices: ['a', 'b'], default: 'a' };
  const string: SettingDefinition = {
    ...base,
    type: 'string',
    default: null,
    check: (text) => (text.includes(':') ? null : 'must be host:port'),
  };
  assert.equal(value(boolean, 'true'), true);
  assert.equal(value(boolean, 'false'), false);
  for (const text of ['1', 'yes', 'TRUE', '']) wanted(boolean, text);
  assert.equal(value(choice, 'b'), 'b');
  assert.equal(wanted(choice, 'c'), 'must be one of a, b');
  assert.equal(value(string, 'h:1'), 'h:1');
  assert.equal(wanted(string, 'h'), 'must be host:port');
  assert.equal(wanted(string, '  '), 'must not be empty');
});

test('lists: trimmed, bounded, each item checked, frozen', () => {
  const list: SettingDefinition = {
    ...base,
    type: 'list',
    default: [],
    itemCountMax: 2,
    check: (item) => (item === 'bad' ? 'is bad' : null),
  };
  assert.deepEqual(value(list, 'a , b'), ['a', 'b']);
  assert.deepEqual(value(list, ''), []);
  assert.ok(Object.isFrozen(value(list, 'a')));
  assert.match(wanted(list, 'a,,b'), /empty item/);
  assert.match(wanted(list, 'a,b,c'), /at most 2/);
  assert.equal(wanted(list, 'a,bad'), 'has the item "bad", which is bad');
});

test('what is formatted reads back as the same number', () => {
  const wide = { ...base, default: 0, min: 0, max: Number.MAX_SAFE_INTEGER };
  for (const type of ['duration', 'bytes'] as const) {
    const definition: SettingDefinition = { ...wide, type };
    fc.assert(
      fc.property(fc.maxSafeNat(), (number) => {
        const text = formatSettingValue(definition, number);
        assert.equal(value(definition, text), number);
      }),
    );
  }
});

test('values are formatted as a person would type them', () => {
  assert.equal(formatSettingValue(duration, 600_000), '10m');
  assert.equal(formatSettingValue(duration, 90_000), '90s');
  assert.equal(formatSettingValue(duration, 0), '0');
  assert.equal(formatSettingValue(bytes, 65_536), '64KiB');
  assert.equal(formatSettingValue(bytes, 1000), '1000');
  assert.equal(formatSettingValue(bytes, null), '');
  assert.equal(formatSettingValue(bytes, ['a', 'b']), 'a,b');
});
