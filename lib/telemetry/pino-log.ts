/**
 * The real logger: one JSON object a line with Knative's names (`level`, `ts`, `logger`, `caller`,
 * `msg`, `stacktrace`), on pino. Made once per process by its composition root.
 * Lines are written before the call returns, so the last words of a crash are not lost.
 */
import { destination as openDestination, pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';
import type { Clock } from '#lib/time/clock';
import type { LogFields, Logger } from './log.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface PinoLogOptions {
  readonly level: LogLevel;
  /** The first part of the logger's name: the process. */
  readonly name: string;
  /** On every line, such as `knative.dev/pod`. */
  readonly fields?: LogFields;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
}

export interface PinoLog {
  readonly logger: Logger;
  /** Applies to this logger and all its children, at once. */
  setLevel(level: LogLevel): void;
}

/** This many frames lie between the caller and `new Error`: the line function and the method. */
const OWN_FRAME_COUNT = 3;

export function createPinoLog(deps: { readonly clock: Clock }, options: PinoLogOptions): PinoLog {
  const { clock } = deps;
  let level = options.level;
  const root = pino(
    {
      level: 'debug', // Levels are decided here, so that they change for all children at once.
      base: { ...options.fields },
      timestamp: () => `,"ts":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? openDestination({ dest: 1, sync: true }),
  );
  const isOn = (asked: LogLevel): boolean => LOG_LEVELS.indexOf(asked) >= LOG_LEVELS.indexOf(level);
  return {
    logger: namedLogger(root, options.name, isOn),
    setLevel(wanted) {
      level = wanted;
    },
  };
}

/** Children are made from the root: a child of a child would write its name twice. */
function namedLogger(root: PinoLogger, name: string, isOn: (level: LogLevel) => boolean): Logger {
  const lines = root.child({ logger: name });
  return {
    debug(message, fields) {
      if (isOn('debug')) lines.debug(lineFields(fields), message);
    },
    info(message, fields) {
      if (isOn('info')) lines.info(lineFields(fields), message);
    },
    warn(message, fields) {
      if (isOn('warn')) lines.warn(lineFields(fields), message);
    },
    error(message, fields) {
      if (isOn('error')) lines.error(lineFields(fields), message);
    },
    child: (part) => namedLogger(root, `${name}.${part}`, isOn),
  };
}

/** An error among the fields becomes its message, and its stack the `stacktrace`. */
function lineFields(fields: LogFields = {}): Record<string, unknown> {
  const line: Record<string, unknown> = { caller: callerOf(new Error().stack ?? '') };
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Error) {
      line[key] = value.message;
      line['stacktrace'] = value.stack ?? value.message;
    } else {
      line[key] = value;
    }
  }
  return line;
}

/** `ingress/ingress.ts:120` of a stack's frame, as short as zap writes it. */
function callerOf(stack: string): string {
  const frame = stack.split('\n')[OWN_FRAME_COUNT] ?? '';
  const found = /([^/\\(\s]+[/\\])?([^/\\(\s]+):(\d+):\d+\)?$/.exec(frame);
  return found === null ? '' : `${found[1] ?? ''}${found[2] ?? ''}:${found[3] ?? ''}`;
}
