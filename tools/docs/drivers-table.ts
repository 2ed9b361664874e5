/**
 * docs/drivers.md from what the contract suite reports: what each channel driver says it can do, and
 * which case of the contract it passes or skips, with the reason. `npm run docs` runs the suite for
 * it; the suite itself compares the page with its own results, so that no skip goes unnoticed.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cell, generatedNotice } from './markdown-table.ts';

export interface DriverReport {
  readonly name: string;
  readonly capabilities: {
    readonly durability: string;
    readonly seek: boolean;
    readonly shared: boolean;
    readonly recordBytesMax: number | null;
    readonly reopen: boolean;
  };
  /** By the name of the case: `null` = passed, a text = skipped because. */
  readonly results: Readonly<Record<string, string | null>>;
}

export interface ContractReport {
  readonly drivers: readonly DriverReport[];
  readonly groups: readonly { readonly name: string; readonly cases: readonly string[] }[];
}

const MIB = 1024 * 1024;

export function driversPage({ drivers, groups }: ContractReport): string {
  const names = drivers.map(({ name }) => name);
  const lines = [
    '# Channel drivers',
    '',
    generatedNotice(),
    '',
    'Every driver of `channels/index.ts` runs the same contract suite (`test/contract`).',
    '',
    '## What they can do',
    '',
    ...table(
      ['Driver', 'Durability', 'Seek', 'Shared', 'Largest event', 'Survives its process'],
      [...drivers.map(({ name, capabilities }) => capabilityRow(name, capabilities))],
    ),
    '',
    'Durability: D0 memory · D1 crash of the process · D2 power loss of the node · D3 loss of a minority',
    'of nodes · D4 both. A Broker shows in its status what its driver has verified.',
  ];
  for (const { name, cases } of groups) {
    const rows = cases.map((each) => [each, ...drivers.map((driver) => verdict(driver, each))]);
    lines.push('', `## ${name}`, '', ...table(['A driver', ...names], rows));
  }
  return `${lines.join('\n')}\n`;
}

function capabilityRow(name: string, can: DriverReport['capabilities']): readonly string[] {
  const limit = can.recordBytesMax === null ? 'no limit' : `${can.recordBytesMax / MIB} MiB`;
  return [name, can.durability, yesNo(can.seek), yesNo(can.shared), limit, yesNo(can.reopen)];
}

function verdict({ results }: DriverReport, name: string): string {
  const result = results[name];
  if (result === undefined) return 'not run';
  return result === null ? 'yes' : `no: ${result}`;
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Runs the suite over every driver (some ten seconds) and writes the page. True when it changed. */
export async function writeDriversPage(root: string): Promise<boolean> {
  const report = path.join(root, 'test/contract/report.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [report], { cwd: root });
  const parsed: unknown = JSON.parse(stdout);
  if (!isReport(parsed)) throw new TypeError(`${report} printed no report`);
  const target = path.join(root, 'docs', 'drivers.md');
  const text = driversPage(parsed);
  const before = await readFile(target, 'utf8').catch(() => '');
  if (before !== text) await writeFile(target, text);
  return before !== text;
}

/** Enough to tell a report from an accident: both sides are built together. */
function isReport(value: unknown): value is ContractReport {
  return typeof value === 'object' && value !== null && 'drivers' in value && 'groups' in value;
}
