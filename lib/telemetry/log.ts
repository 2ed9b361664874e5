/**
 * The port for logs: one JSON object a line with `level`, `ts`, `logger`, `msg` and the given fields
 * (Knative's names where they exist, `knative.dev/key` for `namespace/name`). No event data, no
 * secrets, and no line per event at info. `pino-log.ts` is the real one.
 */

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry a longer name, `parent.name`. */
  child(name: string): Logger;
}

/** A logger that says nothing, for tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
