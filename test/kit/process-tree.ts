/**
 * A process and all its descendants, as /proc shows them, and signals to them by pid. For the
 * fault suites, which must leave nobody alive, and for the bench, which must count everybody.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from './eventually.ts';

/** The fields of /proc/<pid>/stat that the suites use. Times in clock ticks. */
export interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  /** `Z`: dead, and not yet reaped. */
  readonly state: string;
  readonly userTicks: number;
  readonly systemTicks: number;
  /** Of children that have ended and were waited for. */
  readonly reapedUserTicks: number;
  readonly reapedSystemTicks: number;
}

/** `null` when there is no such process. */
export function readStat(pid: number): ProcessStat | null {
  const text = readProcFile(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name in brackets may hold spaces and brackets: the fields count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index]);
  return {
    pid,
    state: fields[0] ?? '?',
    parentPid: number(1),
    userTicks: number(11),
    systemTicks: number(12),
    reapedUserTicks: number(13),
    reapedSystemTicks: number(14),
  };
}

/** `rootPid` and its living descendants, parents before children; empty when the root is gone. */
export function treeOf(rootPid: number): readonly ProcessStat[] {
  const childrenOf = new Map<number, ProcessStat[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat === null || stat.state === 'Z') continue;
    const siblings = childrenOf.get(stat.parentPid);
    if (siblings === undefined) childrenOf.set(stat.parentPid, [stat]);
    else siblings.push(stat);
  }
  const root = readStat(rootPid);
  if (root === null || root.state === 'Z') return [];
  const tree = [root];
  for (const stat of tree) tree.push(...(childrenOf.get(stat.pid) ?? []));
  return tree;
}

/** The command line, arguments separated by spaces; empty when it is gone. */
export function commandLine(pid: number): string {
  return (readProcFile(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
}

export function isAlive(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.state !== 'Z';
}

/** False when there is no such process any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * SIGKILL to the whole tree and a wait until all of it is gone. The root is stopped first: a
 * supervisor must not answer the death of a child with a new one that nobody listed.
 * @returns the pids that were killed.
 */
export async function killTree(rootPid: number): Promise<readonly number[]> {
  signal(rootPid, 'SIGSTOP');
  const pids = treeOf(rootPid).map(({ pid }) => pid);
  for (const pid of pids.toReversed()) signal(pid, 'SIGKILL');
  await eventually('the end of killed processes', () => !pids.some(isAlive), {
    describe: () => pids.filter(isAlive).map(commandLine).join('\n'),
  });
  return pids;
}

function readProcFile(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return null;
    throw error;
  }
}
