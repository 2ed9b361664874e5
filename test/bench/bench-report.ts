/** How the bench is told: a table for people, JSON for the repository. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import type { FloorRow, ScenarioResult } from './bench-run.ts';

export interface BenchReport {
  readonly machine: string;
  readonly node: string;
  readonly commit: string;
  readonly startedAt: string;
  /** Of the minute before; figures from a busy machine mean little. */
  readonly loadAverage: number;
  readonly options: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly floors: readonly FloorRow[];
  readonly scenarios: readonly ScenarioResult[];
  /** Rows that could not be measured. */
  readonly failed: readonly string[];
}

const COLUMNS = [
  ...['scenario', 'µs/event', 'user', 'sys', 'ratio', 'accepted/s', 'delivered/s'],
  ...['p50 ms', 'p99 ms', 'lost', 'dup', 'bad', 'not 202', 'RSS', 'PSS', 'idle', 'load µs'],
] as const;
const NAME_WIDTH = 38;
const WIDTH = 8;

export function machineLine(): string {
  const [cpu] = os.cpus();
  const memory = `${Math.round(os.totalmem() / 2 ** 30)} GiB`;
  return `${os.cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${memory}, ${os.type()} ${os.release()}`;
}

/** The commit, and `+` when the tree differs from it. */
export function commitLine(repository: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: repository, encoding: 'utf8' }).trim();
  return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
}

export function headerLine(): string {
  return line(COLUMNS);
}

export function floorLine(row: FloorRow): string {
  const blank = Array<string>(3).fill('');
  return line([row.name, row.cpuMicrosPerEvent.toFixed(1), ...blank, row.perSecond.toFixed(0)]);
}

export function scenarioLine(result: ScenarioResult): string {
  const { median, windows } = result;
  const sum = (count: (window: (typeof windows)[number]) => number): string =>
    String(windows.reduce((total, window) => total + count(window), 0));
  return line([
    result.name,
    median.cpuMicrosPerEvent.toFixed(1),
    median.userMicrosPerEvent.toFixed(1),
    median.systemMicrosPerEvent.toFixed(1),
    result.ratio === null ? '' : `${result.ratio.toFixed(2)}×`,
    median.acceptedPerSecond.toFixed(0),
    median.deliveredPerSecond.toFixed(0),
    milliseconds(median.p50Ms),
    milliseconds(median.p99Ms),
    sum((window) => window.lostCount),
    sum((window) => window.duplicateCount),
    sum((window) => window.corruptCount + window.misroutedCount),
    sum((window) => Object.values(window.otherAnswers).reduce((all, count) => all + count, 0)),
    mebibytes(median.rssBytes),
    mebibytes(median.pssBytes),
    mebibytes(result.rssIdleBytes),
    median.loadMicrosPerEvent.toFixed(1),
  ]);
}

/** Rows that prove the figures worthless. */
export function brokenRows(results: readonly ScenarioResult[]): readonly string[] {
  return results
    .filter(({ windows }) =>
      windows.some((one) => one.lostCount + one.corruptCount + one.misroutedCount > 0),
    )
    .map(({ name }) => name);
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, index) => (index === 0 ? cell.padEnd(NAME_WIDTH) : cell.padStart(WIDTH)))
    .join(' ');
}

function milliseconds(value: number | null): string {
  return value === null ? '' : value.toFixed(2);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)}M`;
}
