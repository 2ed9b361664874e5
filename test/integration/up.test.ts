/**
 * `millrace up` as a real process: files applied, edited and removed while it runs, a second start on
 * the same data, its ends, and the commands that talk to it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from '#test/kit/eventually';
import { createMillrace, startMillrace } from '#test/kit/millrace-process';
import type { MillraceProcess } from '#test/kit/millrace-process';
import { isAlive, signal, treeOf } from '#test/kit/process-tree';
import { createTempDir } from '#test/kit/temp-dir';
import { manifestYaml } from '#test/kit/trigger-yaml';
import { Subscriber } from '#test/kit/event-path';

const PROGRAM = path.resolve(import.meta.dirname, '../../bin/millrace');

interface CommandResult {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], input = ''): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}

/** A command of the CLI for this Millrace. */
function ask(millrace: MillraceProcess, ...args: readonly string[]): Promise<CommandResult> {
  return run([...args, '--data-dir', millrace.dataDir]);
}

interface Row {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly state: string;
  readonly reason: string;
}

async function triggers(millrace: MillraceProcess): Promise<readonly Row[]> {
  const { out } = await ask(millrace, 'trigger', 'list', '-o', 'json');
  return JSON.parse(out) as readonly Row[];
}

async function send(millrace: MillraceProcess, id: string, type = 'greeting'): Promise<void> {
  const result = await ask(millrace, 'send', '--type', type, '--id', id, '--data', '{}');
  assert.equal(result.code, 0, result.out + result.err);
}

test('files are applied, edited and removed while it runs', async () => {
  await using subscriber = await createSubscriber();
  const one = (more = {}) =>
    manifestYaml([{ name: 'audit', subscriber: subscriber.url(), ...more }]);
  await using millrace = await startMillrace({ yaml: one() });
  await send(millrace, 'first');
  await eventually('the first event', () => subscriber.ids().includes('first'));
  const [before] = await triggers(millrace);

  // As editors do it: another file takes the name.
  await writeFile(`${millrace.objectsFile}.new`, one({ attributes: { type: 'wanted' } }));
  await rename(`${millrace.objectsFile}.new`, millrace.objectsFile);
  await eventually('the edit', async () => (await triggers(millrace))[0]?.generation === 2);
  const [after] = await triggers(millrace);
  assert.equal(after?.uid, before?.uid);
  assert.equal(after?.state, 'inForce');
  await send(millrace, 'unwanted', 'greeting');
  await send(millrace, 'second', 'wanted');
  await eventually('the second event', () => subscriber.ids().includes('second'));
  assert.ok(!subscriber.ids().includes('unwanted'));

  const faulty = one().replace('name: audit', 'name: audit\n  nmae: x');
  await writeFile(millrace.objectsFile, faulty);
  await eventually('the fault', async () => (await triggers(millrace))[0]?.state === 'faulty');
  const [faultyRow] = await triggers(millrace);
  assert.match(
    faultyRow?.reason ?? '',
    /objects\.yaml:5:3 .*unknown field "nmae" \(did you mean "name"\?\)/,
  );
  assert.ok(await millrace.isReady());
  await send(millrace, 'third', 'wanted');
  await eventually('delivery by the former version', () => subscriber.ids().includes('third'));

  await writeFile(millrace.objectsFile, '# nothing is left\n');
  await eventually('the removal', async () => (await triggers(millrace)).length === 0);
  await send(millrace, 'fourth', 'wanted');

  // The name comes back: it inherits its position, so nothing between is lost.
  await writeFile(millrace.objectsFile, one());
  await eventually('what came meanwhile', () => subscriber.ids().includes('fourth'));
  assert.equal(await millrace.stop(), 0);
});

for (const roles of ['fused', 'separate'] as const) {
  test(`${roles}: a start on the same data keeps UIDs and delivers what is left`, async () => {
    await using subscriber = await createSubscriber();
    const yaml = manifestYaml([
      {
        name: 'audit',
        subscriber: subscriber.url(),
        delivery: { retry: 100, backoffPolicy: 'linear', backoffDelay: 'PT0.2S' },
      },
    ]);
    await using millrace = await startMillrace({ yaml, roles });
    subscriber.answer = (_arrival, response) => response.writeHead(503).end();
    await send(millrace, 'late');
    await eventually('a first attempt', () => subscriber.ids().includes('late'));
    const [before] = await triggers(millrace);
    assert.equal(await millrace.stop(), 0);

    subscriber.answer = (_arrival, response) => response.writeHead(204).end();
    const triedCount = subscriber.ids().length;
    const readyMs = await millrace.start();
    assert.ok(readyMs < 5_000, `ready after ${readyMs} ms`);
    await eventually('the attempt after the restart', () => subscriber.ids().length > triedCount);
    const [after] = await triggers(millrace);
    assert.equal(after?.uid, before?.uid);
    assert.equal(await millrace.stop(), 0);
  });

  test(`${roles}: SIGKILL of the parent alone leaves no orphan, and the next start works`, async () => {
    await using millrace = await startMillrace({ yaml: manifestYaml([]), roles });
    const pids = treeOf(millrace.pid).map(({ pid }) => pid);
    assert.equal(pids.length, roles === 'fused' ? 2 : 4);
    signal(millrace.pid, 'SIGKILL');
    await millrace.start();
    await eventually('the end of all orphans', () => !pids.some(isAlive));
    assert.equal(await millrace.stop(), 0);
  });

  test(`${roles}: a process that dies is started again, and the routes are there again`, async () => {
    await using subscriber = await createSubscriber();
    const yaml = manifestYaml([{ name: 'audit', subscriber: subscriber.url() }]);
    await using millrace = await startMillrace({ yaml, roles });
    for (const victim of millrace.eventProcesses()) await millrace.killChild(victim);
    await send(millrace, 'after');
    await eventually('the event after it', () => subscriber.ids().includes('after'));
    const { out } = await ask(millrace, 'status');
    assert.match(out, /started again 1 times, last because it was ended by SIGKILL/);
    assert.equal(await millrace.stop(), 0);
  });
}

test('a second start on the same data waits, then says who holds it', async () => {
  await using millrace = await startMillrace({ yaml: manifestYaml([]) });
  const args = ['up', '--data-dir', millrace.dataDir, '--listen', '127.0.0.1:0'];
  const startedMs = performance.now();
  const { code, err } = await run([...args, '--admin-listen', '127.0.0.1:0']);
  assert.equal(code, 1);
  assert.ok(performance.now() - startedMs >= 5_000);
  assert.match(
    err,
    new RegExp(
      `Error: Cannot start on ".*data": process ${millrace.pid} holds it since .*, it takes events at ${millrace.eventsUrl}, waited 5 s \\(--data-dir\\)`,
    ),
  );
  assert.ok(await millrace.isReady());
});

test('a taken address is an answer that names the flag', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  await using ends = new AsyncDisposableStack();
  ends.defer(() => void server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const taken = `127.0.0.1:${address.port}`;
  await using folder = await createTempDir('taken');
  for (const [flag, other] of [
    ['--listen', '--admin-listen'],
    ['--admin-listen', '--listen'],
  ] as const) {
    const data = ['--data-dir', path.join(folder.path, 'data')];
    const { code, err } = await run(['up', ...data, flag, taken, other, '127.0.0.1:0']);
    assert.equal(code, 1, err);
    assert.match(err, new RegExp(`Error: Cannot listen .*${taken}.*\\(${flag}\\)`));
  }
});

test('a data directory that others can enter, and a file that is not there, are refused', async () => {
  await using folder = await createTempDir('rights');
  const data = path.join(folder.path, 'data');
  await mkdir(data);
  await chmod(data, 0o755);
  const open = await run(['up', '--data-dir', data]);
  assert.equal(open.code, 1);
  assert.match(open.err, /its mode is 755, so others can enter it; chmod 700 "/);
  const missing = await run([
    'up',
    '--data-dir',
    path.join(folder.path, 'other'),
    '-f',
    'nowhere.yaml',
  ]);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /Error: Cannot read -f "nowhere\.yaml": it does not exist/);
});

test('what it makes is for its user alone, and the admin listener knows its own names', async () => {
  await using millrace = await startMillrace({ yaml: manifestYaml([]) });
  for (const [name, mode] of [
    ['', 0o700],
    ['state', 0o700],
    ['store', 0o700],
    ['control.sock', 0o600],
    ['state/objects.json', 0o600],
  ] as const) {
    assert.equal((await stat(path.join(millrace.dataDir, name))).mode & 0o777, mode, name);
  }
  const state: unknown = JSON.parse(
    await readFile(path.join(millrace.dataDir, 'state/objects.json'), 'utf8'),
  );
  assert.equal((state as { format: number }).format, 1);
  assert.equal((await fetch(`${millrace.adminUrl}/healthz`)).status, 200);
  const metrics = await fetch(`${millrace.adminUrl}/metrics`);
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain/);
  assert.equal(await statusWithHost(millrace, 'evil.test'), 403);
  assert.equal(await statusWithHost(millrace, 'localhost'), 200);
});

test('an object that was never valid is reported, and readiness does not wait for it', async () => {
  const yaml = `${manifestYaml([{ name: 'good', subscriber: 'http://127.0.0.1:1/' }])}---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: bad}
spec: {broker: default, subscriber: {ref: {apiVersion: v1, kind: Service, name: x}}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: alone}
spec: {broker: missing, subscriber: {uri: "http://127.0.0.1:1/"}}
`;
  await using millrace = await startMillrace({ yaml });
  const rows = new Map((await triggers(millrace)).map((row) => [row.name, row]));
  assert.equal(rows.get('good')?.state, 'inForce');
  assert.equal(rows.get('bad')?.state, 'faulty');
  assert.match(rows.get('bad')?.reason ?? '', /a ref cannot be resolved/);
  assert.equal(rows.get('alone')?.state, 'pending');
  assert.match(rows.get('alone')?.reason ?? '', /BrokerDoesNotExist/);
});

test('tail shows a verdict with its reason; parked events can be redriven', async () => {
  await using subscriber = await createSubscriber();
  subscriber.answer = (_arrival, response) => response.writeHead(400).end('no');
  const yaml = manifestYaml([
    { name: 'audit', subscriber: subscriber.url(), delivery: { retry: 0 } },
    { name: 'other', subscriber: subscriber.url(), attributes: { type: 'x' } },
  ]);
  await using millrace = await startMillrace({ yaml });
  const tail = spawn(PROGRAM, ['tail', '-o', 'json', '--data-dir', millrace.dataDir]);
  let text = '';
  tail.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const kinds = (): readonly string[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
  await eventually(
    'tail at work',
    async () => {
      await send(millrace, 'one');
      return ['accepted', 'verdicts', 'attempt'].every((kind) => kinds().includes(kind));
    },
    { pollMs: 200 },
  );
  assert.match(text, /"matched":\["default\/audit"\]/);
  assert.match(
    text,
    /"trigger":"default\/other","reason":"[^"]*type \\"greeting\\" is not \\"x\\""/,
  );
  assert.match(text, /"next":"parked"/);
  tail.kill();

  const { out } = await ask(millrace, 'parked', 'list', '-o', 'json');
  const parked = JSON.parse(out) as readonly { id: number; reason: string; status: number }[];
  assert.equal(parked[0]?.status, 400);
  const shown = await ask(millrace, 'parked', 'show', String(parked[0]?.id), '-o', 'json');
  assert.equal((JSON.parse(shown.out) as { responseText: string }).responseText, 'no');
  subscriber.answer = (_arrival, response) => response.writeHead(204).end();
  const redriven = await ask(millrace, 'parked', 'redrive', '--trigger', 'audit', '-o', 'json');
  assert.deepEqual(JSON.parse(redriven.out), { count: parked.length });
  await eventually('nothing parked', async () => {
    return JSON.parse((await ask(millrace, 'parked', 'list', '-o', 'json')).out).length === 0;
  });
});

test('replay gives a Trigger once more what the log holds', async () => {
  await using subscriber = await createSubscriber();
  const yaml = manifestYaml([{ name: 'audit', subscriber: subscriber.url() }]);
  await using millrace = await startMillrace({ yaml });
  for (const id of ['a', 'b', 'c']) await send(millrace, id);
  await eventually('three events', () => subscriber.ids().length === 3);
  const { out, code } = await ask(
    millrace,
    'trigger',
    'replay',
    'audit',
    '--from',
    'event:b',
    '-o',
    'json',
  );
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(out), { eventCount: 2 });
  await eventually('two of them again', () => subscriber.ids().length === 5);
  assert.deepEqual(subscriber.ids().slice(3).toSorted(), ['b', 'c']);
});

test('a command without a running Millrace says what to do', async () => {
  await using folder = await createTempDir('nobody');
  const { code, err } = await run(['status', '--data-dir', folder.path]);
  assert.equal(code, 1);
  assert.match(
    err,
    /^Error: Cannot reach a running Millrace: nothing answers at .*control\.sock\n {2}Start it with "millrace up"/,
  );
});

test('a second signal ends it at once', async () => {
  await using subscriber = await createSubscriber();
  subscriber.answer = () => undefined;
  const yaml = manifestYaml([{ name: 'audit', subscriber: subscriber.url() }]);
  await using millrace = await createMillrace({ yaml, args: ['--drain-ms', '60s'] });
  await millrace.start();
  await send(millrace, 'hangs');
  await eventually('an open request', () => subscriber.ids().includes('hangs'));
  const pids = treeOf(millrace.pid).map(({ pid }) => pid);
  signal(millrace.pid, 'SIGINT');
  await eventually('the drain', () => millrace.output.includes('ending: '));
  assert.ok(!millrace.hasEnded);
  signal(millrace.pid, 'SIGINT');
  await eventually('the end of all', () => millrace.hasEnded && !pids.some(isAlive), {
    limitMs: 2_000,
  });
});

function createSubscriber(): Promise<Subscriber> {
  return new Subscriber().listen();
}

/** `fetch` would not send another Host. */
async function statusWithHost(millrace: MillraceProcess, host: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const call = request(`${millrace.adminUrl}/readyz`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject).end();
  });
}
