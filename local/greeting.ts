/** The first lines on the terminal: what runs where, and what to type next. For people; pure. */
import type { StatusAnswer } from './control/control-api.ts';
import { isLoopback } from './up-settings.ts';

export interface GreetingFacts {
  readonly status: StatusAnswer;
  /** How the command is called here: `millrace`, `bin/millrace`, `./bin/millrace`. */
  readonly command: string;
  readonly startMs: number;
  readonly listenHost: string;
  /** ` --data-dir …` when it is not the default. */
  readonly dataFlag: string;
  readonly triggerCount: number;
  /** A file for `-f` that shows how. */
  readonly exampleFile: string;
}

const PROBLEMS_SHOWN_MAX = 10;

export function greetingLines(facts: GreetingFacts): readonly string[] {
  const { status } = facts;
  const seconds = (facts.startMs / 1000).toFixed(1);
  const { inForce, pending, faulty } = status.objects;
  const counts = [
    `${inForce} in force`,
    ...(pending > 0 ? [`${pending} pending`] : []),
    ...(faulty > 0 ? [`${faulty} faulty`] : []),
  ];
  const files =
    status.files.length === 0 ? 'no files; add some with -f' : `from ${status.files.join(', ')}`;
  const processes = status.processes.map(({ name, pid }) => `${name} (${pid})`).join(', ');
  const durability =
    status.store === null ? '' : `   ${status.store.driver}, durability ${status.store.durability}`;
  return [
    `Millrace ${status.version} is ready (${seconds} s)`,
    '',
    `  events     ${status.eventsUrl ?? ''}/<namespace>/<broker>   Broker default: ${status.eventsUrl ?? ''}/default/default`,
    `  admin      ${status.adminUrl ?? ''}   /healthz /readyz /metrics`,
    `  data       ${status.dataDir}${durability}`,
    `  objects    ${counts.join(', ')}   ${files}`,
    `  processes  ${processes}`,
    ...warnings(facts),
    ...problemLines(facts),
    '',
    ...nextLines(facts),
    '',
    'Ctrl-C ends it; events that are not delivered yet are delivered after the next start.',
  ];
}

function nextLines({
  command,
  dataFlag,
  triggerCount,
  exampleFile,
}: GreetingFacts): readonly string[] {
  const lines = [
    [`${command} listen --port 8081`, 'a subscriber that prints events'],
    [`${command} send${dataFlag} --type greeting --data '{"hello":"world"}'`, 'an event'],
    [`${command} tail${dataFlag}`, 'what happens to each event'],
    [`${command} status${dataFlag}`, 'what runs, and how far behind it is'],
  ] as const;
  const width = Math.max(...lines.map(([line]) => line.length));
  const advice =
    triggerCount > 0
      ? []
      : [
          `No Trigger is in force, so events stay where they are: start it with -f ${exampleFile}`,
          '',
        ];
  return [
    ...advice,
    'Type next, in other terminals:',
    '',
    ...lines.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`),
  ];
}

function warnings({ listenHost, status }: GreetingFacts): readonly string[] {
  const lines: string[] = [];
  if (!isLoopback(listenHost)) {
    lines.push(
      `  warning    whoever reaches ${listenHost} can send events: there is no authentication`,
    );
  }
  if (status.store?.driver === 'memory') {
    lines.push('  warning    the store is memory: an end of the process loses every event');
  }
  return lines;
}

function problemLines({ status }: GreetingFacts): readonly string[] {
  const shown = status.problems.slice(0, PROBLEMS_SHOWN_MAX).map((one) => {
    const place = one.line === null ? one.file : `${one.file}:${one.line}:${one.column}`;
    return `  ${one.isWarning ? 'warning ' : 'faulty  '}   ${place} ${one.field === '' ? '' : `${one.field}: `}${one.message}`;
  });
  const rest = status.problems.length - shown.length;
  return rest > 0 ? [...shown, `             and ${rest} more: see the log lines`] : shown;
}
