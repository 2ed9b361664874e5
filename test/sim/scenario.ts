/**
 * What one seed does: which parts run, how busy they are, what goes wrong and how often. Each seed
 * switches a random part of all faults on, so that some runs are calm enough for the strict checks
 * (no duplicate without a crash) and others are as bad as it gets.
 */
import type { Random } from '#lib/random/random';

export interface Scenario {
  readonly mode: 'fused' | 'split';
  readonly store: 'memory' | 'embedded';
  readonly partitions: number;
  readonly triggerCount: number;
  /** Virtual time in which events are sent and faults happen. */
  readonly busyMs: number;
  readonly eventsPerSecond: number;
  readonly keyCount: number;
  readonly storeDelayMs: number;
  /** Share of the store's calls that fail. */
  readonly storeFaultShare: number;
  /** Mean time between events of each kind; `Infinity` = never. */
  readonly everyMs: {
    readonly crash: number;
    readonly restart: number;
    readonly pauseProcess: number;
    readonly zombie: number;
    readonly edit: number;
    readonly pauseTrigger: number;
    readonly remove: number;
    readonly replay: number;
    readonly stepWall: number;
    readonly mood: number;
    readonly burst: number;
  };
  /** How bad subscribers are at their worst, 0 to 1. */
  readonly badness: number;
  readonly replyShare: number;
  /** Hangs are as long as the delivery timeout; large ones fill windows. */
  readonly timeoutMs: number;
  readonly hasBrokerDeadLetter: boolean;
  /** Half of all crashes lose what was not synced. */
  readonly losesPower: boolean;
  /** Faults of the disk: short writes, failed syncs, no space. */
  readonly diskFaultShare: number;
}

export interface ScenarioLimits {
  readonly stores: readonly Scenario['store'][];
}

export function drawScenario(random: Random, limits: ScenarioLimits): Scenario {
  const chance = (share: number): boolean => random.float() < share;
  const often = (share: number, lowMs: number, highMs: number): number =>
    chance(share) ? lowMs + random.float() * (highMs - lowMs) : Infinity;
  const isCalm = chance(0.2);
  const mode = chance(0.55) ? 'fused' : 'split';
  const store = limits.stores[random.below(limits.stores.length)] ?? 'memory';
  return {
    ...{ mode, store },
    partitions: chance(0.6) ? 1 : 1 + random.below(3),
    triggerCount: 1 + random.below(6),
    busyMs: 5_000 + random.below(15_000),
    eventsPerSecond: chance(0.2) ? 100 + random.below(200) : 10 + random.below(60),
    keyCount: 1 + random.below(6),
    storeDelayMs: chance(0.7) ? 0.5 + random.float() * 3 : 5 + random.float() * 60,
    storeFaultShare: !isCalm && chance(0.2) ? random.float() * 0.03 : 0,
    everyMs: {
      crash: isCalm ? Infinity : often(0.75, 800, 9_000),
      restart: often(0.3, 3_000, 12_000),
      pauseProcess: often(0.2, 3_000, 9_000),
      zombie: isCalm || mode === 'fused' ? Infinity : often(0.3, 3_000, 10_000),
      edit: often(0.4, 1_500, 8_000),
      pauseTrigger: often(0.35, 1_500, 8_000),
      remove: often(0.35, 2_000, 9_000),
      replay: often(0.15, 4_000, 12_000),
      stepWall: often(0.2, 3_000, 12_000),
      mood: often(0.8, 500, 6_000),
      burst: often(0.3, 3_000, 12_000),
    },
    badness: chance(0.2) ? 0 : random.float(),
    replyShare: chance(0.4) ? random.float() * 0.3 : 0,
    timeoutMs: chance(0.5) ? 400 + random.below(2_000) : 3_000 + random.below(10_000),
    hasBrokerDeadLetter: chance(0.6),
    losesPower: chance(0.5),
    diskFaultShare: store === 'embedded' && chance(0.25) ? random.float() * 0.002 : 0,
  };
}
