/** What a command may use of the process it runs in; tests give their own. */
import type { Readable } from 'node:stream';
import type { Environment } from '#lib/config/environment';
import type { Ids } from '#lib/ids/ids';
import type { Clock } from '#lib/time/clock';

export interface CliHost {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly pid: number;
  readonly input: Readable;
  readonly isErrorTerminal: boolean;
  /** One line on standard output. */
  out(line: string): void;
  /** One line on standard error. */
  err(line: string): void;
  /** Calls `listener` for SIGINT, SIGTERM and SIGHUP, instead of ending the process. */
  onSignal(listener: () => void): void;
}
