/**
 * Runs one step of the table in a process of its own and says how it ended. Used by main.ts. A suite
 * never passes by accident: no test files, no totals, a process that does not end, or an exit status
 * that the totals do not explain are failures with a reason.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import type { SuiteTotals } from './reporter.ts';
import { TOTALS_MARK } from './reporter.ts';
import type { ProgramStep, Step, SuiteStep } from './steps.ts';

export interface StepResult {
  readonly totals: SuiteTotals;
  /** Everything the step printed, without the line of totals. */
  readonly output: string;
  /** Reasons why it failed that are not failed tests. */
  readonly problems: readonly string[];
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly isOverLimit: boolean;
}

const PROGRAM_LIMIT_MS = 5 * 60_000;

/** Runs `step` in the repository `root`. Never rejects for a failing step. */
export async function runStep(root: string, step: Step): Promise<StepResult> {
  if (step.kind === 'program') {
    return programResult(step, await runNode(root, step.nodeArguments, PROGRAM_LIMIT_MS));
  }
  const files = step.globs.flatMap((pattern) => globSync(pattern, { cwd: root })).sort();
  if (files.length === 0) return noFilesResult(step);
  const end = await runNode(root, suiteArguments(step, files), step.limitMs);
  return suiteResult(step, end);
}

/** The arguments of Node for a suite. */
export function suiteArguments(step: SuiteStep, files: readonly string[]): readonly string[] {
  return [
    '--test',
    `--test-isolation=${step.isolation}`,
    ...(step.isolation === 'process' ? [`--test-concurrency=${step.concurrency}`] : []),
    '--test-reporter=./tools/test/reporter.ts',
    ...files,
  ];
}

/** A suite without files has tested nothing: a skip, which is a failure in CI. */
function noFilesResult(step: SuiteStep): StepResult {
  return {
    totals: { passed: 0, failed: 0, skipped: 1 },
    output: `  skipped: no file matches ${step.globs.join(' ')}\n`,
    problems: [],
  };
}

export function programResult(step: ProgramStep, end: ProcessEnd): StepResult {
  const isPassed = end.exitCode === 0 && !end.isOverLimit;
  return {
    totals: { passed: isPassed ? 1 : 0, failed: isPassed ? 0 : 1, skipped: 0 },
    output: isPassed ? '' : end.output,
    problems: isPassed ? [] : [`${describeEnd(end)}; ${step.advice}`],
  };
}

/** Reads the totals from what the suite printed and adds what they do not tell. */
export function suiteResult(step: SuiteStep, end: ProcessEnd): StepResult {
  const lines = end.output.split('\n');
  const markedLine = lines.findLast((line) => line.startsWith(TOTALS_MARK));
  const output = lines.filter((line) => !line.startsWith(TOTALS_MARK)).join('\n');
  const totals: SuiteTotals =
    markedLine === undefined
      ? { passed: 0, failed: 0, skipped: 0 }
      : (JSON.parse(markedLine.slice(TOTALS_MARK.length)) as SuiteTotals);
  const problems: string[] = [];
  if (end.isOverLimit) {
    problems.push(
      `did not end within ${step.limitMs / 1000} s: a test hangs, or leaves a handle open`,
    );
  } else if (markedLine === undefined) {
    problems.push(`ended without totals: ${describeEnd(end)}`);
  } else if (end.exitCode !== 0 && totals.failed === 0) {
    problems.push(`no test failed, but it ${describeEnd(end)}`);
  } else if (totals.passed + totals.failed + totals.skipped === 0) {
    problems.push('ran no test');
  }
  return { totals: { ...totals, failed: totals.failed + problems.length }, output, problems };
}

function describeEnd(end: ProcessEnd): string {
  if (end.isOverLimit) return 'was ended at its time limit';
  return end.signal === null
    ? `ended with exit status ${end.exitCode ?? 'none'}`
    : `was ended by ${end.signal}`;
}

/** Runs the present Node with `args`, both outputs together in the order they came. */
async function runNode(
  root: string,
  args: readonly string[],
  limitMs: number,
): Promise<ProcessEnd> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: '0', NODE_TEST_CONTEXT: undefined },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  let isOverLimit = false;
  const limit = setTimeout(() => {
    isOverLimit = true;
    child.kill('SIGKILL');
  }, limitMs);
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.once('SIGTERM', forward);
  process.once('SIGINT', forward);
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(limit);
  process.off('SIGTERM', forward);
  process.off('SIGINT', forward);
  return { exitCode, signal, output: Buffer.concat(chunks).toString(), isOverLimit };
}
