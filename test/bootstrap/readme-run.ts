/**
 * Runs a README from top to bottom as a newcomer would: the first block in an empty folder, each next
 * one in a terminal of its own inside the clone, long-running blocks left open. The ports that the
 * README takes for granted are replaced by free ones, so that the test disturbs nobody.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Variables } from './bare-machine.ts';
import { cloneFolder, withLocalClone } from './readme-blocks.ts';
import type { ReadmeBlock } from './readme-blocks.ts';
import { openTerminal, poll } from './terminal.ts';
import type { Terminal } from './terminal.ts';

export interface ReadmeRunOptions {
  readonly blocks: readonly ReadmeBlock[];
  /** The repository that `git clone` gets. */
  readonly repository: string;
  /** An empty folder to work in. */
  readonly desk: string;
  readonly environment: Variables;
  /** For a block to end, or to show that it is up. */
  readonly blockLimitMs: number;
}

export interface ReadmeRun {
  readonly cloneRoot: string;
  /** How long each block took to end or to be up, in order. */
  readonly blockMs: readonly number[];
  /** The environment with the replaced ports. */
  readonly environment: Variables;
  /** Ends what still runs, last first. True when all went by themselves. */
  close(): Promise<boolean>;
}

const EXPECT_LIMIT_MS_MAX = 10_000;
const CLOSE_LIMIT_MS = 15_000;

/** @throws when a block fails, is not up in time, or what is expected does not show. */
export async function runReadme(options: ReadmeRunOptions): Promise<ReadmeRun> {
  const [first] = options.blocks;
  const folder = first === undefined ? null : cloneFolder(first.script);
  if (folder === null) throw new Error('the first sh block of the README has no git clone');
  const cloneRoot = path.join(options.desk, folder);
  const ports = { '8080': await freePort(), '9090': await freePort() };
  const environment = {
    ...options.environment,
    MILLRACE_LISTEN: `127.0.0.1:${ports['8080']}`,
    MILLRACE_ADMIN_LISTEN: `127.0.0.1:${ports['9090']}`,
  };
  const withPorts = (text: string): string =>
    text.replace(
      /\b(localhost|127\.0\.0\.1):(8080|9090)\b/g,
      (_all, host: string, port: '8080' | '9090') => `${host}:${ports[port]}`,
    );
  const terminals: Terminal[] = [];
  const blockMs: number[] = [];
  const close = async (): Promise<boolean> => {
    let isClean = true;
    for (const terminal of terminals.toReversed()) {
      isClean = (await terminal.close(CLOSE_LIMIT_MS)) && isClean;
    }
    return isClean;
  };
  try {
    for (const block of options.blocks) {
      const startedMs = performance.now();
      const script = withPorts(withLocalClone(block.script, options.repository));
      const cwd = block === first ? options.desk : cloneRoot;
      const terminal = openTerminal(script, { cwd, environment });
      terminals.push(terminal);
      await finish(block, terminal, options.blockLimitMs);
      blockMs.push(performance.now() - startedMs);
      for (const words of block.expected) {
        const limitMs = Math.min(options.blockLimitMs, EXPECT_LIMIT_MS_MAX);
        await expectWords(block, withPorts(words), terminals, limitMs);
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { cloneRoot, blockMs, environment, close };
}

async function finish(block: ReadmeBlock, terminal: Terminal, limitMs: number): Promise<void> {
  if (block.readyPattern !== null) return await terminal.waitFor(block.readyPattern, limitMs);
  const status = await terminal.waitForEnd(limitMs);
  if (status !== 0) {
    throw new Error(`README line ${block.line}: exit status ${status}\n${terminal.output()}`);
  }
}

async function expectWords(
  block: ReadmeBlock,
  words: string,
  terminals: readonly Terminal[],
  limitMs: number,
): Promise<void> {
  const isShown = (): boolean => terminals.some((terminal) => terminal.output().includes(words));
  if (await poll(isShown, limitMs)) return;
  const outputs = terminals.map((terminal) => terminal.output()).join('\n---\n');
  throw new Error(`README line ${block.line}: nothing shows "${words}"\n${outputs}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
