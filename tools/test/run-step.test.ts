/** A suite must not pass by accident: each way of ending without an honest total is a failure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReporterEvent } from './reporter.ts';
import report from './reporter.ts';
import { TOTALS_MARK } from './reporter.ts';
import type { ProcessEnd } from './run-step.ts';
import { programResult, suiteArguments, suiteResult } from './run-step.ts';
import type { SuiteStep } from './steps.ts';

const suite: SuiteStep = {
  kind: 'suite',
  name: 'unit',
  isCheck: true,
  globs: ['*.test.ts'],
  isolation: 'none',
  concurrency: 1,
  limitMs: 2000,
  needs: 'nothing',
};

const ended = (output: string, exitCode = 0): ProcessEnd => ({
  exitCode,
  signal: null,
  output,
  isOverLimit: false,
});

const totalsLine = (passed: number, failed: number, skipped = 0): string =>
  `${TOTALS_MARK}${JSON.stringify({ passed, failed, skipped })}\n`;

test('totals are read and taken out of the output', () => {
  const result = suiteResult(suite, ended(`hello\n${totalsLine(2, 0)}`));
  assert.deepEqual(result.totals, { passed: 2, failed: 0, skipped: 0 });
  assert.equal(result.output.trim(), 'hello');
  assert.deepEqual(result.problems, []);
});

test('a process that dies before its totals has failed', () => {
  const result = suiteResult(suite, { ...ended(''), exitCode: null, signal: 'SIGSEGV' });
  assert.equal(result.totals.failed, 1);
  assert.match(result.problems[0] ?? '', /without totals.*SIGSEGV/);
});

test('an exit status that no failed test explains is a failure', () => {
  const result = suiteResult(suite, ended(totalsLine(5, 0), 7));
  assert.equal(result.totals.failed, 1);
  assert.match(result.problems[0] ?? '', /exit status 7/);
});

test('failed tests explain an exit status', () => {
  const result = suiteResult(suite, ended(totalsLine(5, 2), 1));
  assert.equal(result.totals.failed, 2);
  assert.deepEqual(result.problems, []);
});

test('no test at all is a failure', () => {
  assert.match(suiteResult(suite, ended(totalsLine(0, 0))).problems[0] ?? '', /ran no test/);
});

test('a suite over its limit fails even with totals', () => {
  const result = suiteResult(suite, { ...ended(totalsLine(1, 0)), isOverLimit: true });
  assert.match(result.problems[0] ?? '', /within 2 s/);
  assert.equal(result.totals.failed, 1);
});

test('a program that fails says what to do, one that passes prints nothing', () => {
  const program = {
    kind: 'program',
    name: 'docs',
    isCheck: true,
    nodeArguments: [],
    advice: 'npm run docs',
  } as const;
  assert.match(programResult(program, ended('stale', 1)).problems[0] ?? '', /npm run docs/);
  assert.equal(programResult(program, ended('fine')).output, '');
});

test('only isolated suites are given a concurrency', () => {
  assert.ok(!suiteArguments(suite, ['a.test.ts']).join(' ').includes('concurrency'));
  const isolated = suiteArguments({ ...suite, isolation: 'process' }, ['a.test.ts']);
  assert.ok(isolated.includes('--test-concurrency=1'));
});

async function reported(events: readonly ReporterEvent[]): Promise<string> {
  async function* source(): AsyncGenerator<ReporterEvent> {
    for (const event of events) yield await Promise.resolve(event);
  }
  let text = '';
  for await (const part of report(source())) text += part;
  return text;
}

test('the reporter counts tests, not describes, and prints only what is not well', async () => {
  const text = await reported([
    { type: 'test:pass', data: { name: 'good', details: {} } },
    { type: 'test:pass', data: { name: 'group', details: { type: 'suite' } } },
    { type: 'test:pass', data: { name: 'later', skip: 'no disk', details: {} } },
    { type: 'test:fail', data: { name: 'bad', details: { error: new Error('boom') } } },
  ]);
  assert.ok(text.endsWith(totalsLine(1, 1, 1)));
  assert.match(text, /skipped: later .*no disk/);
  assert.match(text, /failed: bad[^]*boom/);
  assert.ok(!text.includes('good'));
});

test('a parent that failed because of its child is counted once', async () => {
  const text = await reported([
    { type: 'test:fail', data: { name: 'child', details: { error: new Error('boom') } } },
    {
      type: 'test:fail',
      data: { name: 'parent', details: { error: { failureType: 'subtestsFailed' } } },
    },
  ]);
  assert.ok(text.endsWith(totalsLine(0, 1)));
});
