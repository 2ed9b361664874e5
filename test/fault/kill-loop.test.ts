/**
 * Killed at random moments under load, started again, over and over: F2 and F3. The ledger judges: what
 * was accepted is delivered, dead-lettered or parked, whatever died when.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerBounds, LedgerReport } from '../kit/ledger-report.ts';
import { scaled, testSeed } from './fault-scale.ts';
import { RETRIES, startKillScene } from './kill-scene.ts';
import type { KillScene, SceneOptions } from './kill-scene.ts';

const KILLS = scaled({ short: 5, full: 100 });
/** Of one process: the supervisor waits longer from one to the next. */
const CHILD_KILLS = scaled({ short: 3, full: 50 });
const TERMS = scaled({ short: 3, full: 25 });
/** Between two checkpoints at most 1,000 events, and 100 deliveries in flight. */
const DUPLICATES_PER_KILL = 1_100;
const CONNECTIONS = 16;
const RANDOM_DELAY_MS = 400;

/**
 * Sends of one event: its first and its retries, and one for each kill while it was in flight. A filter
 * of its own that is killed writes its last matches again, each of them a pair like the first.
 */
function boundsAfter(kills: number, roles: SceneOptions['roles']): LedgerBounds {
  const pairsMax = roles === 'fused' ? 1 : kills + 1;
  const attemptsMax = Object.fromEntries(
    Object.entries(RETRIES).map(([name, retries]) => [name, (retries + 1 + kills) * pairsMax]),
  );
  return { duplicatesMax: kills * DUPLICATES_PER_KILL * pairsMax, attemptsMax };
}

/** Lets the load run on until some more events are in, and then for a random while. */
async function randomMoment(scene: KillScene): Promise<void> {
  await scene.accepted(1 + scene.random.below(100));
  await delay(scene.random.float() * RANDOM_DELAY_MS);
}

async function play(
  t: TestContext,
  options: Omit<SceneOptions, 'seed'>,
  act: (scene: KillScene) => Promise<LedgerBounds>,
): Promise<LedgerReport> {
  const seed = testSeed();
  t.diagnostic(`seed ${seed}`);
  await using scene = await startKillScene({ ...options, seed, connectionCount: CONNECTIONS });
  const bounds = await act(scene);
  await scene.accepted(50);
  const report = await scene.finish(bounds);
  t.diagnostic(scene.describe(report));
  assert.ok(report.accepted > 100, 'the load was too small to prove anything');
  for (const trigger of report.triggers) assert.ok(trigger.expected > 0, trigger.name);
  return report;
}

for (const roles of ['fused', 'separate'] as const) {
  test(`${roles}: SIGKILL of everything, ${KILLS} times`, async (t) => {
    const starts: number[] = [];
    await play(t, { roles }, async (scene) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await randomMoment(scene);
        await scene.millrace.kill();
        starts.push(Math.round(await scene.millrace.start()));
      }
      return boundsAfter(KILLS, roles);
    });
    t.diagnostic(`ready after ${starts.join(', ')} ms`);
  });

  test(`${roles}: SIGKILL of one process, which the supervisor starts again`, async (t) => {
    await play(t, { roles }, async (scene) => {
      for (let kill = 0; kill < CHILD_KILLS; kill++) {
        await randomMoment(scene);
        const processes = scene.millrace.eventProcesses();
        assert.equal(processes.length, roles === 'fused' ? 1 : 3);
        const victim = processes[scene.random.below(processes.length)];
        assert.ok(victim !== undefined);
        await scene.millrace.killChild(victim);
      }
      return boundsAfter(CHILD_KILLS, roles);
    });
  });

  test(`${roles}: SIGTERM under load ends clean, ${TERMS} times`, async (t) => {
    const report = await play(t, { roles }, async (scene) => {
      for (let term = 0; term < TERMS; term++) {
        await randomMoment(scene);
        assert.equal(await scene.millrace.stop(), 0, scene.millrace.lastLines);
        await scene.millrace.start();
      }
      // What was in flight is finished or left to the next start, and nothing goes twice.
      return boundsAfter(0, roles);
    });
    // A request can cross with the end of its idle connection: at most one a connection.
    assert.ok(report.unanswered <= TERMS * CONNECTIONS, `${report.unanswered} without an answer`);
  });
}
