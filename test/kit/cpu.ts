/**
 * What a whole process tree has used: user and system CPU, and memory. From /proc, so that nothing
 * runs inside the measured processes. A reading counts children that have ended, if they were waited
 * for; resolution is one clock tick (10 ms), so measure over seconds.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { treeOf } from './process-tree.ts';
import type { ProcessStat } from './process-tree.ts';

export interface CpuReading {
  readonly userMicros: number;
  readonly systemMicros: number;
  /** User and system together, by pid of those alive. */
  readonly microsByPid: ReadonlyMap<number, number>;
}

export interface MemoryReading {
  /** Sum of the resident sets; pages shared between processes count in each. */
  readonly rssBytes: number;
  /** Sum of proportional sets: shared pages count once. */
  readonly pssBytes: number;
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const TICK_MICROS = 1_000_000 / TICKS_PER_SECOND;

export function readCpu(rootPid: number): CpuReading {
  return cpuOf(treeOf(rootPid));
}

export function cpuOf(tree: readonly ProcessStat[]): CpuReading {
  let userTicks = 0;
  let systemTicks = 0;
  const microsByPid = new Map<number, number>();
  for (const stat of tree) {
    userTicks += stat.userTicks + stat.reapedUserTicks;
    systemTicks += stat.systemTicks + stat.reapedSystemTicks;
    microsByPid.set(stat.pid, (stat.userTicks + stat.systemTicks) * TICK_MICROS);
  }
  return {
    userMicros: userTicks * TICK_MICROS,
    systemMicros: systemTicks * TICK_MICROS,
    microsByPid,
  };
}

export function readMemory(rootPid: number): MemoryReading {
  let rssBytes = 0;
  let pssBytes = 0;
  for (const { pid } of treeOf(rootPid)) {
    const text = readRollup(pid);
    rssBytes += kibibytesOf(text, 'Rss') * 1024;
    pssBytes += kibibytesOf(text, 'Pss') * 1024;
  }
  return { rssBytes, pssBytes };
}

function readRollup(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH') return ''; // It has just ended: it holds nothing.
    throw error;
  }
}

function kibibytesOf(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
}
