/** `millrace tail`: accepted events, each Trigger's verdict with its reason, attempts, and how each ends. */
import type { Command } from 'commander';
import type { AttemptLine, TailLine, VerdictLine } from '#local/control/tail-hub';
import type { CliHost } from '../cli-host.ts';
import { objectKeyOf, parseObjectName } from '../object-name.ts';
import type { ObjectName } from '../object-name.ts';
import { addOutputOption, clockText, isJson, oneLine } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { addRunningOption, controlOf } from '../running.ts';
import type { RunningOptions } from '../running.ts';

interface TailOptions extends OutputOptions, RunningOptions {
  readonly broker?: ObjectName;
  readonly trigger?: ObjectName;
}

const EXAMPLES = `Examples:
  millrace tail                        everything
  millrace tail --trigger audit        what happens to the events of one Trigger
  millrace tail --broker shop/orders -o json | jq .
`;

export function define(command: Command, host: CliHost): void {
  command
    .addHelpText('before', EXAMPLES)
    .option(
      '--broker <name>',
      'events of this Broker only, NAME or NAMESPACE/NAME',
      parseObjectName,
    )
    .option(
      '--trigger <name>',
      'what concerns this Trigger only, NAME or NAMESPACE/NAME',
      parseObjectName,
    );
  addOutputOption(addRunningOption(command));
  command.action(async (options: TailOptions) => {
    const query = new URLSearchParams();
    if (options.broker !== undefined) query.set('broker', objectKeyOf(options.broker));
    if (options.trigger !== undefined) query.set('trigger', objectKeyOf(options.trigger));
    const ended = new AbortController();
    host.onSignal(() => ended.abort());
    await controlOf(host, options).lines(
      `/v1/tail?${query.toString()}`,
      (line) => {
        // The running Millrace sends TailLines; a newer one may know kinds that are unknown here.
        const shown = isJson(options) ? [JSON.stringify(line)] : linesOf(line as TailLine);
        for (const one of shown) host.out(one);
      },
      ended.signal,
    );
  });
}

/** The lines for a person; empty for a kind that is not known here. */
export function linesOf(line: TailLine): readonly string[] {
  switch (line.kind) {
    case 'accepted': {
      const { id, type, source, subject, dataBytes } = line.event;
      const what = [
        `id=${id}`,
        `type=${type}`,
        `source=${source}`,
        ...(subject === null ? [] : [`subject=${subject}`]),
      ];
      return [
        `${clockText(line.atMs)}  accepted   ${line.broker} #${line.offset}  ${what.map(oneLine).join('  ')}  ${dataBytes} B`,
      ];
    }
    case 'verdicts':
      return verdictLines(line);
    case 'attempt':
      return [attemptLine(line)];
    case 'skipped':
      return [`              … ${line.count} lines were left out, because this is read too slowly`];
    default:
      return [];
  }
}

function verdictLines(line: VerdictLine): readonly string[] {
  const head = `${clockText(line.atMs)}  `;
  const id = `id=${oneLine(line.eventId)}`;
  const lines = line.matched.map((trigger) => `${head}matched    ${trigger}  ${id}`);
  for (const { trigger, reason } of line.unmatched) {
    lines.push(`${head}unmatched  ${trigger}  ${id}  ${oneLine(reason)}`);
  }
  const rest = line.unmatchedCount - line.unmatched.length;
  if (rest > 0) lines.push(`${head}unmatched  ${rest} more Triggers  ${id}`);
  if (lines.length === 0)
    lines.push(`${head}unmatched  the Broker ${line.broker} has no Trigger  ${id}`);
  return lines;
}

const ENDS = {
  delivered: 'delivered',
  replied: 'replied',
  deadLettered: 'dead',
  parked: 'parked',
  retry: 'failed',
  toDeadLetter: 'failed',
} as const;

function attemptLine(line: AttemptLine): string {
  const head = `${clockText(line.atMs)}  ${ENDS[line.next].padEnd(9)}  ${line.trigger}  id=${oneLine(line.eventId)}`;
  const stage = line.stage === 'subscriber' ? '' : ` (${line.stage})`;
  const took = `attempt ${line.attempt}${stage}, ${Math.round(line.durationMs)} ms`;
  return `${head}  ${[took, failureText(line), nextText(line)].filter((part) => part !== '').join('; ')}`;
}

function failureText({ failure }: AttemptLine): string {
  if (failure === null) return '';
  const status = failure.status === null ? '' : ` ${failure.status}`;
  const destination = failure.destination === null ? '' : ` from ${oneLine(failure.destination)}`;
  return `${failure.reason}${status}${destination}`;
}

function nextText({ next, delayMs }: AttemptLine): string {
  switch (next) {
    case 'retry':
      return `again in ${((delayMs ?? 0) / 1000).toFixed(1)} s`;
    case 'toDeadLetter':
      return 'goes to the dead letters';
    case 'deadLettered':
      return 'taken by the dead-letter sink';
    case 'parked':
      return 'parked: millrace parked list';
    case 'replied':
      return 'the reply is stored in the Broker';
    case 'delivered':
      return '';
  }
}
