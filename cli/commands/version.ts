/** `millrace version`: of this checkout and of the Node that runs it. Loaded by `cli/program.ts`. */
import type { Command } from 'commander';
import { readVersion } from '#local/version';
import type { CliHost } from '../cli-host.ts';
import { addOutputOption, isJson, json } from '../output.ts';
import type { OutputOptions } from '../output.ts';

export function define(command: Command, host: CliHost): void {
  addOutputOption(command);
  command.action((options: OutputOptions) => {
    const facts = { millrace: readVersion(), node: process.version };
    host.out(isJson(options) ? json(facts) : `millrace ${facts.millrace} on Node ${facts.node}`);
  });
}
