/** What the control socket can do, over the control side and the event side. Used by `up.ts`. */
import type { StartPosition } from '#lib/contract/routing';
import { objectKey } from '#lib/contract/routing';
import type { Clock } from '#lib/time/clock';
import type { ControlSide, ObjectReport } from '../control-side.ts';
import type { EventSideStatus, ParkedPair, TriggerStatus } from '../event-side.ts';
import { localError } from '../local-errors.ts';
import type { CompiledTrigger } from '../objects/route-plan.ts';
import type { EventGroup } from '../supervision/event-group.ts';
import { PARKED_PAGE_MAX } from './control-api.ts';
import type { ParkedSelection, StatusAnswer, TriggerRow } from './control-api.ts';
import type { ControlOperations } from './control-server.ts';

export interface OperationDeps {
  readonly control: ControlSide;
  readonly group: EventGroup;
  readonly clock: Clock;
  readonly readinessReasons: () => readonly string[];
  /** What does not change while it runs. */
  readonly facts: Pick<
    StatusAnswer,
    'version' | 'pid' | 'startedMs' | 'adminUrl' | 'dataDir' | 'files'
  >;
}

/** Parked events that one redrive or drop takes; the rest is another call. */
const SELECTION_MAX = 100_000;

// Long because: one entry for each operation, each a few lines.
export function createOperations(deps: OperationDeps): ControlOperations {
  const { control, group } = deps;
  const compiled = (namespace: string, name: string): CompiledTrigger => {
    const key = objectKey(namespace, name);
    for (const one of control.routes.triggers.values()) if (one.route.key === key) return one;
    throw localError('LOCAL_OBJECT_UNKNOWN', `Cannot find Trigger "${key}": it is not in force`);
  };
  const onSelection = async (
    method: 'parkedRedrive' | 'parkedDrop',
    selection: ParkedSelection,
  ): Promise<{ readonly count: number }> => {
    const ids = await selectedIds(group, selection);
    let count = 0;
    for (let start = 0; start < ids.length; start += PARKED_PAGE_MAX) {
      const page = ids.slice(start, start + PARKED_PAGE_MAX);
      count += await group.request('dispatcher', method, { ids: page });
    }
    return { count };
  };
  return {
    status: () => statusAnswer(deps),
    async triggers() {
      const answers = await group.requestAll('status', null);
      const byUid = new Map<string, TriggerStatus>();
      for (const { result } of answers) {
        for (const status of result.triggers) byUid.set(status.uid, status);
      }
      const reports = control.objects.filter((report) => report.kind === 'Trigger');
      return { triggers: reports.map((report) => triggerRow(control, report, byUid)) };
    },
    brokers() {
      const reports = control.objects.filter((report) => report.kind === 'Broker');
      const base = group.eventsUrl;
      const brokers = reports.map((report) => ({
        ...report,
        url: base === null ? null : `${base}/${report.namespace}/${report.name}`,
      }));
      return Promise.resolve({ brokers });
    },
    trigger(namespace, name) {
      const { route, from } = compiled(namespace, name);
      const report = control.objects.find((one) => one.uid === from.uid);
      if (report !== undefined) return { report, route };
      throw localError('LOCAL_OBJECT_UNKNOWN', `Cannot find Trigger "${route.key}"`);
    },
    replay: (namespace: string, name: string, from: StartPosition) =>
      group.request('dispatcher', 'replay', { uid: compiled(namespace, name).route.uid, from }),
    async parkedList(trigger, afterId) {
      return { parked: await parkedPage(group, trigger, afterId) };
    },
    parkedShow: (id) => group.request('dispatcher', 'parkedShow', { id }),
    parkedRedrive: (selection) => onSelection('parkedRedrive', selection),
    parkedDrop: (selection) => onSelection('parkedDrop', selection),
  };
}

async function statusAnswer(deps: OperationDeps): Promise<StatusAnswer> {
  const { control, group, facts } = deps;
  const answers = await group.requestAll('status', null);
  const counts = { inForce: 0, pending: 0, faulty: 0 };
  for (const { state } of control.objects) counts[state]++;
  const reasons = [...deps.readinessReasons(), ...answers.flatMap(degradedReason)];
  return {
    ...facts,
    isReady: deps.readinessReasons().length === 0,
    reasons,
    eventsUrl: group.eventsUrl,
    processes: group.reports,
    store: answers.find(({ result }) => result.store !== null)?.result.store ?? null,
    objects: counts,
    problems: control.problems,
  };
}

function degradedReason(answer: {
  readonly name: string;
  readonly result: EventSideStatus;
}): readonly string[] {
  const { reason } = answer.result;
  return reason === null ? [] : [`${answer.name}: ${reason}`];
}

function triggerRow(
  control: ControlSide,
  report: ObjectReport,
  byUid: ReadonlyMap<string, TriggerStatus>,
): TriggerRow {
  const route = report.uid === null ? undefined : control.routes.triggers.get(report.uid)?.route;
  return {
    ...report,
    broker: route?.brokerKey ?? null,
    subscriber: route?.subscriber.url ?? null,
    isPaused: route?.isPaused ?? false,
    delivery: report.uid === null ? null : (byUid.get(report.uid) ?? null),
  };
}

function parkedPage(
  group: EventGroup,
  trigger: string | null,
  afterId: number,
): Promise<readonly ParkedPair[]> {
  const query = { targetKey: trigger, countMax: PARKED_PAGE_MAX, afterId };
  return group.request('dispatcher', 'parkedList', query);
}

async function selectedIds(
  group: EventGroup,
  selection: ParkedSelection,
): Promise<readonly number[]> {
  if (selection.ids !== undefined) return selection.ids;
  const ids: number[] = [];
  for (let afterId = 0; ids.length < SELECTION_MAX; ) {
    const page = await parkedPage(group, selection.trigger ?? null, afterId);
    ids.push(...page.map((pair) => pair.id));
    const last = page.at(-1);
    if (last === undefined) break;
    afterId = last.id;
  }
  return ids;
}
