/** undici's cheapest POST, keep-alive, against the bench's sink: what any delivery costs at least. */
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { createEventTemplate, nowMicros } from '../bench-event.ts';

/** @returns how many were answered. */
export async function runDispatches(options: {
  readonly origin: string;
  readonly concurrency: number;
  readonly durationMs: number;
}): Promise<number> {
  const pool = new Pool(options.origin, { connections: options.concurrency, pipelining: 1 });
  const endMs = performance.now() + options.durationMs;
  let count = 0;
  const loop = async (slot: number): Promise<void> => {
    const request = createRequest(slot);
    for (; performance.now() < endMs; count++) await send(pool, request(count));
  };
  await Promise.all(Array.from({ length: options.concurrency }, (_, slot) => loop(slot)));
  await pool.close();
  return count;
}

/** The same bytes as the load's, cut into what undici takes. */
function createRequest(slot: number): (id: number) => Dispatcher.DispatchOptions {
  const template = createEventTemplate({
    ...{ host: 'sink', path: '/t/0', encoding: 'binary', type: `order.${slot}`, keyCount: 0 },
  });
  const bodyAt = template.bytes.indexOf('\r\n\r\n') + 4;
  const body = template.bytes.subarray(bodyAt);
  const lines = template.bytes
    .toString('latin1', 0, bodyAt - 4)
    .split('\r\n')
    .slice(2);
  const names = lines.map((line) => line.slice(0, line.indexOf(':')));
  const values = lines.map((line) => line.slice(line.indexOf(':') + 2));
  const idAt = names.indexOf('ce-id');
  return (id) => {
    template.write(id, nowMicros());
    values[idAt] = String(id);
    const headers: string[] = [];
    for (const [index, name] of names.entries()) headers.push(name, values[index] ?? '');
    return { path: '/t/0', method: 'POST', headers, body };
  };
}

function send(pool: Pool, options: Dispatcher.DispatchOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    pool.dispatch(options, {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: () => undefined,
      onResponseEnd: () => resolve(),
      onResponseError: (_controller, error) => reject(error),
    });
  });
}
