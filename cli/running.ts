/** The running Millrace that a command talks to: found by its data directory, over its control socket. */
import type { Command } from 'commander';
import { createControlClient } from '#local/control/control-client';
import type { ControlClient } from '#local/control/control-client';
import { dataDirectoryAt } from '#local/data/data-directory';
import type { CliHost } from './cli-host.ts';

export interface RunningOptions {
  readonly dataDir?: string;
}

export function addRunningOption(command: Command): Command {
  return command.option(
    '--data-dir <directory>',
    'the data directory of the Millrace that is meant',
  );
}

/** Nothing is opened yet; calls fail with `LOCAL_NOT_RUNNING` when nobody answers. */
export function controlOf(host: CliHost, options: RunningOptions): ControlClient {
  const given = options.dataDir ?? host.environment['MILLRACE_DATA_DIR'] ?? null;
  const directory = dataDirectoryAt(given, host.environment, host.workingDirectory);
  return createControlClient(directory.controlSocket);
}
