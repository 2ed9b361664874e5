/** `millrace trigger list|explain|replay`. */
import type { Command } from 'commander';
import { parseStartPosition } from '#api/eventing/v1/annotations';
import { explanationLines } from '#lib/filters/explanation';
import { compileFilter } from '#lib/filters/predicate';
import type { ReplayAnswer, TriggerAnswer, TriggersAnswer } from '#local/control/control-api';
import { CliError } from '../cli-error.ts';
import type { CliHost } from '../cli-host.ts';
import { decodeEvents, readInput } from '../event-input.ts';
import { objectKeyOf, parseObjectName } from '../object-name.ts';
import type { ObjectName } from '../object-name.ts';
import { addOutputOption, isJson, json, oneLine } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { STATES, triggerTable } from '../trigger-table.ts';
import { addRunningOption, controlOf } from '../running.ts';
import type { RunningOptions } from '../running.ts';

type Options = OutputOptions & RunningOptions;

const EXAMPLES = `Examples:
  millrace trigger list
  millrace trigger explain audit --event order.json      which clause lets it through or stops it
  millrace trigger replay audit --from earliest          everything that is still kept, once more
  millrace trigger replay shop/audit --from 2026-01-31T12:00:00Z
`;

export function define(command: Command, host: CliHost): void {
  command.addHelpText('before', EXAMPLES);
  defineList(command, host);
  defineExplain(command, host);
  defineReplay(command, host);
}

function defineList(parent: Command, host: CliHost): void {
  const command = parent.command('list').description('all Triggers, what is in force, what waits');
  addOutputOption(addRunningOption(command));
  command.action(async (options: Options) => {
    const { triggers } = (await controlOf(host, options).get('/v1/triggers')) as TriggersAnswer;
    if (isJson(options)) {
      host.out(json(triggers));
      return;
    }
    for (const line of triggerTable(triggers)) host.out(line);
    for (const one of triggers) {
      if (one.reason !== '') host.out(`\n${one.namespace}/${one.name}: ${oneLine(one.reason)}`);
    }
  });
}

function defineExplain(parent: Command, host: CliHost): void {
  const command = parent
    .command('explain')
    .description(
      'says for an event and a Trigger which clause passes and which fails, on which value',
    )
    .argument('<name>', 'NAME or NAMESPACE/NAME', parseObjectName)
    .requiredOption(
      '--event <file>',
      'an event as JSON, or an array of them; - for standard input',
    );
  addOutputOption(addRunningOption(command));
  command.action(async (name: ObjectName, options: Options & { readonly event: string }) => {
    const { events } = decodeEvents(await readInput(host, options.event), options.event);
    const path = `/v1/triggers/${objectKeyOf(name)}`;
    const { report, route } = (await controlOf(host, options).get(path)) as TriggerAnswer;
    const { explain } = compileFilter(route.filter);
    const results = events.map((event) => {
      const explanation = explain(event);
      return { id: event.id, passes: explanation.passed, explanation };
    });
    if (isJson(options)) {
      host.out(json(results.length === 1 ? results[0] : results));
      return;
    }
    for (const { id, passes, explanation } of results) {
      const verdict = passes ? 'goes to' : 'does not go to';
      host.out(`Event ${oneLine(id)} ${verdict} Trigger ${objectKeyOf(name)}`);
      for (const line of explanationLines(explanation)) host.out(`  ${line}`);
    }
    if (route.isPaused)
      host.out('The Trigger is paused: its events wait in the log (millrace.dev/paused)');
    if (report.state !== 'inForce')
      host.out(`The Trigger is ${STATES[report.state]}: ${oneLine(report.reason)}`);
  });
}

function defineReplay(parent: Command, host: CliHost): void {
  const command = parent
    .command('replay')
    .description('gives one Trigger once more what the log still holds from a position on')
    .argument('<name>', 'NAME or NAMESPACE/NAME', parseObjectName)
    .requiredOption('--from <position>', 'earliest, a time as 2026-01-31T12:00:00Z, or event:ID');
  addOutputOption(addRunningOption(command));
  command.action(async (name: ObjectName, options: Options & { readonly from: string }) => {
    const from = parseStartPosition(options.from);
    if (from === null || from.at === 'latest') {
      const next = 'wanted earliest, a time as 2026-01-31T12:00:00Z, or event:ID';
      throw new CliError(`Cannot replay from "${options.from}"`, next);
    }
    const path = `/v1/triggers/${objectKeyOf(name)}/replay`;
    const answer = (await controlOf(host, options).post(path, { from })) as ReplayAnswer;
    if (isJson(options)) host.out(json(answer));
    else
      host.out(
        `Trigger ${objectKeyOf(name)} reads ${answer.eventCount} events of its Broker again; its filter decides which are sent`,
      );
  });
}
