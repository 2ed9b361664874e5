/**
 * The `millrace` command. Loads only the command that is asked for, so that `--help` is quick.
 * `bin/millrace` starts it with the right Node.
 */
import { readEnvironment } from '#lib/config/environment';
import { createSystemIds } from '#lib/ids/ids';
import { createSystemClock } from '#lib/time/system-clock';
import type { CliHost } from './cli-host.ts';
import { createProcessOutput, watchSignals } from './process-host.ts';
import { runCommandLine } from './program.ts';

const host: CliHost = {
  clock: createSystemClock(),
  ids: createSystemIds(),
  environment: readEnvironment(),
  workingDirectory: process.cwd(),
  pid: process.pid,
  input: process.stdin,
  isErrorTerminal: process.stderr.isTTY === true,
  ...createProcessOutput(process.stdout, process.stderr),
  onSignal: watchSignals,
};

process.exitCode = await runCommandLine(host, process.argv.slice(2));
