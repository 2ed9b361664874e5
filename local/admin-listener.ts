/**
 * The admin listener of `up`: `/healthz`, `/readyz`, `/metrics`, for probes and scrapers. It shows no
 * event data and changes nothing. A request whose `Host` is no name of this listener is refused, so
 * that a web page in the user's browser cannot read it through a name of its own.
 */
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import fastify from 'fastify';
import { messageOf } from '#lib/errors/mesh-error';
import type { MetricFamily } from '#lib/telemetry/metrics';
import { PROMETHEUS_CONTENT_TYPE, renderPrometheus } from '#lib/telemetry/prometheus';
import type { ListenAddress } from './event-side-settings.ts';
import { localError } from './local-errors.ts';

export interface AdminOperations {
  /** Why it is not ready, one line each; empty when it is. */
  readinessReasons(): readonly string[];
  metrics(): Promise<readonly MetricFamily[]>;
}

export interface AdminListener {
  /** `http://127.0.0.1:9090`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** @throws MeshError `LOCAL_ADDRESS_IN_USE`. */
export async function startAdminListener(
  operations: AdminOperations,
  listen: ListenAddress,
): Promise<AdminListener> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.addHook('onRequest', async (request, reply) => {
    if (isKnownHost(request.headers.host ?? '', listen.host)) return;
    await reply
      .status(403)
      .type('text/plain')
      .send('the Host of this request is not served here\n');
  });
  server.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
  server.get('/readyz', (_request, reply) => {
    const reasons = operations.readinessReasons();
    const text = reasons.length === 0 ? 'ok\n' : `${reasons.join('\n')}\n`;
    return reply
      .status(reasons.length === 0 ? 200 : 503)
      .type('text/plain')
      .send(text);
  });
  server.get('/metrics', async (_request, reply) => {
    const text = renderPrometheus(await operations.metrics());
    return reply.type(PROMETHEUS_CONTENT_TYPE).send(text);
  });
  try {
    await server.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await server.close();
    const address = urlOf(listen.host, listen.port);
    const message = `Cannot listen at ${address}: ${listenFault(error)} (--admin-listen)`;
    throw localError('LOCAL_ADDRESS_IN_USE', message, { cause: error });
  }
  const address = server.server.address();
  const port = isAddressInfo(address) ? address.port : listen.port;
  return { url: urlOf(listen.host, port), port, close: () => server.close() };
}

export function listenFault(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'EADDRINUSE':
      return 'another program listens there';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'EACCES':
      return 'this user must not listen there';
    default:
      return messageOf(error);
  }
}

/** Names of loopback, the address itself, and any IP: only a foreign name can be rebound. */
function isKnownHost(hostHeader: string, listenHost: string): boolean {
  const name = hostHeader
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || name === listenHost.toLowerCase() || isIP(name) !== 0;
}

export function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isAddressInfo(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
