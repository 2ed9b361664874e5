/**
 * CPU profiles of the mesh's processes: switched on through their environment, read when they have
 * ended, told as the functions with the most time of their own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const IDLE = new Set(['(idle)', '(program)', '(root)']);
const TOP = 35;
/** Profiles with less work than this are of helpers. */
const WORK_MICROS_MIN = 500_000;

/** Variables for a mesh whose processes write profiles into `dir` when they end. */
export function profileEnvironment(dir: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir} --cpu-prof-interval=400` };
}

/** The functions with the most self time of each busy process or thread. */
export function describeProfiles(dir: string, repository: string): string {
  const sections = readdirSync(dir)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => describeProfile(name, path.join(dir, name), repository));
  return sections.filter((section) => section !== null).join('\n');
}

function describeProfile(name: string, file: string, repository: string): string | null {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
  const microsOf = new Map<number, number>();
  for (const [index, id] of profile.samples.entries()) {
    microsOf.set(id, (microsOf.get(id) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  const selfMicros = new Map<string, number>();
  let workMicros = 0;
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const micros = microsOf.get(id) ?? 0;
    if (functionName === '(idle)') continue;
    workMicros += micros;
    const where = url.replace(`file://${repository}/`, '').replace('node_modules/', '');
    const label =
      IDLE.has(functionName) || url === ''
        ? functionName || '(anonymous native)'
        : `${functionName || '(anonymous)'} ${where}:${lineNumber + 1}`;
    selfMicros.set(label, (selfMicros.get(label) ?? 0) + micros);
  }
  if (workMicros < WORK_MICROS_MIN) return null;
  const lines = [...selfMicros]
    .toSorted(([, one], [, two]) => two - one)
    .slice(0, TOP)
    .map(
      ([label, micros]) => `  ${((micros / workMicros) * 100).toFixed(1).padStart(5)} %  ${label}`,
    );
  return [`${name}: ${(workMicros / 1e6).toFixed(2)} s of work`, ...lines].join('\n');
}
