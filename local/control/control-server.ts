/**
 * The control socket of a running Millrace: `<data>/control.sock`, 0600, plain HTTP with JSON. The
 * commands are its only clients, and whoever may open the socket may do everything. No listener on the
 * network serves any of this.
 */
import { chmod, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import type { StartPosition } from '#lib/contract/routing';
import { isMeshError, messageOf } from '#lib/errors/mesh-error';
import { field, isFields } from '#api/meta/v1/field-reader';
import type { Logger } from '#lib/telemetry/log';
import { RemoteFault } from '../child-protocol.ts';
import { LOCAL_ERRORS, localError } from '../local-errors.ts';

import type {
  BrokersAnswer,
  ErrorAnswer,
  ParkedAnswer,
  ParkedCount,
  ParkedSelection,
  ParkedShowAnswer,
  ReplayAnswer,
  StatusAnswer,
  TriggerAnswer,
  TriggersAnswer,
} from './control-api.ts';
import type { TailHub, TailLine } from './tail-hub.ts';

/** What the server asks of the rest of `up`. */
export interface ControlOperations {
  status(): Promise<StatusAnswer>;
  triggers(): Promise<TriggersAnswer>;
  brokers(): Promise<BrokersAnswer>;
  /** @throws MeshError `LOCAL_OBJECT_UNKNOWN`. */
  trigger(namespace: string, name: string): TriggerAnswer;
  replay(namespace: string, name: string, from: StartPosition): Promise<ReplayAnswer>;
  parkedList(trigger: string | null, afterId: number): Promise<ParkedAnswer>;
  parkedShow(id: number): Promise<ParkedShowAnswer | null>;
  parkedRedrive(selection: ParkedSelection): Promise<ParkedCount>;
  parkedDrop(selection: ParkedSelection): Promise<ParkedCount>;
}

export interface ControlDeps {
  readonly operations: ControlOperations;
  readonly tail: TailHub;
  readonly log: Logger;
}

const BODY_BYTES_MAX = 1_048_576;
const IDS_MAX = 10_000;
/** Lines that wait for a slow watcher; more are counted instead. */
const TAIL_BUFFER_BYTES_MAX = 1_048_576;

interface Named {
  readonly Params: { readonly namespace: string; readonly name: string };
}

/** Listens at once; the caller holds the data lock, so a socket file that is there is a dead one. */
export async function startControlServer(
  deps: ControlDeps,
  socketPath: string,
): Promise<{ close(): Promise<void> }> {
  const server = fastify({
    bodyLimit: BODY_BYTES_MAX,
    logger: false,
    forceCloseConnections: true,
  });
  server.setErrorHandler((error, _request, reply) => {
    const { status, answer } = errorAnswer(error);
    if (status >= 500)
      deps.log.warn('a request to the control socket failed', { error: answer.message });
    void reply.status(status).send(answer);
  });
  addRoutes(server, deps);
  await rm(socketPath, { force: true });
  await server.listen({ path: socketPath });
  await chmod(socketPath, 0o600);
  return { close: () => server.close() };
}

function addRoutes(server: FastifyInstance, deps: ControlDeps): void {
  const { operations } = deps;
  server.get('/v1/status', () => operations.status());
  server.get('/v1/triggers', () => operations.triggers());
  server.get('/v1/brokers', () => operations.brokers());
  server.get<Named>('/v1/triggers/:namespace/:name', (request) => {
    const { namespace, name } = request.params;
    return Promise.resolve(operations.trigger(namespace, name));
  });
  server.post<Named>('/v1/triggers/:namespace/:name/replay', (request) => {
    const { namespace, name } = request.params;
    return operations.replay(namespace, name, replayStart(request.body));
  });
  server.get<{ Querystring: Readonly<Record<string, unknown>> }>('/v1/parked', (request) => {
    const after = request.query['after'];
    return operations.parkedList(
      textOf(request.query['trigger']),
      after === undefined ? 0 : idOf(after),
    );
  });
  server.get<{ Params: { readonly id: string } }>('/v1/parked/:id', async (request) => {
    const parked = await operations.parkedShow(idOf(request.params.id));
    if (parked !== null) return parked;
    throw localError('LOCAL_PARKED_UNKNOWN', `Cannot show ${request.params.id}: it is not parked`);
  });
  server.post('/v1/parked/redrive', (request) =>
    operations.parkedRedrive(selectionOf(request.body)),
  );
  server.post('/v1/parked/drop', (request) => operations.parkedDrop(selectionOf(request.body)));
  server.get<{ Querystring: Readonly<Record<string, unknown>> }>('/v1/tail', (request, reply) => {
    const broker = textOf(request.query['broker']);
    const trigger = textOf(request.query['trigger']);
    const stream = tailStream(deps.tail, { broker, trigger });
    return reply.type('application/x-ndjson').send(stream);
  });
}

/** A stream of JSON lines that ends with its reader. */
function tailStream(
  tail: TailHub,
  filter: { readonly broker: string | null; readonly trigger: string | null },
): Readable {
  const stream = new Readable({
    highWaterMark: TAIL_BUFFER_BYTES_MAX,
    read: () => undefined,
    destroy(error, callback) {
      stop();
      callback(error);
    },
  });
  const stop = tail.watch(
    {
      take(line: TailLine) {
        if (stream.destroyed || stream.readableLength >= TAIL_BUFFER_BYTES_MAX) return false;
        stream.push(`${JSON.stringify(line)}\n`);
        return true;
      },
    },
    filter,
  );
  // An empty line at once: the watcher knows that it sees everything from now on.
  stream.push('\n');
  return stream;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function idOf(value: unknown): number {
  const id =
    typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(id) && id >= 0) return id;
  throw invalid(`"${String(value)}" is no number of a parked event`);
}

function replayStart(body: unknown): StartPosition {
  const from = isFields(body) ? field(body, 'from') : undefined;
  if (isFields(from)) {
    const { at, timeMs, id } = from;
    if (at === 'latest' || at === 'earliest') return { at };
    if (at === 'time' && typeof timeMs === 'number' && Number.isFinite(timeMs))
      return { at, timeMs };
    if (at === 'event' && typeof id === 'string') return { at, id };
  }
  throw invalid('"from" is no position');
}

function selectionOf(body: unknown): ParkedSelection {
  if (!isFields(body)) throw invalid('wanted {"ids": […]}, {"trigger": "…"} or {"all": true}');
  const { ids, trigger, all } = body;
  if (Array.isArray(ids) && ids.length <= IDS_MAX) return { ids: ids.map(idOf) };
  if (typeof trigger === 'string') return { trigger };
  if (all === true) return { all };
  throw invalid(`wanted {"ids": […]} with at most ${IDS_MAX}, {"trigger": "…"} or {"all": true}`);
}

function invalid(reason: string): Error {
  return localError('LOCAL_REQUEST_INVALID', `Cannot do what is asked: ${reason}`);
}

function errorAnswer(error: unknown): { readonly status: number; readonly answer: ErrorAnswer } {
  if (error instanceof RemoteFault) {
    const { code, message, httpStatus } = error.fault;
    return { status: httpStatus ?? 500, answer: { code: code ?? 'INTERNAL', message, next: null } };
  }
  if (isMeshError(error)) {
    const next =
      Object.entries(LOCAL_ERRORS).find(([code]) => code === error.code)?.[1].next ?? null;
    return {
      status: error.httpStatus ?? 500,
      answer: { code: error.code, message: error.message, next },
    };
  }
  const status =
    isFields(error) && typeof error['statusCode'] === 'number' ? error['statusCode'] : 500;
  const code = status < 500 ? 'LOCAL_REQUEST_INVALID' : 'INTERNAL';
  return { status, answer: { code, message: messageOf(error), next: null } };
}
