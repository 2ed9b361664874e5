/**
 * A terminal of the README test: a shell in a process group of its own that types one block. Long-
 * running blocks stay open until `close`, which ends the group and says whether it had to be killed.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Variables } from './bare-machine.ts';

export interface Terminal {
  /** Both outputs so far. */
  output(): string;
  /** Resolves when `pattern` shows; rejects at the limit, or when the block ends first. */
  waitFor(pattern: RegExp, limitMs: number): Promise<void>;
  /** The exit status of a block that ends by itself. */
  waitForEnd(limitMs: number): Promise<number | null>;
  /** Ends the shell's whole group as Ctrl-C in a terminal would. True when all went by themselves. */
  close(limitMs: number): Promise<boolean>;
}

export interface TerminalOptions {
  readonly cwd: string;
  readonly environment: Variables;
}

const POLL_MS = 20;

export function openTerminal(script: string, options: TerminalOptions): Terminal {
  const child = spawn('sh', ['-e', '-c', script], {
    cwd: options.cwd,
    env: { ...options.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const take = (text: string): void => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const fail = (what: string): never => {
    throw new Error(`${what}\n--- block\n${script}\n--- output\n${output}`);
  };
  return {
    output: () => output,
    async waitFor(pattern, limitMs) {
      const isThere = await poll(() => pattern.test(output) || hasEnded(), limitMs);
      if (!pattern.test(output)) {
        fail(isThere ? `the block ended without ${pattern}` : `no ${pattern} in ${limitMs} ms`);
      }
    },
    async waitForEnd(limitMs) {
      if (!(await poll(hasEnded, limitMs))) fail(`the block did not end in ${limitMs} ms`);
      return child.exitCode;
    },
    async close(limitMs) {
      signalGroup(child, 'SIGINT');
      const isGone = await poll(() => hasEnded() && !isGroupAlive(child), limitMs);
      if (!isGone) signalGroup(child, 'SIGKILL');
      return isGone;
    },
  };
}

/** True when `condition` held within the limit. */
export async function poll(condition: () => boolean, limitMs: number): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
  return true;
}

function isGroupAlive(child: ChildProcess): boolean {
  return signalGroup(child, 0);
}

/** False when the group is gone. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  try {
    process.kill(-child.pid, signal);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}
