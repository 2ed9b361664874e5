/** `millrace up`: everything on this machine. The work is `local/up.ts`. */
import type { Command } from 'commander';
import { EMBEDDED_SETTINGS } from '#channels/index';
import { UP_SETTINGS } from '#local/up-settings';
import { INGRESS_SETTINGS } from '#services/ingress/ingress-settings';
import type { CliHost } from '../cli-host.ts';
import { commandName } from '../command-name.ts';
import { addSettingOptions, givenFlags } from '../setting-options.ts';

const EXAMPLES = `Examples:
  millrace up                                     the Broker default, nothing else
  millrace up -f triggers.yaml -f more/           Brokers and Triggers from a file and a directory
  millrace up --listen 127.0.0.1:0                any free port
  millrace up --data-dir ./data --roles separate  own data, three processes
`;

const SECTIONS = [UP_SETTINGS, INGRESS_SETTINGS, EMBEDDED_SETTINGS];

export function define(command: Command, host: CliHost, setExit: (code: number) => void): void {
  command
    .addHelpText('before', EXAMPLES)
    .option(
      '-f, --filename <path>',
      'a file or directory of Knative YAML (Brokers, Triggers), read again on change; repeatable',
      (one: string, before: readonly string[]) => [...before, one],
      [],
    );
  addSettingOptions(command, UP_SETTINGS);
  addSettingOptions(command, INGRESS_SETTINGS, true);
  addSettingOptions(command, EMBEDDED_SETTINGS, true);
  command.addHelpText(
    'after',
    '\nEvery setting also has a variable (MILLRACE_LISTEN) and more of them are in docs/config.md.',
  );
  command.action(async (options: { readonly filename: readonly string[] }) => {
    const { runUp } = await import('#local/up');
    const code = await runUp(
      { ...host, isTerminal: host.isErrorTerminal, say: (line) => host.out(line) },
      {
        files: options.filename,
        flags: givenFlags(command, SECTIONS),
        command: await commandName(host),
      },
    );
    setExit(code);
  });
}
