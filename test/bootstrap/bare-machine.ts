/**
 * A machine with almost nothing on it: an empty HOME, a PATH with git, npm, a given Node and base tools,
 * and no other variable. For the tests of the bootstrap. The real machine's npm registry keeps
 * working: its effective settings travel in variables, so that no host is written down anywhere.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import path from 'node:path';

export type Variables = Readonly<Record<string, string>>;

/** What a POSIX system has; npm's own scripts and ours use some of them. */
const BASE_TOOLS =
  'sh env cat cksum uname readlink dirname basename ln rm mkdir mkfifo mv cp ls tail head sleep grep sed printf true false test tr wc';

const NPM_SETTINGS = ['registry', 'cafile', 'proxy', 'https-proxy', 'noproxy', 'userconfig'];
const NETWORK_VARIABLES =
  /^(?:https?_proxy|no_proxy|all_proxy|node_extra_ca_certs|ssl_cert_file)$/i;

export interface BareMachine {
  /** The folder that is the whole PATH. */
  readonly programFolder: string;
  readonly environment: Variables;
}

export interface BareMachineOptions {
  /** Path of the program that is `node` there, or `null` for none. */
  readonly node: string | null;
  /** Path of the program that is `npm` there, or `null` for none. */
  readonly npm: string | null;
}

/** Makes the machine in the empty folder `folder`. */
export function createBareMachine(folder: string, options: BareMachineOptions): BareMachine {
  const programFolder = path.join(folder, 'bin');
  const home = path.join(folder, 'home');
  mkdirSync(programFolder, { recursive: true });
  mkdirSync(home);
  for (const name of [...BASE_TOOLS.split(' '), 'git']) {
    const program = findProgram(name);
    if (program !== null) symlinkSync(program, path.join(programFolder, name));
  }
  if (options.node !== null) symlinkSync(options.node, path.join(programFolder, 'node'));
  if (options.npm !== null) symlinkSync(options.npm, path.join(programFolder, 'npm'));
  return { programFolder, environment: { PATH: programFolder, HOME: home } };
}

/** A program on PATH, outside every node_modules; `null` when there is none. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    if (folder === '' || folder.includes('node_modules') || folder.includes('node-gyp-bin'))
      continue;
    const program = path.join(folder, name);
    try {
      accessSync(program, constants.X_OK);
    } catch (error) {
      if (isAbsence(error)) continue;
      throw error;
    }
    return realpathSync(program);
  }
  return null;
}

function isAbsence(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR';
}

/** How the real machine reaches its registry, as variables. */
export function registryVariables(npm: string): Variables {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (NETWORK_VARIABLES.test(name) && value !== undefined) variables[name] = value;
  }
  for (const setting of NPM_SETTINGS) {
    const value = execFileSync(npm, ['config', 'get', setting], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    const isSet = value !== '' && value !== 'null' && value !== 'undefined';
    if (isSet) variables[`npm_config_${setting.replaceAll('-', '_')}`] = value;
  }
  return variables;
}

export interface RunResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program there to its end. */
export async function runOn(
  machine: BareMachine,
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly added?: Variables },
): Promise<RunResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...machine.environment, ...options.added },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}
