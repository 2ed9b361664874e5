/** Events from files, standard input and options, checked by the same codec as ingress uses. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeJsonBatch, decodeJsonEvent } from '#lib/cloudevents/json-decode';
import { DEFAULT_CLOUD_EVENT_LIMITS } from '#lib/cloudevents/limits';
import type { CloudEventLimits } from '#lib/cloudevents/limits';
import { messageOf } from '#lib/errors/mesh-error';
import type { CliHost } from './cli-host.ts';
import { CliError } from './cli-error.ts';

const INPUT_BYTES_MAX = 256 * 1024 * 1024;

/** Not ingress' limits: what it refuses, it shall refuse itself, and say so. */
const INPUT_LIMITS: CloudEventLimits = {
  ...DEFAULT_CLOUD_EVENT_LIMITS,
  eventBytesMax: INPUT_BYTES_MAX,
  batchBytesMax: INPUT_BYTES_MAX,
  batchEventsMax: 100_000,
};

/** The bytes of a file; `-` is standard input. */
export async function readInput(host: CliHost, file: string): Promise<Buffer> {
  if (file === '-') return readStream(host);
  try {
    return await readFile(path.resolve(host.workingDirectory, file));
  } catch (error) {
    throw new CliError(`Cannot read "${file}": ${messageOf(error)}`, '- reads standard input');
  }
}

async function readStream(host: CliHost): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of host.input) {
    const bytes = Buffer.from(chunk as Uint8Array);
    sizeBytes += bytes.length;
    if (sizeBytes > INPUT_BYTES_MAX)
      throw new CliError('Cannot read standard input: it is too long');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** One event as a JSON object, or several as an array. */
export function decodeEvents(
  bytes: Buffer,
  name: string,
): { readonly isBatch: boolean; readonly events: readonly CloudEvent[] } {
  const isBatch = /^\s*\[/.test(bytes.subarray(0, 256).toString('utf8'));
  if (isBatch) {
    const result = decodeJsonBatch(bytes, INPUT_LIMITS);
    if (result.ok) return { isBatch, events: result.events };
    throw badEvent(name, result.problems);
  }
  const result = decodeJsonEvent(bytes, INPUT_LIMITS);
  if (result.ok) return { isBatch, events: [result.event] };
  throw badEvent(name, result.problems);
}

/** An event of attributes as options give them; data is added by the caller. */
export function eventOfAttributes(attributes: Readonly<Record<string, string>>): CloudEvent {
  const bytes = Buffer.from(JSON.stringify({ specversion: '1.0', ...attributes }));
  const result = decodeJsonEvent(bytes, INPUT_LIMITS);
  if (result.ok) return result.event;
  throw badEvent('the options', result.problems);
}

function badEvent(name: string, problems: readonly { readonly message: string }[]): CliError {
  const lines = problems.map(({ message }) => `\n  ${message}`).join('');
  const next = 'wanted a CloudEvent as JSON, or an array of them';
  return new CliError(
    `Cannot make an event of ${name === '-' ? 'standard input' : name}:${lines}`,
    next,
  );
}
