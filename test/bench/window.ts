/**
 * One measured window: load on a target for some seconds, then the rest of the deliveries, and what all
 * of it cost. CPU is that of the target's whole process tree from the first request to the last
 * delivery, so work that was only put off is counted too.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readCpu, readMemory } from '../kit/cpu.ts';
import type { CpuReading } from '../kit/cpu.ts';
import type { BenchChild } from './bench-child.ts';
import { nowMicros } from './bench-event.ts';
import type { LoadRequest, LoadResult } from './load/load-run.ts';
import { EVENT_TYPE } from './scenario.ts';
import type { Scenario } from './scenario.ts';
import type { SinkRequest, SinkResult } from './sink/sink-run.ts';

export interface Tools {
  readonly load: BenchChild<LoadRequest, LoadResult>;
  readonly sink: BenchChild<SinkRequest, SinkResult>;
}

/** What is measured. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly rootPid: number;
  /** Name of a process of the tree, for the split by process. */
  readonly nameOf: (pid: number) => string;
}

export interface WindowResult {
  readonly acceptedCount: number;
  readonly otherAnswers: Readonly<Record<string, number>>;
  readonly acceptedPerSecond: number;
  readonly deliveredPerSecond: number;
  /** User and system, per accepted event. */
  readonly cpuMicrosPerEvent: number;
  readonly userMicrosPerEvent: number;
  readonly systemMicrosPerEvent: number;
  readonly cpuMicrosByProcess: Readonly<Record<string, number>>;
  /** From sending to arrival at the subscriber. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly lostCount: number;
  readonly duplicateCount: number;
  readonly corruptCount: number;
  readonly misroutedCount: number;
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Of the load generator; not part of the above. */
  readonly loadMicrosPerEvent: number;
}

const DRAIN_LIMIT_MS = 60_000;
/** Checkpoints and settlements of the last deliveries. */
const TRAILING_MS = 300;

export async function measureWindow(
  tools: Tools,
  target: Target,
  scenario: Pick<Scenario, 'setup' | 'encoding' | 'connectionCount' | 'ratePerSecond'>,
  durationMs: number,
): Promise<WindowResult> {
  const { setup, encoding, connectionCount, ratePerSecond } = scenario;
  const { host, port, path, rootPid } = target;
  await tools.sink.ask({ kind: 'begin', triggerCount: setup.matching });
  const before = readCpu(rootPid);
  const startedMicros = nowMicros();
  const sent = await tools.load.ask({
    ...{ host, port, path, connectionCount, ratePerSecond, encoding, durationMs },
    ...{ type: EVENT_TYPE, keyCount: setup.keyCount ?? 0 },
  });
  const { rssBytes, pssBytes } = readMemory(rootPid);
  const { accepted } = sent;
  const came = await tools.sink.ask({ kind: 'finish', accepted, limitMs: DRAIN_LIMIT_MS });
  await delay(TRAILING_MS);
  const after = readCpu(rootPid);
  const perEvent = (micros: number): number => micros / Math.max(1, sent.acceptedCount);
  const userMicrosPerEvent = perEvent(after.userMicros - before.userMicros);
  const systemMicrosPerEvent = perEvent(after.systemMicros - before.systemMicros);
  const deliverySeconds = Math.max(1, came.lastMicros - startedMicros) / 1_000_000;
  return {
    acceptedCount: sent.acceptedCount,
    otherAnswers: sent.otherAnswers,
    acceptedPerSecond: (sent.acceptedCount * 1_000) / sent.elapsedMs,
    deliveredPerSecond: came.pairCount === 0 ? 0 : came.pairCount / deliverySeconds,
    ...{ userMicrosPerEvent, systemMicrosPerEvent },
    cpuMicrosPerEvent: userMicrosPerEvent + systemMicrosPerEvent,
    cpuMicrosByProcess: byProcess(before, after, target.nameOf, perEvent),
    ...{ p50Ms: came.p50Ms, p99Ms: came.p99Ms, lostCount: came.lostCount },
    ...{ duplicateCount: came.duplicateCount, corruptCount: came.corruptCount },
    ...{ misroutedCount: came.misroutedCount, rssBytes, pssBytes },
    loadMicrosPerEvent: sent.cpuMicrosPerEvent,
  };
}

function byProcess(
  before: CpuReading,
  after: CpuReading,
  nameOf: (pid: number) => string,
  perEvent: (micros: number) => number,
): Readonly<Record<string, number>> {
  const micros: Record<string, number> = {};
  for (const [pid, value] of after.microsByPid) {
    micros[nameOf(pid)] = perEvent(value - (before.microsByPid.get(pid) ?? 0));
  }
  return micros;
}
