/**
 * From the command line to one command: loads its module, runs it, turns an error into one line that
 * says what to do next. Exit codes are 0 and 1.
 */
import { Command, CommanderError } from 'commander';
import { nearestName } from '#lib/config/nearest-name';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
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

function nextStep(error: unknown): string | null {
  if (error instanceof CliError) return error.next;
  if (hasNext(error)) return `${error.next} (${error.code})`;
  if (isMeshError(error)) return `${error.code}: see docs/errors.md`;
  const fault = error instanceof Error && 'fault' in error ? error.fault : null;
  const code = typeof fault === 'object' && fault !== null && 'code' in fault ? fault.code : null;
  return typeof code === 'string' ? `${code}: see docs/errors.md` : null;
}

function hasNext(error: unknown): error is { readonly code: string; readonly next: string } {
  if (!(error instanceof Error) || !('code' in error) || !('next' in error)) return false;
  return typeof error.code === 'string' && typeof error.next === 'string';
}
