/**
 * `npm run bench`: what an event costs, as a table and as JSON. `--only PART` (repeatable) runs the rows
 * whose name holds PART, `--list` names them. Numbers count only from a quiet machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createTempDir } from '../kit/temp-dir.ts';
import {
  brokenRows,
  commitLine,
  floorLine,
  headerLine,
  machineLine,
  scenarioLine,
} from './bench-report.ts';
import type { BenchReport } from './bench-report.ts';
import { startBench } from './bench-run.ts';
import type { FloorRow, ScenarioResult } from './bench-run.ts';
import { describeProfiles, profileEnvironment } from './profile.ts';
import { allScenarios } from './scenario.ts';

/** Above it the figures are those of somebody else's work too. */
const BUSY_LOAD = 0.5;
const REPOSITORY = path.resolve(import.meta.dirname, '../..');

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '2' },
    out: { type: 'string' },
    dir: { type: 'string', default: os.tmpdir() },
    profile: { type: 'boolean', default: false },
    floors: { type: 'boolean', default: true },
    list: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const { only } = values;
  const scenarios = allScenarios().filter(
    ({ name }) => only.length === 0 || only.some((part) => name.includes(part)),
  );
  if (values.list || scenarios.length === 0) {
    for (const { name } of scenarios.length === 0 ? allScenarios() : scenarios) say(name);
    process.exitCode = scenarios.length === 0 ? 64 : 0;
    return;
  }
  await using profiles = await createTempDir('profiles', values.dir);
  await using bench = await startBench({
    windowMs: Number(values.seconds) * 1_000,
    rounds: Number(values.rounds),
    dir: values.dir,
    ...(values.profile ? { environment: profileEnvironment(profiles.path) } : {}),
  });
  const startedAt = new Date().toISOString();
  const facts = {
    ...{ machine: machineLine(), node: process.version, commit: commitLine(REPOSITORY), startedAt },
    loadAverage: os.loadavg()[0] ?? 0,
  };
  say(`${facts.machine}, Node ${facts.node}, commit ${facts.commit}`);
  if (facts.loadAverage > BUSY_LOAD)
    say(`The machine is busy: load ${facts.loadAverage.toFixed(1)}`);
  say(`\n${headerLine()}`);
  const floors: FloorRow[] = [];
  const results: ScenarioResult[] = [];
  const failed: string[] = [];
  const save = (): void => {
    if (values.out === undefined) return;
    const { dir: _dir, out: _out, ...options } = values;
    const report: BenchReport = { ...facts, options, floors, scenarios: results, failed };
    mkdirSync(path.dirname(path.resolve(values.out)), { recursive: true });
    writeFileSync(values.out, `${JSON.stringify(report, null, 1)}\n`);
  };
  if (values.floors) {
    for await (const row of bench.floors()) {
      floors.push(row);
      say(floorLine(row));
    }
  }
  for (const scenario of scenarios) {
    try {
      const result = await bench.scenario(scenario);
      results.push(result);
      say(scenarioLine(result));
    } catch (error) {
      failed.push(scenario.name);
      say(`${scenario.name}: ${error instanceof Error ? error.message : 'failed'}`);
      await bench.dropMesh();
    }
    save();
  }
  if (values.profile) {
    await bench.endMesh();
    say(describeProfiles(profiles.path, REPOSITORY));
  }
  const broken = [...brokenRows(results), ...failed];
  if (broken.length === 0) return;
  say(`\nEvents were lost, changed or sent astray, or nothing was measured: ${broken.join(', ')}`);
  process.exitCode = 1;
}

await main();
