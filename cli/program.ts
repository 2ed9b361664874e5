/**
 * From the command line to one command: loads its module, runs it, turns an error into one line that
 * says what to do next. Exit codes are 0 and 1.
 */
import { Command, CommanderError } from 'commander';
import { nearestName } from '#lib/config/nearest-name';
import { CHANNEL_ERRORS } from '#lib/channel/channel-errors';
import { CONFIG_ERRORS } from '#lib/config/config-errors';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';
import { LOCAL_ERRORS } from '#local/local-errors';
import { CliError } from './cli-error.ts';
import type { CliHost } from './cli-host.ts';
import { COMMANDS } from './commands.ts';

const EXAMPLES = `Examples:
  millrace up -f triggers.yaml                 run everything, with the Triggers of a file
  millrace send --type greeting --data '{}'    send an event to the Broker default
  millrace listen --port 8081                  a subscriber that prints events
  millrace tail                                what happens to each event
`;

/** Runs the command line; resolves with the exit code. */
export async function runCommandLine(host: CliHost, args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram(host);
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).description(summary);
    if (name !== args[0] && !(args[0] === 'help' && name === args[1])) continue;
    const module = await load();
    module.define(command, host, (code) => {
      exitCode = code;
    });
  }
  try {
    if (args.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(host, error);
  }
}

function createProgram(host: CliHost): Command {
  const program = new Command('millrace');
  program
    .description(
      'An event mesh that speaks Knative: Brokers, Triggers, CloudEvents, on one machine.',
    )
    .addHelpText('beforeAll', (context) => (context.command === program ? EXAMPLES : ''))
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.out(text.replace(/\n$/, '')),
      writeErr: (text) => host.err(text.replace(/\n$/, '')),
      outputError: (text, write) => write(text.replace(/^error: /, 'Error: ')),
    })
    .showSuggestionAfterError()
    .helpCommand('help [command]', 'show the help of a command')
    .on('command:*', ([given]: string[]) => {
      const nearest = nearestName(
        given ?? '',
        COMMANDS.map((one) => one.name),
      );
      const advice = nearest === null ? 'see millrace --help' : `did you mean "${nearest}"?`;
      throw new CliError(`unknown command "${given ?? ''}"`, advice);
    });
  return program;
}

function report(host: CliHost, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
  host.err(`Error: ${messageOf(error)}`);
  const next = nextStep(error);
  if (next !== null) host.err(`  ${next}`);
  return 1;
}

/** What to do next, from the table that the code is declared in. */
function nextStep(error: unknown): string | null {
  if (error instanceof CliError) return error.next;
  const code = codeOf(error);
  if (code === null) return null;
  if (error instanceof Error && 'next' in error && typeof error.next === 'string') {
    return `${error.next} (${code})`;
  }
  const definition = TABLES.flatMap((table) => Object.entries(table)).find(
    ([name]) => name === code,
  );
  return definition === undefined
    ? `${code}: see docs/errors.md`
    : `${definition[1].next} (${code})`;
}

const TABLES: readonly ErrorTable[] = [LOCAL_ERRORS, CONFIG_ERRORS, CHANNEL_ERRORS];

/** Of an error of ours, or of one that another process reported; a system error's code is not ours. */
function codeOf(error: unknown): string | null {
  if (isMeshError(error)) return error.code;
  if (!(error instanceof Error)) return null;
  const holder = 'fault' in error ? error.fault : 'next' in error ? error : null;
  if (typeof holder !== 'object' || holder === null || !('code' in holder)) return null;
  return typeof holder.code === 'string' ? holder.code : null;
}
