/** `millrace send`: events to a Broker, from options, a file or standard input. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { isFields } from '#api/meta/v1/field-reader';
import type { CliHost } from '../cli-host.ts';
import { CliError } from '../cli-error.ts';
import { parseCount } from '../duration.ts';
import { createEventSender } from '../event-sender.ts';
import type { SendMode, SendReport } from '../event-sender.ts';
import { decodeEvents, eventOfAttributes, readInput } from '../event-input.ts';
import { objectKeyOf, parseObjectName } from '../object-name.ts';
import type { ObjectName } from '../object-name.ts';
import { addOutputOption, isJson, oneLine } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { addRunningOption, controlOf } from '../running.ts';
import type { RunningOptions } from '../running.ts';

interface SendOptions extends OutputOptions, RunningOptions {
  readonly type?: string;
  readonly source?: string;
  readonly id?: string;
  readonly subject?: string;
  readonly data?: string;
  readonly dataFile?: string;
  readonly contentType?: string;
  readonly extension: readonly (readonly [string, string])[];
  readonly broker: ObjectName;
  readonly mode?: SendMode;
  readonly url?: string;
  readonly count: number;
  readonly rate?: number;
}

const EXAMPLES = `Examples:
  millrace send --type greeting --data '{"hello":"world"}'
  millrace send --type upload --data-file cat.png --content-type image/png --extension partitionkey=cat
  millrace send --broker shop/orders order.json         a structured event from a file
  cat events.json | millrace send -                     an array of events, sent as one batch
  millrace send --type load --count 1000 --rate 100     a thousand events, a hundred a second
`;

/** Attributes of the specification, and the members of its JSON format. */
const NO_EXTENSIONS: ReadonlySet<string> = new Set([
  ...['specversion', 'id', 'source', 'type', 'subject', 'time', 'dataschema', 'datacontenttype'],
  ...['data', 'data_base64'],
]);
const COUNT_MAX = 100_000_000;
const RATE_MAX = 100_000;
const MODES = ['binary', 'structured', 'batch'] as const;

export function define(command: Command, host: CliHost, setExit: (code: number) => void): void {
  command
    .addHelpText('before', EXAMPLES)
    .argument('[file]', 'an event as JSON, or an array of events; - for standard input')
    .option('--type <type>', 'the type of the event')
    .option('--source <uri>', 'its source (default: /millrace/send)')
    .option('--id <id>', 'its id (default: a new one)')
    .option('--subject <subject>', 'its subject')
    .option('--data <text>', 'its data; JSON unless --content-type says otherwise')
    .option('--data-file <file>', 'its data from a file; - for standard input')
    .option('--content-type <type>', 'the media type of the data')
    .option('--extension <name=value>', 'an extension attribute; repeatable', collectExtension, [])
    .option(
      '--broker <name>',
      'NAME or NAMESPACE/NAME',
      parseObjectName,
      parseObjectName('default'),
    )
    .option('--mode <mode>', `${MODES.join(', ')} (default: binary; batch for an array)`, parseMode)
    .option('--url <url>', 'the address to post to, instead of the Millrace that runs here')
    .option('--count <n>', 'send this many, with ids of their own', parseCount(1, COUNT_MAX), 1)
    .option('--rate <n>', 'events a second', parseCount(1, RATE_MAX));
  addOutputOption(addRunningOption(command));
  command.action(async (file: string | undefined, options: SendOptions) => {
    const { events, isBatch } = await eventsOf(host, file, options);
    const url = options.url ?? (await brokerUrl(host, options));
    const mode = options.mode ?? (isBatch ? 'batch' : 'binary');
    const sender = createEventSender(host, { url, mode, rate: options.rate ?? null });
    const report = await sender.send(events, options.count, (result) => {
      if (isJson(options)) host.out(JSON.stringify(result));
      else if (options.count === 1 || !result.isAccepted) host.out(resultLine(result));
    });
    if (!isJson(options) && options.count > 1) host.out(summary(report));
    setExit(report.refused === 0 ? 0 : 1);
  });
}

async function eventsOf(
  host: CliHost,
  file: string | undefined,
  options: SendOptions,
): Promise<{ readonly isBatch: boolean; readonly events: readonly CloudEvent[] }> {
  if (file === undefined) {
    if (options.type !== undefined) {
      return { isBatch: false, events: [await eventOfOptions(host, options, options.type)] };
    }
    throw new CliError(
      'Cannot send: neither --type nor a file is given',
      'see millrace send --help',
    );
  }
  const attributes = [
    'type',
    'source',
    'id',
    'subject',
    'data',
    'dataFile',
    'contentType',
  ] as const;
  const given = attributes.find((name) => options[name] !== undefined);
  if (given !== undefined || options.extension.length > 0) {
    throw new CliError(
      'Cannot send: a file holds whole events, and options that describe one are given too',
      'give --type and the others, or a file',
    );
  }
  const { isBatch, events } = decodeEvents(await readInput(host, file), file);
  if (events.length === 0) throw new CliError(`Cannot send ${file}: it holds no event`);
  return { isBatch, events };
}

async function eventOfOptions(
  host: CliHost,
  options: SendOptions,
  type: string,
): Promise<CloudEvent> {
  if (options.data !== undefined && options.dataFile !== undefined) {
    throw new CliError('Cannot send: --data and --data-file are both given', 'give one of the two');
  }
  const data =
    options.dataFile !== undefined
      ? await readInput(host, options.dataFile)
      : options.data === undefined
        ? null
        : Buffer.from(options.data, 'utf8');
  const contentType = options.contentType ?? (data === null ? null : 'application/json');
  if (options.data !== undefined && options.contentType === undefined) checkJson(options.data);
  const event = eventOfAttributes({
    id: options.id ?? host.ids.uid(),
    source: options.source ?? '/millrace/send',
    type,
    time: new Date(host.clock.wallMs()).toISOString(),
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(contentType === null ? {} : { datacontenttype: contentType }),
    ...Object.fromEntries(options.extension),
  });
  return { ...event, data };
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch {
    throw new CliError(
      'Cannot send: --data is not JSON',
      'quote it for the shell, or say what it is with --content-type text/plain',
    );
  }
}

async function brokerUrl(host: CliHost, options: SendOptions): Promise<string> {
  const status = await controlOf(host, options).get('/v1/status');
  const base = isFields(status) ? status['eventsUrl'] : null;
  if (typeof base === 'string') return `${base}/${objectKeyOf(options.broker)}`;
  throw new CliError(
    'Cannot send: the running Millrace takes no events just now',
    'millrace status says why',
  );
}

function collectExtension(
  text: string,
  before: readonly (readonly [string, string])[],
): readonly (readonly [string, string])[] {
  const [, name, value] = /^([a-z0-9]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && NO_EXTENSIONS.has(name)) {
    throw new InvalidArgumentError(`"${name}" is no extension; it has an option of its own`);
  }
  if (name !== undefined && value !== undefined) return [...before, [name, value]];
  throw new InvalidArgumentError('wanted name=value, the name in lower-case letters and digits');
}

function parseMode(text: string): SendMode {
  const mode = MODES.find((one) => one === text);
  if (mode !== undefined) return mode;
  throw new InvalidArgumentError(`known: ${MODES.join(', ')}`);
}

function resultLine(result: SendReport['last']): string {
  const answer = result.answer === '' ? '' : `: ${oneLine(result.answer)}`;
  const retry = result.retryAfter === null ? '' : ` (Retry-After ${result.retryAfter})`;
  const what = result.count === 1 ? `id ${oneLine(result.id)}` : `${result.count} events`;
  return `${result.isAccepted ? 'accepted' : 'refused '}  ${result.status ?? 'no answer'}  ${what}${retry}${answer}`;
}

function summary(report: SendReport): string {
  const { accepted, refused, durationMs } = report;
  const rate = Math.round((accepted * 1000) / Math.max(1, durationMs));
  return `${accepted} accepted, ${refused} refused in ${(durationMs / 1000).toFixed(2)} s (${rate}/s)`;
}
