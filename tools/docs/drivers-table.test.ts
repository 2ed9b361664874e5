/** The page of drivers from a small report. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driversPage } from './drivers-table.ts';

test('shows capabilities, passes and the reasons of skips', () => {
  const text = driversPage({
    drivers: [
      {
        name: 'a',
        capabilities: {
          durability: 'D2',
          seek: true,
          shared: false,
          recordBytesMax: 1_048_576,
          reopen: true,
        },
        results: { 'keeps | it': null, 'comes back': null },
      },
      {
        name: 'b',
        capabilities: {
          durability: 'D0',
          seek: false,
          shared: false,
          recordBytesMax: null,
          reopen: false,
        },
        results: { 'keeps | it': null, 'comes back': 'forgets' },
      },
    ],
    groups: [{ name: 'Log', cases: ['keeps | it', 'comes back', 'new'] }],
  });
  assert.ok(text.includes('| a | D2 | yes | no | 1 MiB | yes |'));
  assert.ok(text.includes('| b | D0 | no | no | no limit | no |'));
  assert.ok(text.includes('## Log\n\n| A driver | a | b |\n| --- | --- | --- |'));
  assert.ok(text.includes('| keeps \\| it | yes | yes |'));
  assert.ok(text.includes('| comes back | yes | no: forgets |'));
  assert.ok(text.includes('| new | not run | not run |'));
});
