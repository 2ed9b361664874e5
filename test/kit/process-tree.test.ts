/** The tree is found, counted and killed whole, grandchildren included. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { cpuOf, readCpu, readMemory } from './cpu.ts';
import { eventually } from './eventually.ts';
import { isAlive, killTree, readStat, treeOf } from './process-tree.ts';

test('a tree of three is listed parents first, and killed whole', async () => {
  const child = spawn('sh', ['-c', 'sh -c "sleep 60 & wait" & wait'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  const tree = await eventually('three processes', () => {
    const stats = treeOf(pid);
    return stats.length === 3 ? stats : null;
  });
  assert.equal(tree[0]?.pid, pid);
  assert.equal(tree[1]?.parentPid, pid);
  assert.equal(tree[2]?.parentPid, tree[1]?.pid);
  const killed = await killTree(pid);
  assert.deepEqual(
    killed,
    tree.map((stat) => stat.pid),
  );
  assert.ok(!tree.some((stat) => isAlive(stat.pid)));
  assert.deepEqual(treeOf(pid), []);
});

test('CPU counts what a child burnt after it has ended, memory what is there', async () => {
  const script =
    'const end = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < end);';
  const burner = `${process.execPath} -e '${script}'`;
  const child = spawn('sh', ['-c', `${burner}; sleep 60`], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    const cpu = await eventually('the burnt CPU', () => {
      const reading = readCpu(pid);
      return reading.microsByPid.size === 2 && reading.userMicros >= 200_000 ? reading : null;
    });
    assert.ok(cpu.userMicros < 5_000_000, `${cpu.userMicros}`);
    const { rssBytes, pssBytes } = readMemory(pid);
    assert.ok(
      rssBytes > 100_000 && pssBytes > 0 && pssBytes <= rssBytes,
      `${rssBytes} ${pssBytes}`,
    );
  } finally {
    await killTree(pid);
  }
  assert.equal(cpuOf(treeOf(pid)).userMicros, 0);
});

test('a name with brackets and spaces does not move the fields', async () => {
  const child = spawn(process.execPath, [
    '-e',
    'process.title = "a) b (c"; setInterval(() => {}, 1e6); console.log(1)',
  ]);
  await once(child.stdout, 'data');
  assert.equal(readStat(child.pid ?? 0)?.parentPid, process.pid);
  await killTree(child.pid ?? 0);
});

test('eventually says what it missed, and keeps the last error as the cause', async () => {
  const failing = eventually('a miracle', () => Promise.reject(new Error('not yet')), {
    limitMs: 20,
    describe: () => 'the facts',
  });
  await assert.rejects(failing, (error: Error) => {
    assert.match(error.message, /a miracle.*20 ms\nthe facts/);
    assert.match(String(error.cause), /not yet/);
    return true;
  });
  assert.equal(await eventually('seven', () => 7), 7);
});
