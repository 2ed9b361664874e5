/**
 * `bin/millrace up` as a user runs it, on its own data and ports, for tests that kill it. It comes back
 * on the same data and the same ports. Invariant: when its scope ends no process of it is left.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readMemory } from './cpu.ts';
import type { MemoryReading } from './cpu.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { commandLine, isAlive, killTree, signal, treeOf } from './process-tree.ts';
import { createTempDir } from './temp-dir.ts';
import type { TempDir } from './temp-dir.ts';

export interface MillraceOptions {
  /** The file for `-f`; see `trigger-yaml.ts`. */
  readonly yaml: string;
  readonly roles?: 'fused' | 'separate';
  /** More arguments of `up`. */
  readonly args?: readonly string[];
  /** More variables of the environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where the data directory is made; the system's temporary folder if not given. */
  readonly parentDir?: string;
  readonly readyLimitMs?: number;
}

/** A process of the event side. */
export interface EventProcess {
  readonly pid: number;
  /** As the supervisor names it: its roles. */
  readonly name: string;
}

const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const PROGRAM = path.join(REPOSITORY, 'bin/millrace');
const OUTPUT_LENGTH_MAX = 64 * 1024;
const OUTPUT_LINES_TOLD = 30;
const READY_LIMIT_MS = 20_000;
const END_LIMIT_MS = 30_000;

/** Not yet started. */
export async function createMillrace(options: MillraceOptions): Promise<MillraceProcess> {
  const folder = await createTempDir('up', options.parentDir);
  await writeFile(path.join(folder.path, 'objects.yaml'), options.yaml);
  const ports = { events: await freePort(), admin: await freePort() };
  return new MillraceProcess(folder, ports, options);
}

/** Started and ready. */
export async function startMillrace(options: MillraceOptions): Promise<MillraceProcess> {
  const millrace = await createMillrace(options);
  try {
    await millrace.start();
    return millrace;
  } catch (error) {
    await millrace[Symbol.asyncDispose]();
    throw error;
  }
}

export class MillraceProcess implements AsyncDisposable {
  readonly #folder: TempDir;
  readonly #options: MillraceOptions;
  readonly eventsUrl: string;
  readonly adminUrl: string;
  readonly dataDir: string;
  /** The file that `-f` names; write it anew to change what is in force. */
  readonly objectsFile: string;
  #child: ChildProcess | null = null;
  #output = '';

  constructor(
    folder: TempDir,
    ports: { readonly events: number; readonly admin: number },
    options: MillraceOptions,
  ) {
    this.#folder = folder;
    this.#options = options;
    this.eventsUrl = `http://127.0.0.1:${ports.events}`;
    this.adminUrl = `http://127.0.0.1:${ports.admin}`;
    this.dataDir = path.join(folder.path, 'data');
    this.objectsFile = path.join(folder.path, 'objects.yaml');
  }

  /** Of the Broker `default`. */
  get brokerUrl(): string {
    return `${this.eventsUrl}/default/default`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('Cannot ask for a pid: it does not run');
    return pid;
  }

  /** What it printed since the first start, the end of it when it was much. */
  get output(): string {
    return this.#output;
  }

  /** The end of `output`, for messages. */
  get lastLines(): string {
    return this.#output.split('\n').slice(-OUTPUT_LINES_TOLD).join('\n');
  }

  /** @returns milliseconds until it was ready. @throws Error with its output. */
  async start(): Promise<number> {
    const startedMs = performance.now();
    this.#spawn();
    await this.untilReady();
    return performance.now() - startedMs;
  }

  async untilReady(): Promise<void> {
    await eventually('readiness', () => this.hasEnded || this.isReady(), {
      limitMs: this.#options.readyLimitMs ?? READY_LIMIT_MS,
      describe: () => this.lastLines,
    });
    if (this.hasEnded) {
      throw new Error(`Cannot start: it ended (${this.#child?.exitCode})\n${this.lastLines}`);
    }
  }

  async isReady(): Promise<boolean> {
    const signalOver = AbortSignal.timeout(1_000);
    const answer = await fetch(`${this.adminUrl}/readyz`, { signal: signalOver });
    await answer.arrayBuffer();
    return answer.status === 200;
  }

  get hasEnded(): boolean {
    const child = this.#child;
    return child === null || child.exitCode !== null || child.signalCode !== null;
  }

  /** The children, in the order of their start. */
  eventProcesses(): readonly EventProcess[] {
    return treeOf(this.pid)
      .filter(({ parentPid }) => parentPid === this.pid)
      .map(({ pid }) => ({ pid, name: commandLine(pid).split(' ').at(-1) ?? '' }));
  }

  memory(): MemoryReading {
    return readMemory(this.pid);
  }

  /** SIGKILL to every process of it. */
  async kill(): Promise<void> {
    if (this.hasEnded) return;
    await killTree(this.pid);
    await this.#untilEnded();
  }

  /** SIGKILL to one child; resolves when the supervisor has another one in its place, and it is ready. */
  async killChild(victim: EventProcess): Promise<void> {
    signal(victim.pid, 'SIGKILL');
    const isBack = (): boolean =>
      !isAlive(victim.pid) && this.eventProcesses().some(({ name }) => name === victim.name);
    await eventually(`another ${victim.name}`, isBack, { describe: () => this.lastLines });
    await this.untilReady();
  }

  /** SIGTERM, as a service manager does. @returns the exit code. */
  async stop(): Promise<number | null> {
    const pids = treeOf(this.pid).map(({ pid }) => pid);
    signal(this.pid, 'SIGTERM');
    await this.#untilEnded();
    const orphans = pids.filter(isAlive);
    if (orphans.length > 0) {
      const lines = orphans.map((pid) => `${pid} ${commandLine(pid)}`).join('\n');
      throw new Error(`Cannot call it stopped: these are left\n${lines}\n${this.lastLines}`);
    }
    return this.#child?.exitCode ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#folder[Symbol.asyncDispose]();
  }

  async #untilEnded(): Promise<void> {
    await eventually('its end', () => this.hasEnded, {
      limitMs: END_LIMIT_MS,
      describe: () => this.lastLines,
    });
  }

  #spawn(): void {
    const { roles = 'fused', args = [], environment = {} } = this.#options;
    const command = [
      ...['up', '-f', this.objectsFile, '--data-dir', this.dataDir, '--roles', roles],
      ...['--listen', new URL(this.eventsUrl).host],
      ...['--admin-listen', new URL(this.adminUrl).host],
      ...args,
    ];
    const child = spawn(PROGRAM, command, {
      cwd: this.#folder.path,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...environment },
    });
    const take = (text: string): void => {
      this.#output = `${this.#output}${text}`.slice(-OUTPUT_LENGTH_MAX);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    this.#child = child;
  }
}

/** Of this process, without what would change the one under test. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('MILLRACE_') && !/^NODE_(OPTIONS|TEST_CONTEXT)$/.test(name),
  );
  return Object.fromEntries(entries);
}
