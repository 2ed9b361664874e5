/** `millrace listen`: a subscriber on this machine that prints what it gets, and can misbehave. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Command } from 'commander';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { NO_CHANGES } from '#lib/cloudevents/encode-options';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { encodeBinary } from '#lib/cloudevents/http-encode';
import { encodeJsonEvent } from '#lib/cloudevents/json-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import { messageOf } from '#lib/errors/mesh-error';
import { sleep } from '#lib/time/clock';
import { isFields } from '#api/meta/v1/field-reader';
import { CliError } from '../cli-error.ts';
import type { CliHost } from '../cli-host.ts';
import { parseCount, parseDuration } from '../duration.ts';
import { eventOfAttributes, decodeEvents, readInput } from '../event-input.ts';
import { addOutputOption, clockText, isJson, oneLine } from '../output.ts';
import type { OutputOptions } from '../output.ts';

interface ListenOptions extends OutputOptions {
  readonly host: string;
  readonly port: number;
  readonly status: number;
  readonly delay: number;
  readonly failFirst: number;
  readonly reply?: string;
}

const EXAMPLES = `Examples:
  millrace listen --port 8081                      prints events, answers 200
  millrace listen --port 8081 --status 503         fails every time
  millrace listen --port 8081 --fail-first 3       fails three times, then works
  millrace listen --port 8081 --reply type=order.done    answers each event with another
`;

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const SHOWN_BYTES_MAX = 4_096;
const LIMITS = {
  ...DEFAULT_CLOUD_EVENT_LIMITS,
  eventBytesMax: BODY_BYTES_MAX,
  batchBytesMax: BODY_BYTES_MAX,
};
const FAILING_STATUS = 503;

type MakeReply = () => CloudEvent;

export function define(command: Command, host: CliHost, _setExit: (code: number) => void): void {
  command
    .addHelpText('before', EXAMPLES)
    .option('--port <port>', 'the port; 0 for any free one', parseCount(0, 65_535), 8081)
    .option('--host <host>', 'the address', '127.0.0.1')
    .option('--status <code>', 'the answer', parseCount(200, 599), 200)
    .option('--delay <duration>', 'wait before the answer, as 100ms', parseDuration, 0)
    .option('--fail-first <n>', 'answer 503 to the first n requests', parseCount(0, 1_000_000), 0)
    .option('--reply <reply>', 'answer with an event: type=TYPE, or a file with an event as JSON');
  addOutputOption(command);
  command.action(async (options: ListenOptions) => {
    const makeReply = options.reply === undefined ? null : await replyMaker(host, options.reply);
    await serve(host, options, makeReply);
  });
}

async function serve(
  host: CliHost,
  options: ListenOptions,
  makeReply: MakeReply | null,
): Promise<void> {
  let count = 0;
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      host.err(`Error: ${messageOf(error)}`);
      response.destroy();
    });
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    if (body === null) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    count += 1;
    const status = count <= options.failFirst ? FAILING_STATUS : options.status;
    for (const line of arrivalLines(host, options, { request, body, status })) host.out(line);
    if (options.delay > 0) await sleep(host.clock, options.delay);
    const isReply =
      makeReply !== null && status >= 200 && status < 300 && request.method === 'POST';
    if (isReply) sendReply(response, status, makeReply());
    else response.writeHead(status).end();
  };
  await listening(server, options);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const name = options.host.includes(':') ? `[${options.host}]` : options.host;
  if (!isJson(options)) host.out(`listening at http://${name}:${port}/  (Ctrl-C ends it)`);
  else host.err(`listening at http://${name}:${port}/`);
  await new Promise<void>((resolve) => host.onSignal(resolve));
  server.closeAllConnections();
  server.close();
}

function listening(server: ReturnType<typeof createServer>, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const address = `${options.host}:${options.port}`;
      reject(
        new CliError(
          `Cannot listen at ${address}: ${error.message}`,
          'choose another port with --port',
        ),
      );
    });
    server.listen(options.port, options.host, resolve);
  });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk as Uint8Array);
    sizeBytes += bytes.length;
    if (sizeBytes > BODY_BYTES_MAX) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function arrivalLines(
  host: CliHost,
  options: ListenOptions,
  arrival: { readonly request: IncomingMessage; readonly body: Buffer; readonly status: number },
): readonly string[] {
  const { request, body, status } = arrival;
  const result = decodeHttp({ rawHeaders: request.rawHeaders, body, limits: LIMITS });
  if (isJson(options)) {
    if (result.ok)
      return result.events.map((event) => encodeJsonEvent(event, NO_CHANGES).toString('utf8'));
    return [
      JSON.stringify({ error: result.error.message, method: request.method, path: request.url }),
    ];
  }
  const head = `${clockText(host.clock.wallMs())}  ${status}`;
  if (!result.ok) {
    const what = `${request.method ?? ''} ${oneLine(request.url ?? '')}`;
    return [`${head}  ${what}: no event: ${oneLine(result.error.message)}`];
  }
  return result.events.flatMap((event) => [`${head}  ${eventLine(event)}`, ...dataLines(event)]);
}

function eventLine(event: CloudEvent): string {
  const extensions = Array.from(event.extensions, ([name, value]) => `${name}=${value}`);
  const subject = event.subject === null ? [] : [`subject=${event.subject}`];
  const parts = [event.type, `id=${event.id}`, `source=${event.source}`, ...subject, ...extensions];
  return parts.map(oneLine).join('  ');
}

function dataLines({ data, datacontenttype }: CloudEvent): readonly string[] {
  if (data === null || data.length === 0) return [];
  const isText = !data.subarray(0, SHOWN_BYTES_MAX).includes(0);
  if (!isText) return [`    ${data.length} bytes of ${oneLine(datacontenttype ?? 'unknown type')}`];
  const shown = data.subarray(0, SHOWN_BYTES_MAX).toString('utf8');
  const rest = data.length > SHOWN_BYTES_MAX ? [`    … ${data.length} bytes in all`] : [];
  return [...shown.split('\n').map((line) => `    ${oneLine(line)}`), ...rest];
}

function sendReply(response: ServerResponse, status: number, event: CloudEvent): void {
  const headers: string[] = [];
  const body = encodeBinary(event, headers);
  response.writeHead(status, headers).end(body);
}

/** Each reply has an id of its own, as a real subscriber's would. */
async function replyMaker(host: CliHost, text: string): Promise<MakeReply> {
  const source = '/millrace/listen';
  const [, type] = /^type=(.+)$/.exec(text) ?? [];
  if (type !== undefined) {
    const event = eventOfAttributes({ id: 'any', source, type });
    return () => ({ ...event, id: host.ids.uid() });
  }
  const given: unknown = parseJson(await readInput(host, text), text);
  if (!isFields(given)) throw new CliError(`Cannot reply with ${text}: it holds no event`);
  const hasId = typeof given['id'] === 'string';
  const complete = { specversion: '1.0', source, ...given, id: hasId ? given['id'] : 'any' };
  const [event] = decodeEvents(Buffer.from(JSON.stringify(complete)), text).events;
  if (event === undefined) throw new CliError(`Cannot reply with ${text}: it holds no event`);
  return () => (hasId ? event : { ...event, id: host.ids.uid() });
}

function parseJson(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CliError(`Cannot reply with ${name}: ${messageOf(error)}`, 'wanted an event as JSON');
  }
}
