/**
 * What the bench runs, as data: Trigger set-ups, and the rows made of them. A row's name is
 * `<setup>/<encoding>/<connections>/<roles>`, and `--only` takes any part of it.
 */
import type { TriggerSpec } from '../kit/trigger-yaml.ts';
import type { BenchEncoding } from './bench-event.ts';

/** The type of every event of the load. */
export const EVENT_TYPE = 'order.7';
export const ORDER_KEY_COUNT = 1_000;

export interface Setup {
  readonly name: string;
  /** Triggers that match, at the sinks `/t/0` … */
  readonly matching: number;
  readonly triggers: (sinkUrl: (path: string) => string) => readonly TriggerSpec[];
  readonly keyCount?: number;
}

export interface Scenario {
  readonly name: string;
  readonly setup: Setup;
  readonly encoding: BenchEncoding;
  readonly connectionCount: number;
  readonly ratePerSecond: number | null;
  readonly roles: 'fused' | 'separate';
  /** Measured turn by turn with this one, and told as a ratio to it; `http` is the bare server. */
  readonly comparedTo: 'http' | 'one' | null;
}

type FilterOf = (index: number) => Pick<TriggerSpec, 'attributes' | 'filters'>;

const exactType: FilterOf = (index) => ({ attributes: { type: `order.${index}` } });
const sameType: FilterOf = () => ({ attributes: { type: EVENT_TYPE } });

/** `count` Triggers of which number 7 matches. */
function oneOf(name: string, count: number, filterOf: FilterOf): Setup {
  return {
    name,
    matching: 1,
    triggers: (sinkUrl) =>
      Array.from({ length: count }, (_, index) => ({
        name: `t-${index}`,
        subscriber: sinkUrl(index === 7 ? '/t/0' : '/miss'),
        ...filterOf(index),
      })),
  };
}

/** Every Trigger matches and has a sink of its own. */
function all(name: string, count: number, more: Partial<TriggerSpec> = {}): Setup {
  return {
    name,
    matching: count,
    triggers: (sinkUrl) =>
      Array.from({ length: count }, (_, index) => ({
        name: `t-${index}`,
        subscriber: sinkUrl(`/t/${index}`),
        ...sameType(index),
        ...more,
      })),
  };
}

const ONE = all('1-of-1', 1);

export const SETUPS: readonly Setup[] = [
  { name: 'none', matching: 0, triggers: () => [] },
  ONE,
  oneOf('1-of-10', 10, exactType),
  all('10-of-10', 10),
  oneOf('1-of-100', 100, exactType),
  oneOf('1-of-10000', 10_000, exactType),
  oneOf('prefix-1000', 1_000, (index) => ({ filters: [{ prefix: { type: `order.${index}` } }] })),
  oneOf('cesql-1000', 1_000, (index) => ({
    filters: [{ cesql: `type = 'order.${index}' AND subject LIKE 'order-%'` }],
  })),
  {
    ...all('ordered', 1, { annotations: { 'millrace.dev/delivery-order': 'ordered' } }),
    keyCount: ORDER_KEY_COUNT,
  },
];

/** A healthy Trigger beside a dead and a slow one, for the latency of the healthy one. */
const NEIGHBOURS: Setup = {
  name: 'neighbours',
  matching: 1,
  triggers: (sinkUrl) => [
    ...ONE.triggers(sinkUrl),
    { name: 'dead', subscriber: sinkUrl('/dead'), ...sameType(0), delivery: { retry: 1 } },
    { name: 'slow', subscriber: sinkUrl('/slow'), ...sameType(0) },
  ],
};

/** Told as a ratio to one Trigger. */
const COMPARED = new Set(['1-of-10', '1-of-100', '1-of-10000', 'prefix-1000', 'cesql-1000']);
const OPEN_RATE = 500;

export function allScenarios(): readonly Scenario[] {
  const scenarios: Scenario[] = [];
  for (const roles of ['fused', 'separate'] as const) {
    for (const setup of [ONE, NEIGHBOURS]) {
      scenarios.push(scenario({ setup, roles, connectionCount: 16, ratePerSecond: OPEN_RATE }));
    }
    for (const setup of SETUPS) {
      for (const encoding of ['binary', 'structured'] as const) {
        for (const connectionCount of [16, 128]) {
          scenarios.push(scenario({ setup, roles, encoding, connectionCount }));
        }
      }
    }
  }
  return scenarios;
}

function scenario(
  given: Pick<Scenario, 'setup' | 'roles' | 'connectionCount'> & Partial<Scenario>,
): Scenario {
  const { setup, roles, connectionCount, encoding = 'binary', ratePerSecond = null } = given;
  const rate = ratePerSecond === null ? '' : `@${ratePerSecond}`;
  const name = `${setup.name}/${encoding}/${connectionCount}${rate}/${roles}`;
  const isQuoted = encoding === 'binary' && ratePerSecond === null;
  const comparedTo = !isQuoted
    ? null
    : setup.name === 'none'
      ? 'http'
      : COMPARED.has(setup.name)
        ? 'one'
        : null;
  return { name, setup, roles, connectionCount, encoding, ratePerSecond, comparedTo };
}

/** The set-up that others are compared to. */
export const BASELINE = ONE;
