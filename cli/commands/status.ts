/** `millrace status`: what runs, where, and how far behind it is. */
import type { Command } from 'commander';
import type { StatusAnswer, TriggerRow, TriggersAnswer } from '#local/control/control-api';
import { formatManifestProblem } from '#local/manifests/manifest-problem';
import type { CliHost } from '../cli-host.ts';
import { addOutputOption, age, isJson, json, oneLine } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { triggerTable } from '../trigger-table.ts';
import { addRunningOption, controlOf } from '../running.ts';
import type { RunningOptions } from '../running.ts';

const EXAMPLES = `Examples:
  millrace status
  millrace status -o json
`;

const PROBLEMS_SHOWN_MAX = 20;
const TRIGGERS_SHOWN_MAX = 20;

/** The exit code is 0 when it is ready, else 1. */
export function define(command: Command, host: CliHost, setExit: (code: number) => void): void {
  command.addHelpText('before', EXAMPLES);
  addOutputOption(addRunningOption(command));
  command.action(async (options: OutputOptions & RunningOptions) => {
    const control = controlOf(host, options);
    const status = (await control.get('/v1/status')) as StatusAnswer;
    const { triggers } = (await control.get('/v1/triggers')) as TriggersAnswer;
    setExit(status.isReady ? 0 : 1);
    if (isJson(options)) {
      host.out(json({ ...status, triggers }));
      return;
    }
    for (const line of statusLines(status, host.clock.wallMs())) host.out(line);
    for (const line of furthestBehind(triggers)) host.out(line);
  });
}

export function statusLines(status: StatusAnswer, nowMs: number): readonly string[] {
  const { inForce, pending, faulty } = status.objects;
  const since = age(nowMs - status.startedMs);
  return [
    `Millrace ${status.version}, process ${status.pid}, since ${since}: ${status.isReady ? 'ready' : 'not ready'}`,
    ...status.reasons.map((reason) => `  ${oneLine(reason)}`),
    `events     ${status.eventsUrl ?? '-'}`,
    `admin      ${status.adminUrl ?? '-'}`,
    `data       ${status.dataDir}`,
    `objects    ${inForce} in force, ${pending} pending, ${faulty} faulty`,
    ...storeLines(status),
    ...status.processes.map(
      ({ name, pid, state, restartCount, lastEnd }) =>
        `process    ${name} (${pid ?? '-'}): ${state}` +
        (restartCount === 0
          ? ''
          : `, started again ${restartCount} times, last because ${oneLine(lastEnd ?? '')}`),
    ),
    ...problemLines(status),
  ];
}

/** The Triggers that are furthest behind, as `trigger list` shows them. */
export function furthestBehind(triggers: readonly TriggerRow[]): readonly string[] {
  if (triggers.length === 0) return ['', 'There is no Trigger; events stay in their Broker'];
  const shown = triggers
    .toSorted((left, right) => openCount(right) - openCount(left))
    .slice(0, TRIGGERS_SHOWN_MAX);
  const rest = triggers.length - shown.length;
  const more = rest > 0 ? [`and ${rest} more: millrace trigger list`] : [];
  return ['', ...triggerTable(shown), ...more];
}

function openCount({ delivery }: TriggerRow): number {
  if (delivery === null) return 0;
  return (
    delivery.backlog + delivery.queued + delivery.inFlight + delivery.waiting + delivery.parked
  );
}

function storeLines({ store }: StatusAnswer): readonly string[] {
  if (store === null) return [];
  const { storedBytes, capacityBytes, isFull, largestBacklog, quarantined } = store.usage;
  const of = capacityBytes === null ? '' : ` of ${bytes(capacityBytes)}`;
  const lines = [
    `store      ${store.driver}, durability ${store.durability}, ${bytes(storedBytes)}${of}${isFull ? ', FULL' : ''}`,
  ];
  if (largestBacklog !== null) {
    lines.push(
      `backlog    ${bytes(largestBacklog.bytes)} kept for ${largestBacklog.cursor} of ${largestBacklog.topic}`,
    );
  }
  return [...lines, ...quarantined.map((part) => `damaged    ${part}`)];
}

function problemLines({ problems }: StatusAnswer): readonly string[] {
  const shown = problems
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(
      (one) => `${one.isWarning ? 'warning' : 'faulty '}    ${oneLine(formatManifestProblem(one))}`,
    );
  const rest = problems.length - shown.length;
  return rest > 0 ? [...shown, `           and ${rest} more`] : shown;
}

function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index++;
  }
  return `${value >= 10 || index === 0 ? Math.round(value) : value.toFixed(1)} ${units[index]}`;
}
