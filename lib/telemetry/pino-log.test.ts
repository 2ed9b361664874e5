/** The lines: names of the fields, levels that change live, children, errors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '#lib/time/manual-clock';
import { createPinoLog } from './pino-log.ts';
import type { LogLevel, PinoLog } from './pino-log.ts';

function capture(level: LogLevel): PinoLog & { readonly lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const destination = {
    write(text: string): void {
      assert.ok(text.endsWith('\n'));
      lines.push(JSON.parse(text) as Record<string, unknown>);
    },
  };
  const clock = createManualClock(Date.UTC(2026, 0, 31, 23, 59, 59, 5));
  const fields = { 'knative.dev/pod': 'p-1' };
  const log = createPinoLog({ clock }, { level, name: 'ingress', fields, destination });
  return { ...log, lines };
}

test('a line has level, ts, logger, caller, msg and its fields', () => {
  const { logger, lines } = capture('info');
  logger.info('listening', { port: 8080, 'knative.dev/key': 'ns/b' });
  const [line] = lines;
  assert.match(String(line?.['caller']), /^telemetry\/pino-log\.test\.ts:\d+$/);
  assert.deepEqual(
    { ...line, caller: '' },
    {
      level: 'info',
      ts: '2026-01-31T23:59:59.005Z',
      'knative.dev/pod': 'p-1',
      logger: 'ingress',
      caller: '',
      port: 8080,
      'knative.dev/key': 'ns/b',
      msg: 'listening',
    },
  );
});

test('lines below the level are not written; a change of level is live for children too', () => {
  const { logger, lines, setLevel } = capture('warn');
  const child = logger.child('http').child('drain');
  for (const each of [logger, child]) {
    each.debug('d');
    each.info('i');
    each.warn('w');
    each.error('e');
  }
  const seen = (): unknown[] =>
    lines.map((line) => `${String(line['logger'])} ${String(line['msg'])}`);
  assert.deepEqual(seen(), [
    'ingress w',
    'ingress e',
    'ingress.http.drain w',
    'ingress.http.drain e',
  ]);
  setLevel('debug');
  child.debug('d');
  assert.equal(seen().at(-1), 'ingress.http.drain d');
  setLevel('error');
  child.warn('w');
  assert.equal(lines.length, 5);
});

test('an error among the fields is its message, and its stack is the stacktrace', () => {
  const { logger, lines } = capture('info');
  logger.error('failed', { error: new RangeError('too far') });
  assert.equal(lines[0]?.['error'], 'too far');
  assert.match(String(lines[0]?.['stacktrace']), /^RangeError: too far\n/);
});
