/**
 * Faults with a stable word code. Every folder that can fail has a table `errors.ts` (or
 * `<name>-errors.ts`) made with {@link defineErrors}; `docs/errors.md` is generated from all tables
 * and a test compares both ways. Callers branch on `code` and `retry`, never on message text.
 */

/** What the caller can do next: at once, after a back-off, or never (the same call cannot succeed). */
export type RetryAdvice = 'now' | 'backoff' | 'never';

export interface ErrorDefinition {
  /** One sentence: what this means, for `docs/errors.md`. */
  readonly meaning: string;
  /** One sentence: what the reader should do next, for `docs/errors.md`. */
  readonly next: string;
  readonly retry: RetryAdvice;
  /** The HTTP status that a listener answers when this error ends a request. */
  readonly httpStatus?: number;
}

export type ErrorTable = Readonly<Record<string, ErrorDefinition>>;

export interface MeshErrorOptions {
  readonly cause?: unknown;
  /** Small, typed by use, free of event data and secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly code: string;
  readonly retry: RetryAdvice;
  readonly httpStatus: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    definition: ErrorDefinition,
    message: string,
    options: MeshErrorOptions,
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = definition.retry;
    this.httpStatus = definition.httpStatus;
    this.details = options.details ?? {};
  }
}

/** Makes errors of one table: `fault('CHANNEL_NOT_CONNECTED', 'Cannot …: …')`. */
export type ErrorFactory<Table extends ErrorTable> = (
  code: keyof Table & string,
  message: string,
  options?: MeshErrorOptions,
) => MeshError;

/** Turns a table into a factory; the message says what failed, on which object, and why. */
export function defineErrors<Table extends ErrorTable>(table: Table): ErrorFactory<Table> {
  return (code, message, options = {}) => {
    const definition = table[code];
    if (definition === undefined) throw new TypeError(`no error is defined with code ${code}`);
    return new MeshError(code, definition, message, options);
  };
}

/** True when `error` is a {@link MeshError}, of the given code if one is named. */
export function isMeshError(error: unknown, code?: string): error is MeshError {
  return error instanceof MeshError && (code === undefined || error.code === code);
}

/** The message of anything thrown, for logs and for `cause` chains in text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
