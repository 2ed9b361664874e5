/** What `up` prints: the greeting, log lines at a terminal, listen addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenFault, urlOf } from './admin-listener.ts';
import type { StatusAnswer } from './control/control-api.ts';
import { greetingLines } from './greeting.ts';
import type { GreetingFacts } from './greeting.ts';
import { textLine } from './log-lines.ts';
import { isLoopback, parseListenAddress } from './up-settings.ts';

const STATUS: StatusAnswer = {
  version: '1.2.3',
  pid: 7,
  startedMs: 0,
  isReady: true,
  reasons: [],
  eventsUrl: 'http://127.0.0.1:8080',
  adminUrl: 'http://127.0.0.1:9090',
  dataDir: '/data',
  files: ['a.yaml'],
  processes: [
    { name: 'ingress', roles: ['ingress'], pid: 8, state: 'ready', restartCount: 0, lastEnd: null },
  ],
  store: null,
  objects: { inForce: 2, pending: 1, faulty: 1 },
  problems: [
    {
      file: 'a.yaml',
      line: 3,
      column: 7,
      object: 'Trigger default/a',
      field: 'spec.x',
      message: 'unknown field "x"',
      details: null,
      isWarning: false,
    },
  ],
};
const FACTS: GreetingFacts = {
  status: STATUS,
  command: './bin/millrace',
  startMs: 640,
  listenHost: '127.0.0.1',
  dataFlag: '',
  triggerCount: 1,
  exampleFile: 'docs/how-to/hello.yaml',
};

test('the greeting says what runs where, what is wrong, and what to type next', () => {
  const text = greetingLines(FACTS).join('\n');
  assert.match(text, /^Millrace 1\.2\.3 is ready \(0\.6 s\)\n/);
  assert.match(text, /events {5}http:\/\/127\.0\.0\.1:8080\/<namespace>\/<broker>/);
  assert.match(text, /objects {4}2 in force, 1 pending, 1 faulty {3}from a\.yaml/);
  assert.match(text, /faulty {5}a\.yaml:3:7 spec\.x: unknown field "x"/);
  assert.match(text, /^ {2}\.\/bin\/millrace send --type greeting/m);
  assert.doesNotMatch(text, /warning|No Trigger/);
});

test('it warns of an open address, and of no Trigger', () => {
  const text = greetingLines({ ...FACTS, listenHost: '0.0.0.0', triggerCount: 0 }).join('\n');
  assert.match(text, /whoever reaches 0\.0\.0\.0 can send events: there is no authentication/);
  assert.match(text, /No Trigger is in force.* -f docs\/how-to\/hello\.yaml/);
});

test('problems in the greeting are bounded', () => {
  const [problem] = STATUS.problems;
  assert.ok(problem !== undefined);
  const problems = Array.from({ length: 12 }, () => problem);
  const lines = greetingLines({ ...FACTS, status: { ...STATUS, problems } });
  assert.equal(lines.filter((line) => line.includes('a.yaml:3:7')).length, 10);
  assert.ok(lines.some((line) => line.includes('and 2 more')));
});

test('a log line for a person', () => {
  const line = {
    level: 'warn',
    ts: '2026-01-31T12:00:01.500Z',
    logger: 'millrace.up',
    caller: 'local/up.ts:1',
    'knative.dev/key': 'default/a',
    count: 2,
    nothing: null,
    msg: 'something',
  };
  assert.equal(textLine(JSON.stringify(line)), '12:00:01 WARN  something (key=default/a, count=2)');
  assert.equal(textLine('[]'), '[]');
});

test('listen addresses', () => {
  assert.deepEqual(parseListenAddress('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  assert.deepEqual(parseListenAddress('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseListenAddress('localhost:65535'), { host: 'localhost', port: 65_535 });
  for (const bad of ['8080', ':8080', 'h:65536', '::1:80', 'h:', 'h:x', 'http://h:1', '']) {
    assert.equal(parseListenAddress(bad), null, bad);
  }
  assert.equal(urlOf('::1', 80), 'http://[::1]:80');
  for (const host of ['localhost', '::1', '127.0.0.1', '127.9.9.9']) assert.ok(isLoopback(host));
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'host']) assert.ok(!isLoopback(host));
  const fault = Object.assign(new Error('x'), { code: 'EADDRINUSE' });
  assert.equal(listenFault(fault), 'another program listens there');
  assert.equal(listenFault(new Error('x')), 'x');
});
