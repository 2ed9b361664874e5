/**
 * The registry of commands: one line each, loaded when it is asked for. A module exports `define`,
 * which adds arguments, options, examples and the action to the command it is given.
 */
import type { Command } from 'commander';
import type { CliHost } from './cli-host.ts';

export interface CommandModule {
  /** `setExit` chooses the exit code; 0 unless it is called. */
  define(command: Command, host: CliHost, setExit: (code: number) => void): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

export const COMMANDS: readonly CommandEntry[] = [
  { name: 'up', summary: 'run everything on this machine', load: () => import('./commands/up.ts') },
  { name: 'send', summary: 'send events to a Broker', load: () => import('./commands/send.ts') },
  {
    name: 'listen',
    summary: 'a subscriber that prints the events it gets',
    load: () => import('./commands/listen.ts'),
  },
  {
    name: 'tail',
    summary: 'watch events, verdicts and attempts as they happen',
    load: () => import('./commands/tail.ts'),
  },
  {
    name: 'trigger',
    summary: 'list Triggers, explain a verdict, replay events',
    load: () => import('./commands/trigger.ts'),
  },
  {
    name: 'parked',
    summary: 'look at events that could not be delivered, redrive or drop them',
    load: () => import('./commands/parked.ts'),
  },
  {
    name: 'status',
    summary: 'what runs, and how far behind it is',
    load: () => import('./commands/status.ts'),
  },
  { name: 'version', summary: 'print the version', load: () => import('./commands/version.ts') },
];
