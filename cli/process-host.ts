/** The real process behind `CliHost`: lines to its streams, its signals. */
import type { Writable } from 'node:stream';

interface Output {
  out(line: string): void;
  err(line: string): void;
}

/** A reader that went away (`millrace tail | head`) ends the command quietly. */
export function createProcessOutput(stdout: Writable, stderr: Writable): Output {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: Error) => {
      if ('code' in error && error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  return {
    out: (line) => void stdout.write(`${line}\n`),
    err: (line) => void stderr.write(`${line}\n`),
  };
}

export function watchSignals(listener: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, listener);
}
