/** From what the event side reports to lines with names and reasons, for each watcher. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCountingIds } from '#lib/ids/ids';
import type { MatchedEntry, TailEvent } from '../event-side.ts';
import { parseObject, titleOf } from '../manifests/object-kinds.ts';
import { planObjects } from '../objects/object-plan.ts';
import { compileRoutes, NO_ROUTES } from '../objects/route-plan.ts';
import { TailHub } from './tail-hub.ts';
import type { TailFilter, TailLine } from './tail-hub.ts';

const rules = { checkUrl: (text: string) => ({ ok: true, url: new URL(text) }) as const };

function routesWith(types: readonly string[]) {
  const objects = types.map((type) => {
    const raw = {
      apiVersion: 'eventing.knative.dev/v1',
      kind: 'Trigger',
      metadata: { name: type },
      spec: {
        broker: 'default',
        filter: { attributes: { type } },
        subscriber: { uri: 'http://127.0.0.1:1/' },
      },
    };
    const result = parseObject(raw, rules);
    assert.ok(result.ok);
    const title = titleOf(result.value);
    return [title, { title, object: result.value, raw, origin: '/a' }] as const;
  });
  const reading = {
    objects: new Map(objects),
    faultyTitles: new Set<string>(),
    unreadableOrigins: new Set<string>(),
    isListingComplete: true,
    problems: [],
  };
  return compileRoutes(planObjects(new Map(), reading, createCountingIds('u')).next, NO_ROUTES);
}

const EVENT: TailEvent = {
  specversion: '1.0',
  id: 'one',
  source: '/s',
  type: 'a',
  subject: null,
  time: null,
  datacontenttype: null,
  dataschema: null,
  extensions: [],
  dataBytes: 3,
};
const PLACE = { atMs: 1, broker: 'default/default', partition: 0, offset: 5 };
const ALL: TailFilter = { broker: null, trigger: null };

function matched(targets: readonly string[]): MatchedEntry {
  return { kind: 'matched', ...PLACE, event: EVENT, targets };
}

function hubWith(types: readonly string[]) {
  const routes = routesWith(types);
  const calls: boolean[] = [];
  const hub = new TailHub({ routes: () => routes, setTail: (isOn) => void calls.push(isOn) });
  const uidOf = (name: string): string =>
    [...routes.triggers].find(([, { route }]) => route.name === name)?.[0] ?? '';
  const watch = (filter: TailFilter = ALL): { readonly lines: TailLine[]; stop(): void } => {
    const lines: TailLine[] = [];
    const stop = hub.watch({ take: (line) => lines.push(line) > 0 }, filter);
    return { lines, stop };
  };
  return { hub, calls, uidOf, watch };
}

test('verdicts name the Triggers, and the clause of those that the event does not go to', () => {
  const { hub, uidOf, watch } = hubWith(['a', 'b']);
  const { lines } = watch();
  hub.take([matched([uidOf('a')])], 0);
  assert.deepEqual(lines, [
    {
      kind: 'verdicts',
      atMs: 1,
      broker: 'default/default',
      offset: 5,
      eventId: 'one',
      matched: ['default/a'],
      unmatched: [
        { trigger: 'default/b', reason: 'spec.filter.attributes.type: type "a" is not "b"' },
      ],
      unmatchedCount: 1,
    },
  ]);
});

test('a Trigger that matches and is not among the targets is read by its own reader', () => {
  const { hub, watch } = hubWith(['a']);
  const { lines } = watch();
  hub.take([matched([])], 0);
  const [line] = lines;
  assert.ok(line?.kind === 'verdicts');
  assert.equal(line.unmatched[0]?.reason, 'it matches, its own reader brings it');
});

test('reasons are bounded, the rest is counted', () => {
  const { hub, watch } = hubWith(Array.from({ length: 30 }, (_, index) => `x${index}`));
  const { lines } = watch();
  hub.take([matched([])], 0);
  const [line] = lines;
  assert.ok(line?.kind === 'verdicts');
  assert.equal(line.unmatched.length, 20);
  assert.equal(line.unmatchedCount, 30);
});

test('a watcher sees its Broker and its Trigger only', () => {
  const { hub, uidOf, watch } = hubWith(['a', 'b']);
  const other = watch({ broker: 'default/other', trigger: null });
  const onlyB = watch({ broker: null, trigger: 'default/b' });
  const unknown = watch({ broker: null, trigger: 'default/zzz' });
  const attempt = {
    kind: 'attempt',
    ...PLACE,
    eventId: 'one',
    target: uidOf('a'),
    stage: 'subscriber',
    attempt: 1,
    durationMs: 1,
    next: 'delivered',
    delayMs: null,
    failure: null,
  } as const;
  hub.take([{ kind: 'accepted', ...PLACE, event: EVENT }, matched([uidOf('a')]), attempt], 0);
  assert.equal(other.lines.length, 0);
  assert.equal(unknown.lines.length, 0);
  assert.deepEqual(
    onlyB.lines.map((line) => line.kind),
    ['accepted', 'verdicts'],
  );
});

test('it listens while somebody watches', () => {
  const { calls, watch } = hubWith([]);
  const first = watch();
  const second = watch();
  first.stop();
  assert.deepEqual(calls, [true, true]);
  second.stop();
  assert.deepEqual(calls, [true, true, false]);
});

test('who reads too slowly is told how much is missing', () => {
  const { hub } = hubWith(['a']);
  const lines: TailLine[] = [];
  let isSlow = true;
  hub.watch({ take: (line) => !isSlow && lines.push(line) > 0 }, ALL);
  hub.take([matched([]), matched([])], 3);
  isSlow = false;
  hub.take([matched([])], 0);
  assert.deepEqual(
    lines.map((line) => (line.kind === 'skipped' ? line.count : line.kind)),
    [5, 'verdicts'],
  );
});
