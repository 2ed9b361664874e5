/** The child's half of the protocol: order, faults, tail, and an end without a parent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#lib/telemetry/log';
import { createManualClock } from '#lib/time/manual-clock';
import { TAIL_BATCH_MAX, TAIL_PENDING_MAX } from '../child-protocol.ts';
import type { ChildMessage, ParentMessage } from '../child-protocol.ts';
import type { EventSide, TailEntry } from '../event-side.ts';
import type { EventSideSettings } from '../event-side-settings.ts';
import { localError } from '../local-errors.ts';
import { ORPHAN_DRAIN_MS, serveEventSide } from './event-process-server.ts';

// The fake does not read it.
const SETTINGS = JSON.parse('{}') as EventSideSettings;
const START: ParentMessage = { kind: 'start', roles: ['ingress'], settings: SETTINGS };
const ENTRY: TailEntry = {
  kind: 'attempt',
  atMs: 0,
  broker: 'default/default',
  partition: 0,
  offset: 0,
  eventId: 'one',
  target: 'u',
  stage: 'subscriber',
  attempt: 1,
  durationMs: 1,
  next: 'delivered',
  delayMs: null,
  failure: null,
};

function scene(given: Partial<EventSide> = {}) {
  const clock = createManualClock();
  const calls: string[] = [];
  const sent: ChildMessage[] = [];
  const exits: number[] = [];
  const done: (() => void)[] = [];
  let tell: (message: ParentMessage) => void = () => undefined;
  let disconnect = (): void => undefined;
  let fatal: (error: unknown) => void = () => undefined;
  let tail: ((entry: TailEntry) => void) | null = null;
  const note = (name: string): Promise<never[]> => {
    calls.push(name);
    return Promise.resolve([]);
  };
  const side: EventSide = {
    start: async () => {
      await note('start');
      return { eventsUrl: 'http://e' };
    },
    ensure: async () => void (await note('ensure')),
    apply: (patches, revision) => void calls.push(`apply ${patches.length} ${revision}`),
    markSynced: async () => void (await note('markSynced')),
    status: () => Promise.reject(localError('LOCAL_CHILD_BUSY', 'no')),
    metrics: () => [],
    tail: (listener) => {
      tail = listener;
    },
    replay: () => Promise.resolve({ eventCount: 1 }),
    parkedList: () => note('parkedList'),
    parkedShow: () => Promise.resolve(null),
    parkedRedrive: (ids) => Promise.resolve(ids.length),
    parkedDrop: (ids) => Promise.resolve(ids.length),
    drain: async (deadlineMs) => void (await note(`drain ${deadlineMs}`)),
    close: async () => void (await note('close')),
    ...given,
  };
  const server = serveEventSide({
    clock,
    parent: {
      send(message, onSent) {
        sent.push(message);
        if (onSent !== undefined) done.push(onSent);
      },
      onMessage: (listener) => {
        tell = listener;
      },
      onDisconnect: (listener) => {
        disconnect = listener;
      },
    },
    create: (_start, onFatal) => {
      fatal = onFatal;
      return Promise.resolve({ side, log: silentLogger });
    },
    exit: (code) => void exits.push(code),
  });
  return {
    ...{ clock, calls, sent, exits, server },
    tell: (message: ParentMessage) => tell(message),
    disconnect: () => disconnect(),
    fatal: (error: unknown) => fatal(error),
    tail: (entry: TailEntry) => tail?.(entry),
    confirm: () => {
      for (const confirm of done.splice(0)) confirm();
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}

test('a life: opened, routes applied, ready, drained, closed', async () => {
  const { tell, calls, sent, exits } = scene();
  tell(START);
  await settle();
  tell({ kind: 'routing', revision: 1, patches: [], isLast: false });
  tell({ kind: 'routing', revision: 1, patches: [], isLast: true });
  tell({ kind: 'synced' });
  await settle();
  tell({ kind: 'drain', deadlineMs: 5 });
  await settle();
  tell({ kind: 'close' });
  await settle();
  assert.deepEqual(
    sent.map(({ kind }) => kind),
    ['opened', 'applied', 'ready', 'drained'],
  );
  assert.deepEqual(calls, ['start', 'apply 0 1', 'apply 0 1', 'markSynced', 'drain 5', 'close']);
  assert.deepEqual(exits, [0]);
});

test('answers carry values, faults carry their code', async () => {
  const { tell, sent } = scene();
  tell(START);
  await settle();
  tell({ kind: 'request', id: 1, call: { method: 'parkedDrop', params: { ids: [1, 2] } } });
  tell({ kind: 'request', id: 2, call: { method: 'status', params: null } });
  await settle();
  const fault = { code: 'LOCAL_CHILD_BUSY', message: 'no', retry: 'backoff', httpStatus: 503 };
  assert.deepEqual(sent.slice(1), [
    { kind: 'answer', id: 1, value: 2 },
    { kind: 'failed', id: 2, fault },
  ]);
});

test('a start that fails is told, then the process ends', async () => {
  const { tell, sent, exits, confirm } = scene({
    start: () => Promise.reject(localError('LOCAL_ADDRESS_IN_USE', 'taken')),
  });
  tell(START);
  await settle();
  assert.equal(sent[0]?.kind === 'fatal' && sent[0].fault.code, 'LOCAL_ADDRESS_IN_USE');
  assert.deepEqual(exits, []);
  confirm();
  await settle();
  assert.deepEqual(exits, [75]);
});

test('a store that fails later ends the process too', async () => {
  const { tell, sent, exits, confirm, fatal } = scene();
  tell(START);
  await settle();
  fatal(new Error('sync failed'));
  fatal(new Error('again'));
  confirm();
  await settle();
  assert.equal(sent.filter(({ kind }) => kind === 'fatal').length, 1);
  assert.deepEqual(exits, [75]);
});

test('without a parent it drains shortly and ends, even if the drain hangs', async () => {
  const clean = scene();
  clean.tell(START);
  await settle();
  clean.disconnect();
  await settle();
  assert.deepEqual(clean.calls.slice(1), [`drain ${ORPHAN_DRAIN_MS}`, 'close']);
  assert.deepEqual(clean.exits, [0]);

  const hanging = scene({ drain: () => new Promise(() => undefined) });
  hanging.tell(START);
  await settle();
  hanging.disconnect();
  await hanging.clock.advance(ORPHAN_DRAIN_MS * 2 - 1);
  assert.deepEqual(hanging.exits, []);
  await hanging.clock.advance(1);
  assert.deepEqual(hanging.exits, [0]);
});

test('tail is batched, and counted when the parent is slow', async () => {
  const { tell, tail, sent, clock, confirm } = scene();
  tell(START);
  await settle();
  tell({ kind: 'request', id: 1, call: { method: 'tail', params: { isOn: true } } });
  tail(ENTRY);
  assert.equal(sent.filter(({ kind }) => kind === 'tail').length, 0);
  await clock.advance(50);
  for (let count = 0; count < TAIL_PENDING_MAX + 10; count++) tail(ENTRY);
  const batches = (): readonly Extract<ChildMessage, { readonly kind: 'tail' }>[] =>
    sent.filter((message) => message.kind === 'tail');
  const sizes = batches().map(({ entries }) => entries.length);
  assert.deepEqual([sizes[0], sizes[1]], [1, TAIL_BATCH_MAX]);
  await clock.advance(50);
  assert.equal(
    batches().reduce((sum, { entries }) => sum + entries.length, 0),
    TAIL_PENDING_MAX,
  );
  confirm();
  tail(ENTRY);
  await clock.advance(50);
  assert.equal(
    batches().reduce((sum, { skippedCount }) => sum + skippedCount, 0),
    11,
  );
});
