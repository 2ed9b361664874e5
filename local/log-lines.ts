/**
 * Where log lines go: JSON for machines, or one short line each for a person at a terminal. Standard
 * output stays free for what the command itself has to say.
 */
import { writeSync } from 'node:fs';
import { isFields } from '#api/meta/v1/field-reader';
import { createPinoLog } from '#lib/telemetry/pino-log';
import type { LogLevel } from '#lib/telemetry/pino-log';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';

export type LogFormat = 'json' | 'text';

const STANDARD_ERROR = 2;
const LEFT_OUT: ReadonlySet<string> = new Set([
  'level',
  'ts',
  'logger',
  'caller',
  'msg',
  'stacktrace',
]);

export function createStderrLog(
  deps: { readonly clock: Clock },
  options: { readonly name: string; readonly level: LogLevel; readonly format: LogFormat },
): Logger {
  const { name, level, format } = options;
  const write = (text: string): void => writeLine(format === 'json' ? text : `${textLine(text)}\n`);
  return createPinoLog(deps, { name, level, destination: { write } }).logger;
}

/** Written before the call returns; a terminal that is gone ends no process. */
function writeLine(text: string): void {
  try {
    writeSync(STANDARD_ERROR, text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    // Nobody reads any more, or not fast enough: the line is lost, events are not.
    if (code !== 'EPIPE' && code !== 'EAGAIN' && code !== 'EIO') throw error;
  }
}

/** `12:00:01 WARN  up: Trigger default/a … (file=…)`. */
export function textLine(json: string): string {
  const line: unknown = JSON.parse(json);
  if (!isFields(line)) return json;
  const time = String(line['ts'] ?? '').slice(11, 19);
  const fields = Object.entries(line)
    .filter(([key, value]) => !LEFT_OUT.has(key) && value !== null && value !== undefined)
    .map(
      ([key, value]) =>
        `${key.replace('knative.dev/', '')}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
  const rest = fields.length === 0 ? '' : ` (${fields.join(', ')})`;
  return `${time} ${String(line['level'] ?? '')
    .toUpperCase()
    .padEnd(5)} ${String(line['msg'] ?? '')}${rest}`;
}
