/** The command line: help, mistakes and what to do about them, exit codes; no Millrace runs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { createCountingIds } from '#lib/ids/ids';
import { createSystemClock } from '#lib/time/system-clock';
import type { CliHost } from './cli-host.ts';
import { COMMANDS } from './commands.ts';
import { runCommandLine } from './program.ts';

const folder = await mkdtemp(path.join(os.tmpdir(), 'millrace-cli-'));
after(() => rm(folder, { recursive: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: readonly string[], input = ''): Promise<Result> {
  const out: string[] = [];
  const err: string[] = [];
  const host: CliHost = {
    clock: createSystemClock(),
    ids: createCountingIds(),
    environment: { HOME: folder },
    workingDirectory: folder,
    pid: 1,
    input: Readable.from([Buffer.from(input)]),
    isErrorTerminal: false,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    onSignal: () => undefined,
  };
  const code = await runCommandLine(host, args);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

test('without arguments it shows examples first, then every command', async () => {
  const { code, out } = await run([]);
  assert.equal(code, 0);
  assert.match(out, /^Examples:\n/);
  for (const { name } of COMMANDS) assert.match(out, new RegExp(`^  ${name} `, 'm'));
});

for (const { name } of COMMANDS) {
  if (name === 'version') continue;
  test(`${name} --help begins with examples`, async () => {
    const { code, out } = await run([name, '--help']);
    assert.equal(code, 0);
    assert.match(out, /^Examples:\n {2}millrace /);
    assert.match(out, new RegExp(`Usage: millrace ${name}`));
  });
}

const MISTAKES: readonly (readonly [readonly string[], RegExp])[] = [
  [['sned'], /^Error: unknown command "sned"\n {2}did you mean "send"\?/],
  [['send'], /^Error: Cannot send: neither --type nor a file is given\n/],
  [['send', '--type', 'x', '--data', '{'], /^Error: Cannot send: --data is not JSON\n {2}quote it/],
  [['send', '--type', 'x', '--data', '{}', '--data-file', 'y'], /are both given/],
  [['send', '--type', 'x', 'file.json'], /options that describe one are given too/],
  [['send', 'missing.json'], /^Error: Cannot read "missing\.json": ENOENT/],
  [['send', '--type', 'x', '--extension', 'UP=1'], /wanted name=value, the name in lower-case/],
  [
    ['send', '--type', 'x', '--extension', 'data=1', '--url', 'http://h'],
    /"data" is no extension; it has an option of its own/,
  ],
  [['send', '--type', '', '--url', 'http://h'], /Cannot make an event of the options:\n {2}.*type/],
  [['send', '--type', 'x', '--mode', 'text'], /known: binary, structured, batch/],
  [['send', '--type', 'x', '--count', '0'], /wanted a whole number from 1 to 100000000/],
  [['send', '--type', 'x', '--broker', 'A/b'], /wanted NAME or NAMESPACE\/NAME/],
  [
    ['send', '--type', 'x', '--url', 'ftp://h'],
    /Cannot send to "ftp:\/\/h": not an http or https address/,
  ],
  [
    ['send', '--type', 'x'],
    /^Error: Cannot reach a running Millrace: .*\n {2}Start it with "millrace up"/,
  ],
  [['listen', '--delay', '5'], /wanted a duration up to 24h, as 100ms or 2s/],
  [['listen', '--status', '199'], /wanted a whole number from 200 to 599/],
  [
    ['trigger', 'replay', 'a', '--from', 'latest'],
    /^Error: Cannot replay from "latest"\n {2}wanted earliest/,
  ],
  [['trigger', 'explain', 'a'], /required option '--event <file>' not specified/],
  [['parked', 'drop'], /^Error: Cannot drop: it is not clear which events are meant\n/],
  [['parked', 'drop', '1', '--all'], /it is not clear which events are meant/],
  [['parked', 'show', '0'], /wanted a whole number from 1/],
  [['status', '-o', 'yaml'], /known: json/],
  [
    ['up', '--roles', 'two'],
    /^Error: Cannot use the settings: one problem\n {2}Cannot use --roles="two": must be one of fused, separate/,
  ],
  [['up', '--listen', '8080'], /must be HOST:PORT/],
  [['up', '-f', 'nowhere'], /^Error: Cannot read -f "nowhere": it does not exist\n/],
];

for (const [args, expected] of MISTAKES) {
  test(`a mistake: ${args.join(' ')}`, async () => {
    const { code, err, out } = await run(args);
    assert.equal(code, 1);
    assert.match(err, expected);
    assert.equal(out, '');
  });
}

test('version, for people and programs', async () => {
  assert.match((await run(['version'])).out, /^millrace \d+\.\d+\.\d+ on Node v/);
  const { out } = await run(['version', '-o', 'json']);
  assert.deepEqual(Object.keys(JSON.parse(out) as object), ['millrace', 'node']);
});

interface Arrival {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function sendTo(
  args: readonly string[],
  input = '',
  status = 202,
): Promise<Result & { readonly arrivals: readonly Arrival[] }> {
  const arrivals: Arrival[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      arrivals.push({ headers: request.headers, body });
      const isRefusal = status >= 400;
      response.writeHead(status, isRefusal ? { 'retry-after': '2' } : {});
      response.end(isRefusal ? '{"message":"the store is full"}' : '');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const url = `http://127.0.0.1:${address.port}/default/default`;
  const result = await run(['send', ...args, '--url', url], input);
  server.close();
  return { ...result, arrivals };
}

test('an event of options goes in binary mode, with its extensions', async () => {
  const args = [
    '--type',
    'order',
    '--id',
    'one',
    '--subject',
    'süd',
    '--extension',
    'partitionkey=a b',
  ];
  const { code, out, arrivals } = await sendTo([...args, '--data', '{"n": 1}']);
  assert.equal(code, 0);
  assert.equal(out, 'accepted  202  id one');
  const { headers, body } = arrivals[0] ?? { headers: {}, body: '' };
  assert.equal(headers['ce-id'], 'one');
  assert.equal(headers['ce-type'], 'order');
  assert.equal(headers['ce-source'], '/millrace/send');
  assert.equal(headers['ce-subject'], 's%C3%BCd');
  assert.equal(headers['ce-partitionkey'], 'a%20b');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(body, '{"n": 1}');
});

test('data of a file stays what it is', async () => {
  await writeFile(path.join(folder, 'data.bin'), 'plain');
  const args = ['--type', 't', '--data-file', 'data.bin', '--content-type', 'text/plain'];
  const { arrivals } = await sendTo([...args, '--mode', 'structured']);
  assert.equal(arrivals[0]?.headers['content-type'], 'application/cloudevents+json');
  const event = JSON.parse(arrivals[0]?.body ?? '') as { data: string };
  assert.equal(event.data, 'plain');
});

test('an array of standard input goes as one batch, or one by one when asked', async () => {
  const events = ['a', 'b'].map((id) => ({ specversion: '1.0', id, source: '/s', type: 't' }));
  const input = JSON.stringify(events);
  const batch = await sendTo(['-'], input);
  assert.equal(batch.arrivals.length, 1);
  assert.match(
    batch.arrivals[0]?.headers['content-type'] ?? '',
    /^application\/cloudevents-batch\+json/,
  );
  assert.equal(batch.out, 'accepted  202  2 events');
  const single = await sendTo(['-', '--mode', 'binary'], input);
  assert.deepEqual(
    single.arrivals.map(({ headers }) => headers['ce-id']),
    ['a', 'b'],
  );
});

test('a file that is no event is refused with every reason', async () => {
  const { code, err, arrivals } = await sendTo(['-'], '{"specversion":"1.0","id":"","type":"t"}');
  assert.equal(code, 1);
  assert.match(err, /^Error: Cannot make an event of standard input:\n {2}.*\n {2}/);
  assert.equal(arrivals.length, 0);
});

test('count repeats with ids of their own, and a summary', async () => {
  const { out, arrivals } = await sendTo(['--type', 't', '--id', 'first', '--count', '50']);
  assert.equal(new Set(arrivals.map(({ headers }) => headers['ce-id'])).size, 50);
  assert.match(out, /^50 accepted, 0 refused in /);
});

test('a refusal is shown with its reason, and is exit code 1', async () => {
  const { code, out } = await sendTo(['--type', 't', '--id', 'one'], '', 503);
  assert.equal(code, 1);
  assert.equal(out, 'refused   503  id one (Retry-After 2): the store is full');
  const json = await sendTo(['--type', 't', '--id', 'one', '-o', 'json'], '', 503);
  assert.equal((JSON.parse(json.out) as { status: number }).status, 503);
});
