/** The README runner on a small program: what it runs, what it notices, that it leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createBareMachine } from './bare-machine.ts';
import { readmeBlocks } from './readme-blocks.ts';
import { runReadme } from './readme-run.ts';

/** Stands for `./bin/millrace`: `up` runs, `send` writes where `up` looks. */
const PROGRAM = `#!/bin/sh
case $1 in
  up) echo "ready on $MILLRACE_LISTEN"
      trap 'exit 0' INT
      while :; do if [ -f sent ]; then echo "delivered $(cat sent)"; rm sent; fi; sleep 0.05; done ;;
  send) echo "$2" >sent ;;
esac
`;

const fence = (script: string): string => `\`\`\`sh\n${script}\n\`\`\`\n`;
const START = fence('git clone https://host.example/thing.git\ncd thing\nsh ./bin/millrace up');

async function run(t: TestContext, readme: string, blockLimitMs = 5000) {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'millrace-readme-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const repository = path.join(folder, 'repository');
  mkdirSync(path.join(repository, 'bin'), { recursive: true });
  writeFileSync(path.join(repository, 'bin/millrace'), PROGRAM);
  const git = (...args: readonly string[]): void => {
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: repository,
      stdio: 'ignore',
    });
  };
  git('init');
  git('add', '.');
  git('commit', '-m', 'x');
  const desk = path.join(folder, 'desk');
  mkdirSync(desk);
  const { environment } = createBareMachine(folder, { node: null, npm: null });
  const blocks = readmeBlocks(readme);
  return await runReadme({ blocks, repository, desk, environment, blockLimitMs });
}

test('a README that holds is run to its end, with free ports, and ends cleanly', async (t) => {
  const send = fence('sh ./bin/millrace send one-event');
  const readme = `${START}\n<!-- expect: ready on 127.0.0.1:8080 -->\n${send}\n<!-- expect: delivered one-event -->\n`;
  const done = await run(t, readme);
  assert.equal(done.blockMs.length, 2);
  assert.ok(!done.environment['MILLRACE_LISTEN']?.endsWith(':8080'));
  assert.equal(path.basename(done.cloneRoot), 'thing');
  assert.equal(await done.close(), true);
});

test('a block that fails, never is up, or ends too soon is reported with its output', async (t) => {
  const failing = `${START}${fence('echo before; false; echo after')}`;
  await assert.rejects(run(t, failing), /README line 6: exit status 1\nbefore\n$/);
  const silent = fence('git clone https://host.example/thing.git\n: millrace up\nsleep 9');
  await assert.rejects(run(t, silent, 300), /no .*ready.* in 300 ms/);
  const short = fence('git clone https://host.example/thing.git\n: millrace up\necho bye');
  await assert.rejects(run(t, short), /ended without .*ready[^]*bye/);
});

test('words that are expected and do not show are reported', async (t) => {
  const readme = fence('git clone https://host.example/thing.git') + '<!-- expect: never -->\n';
  await assert.rejects(run(t, readme, 1000), /README line 1: nothing shows "never"/);
});

test('a README without a clone is refused', async (t) => {
  await assert.rejects(run(t, fence('npm start')), /no git clone/);
});
