/** `millrace parked list|show|redrive|drop`: events that nobody took, kept for a person to decide. */
import type { Command } from 'commander';
import { parseCount } from '../duration.ts';
import type {
  ParkedAnswer,
  ParkedCount,
  ParkedSelection,
  ParkedShowAnswer,
} from '#local/control/control-api';
import type { ParkedPair } from '#local/event-side';
import { CliError } from '../cli-error.ts';
import type { CliHost } from '../cli-host.ts';
import { objectKeyOf, parseObjectName } from '../object-name.ts';
import type { ObjectName } from '../object-name.ts';
import { addOutputOption, age, isJson, json, oneLine, table } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { addRunningOption, controlOf } from '../running.ts';
import type { RunningOptions } from '../running.ts';

type Options = OutputOptions & RunningOptions & { readonly trigger?: ObjectName };

const EXAMPLES = `Examples:
  millrace parked list --trigger audit
  millrace parked show 17                  the event and the answer that failed it
  millrace parked redrive 17 18            send these again
  millrace parked redrive --trigger audit  send all of one Trigger again
  millrace parked drop --all               delete all of them for ever
`;

const LIST_COUNT_DEFAULT = 100;
const LIST_COUNT_MAX = 100_000;

export function define(command: Command, host: CliHost): void {
  command.addHelpText('before', EXAMPLES);
  defineList(command, host);
  defineShow(command, host);
  defineChange(command, host, {
    name: 'redrive',
    description: 'sends parked events to their subscribers again, with fresh attempts',
    done: 'sent again',
  });
  defineChange(command, host, {
    name: 'drop',
    description: 'deletes parked events for ever',
    done: 'deleted',
  });
}

function defineList(parent: Command, host: CliHost): void {
  const command = parent
    .command('list')
    .description('what is parked, oldest first')
    .option('--trigger <name>', 'of this Trigger only, NAME or NAMESPACE/NAME', parseObjectName)
    .option('--limit <n>', 'at most this many', parseCount(1, LIST_COUNT_MAX), LIST_COUNT_DEFAULT);
  addOutputOption(addRunningOption(command));
  command.action(async (options: Options & { readonly limit: number }) => {
    const parked = await listParked(host, options, options.limit);
    if (isJson(options)) {
      host.out(json(parked));
      return;
    }
    if (parked.length === 0) {
      host.out('Nothing is parked');
      return;
    }
    const nowMs = host.clock.wallMs();
    const heads = ['NUMBER', 'TRIGGER', 'EVENT', 'TYPE', 'REASON', 'STATUS', 'SINCE'];
    for (const line of table(
      heads,
      parked.map((pair) => rowOf(pair, nowMs)),
    ))
      host.out(line);
    if (parked.length === options.limit)
      host.out(`These are the first ${options.limit}; more with --limit`);
  });
}

function rowOf(pair: ParkedPair, nowMs: number): readonly string[] {
  return [
    String(pair.id),
    pair.targetKey,
    oneLine(pair.eventId),
    oneLine(pair.eventType),
    pair.reason,
    pair.status === null ? '-' : String(pair.status),
    age(nowMs - pair.lastFailureMs),
  ];
}

async function listParked(
  host: CliHost,
  options: Options,
  limit: number,
): Promise<readonly ParkedPair[]> {
  const control = controlOf(host, options);
  const parked: ParkedPair[] = [];
  for (let after = 0; parked.length < limit; ) {
    const query = new URLSearchParams({ after: String(after) });
    if (options.trigger !== undefined) query.set('trigger', objectKeyOf(options.trigger));
    const page = (await control.get(`/v1/parked?${query.toString()}`)) as ParkedAnswer;
    parked.push(...page.parked);
    const last = page.parked.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  return parked.slice(0, limit);
}

function defineShow(parent: Command, host: CliHost): void {
  const command = parent
    .command('show')
    .description('one parked event, and why it is parked')
    .argument('<number>', 'its number in the list', parseCount(1, Number.MAX_SAFE_INTEGER));
  addOutputOption(addRunningOption(command));
  command.action(async (id: number, options: Options) => {
    const detail = (await controlOf(host, options).get(`/v1/parked/${id}`)) as ParkedShowAnswer;
    const { eventJson, ...rest } = detail;
    const event: unknown = JSON.parse(eventJson);
    if (isJson(options)) {
      host.out(json({ ...rest, event }));
      return;
    }
    const first = new Date(detail.firstFailureMs).toISOString();
    const latest = new Date(detail.lastFailureMs).toISOString();
    host.out(`Trigger      ${detail.targetKey}`);
    host.out(`Reason       ${detail.reason}${detail.status === null ? '' : ` ${detail.status}`}`);
    host.out(`Destination  ${oneLine(detail.destination ?? '-')}`);
    host.out(`Failed       first ${first}, last ${latest}`);
    if (detail.responseText !== '') host.out(`Answer       ${oneLine(detail.responseText)}`);
    host.out('Event');
    for (const line of json(event).split('\n')) host.out(`  ${oneLine(line)}`);
  });
}

function defineChange(
  parent: Command,
  host: CliHost,
  change: {
    readonly name: 'redrive' | 'drop';
    readonly description: string;
    readonly done: string;
  },
): void {
  const command = parent
    .command(change.name)
    .description(change.description)
    .argument('[numbers...]', 'their numbers in the list')
    .option('--trigger <name>', 'all of this Trigger, NAME or NAMESPACE/NAME', parseObjectName)
    .option('--all', 'all that is parked');
  addOutputOption(addRunningOption(command));
  command.action(async (numbers: readonly string[], options: Options & { readonly all?: true }) => {
    const selection = selectionOf(change.name, numbers, options);
    const path = `/v1/parked/${change.name}`;
    const answer = (await controlOf(host, options).post(path, selection)) as ParkedCount;
    if (isJson(options)) host.out(json(answer));
    else
      host.out(`${answer.count} ${answer.count === 1 ? 'event is' : 'events are'} ${change.done}`);
  });
}

function selectionOf(
  name: string,
  numbers: readonly string[],
  options: Options & { readonly all?: true },
): ParkedSelection {
  const ways = [numbers.length > 0, options.trigger !== undefined, options.all === true];
  if (ways.filter(Boolean).length !== 1) {
    const next = 'give numbers of the list, or --trigger NAME, or --all';
    throw new CliError(`Cannot ${name}: it is not clear which events are meant`, next);
  }
  if (options.all === true) return { all: true };
  if (options.trigger !== undefined) return { trigger: objectKeyOf(options.trigger) };
  return { ids: numbers.map(parseCount(1, Number.MAX_SAFE_INTEGER)) };
}
