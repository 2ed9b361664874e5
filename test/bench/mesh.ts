/** Millrace with a set-up of Triggers, ready to be measured. */
import { startMillrace } from '../kit/millrace-process.ts';
import type { MillraceProcess } from '../kit/millrace-process.ts';
import { manifestYaml } from '../kit/trigger-yaml.ts';
import type { Setup } from './scenario.ts';
import type { Target } from './window.ts';

export interface MeshOptions {
  readonly roles: 'fused' | 'separate';
  readonly sinkPort: number;
  /** Where the data are; a real disk. */
  readonly dir: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Mesh extends AsyncDisposable {
  readonly target: Target;
  readonly millrace: MillraceProcess;
  readonly readyMs: number;
  /** Names of processes that are not the ones of the start. */
  restartedProcesses(): readonly string[];
}

const READY_LIMIT_MS = 120_000;

export async function startMesh(setup: Setup, options: MeshOptions): Promise<Mesh> {
  const { roles, sinkPort, dir, environment = {} } = options;
  const triggers = setup.triggers((path) => `http://127.0.0.1:${sinkPort}${path}`);
  // An empty file is a mistake of the user's; a Broker that exists anyhow says the same as nothing.
  const yaml = manifestYaml(triggers, triggers.length === 0 ? [{ name: 'default' }] : []);
  const startedMs = performance.now();
  const millrace = await startMillrace({
    ...{ yaml, roles, environment, parentDir: dir, readyLimitMs: READY_LIMIT_MS },
    args: ['--log-level', 'warn'],
  });
  const names = new Map(millrace.eventProcesses().map(({ pid, name }) => [pid, name]));
  const { hostname, port, pathname } = new URL(millrace.brokerUrl);
  return {
    millrace,
    readyMs: performance.now() - startedMs,
    target: {
      ...{ host: hostname, port: Number(port), path: pathname, rootPid: millrace.pid },
      nameOf: (pid) => names.get(pid) ?? 'control',
    },
    restartedProcesses: () =>
      millrace
        .eventProcesses()
        .filter(({ pid }) => !names.has(pid))
        .map(({ name }) => name),
    [Symbol.asyncDispose]: () => millrace[Symbol.asyncDispose](),
  };
}
